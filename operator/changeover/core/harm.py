"""What is rolled back without waiting for evidence, and the rollback itself: weight and mark in one write."""

from __future__ import annotations

from dataclasses import replace

from changeover.api.reasons import Reason
from changeover.core.headroom import part, pods_for_all, pods_of
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import SeenMigration, Step, split
from changeover.core.observed import Evidence, Route, Unreadable, Workload
from changeover.core.weighing import Weighing, hard_trip


def harm(seen: SeenMigration, mark: Mark) -> Step | None:
    """The rollback for what no evidence has to be gathered for; looked for at every pass.

    A canary whose pods cannot be read is judged by what the gateway counted alone.
    """
    if not isinstance(seen.canary, Unreadable):
        if seen.canary is None or seen.canary.ready == 0:
            return roll_back(seen, mark, Reason.CANARY_NOT_READY, canary_message(seen.canary), None)
        crashed = _crashed(seen.canary, mark)
        if crashed:
            # Errors that a gateway answers for an arm without pods are in no counter of that arm.
            return roll_back(seen, mark, Reason.CANARY_CRASHED, crashed, None)
    if isinstance(seen.latest, Evidence) and mark.since <= seen.latest.start:
        tripped = hard_trip(seen.spec, seen.latest)
        if tripped is not None:
            return roll_back(seen, mark, tripped.reason, tripped.message, None)
    return None


def _crashed(canary: Workload, mark: Mark) -> str:
    """Which pod of the canary crashed since the weight was set, in words; empty when none did.

    The kubelet tells of a crash a second or two after it: one that fell before the weight was set, and was not known
    then, is told by the count of restarts.
    """
    crashed = next((p for p in canary.pods if not p.deleting and p.ended and p.ended > mark.since), None)
    if crashed is not None:
        return f"pod {crashed.name} of the canary crashed ({crashed.why_ended}) while it had weight"
    if mark.restarts is not None and canary.restarts > mark.restarts:
        more = canary.restarts - mark.restarts
        return f"the canary's containers were started again {more} times since its pods were seen before this weight"
    return ""


def roll_back(seen: SeenMigration, mark: Mark, reason: Reason, why: str, weighing: Weighing | None) -> Step:
    """To weight 0; in parts where stable could not carry all traffic at once."""
    mark = replace(mark, stable_pods=pods_for_all(seen, mark))
    # What somebody has taken from the canary by now it does not get back by being rolled back.
    shown = (seen.route.canary_percent or 0) if isinstance(seen.route, Route) else 0
    weight = min(part(seen, mark, reason), shown)
    how = f"rolled back to 0 from {mark.weight} %"
    if weight:
        how = f"rolled back from {mark.weight} % in parts, since {pods_of(seen, mark)}"
    message = f"{why}; {how}"
    down = replace(
        mark, phase=Phase.ROLLING_BACK, weight=weight, since=seen.now, generation=seen.owner.generation, arms=seen.arms,
        reason=reason, message=message, came_from=mark.weight, paused=False, began=seen.now if weight else None,
    )  # fmt: skip
    return Step(Reason.ROLLING_BACK, message, (split(down),), down, weighing)


def not_whole(canary: Workload) -> str:
    """That not all of its pods are ready, or that they are being replaced; empty when neither is so."""
    if canary.ready < canary.replicas:
        return canary_message(canary)
    return replaced_message(canary) if len(canary.builds) > 1 else ""


def replaced_message(canary: Workload) -> str:
    """That pods of two builds are there, and what keeps the new ones from being all."""
    why = next((f"; {pod.name}: {pod.waiting}" for pod in canary.pods if pod.waiting), "")
    return f"canary {canary.name}: its pods are being replaced, and evidence of the new ones begins when they are{why}"


def canary_message(canary: Workload | None) -> str:
    if canary is None:
        return "the canary's Deployment does not exist"
    why = next((f": {p.waiting}" for p in canary.pods if p.waiting), "")
    return f"canary {canary.name} has {canary.ready} of {canary.replicas} pods ready{why}"
