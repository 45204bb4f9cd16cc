"""Somebody else changed the weights: put back what was decided, and stop when it is changed again and again. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from changeover.api.reasons import Reason
from changeover.core.mark import Mark
from changeover.core.migration_state import SeenMigration, Step, split
from changeover.core.observed import Route

MOST = 5  # times that a weight is put back before it is left to a person
WITHIN = timedelta(minutes=10)  # an edit so long after the last one is a new story


def put_back(seen: SeenMigration, route: Route, mark: Mark) -> Step:
    """What was decided stands: a foreign weight is never progress. Two programs that fight are stopped by one of them.

    How often it was put back is in the mark; a new step starts to count anew. Once stopped, nothing is written until
    the route has our weight again, by whoever's hand, or harm is seen.
    """
    who = route.changed_by or "somebody"
    theirs = "has other rules" if route.canary_percent is None else f"is at {route.canary_percent} %"
    if mark.contests >= MOST:
        message = (
            f"{who} changed the route again, which {theirs} and not at {mark.weight} %; put back {MOST} times, it is "
            f"left to you: end what writes to it, and set the weights to {100 - mark.weight} and {mark.weight}"
        )
        return Step(Reason.CONTESTED, message, (), mark, stalled=True)
    fought = mark.contested_at is not None and seen.now - mark.contested_at < WITHIN
    again = replace(mark, contests=mark.contests + 1 if fought else 1, contested_at=seen.now)
    message = f"{who} changed the route, which {theirs}; {mark.weight} % is put back ({again.contests} of {MOST} times)"
    return Step(Reason.WEIGHT_PUT_BACK, message, (split(again),), again)
