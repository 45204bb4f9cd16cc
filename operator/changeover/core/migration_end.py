"""How a migration ends: a rollback is seen through, what ended is kept, and what is deleted is given back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from changeover.api.reasons import Reason
from changeover.core import names
from changeover.core.conditions import parse_timestamp
from changeover.core.headroom import next_part, waiting_for
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import SeenMigration, Step, attempt_of, make_outcome, split
from changeover.core.observed import Evidence, Route, Unreadable
from changeover.core.plan import Action, HoldFinalizer, ReleaseRoute, SetSplit
from changeover.core.scale_away import scale_away

SETTLE_SECONDS = 15.0  # a rollback is over when no canary traffic is measured, or this long after weight 0
LOOK_AFTER_SECONDS = 30.0  # how often the route of an ended migration is looked at


def remembered_rollback(seen: SeenMigration) -> Mark | None:
    """The rollback under way as status tells it, for when somebody took the route or its mark away meanwhile.

    Without it a lost mark would start over, and so climb again in the generation that was rolled back.
    """
    status = seen.owner.status
    step, history = status.get("step") or {}, status.get("history") or []
    at_zero = step.get("weightPercent") == 0 and history and history[-1]["to"] == 0
    under_way = step.get("index", 0) > 0 and history and (at_zero or step.get("rollingBack"))
    if not under_way or status.get("outcome") or status.get("observedGeneration") != seen.owner.generation:
        return None
    last = history[-1]
    since = parse_timestamp(last["at"])
    reason, message, came_from = last["reason"], last["message"], last["from"]
    return Mark(
        Phase.ROLLING_BACK, step["index"], 0, since, seen.owner.generation, seen.arms, reason, message, came_from,
        attempt=status.get("attempt", 1),
    )  # fmt: skip


def finish_rollback(seen: SeenMigration, route: Route | None, mark: Mark) -> Step:
    out_of_reach, lost = why_out_of_reach(seen, route), _lost(seen, route)
    if lost:
        return Step(Reason.ROLLING_BACK, f"{lost}; {mark.message}", (), mark, stalled=True)
    if mark.step == 0:
        # Aborted before there was weight, and killed before status said so: nothing else remembers that but the mark.
        drifted = route is None or (mark.arms == seen.arms and route.canary_percent != 0)
        return _rolled_back(seen, mark, (split(mark),) if drifted and not out_of_reach else ())
    if out_of_reach:
        return Step(Reason.ROUTE_UNFIT, f"{out_of_reach}; {mark.message}", (), mark, stalled=True)
    if mark.weight > 0 and mark.arms == seen.arms:
        return _in_parts(seen, route, mark)
    if route is None or (mark.arms == seen.arms and route.canary_percent != 0):
        # With other arms in the spec the weights would be written to backends that this rollback is not about.
        return Step(Reason.ROLLING_BACK, mark.message, (split(mark),), mark)
    quiet = isinstance(seen.latest, Evidence) and seen.latest.canary is not None and seen.latest.canary.requests == 0
    settled = quiet and route.accepted and isinstance(seen.latest, Evidence) and seen.latest.start > mark.since
    if not settled and (seen.now - mark.since).total_seconds() < SETTLE_SECONDS:
        return Step(Reason.ROLLING_BACK, mark.message, (), mark)
    return _rolled_back(seen, mark, ())


def _rolled_back(seen: SeenMigration, mark: Mark, actions: tuple[Action, ...]) -> Step:
    outcome = make_outcome("RolledBack", seen, mark, mark.reason, mark.message)
    return Step(Reason.ROLLED_BACK, mark.message, actions, mark, None, outcome, recheck_after=LOOK_AFTER_SECONDS)


def _in_parts(seen: SeenMigration, route: Route | None, mark: Mark) -> Step:
    """The next part of a rollback, when stable can take it. What somebody took from the canary it never gets back."""
    shown = (route.canary_percent or 0) if route is not None else 0
    lower = next_part(seen, replace(mark, weight=min(mark.weight, shown)))
    if not shown == lower.weight == mark.weight:
        return Step(Reason.ROLLING_BACK, lower.message, (split(lower),), lower)
    return Step(Reason.STABLE_TOO_SMALL, f"{waiting_for(seen, mark)}; {mark.message}", (), mark)


def keep(seen: SeenMigration, route: Route | None, mark: Mark | None, outcome: dict[str, Any]) -> Step:
    """It ended: the route stays as it was decided, whoever touches it."""
    reason = Reason.PROMOTED if outcome["result"] == "Promoted" else Reason.ROLLED_BACK
    message = outcome["message"]
    if reason is Reason.PROMOTED and outcome["generation"] != seen.owner.generation:
        reason = Reason.ALREADY_PROMOTED
        message += "; the spec was changed since: a promoted migration does not start again, make a new one"
    if reason is Reason.ALREADY_PROMOTED and (mark is None or mark.arms != seen.arms):
        # The spec speaks of other backends now: writing its route would send all traffic to one that was never judged.
        return Step(reason, message, (), mark, None, outcome, recheck_after=LOOK_AFTER_SECONDS)
    final = mark or _final_mark(seen, outcome)
    drifted = route is None or mark is None or route.canary_percent != final.weight
    again = rewrite(route, final)
    actions: tuple[Action, ...] = ()
    if seen.spec.suspend:
        message += "; spec.suspend is true, so nothing is written" if drifted or again else ""
    elif drifted:
        lost = _lost(seen, route) or _to_nobody(seen, route, final)
        actions = () if why_out_of_reach(seen, route) or lost else (split(final),)
        message += f"; {lost}" if lost else ""
    else:
        actions, of_canary = scale_away(seen, route, outcome)
        message += f"; {of_canary}" if of_canary else ""
        actions = (*actions, *again)
    return Step(reason, message, actions, final, None, outcome, recheck_after=LOOK_AFTER_SECONDS)


def _lost(seen: SeenMigration, route: Route | None) -> str:
    """Why nobody is known who could take all traffic: the mark is gone, and the spec names what is not there."""
    if not seen.unserved or route is None or Mark.parse(route.mark) is not None:
        return ""
    return seen.unserved.reason if isinstance(seen.unserved, Unreadable) else seen.unserved


def _to_nobody(seen: SeenMigration, route: Route | None, final: Mark) -> str:
    """Why somebody's weights are left: who would get the traffic has no ready pod, for which it may have been moved.

    Or it is not known whether one has.
    """
    if route is None or route.canary_percent == final.weight:
        return ""  # nobody gets more by it: only the mark is lacking
    is_more = final.weight > (route.canary_percent or 0)
    arm, name = (seen.canary, "the canary") if is_more else (seen.stable, "stable")
    left = f"somebody changed the route, and {final.weight} % is not put back while {name}"
    if isinstance(arm, Unreadable):  # once put back it is as it should be, and nobody would look again
        return f"{left}'s pods are not known: {arm.reason}"
    return "" if arm is not None and arm.ready > 0 else f"{left} has no ready pod"


def rewrite(route: Route | None, mark: Mark) -> tuple[SetSplit, ...]:
    """The write, at the same weight, of a route that has other Gateways, hostnames or matches than the spec."""
    return (split(mark),) if route is not None and not route.as_asked else ()


def why_out_of_reach(seen: SeenMigration, route: Route | None) -> str:
    """Why a route that is its users' cannot carry our weights, and the mend; empty when it can, or is ours to make."""
    gateway = seen.spec.traffic.gateway_api
    assert gateway is not None  # the union guarantees it
    if gateway.mode != "Adopted" or (route is not None and not route.unfit):
        return ""
    if route is None:
        return f"HTTPRoute {gateway.route.name} does not exist; make it with both backends, or choose mode Managed"
    return f"HTTPRoute {gateway.route.name}: {route.unfit}"


