"""Which decision may still take effect? One made on the route as it stands, under the latest term of leadership.

A process that was stopped and goes on later, or a write that was late on its way, was decided on what is long over. So
each write of the route names the version that was looked at, which the API server compares; and whoever begins to lead
writes its term into the marks of all that is under way, which makes every version before that an old one.
"""

from __future__ import annotations

from dataclasses import replace

from changeover.core.mark import Mark
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import Route
from changeover.core.plan import Action, ReleaseRoute, SetSplit


def sealed(step: Step, seen: SeenMigration) -> Step:
    """The same step, each write of the route bound to the version that was seen and to the term."""

    def bound(action: Action) -> Action:
        if not isinstance(action, SetSplit):
            return action
        version = seen.route.version if isinstance(seen.route, Route) else ""
        return replace(action, version=version, mark={**action.mark, **_term(seen)})

    return replace(step, actions=tuple(bound(action) for action in (*_stamp(step, seen), *step.actions)))


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
