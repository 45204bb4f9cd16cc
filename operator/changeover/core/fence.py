"""Which decision may still take effect? One made on the route as it stands, under the latest term of leadership.

A process that was stopped and goes on later, or a write that was late on its way, was decided on what is long over. So
each write of the route names the version that was looked at, which the API server compares; and whoever begins to lead
writes its term into the marks of all that is under way, which makes every version before that an old one. And each
takes over from the mark that it replaces what status was not told of.

The route's version says nothing of the migration. So whoever raises a weight, or gives the route away, has the API
server compare the migration first: one that was edited, suspended, aborted or deleted meanwhile is looked at again, and
so is one of which an old view was shown. A way back waits for no answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from changeover.core.history import untold
from changeover.core.mark import Mark
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import Route
from changeover.core.plan import Action, ConfirmOwner, ReleaseRoute, SetSplit


def sealed(step: Step, seen: SeenMigration) -> Step:
    """The same step, each write of the route bound to the version that was seen and to the term.

    What raises a weight or gives the route away is bound to the owner as it was seen, too.
    """

    def bound(action: Action) -> Action:
        if not isinstance(action, SetSplit):
            return action
        version = seen.route.version if isinstance(seen.route, Route) else ""
        mark = {key: value for key, value in action.mark.items() if key != "untold"}
        return replace(action, version=version, mark={**mark, **_term(seen), **_untold(action, seen)})

    actions = (*_confirm(step, seen), *_stamp(step, seen), *step.actions)
    return replace(step, actions=tuple(bound(action) for action in actions))


def _confirm(step: Step, seen: SeenMigration) -> tuple[ConfirmOwner, ...]:
    shown = (seen.route.canary_percent or 0) if isinstance(seen.route, Route) else 0
    raises = any(isinstance(action, SetSplit) and action.canary_percent > shown for action in step.actions)
    gives_away = any(isinstance(action, ReleaseRoute) for action in step.actions)
    return (ConfirmOwner(seen.owner.version, needs_answer=raises),) if raises or gives_away else ()


def _untold(action: SetSplit, seen: SeenMigration) -> dict[str, Any]:
    """What the mark that is there knows and status does not: the write would be the end of it."""
    route = seen.route
    found = Mark.parse(route.mark) if isinstance(route, Route) and route.ours else None
    left = untold(found, Mark.parse(action.mark), seen.owner.status.get("history") or [])
    return {"untold": [decision.to_dict() for decision in left]} if left else {}


def _term(seen: SeenMigration) -> dict[str, int]:
    return {"term": seen.term} if seen.term else {}


def _stamp(step: Step, seen: SeenMigration) -> tuple[SetSplit, ...]:
    """Weights and mark as they are, where the mark is of an earlier term and nothing else is written."""
    if not seen.term or seen.spec.suspend:  # suspended, nothing at all is written
        return ()
    route = seen.route
    if not isinstance(route, Route) or not route.ours:
        return ()
    mark = Mark.parse(route.mark)
    if mark is None or mark.term >= seen.term or step.outcome is not None or route.canary_percent != mark.weight:
        return ()
    if any(isinstance(action, (SetSplit, ReleaseRoute)) for action in step.actions):
        return ()
    return (SetSplit(mark.weight, mark.to_dict()),)