def _final_mark(seen: SeenMigration, outcome: dict[str, Any]) -> Mark:
    """The mark of an ended migration whose route was deleted under it."""
    promoted = outcome["result"] == "Promoted"
    step = len(seen.spec.steps) if promoted else 0
    weight = seen.spec.steps[-1].weight_percent if promoted else 0
    phase = Phase.STEPPING if promoted else Phase.ROLLING_BACK
    reason, message = outcome["reason"], outcome["message"]
    return Mark(
        phase, step, weight, seen.now, outcome["generation"], seen.arms, reason, message, weight,
        attempt=attempt_of(outcome),
    )  # fmt: skip


def release(seen: SeenMigration, route: Route | None, mark: Mark | None) -> Step:
    """Deleted: traffic of an unfinished migration goes back to stable first, then the route is its users' again.

    Stalled, when weight stays on a canary that nobody watches any more.
    """
    if names.FINALIZER not in seen.owner.finalizers:
        return Step(Reason.DELETING, "released", (), mark, recheck_after=None)
    if route is None or not route.ours or (mark is None and route.canary_percent is None):
        return Step(Reason.DELETING, "released", (HoldFinalizer(False),), mark, recheck_after=None)
    is_lost = seen.unserved and (mark is None or mark.arms != seen.arms)  # nobody is known who could take all traffic
    if is_lost and isinstance(seen.unserved, Unreadable):
        return Step(Reason.UNREADABLE, seen.unserved.reason, (), mark)
    give_back: tuple[Action, ...] = (HoldFinalizer(False),) if mark is None else (ReleaseRoute(), HoldFinalizer(False))
    step = Step(Reason.DELETING, f"the route is given back with {_carried(route)}", give_back, mark, recheck_after=None)
    outcome = seen.owner.status.get("outcome")
    if route.canary_percent == 0 or (outcome is not None and outcome["result"] == "Promoted"):
        return step
    if route.unfit or is_lost:
        message = (
            f"{step.message}, which nobody watches any more; set its weights yourself: {route.unfit or seen.unserved}"
        )
        return replace(step, message=message, stalled=True)
    message = f"all traffic is on stable, and the route is given back; it had {_carried(route)}"
    return replace(step, message=message, actions=(split(_back(seen, mark)), ReleaseRoute(), HoldFinalizer(False)))


def _carried(route: Route) -> str:
    shown = route.canary_percent
    return "other backends than this migration's" if shown is None else f"{shown} % on the canary"


def _back(seen: SeenMigration, mark: Mark | None) -> Mark:
    """All traffic on stable, whatever the mark said, and even when somebody broke it."""
    step, came_from = (mark.step, mark.weight) if mark is not None else (0, 0)
    reason, message = Reason.DELETING, "deleted under way"
    return Mark(Phase.ROLLING_BACK, step, 0, seen.now, seen.owner.generation, seen.arms, reason, message, came_from)
