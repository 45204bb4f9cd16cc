"""How much of the traffic may go back to stable now? Pure.

A rollback is to end harm, and must not begin another: an autoscaler takes pods from a stable backend that has lost its
traffic, and all of it at once would then fall on the few that are left.
"""

from __future__ import annotations

import math
from dataclasses import replace

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core.mark import Mark
from changeover.core.migration_state import SeenMigration
from changeover.core.observed import Evidence, Unreadable
from changeover.core.weighing import hard_trip

# Of what each of its pods carried. Autoscalers aim at 50 to 80 % of what a pod can do, and start pods only when they
# see more than that: with less, the two would wait for each other.
HEADROOM = 1.5
PART_SECONDS = 30.0  # from one part to the next, for an autoscaler to see the load and start pods
# Waiting for these would be waiting for nothing: the canary does not answer, or answers wrongly.
AT_ONCE = frozenset({Reason.CANARY_NOT_READY, Reason.CANARY_CRASHED, Reason.ERRORS_MISSED})


def pods_for_all(seen: SeenMigration, mark: Mark) -> int | None:
    """Pods of stable that carry all traffic: as many as once did, or by what they carry of it now. None: not known."""
    on_stable = 100 - mark.weight
    stable = seen.known_stable
    if mark.stable_pods is None or stable is None or not stable.ready or not on_stable:
        return mark.stable_pods
    return min(mark.stable_pods, math.ceil(stable.ready * 100 / on_stable))


def part(seen: SeenMigration, mark: Mark, reason: str) -> int:
    """The canary's weight (percent) when as much goes back to stable as may at this moment; `mark.stable_pods` for all.

    0 where there is nothing to wait for: the canary does not answer, nothing is known of stable's pods, or the spec
    wants all at once. Where they cannot be read now, as much goes back as pods of any number may carry more.
    """
    stable, canary = seen.known_stable, seen.canary
    answers = isinstance(canary, Unreadable) or (canary is not None and canary.ready > 0)
    if seen.spec.rollback.ramp == "Jump" or not answers or reason in AT_ONCE or not mark.stable_pods:
        return 0
    if isinstance(seen.stable, Unreadable):
        return max(0, 100 - math.floor(HEADROOM * (100 - mark.weight)))
    if stable is None:
        return 0
    if stable.ready == 0:
        return mark.weight
    can_carry = math.floor(100 * HEADROOM * stable.ready / mark.stable_pods)
    return min(mark.weight, max(0, 100 - can_carry))


def _unknown(seen: SeenMigration) -> str:
    """Why the pods of stable or of the canary are not known in this pass; empty when they are.

    The spec may have been edited meanwhile: what it names is another stable then than the one that takes the traffic.
    """
    unread = next((one for one in (seen.stable, seen.canary) if isinstance(one, Unreadable)), None)
    if unread is not None:
        return unread.reason
    why = seen.unserved.reason if isinstance(seen.unserved, Unreadable) else seen.unserved
    return why if seen.known_stable is None else ""


def next_part(seen: SeenMigration, mark: Mark) -> Mark:
    """The mark of a rollback under way, lower when more of the traffic may go back by now."""
    began = mark.began or mark.since
    overdue = (seen.now - began).total_seconds() > duration_seconds(seen.spec.rollback.timeout)
    nobody = seen.known_stable is not None and seen.known_stable.ready == 0
    tripped = hard_trip(seen.spec, seen.latest) if isinstance(seen.latest, Evidence) else None
    reason = tripped.reason if tripped is not None else mark.reason
    # One read that fails says nothing of their pods: all at once might fall on the few that were seen a moment ago.
    waits = bool(_unknown(seen)) and reason not in AT_ONCE and seen.spec.rollback.ramp != "Jump"
    weight = mark.weight if waits else part(seen, mark, reason)
    if overdue and weight and not nobody:
        weight = 0
    waited = (seen.now - mark.since).total_seconds() >= PART_SECONDS
    if weight == mark.weight or (weight and not waited):
        return mark
    return replace(mark, weight=weight, since=seen.now, came_from=mark.weight, began=began)


def waiting_for(seen: SeenMigration, mark: Mark) -> str:
    """What a rollback in parts waits for, and the mend."""
    unknown = _unknown(seen)
    if unknown:
        until = "it goes on when they are, and all at once after spec.rollback.timeout"
        return f"{mark.weight} % still on the canary, since its pods or stable's are not known: {unknown}; {until}"
    # An edited spec starts over when it is back, on the canary that was just taken off; suspended it does not.
    mend = "scale stable up, or set spec.rollback.ramp to Jump and spec.suspend to true in one edit"
    return f"{mark.weight} % still on the canary, since {pods_of(seen, mark)}; {mend}"


def pods_of(seen: SeenMigration, mark: Mark) -> str:
    """Stable's pods against those that all traffic needs, in words."""
    if isinstance(seen.stable, Unreadable):
        return f"stable's pods are not known: {seen.stable.reason}"
    ready = seen.known_stable.ready if seen.known_stable is not None else 0
    return f"stable has {ready} ready pods where {mark.stable_pods} carry all traffic"
