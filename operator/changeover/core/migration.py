"""What should a migration do next? A ladder of guards; the first that matches wins. See ``decide``.

The weight and the state it belongs to (the *mark*) live together on the route and change in one write. Evidence and the
outcome live in status; evidence carries the mark's time, so that what belongs to an earlier weight is never counted.
A rollback that only set the weight to 0 would climb again at the next pass: the mark says ``RollingBack`` in the same
write, and nothing but a new generation of the spec, after the outcome is written, starts over.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core import names
from changeover.core.as_measured import deviation, is_of_another_measure
from changeover.core.conditions import timestamp
from changeover.core.contest import put_back
from changeover.core.design import significant
from changeover.core.evidence import SETTLE_SCRAPES, Split, StepEvidence, fold
from changeover.core.harm import canary_message, harm, not_whole, roll_back
from changeover.core.mark import Mark, Phase
from changeover.core.migration_end import (
    finish_rollback,
    keep,
    release,
    remembered_rollback,
    rewrite,
    why_out_of_reach,
)
from changeover.core.migration_state import (
    CanaryChoice,
    SeenMigration,
    Step,
    attempt_of,
    first_mark,
    peaks_of,
    split,
)
from changeover.core.observed import Evidence, Peak, Route, Unreadable, Workload
from changeover.core.plan import Apply, Delete, HoldFinalizer, Ref, SetSplit
from changeover.core.raising import advance, hold, paused, rise
from changeover.core.sequential import Verdict
from changeover.core.weighing import Weighing, weigh

__all__ = ["CanaryChoice", "SeenMigration", "Step", "decide", "without_stable"]


def decide(seen: SeenMigration) -> Step:
    """The ladder. Every rung that needs what could not be read holds the weight."""
    if isinstance(seen.route, Unreadable):
        return Step(Reason.UNREADABLE, f"the route could not be read, so nothing is changed: {seen.route.reason}")
    mark = mark_of(seen, seen.route)
    if seen.owner.deleting:
        return release(seen, seen.route, mark)
    if names.FINALIZER not in seen.owner.finalizers:
        return Step(Reason.PREPARING, "deletion is guarded first", (HoldFinalizer(True),), mark, recheck_after=0.0)
    if seen.route is not None and not seen.route.ours:
        return _refuse(Reason.ROUTE_NOT_OURS, _not_ours_message(seen), None)
    outcome = seen.owner.status.get("outcome")
    if outcome is not None and _stands(outcome, seen, mark):
        return keep(seen, seen.route, mark, outcome)
    if mark is not None and mark.phase is Phase.ROLLING_BACK and not _is_outcome_of(outcome, mark):
        return finish_rollback(seen, seen.route, mark)
    if seen.spec.suspend:
        return Step(Reason.SUSPENDED, "spec.suspend is true; the weight stays", (), mark, recheck_after=None)
    return prepare(seen, seen.route, mark)


def mark_of(seen: SeenMigration, route: Route | None) -> Mark | None:
    """What was decided last: from a route that is ours, else a rollback from status."""
    if route is not None and not route.ours:
        return None
    return (Mark.parse(route.mark) if route is not None else None) or remembered_rollback(seen)


def _is_outcome_of(outcome: dict[str, Any] | None, mark: Mark) -> bool:
    """Whether the rollback of this mark is over; an outcome of an earlier generation or attempt says nothing."""
    return outcome is not None and (outcome["generation"], attempt_of(outcome)) == (mark.generation, mark.attempt)


def _stands(outcome: dict[str, Any], seen: SeenMigration, mark: Mark | None) -> bool:
    """Whether it ended for good: promoted, or rolled back under this spec and not retried since."""
    retried = mark is not None and mark.attempt > attempt_of(outcome)
    return bool(outcome["result"] == "Promoted" or (outcome["generation"] == seen.owner.generation and not retried))


def prepare(seen: SeenMigration, route: Route | None, mark: Mark | None) -> Step:
    """Everything that must be so before the weight is touched: the canary chosen, the route ours and at our weight."""
    out_of_reach = why_out_of_reach(seen, route)
    if out_of_reach:
        return _refuse(Reason.ROUTE_UNFIT, out_of_reach, mark)
    starts_over = mark is None or mark.arms != seen.arms or mark.phase is Phase.ROLLING_BACK
    is_under_way = mark is not None and not starts_over and mark.weight > 0
    watched = mark if is_under_way and seen.is_way_back_open else None
    unread = next((one for one in (seen.choice, seen.canary) if isinstance(one, Unreadable)), None)
    if unread is not None:
        # Where all can be known that a way back needs, harm is not left to itself.
        harmed = harm(seen, watched) if watched is not None else None
        return harmed or Step(Reason.UNREADABLE, unread.reason, (), mark)
    assert isinstance(seen.choice, CanaryChoice)
    if seen.choice.refused is not None and (starts_over or mark is None or mark.weight == 0):
        refused = _refuse(seen.choice.refused, seen.choice.why, mark)
        # Another candidate may be named under way: then the canary of before has traffic, on the same backends.
        at_work = mark if mark is not None and route is not None and 0 < mark.weight == route.canary_percent else None
        return (harm(seen, at_work) if at_work is not None and seen.is_way_back_open else None) or refused
    if seen.not_understood and (mark is None or mark.weight == 0):
        return _refuse(Reason.INVALID_SPEC, seen.not_understood, mark)
    not_followed = without_stable(seen, mark)
    if not_followed is not None and watched is None:
        return not_followed
    if starts_over:
        first = first_mark(seen, mark)
        return Step(Reason.PREPARING, "the route is made; all traffic is on stable", (split(first),), first)
    assert mark is not None
    assert route is not None
    if route.canary_percent != mark.weight:
        return (harm(seen, mark) if mark.weight else None) or not_followed or put_back(seen, route, mark)
    step = _before_first_step(seen, route, mark) if mark.weight == 0 else _on_step(seen, route, mark)
    writes = step.outcome is not None or any(isinstance(action, SetSplit) for action in step.actions)
    return step if writes else replace(step, actions=(*step.actions, *rewrite(route, mark)))


def without_stable(seen: SeenMigration, mark: Mark | None) -> Step | None:
    """What is waited for when stable cannot be told from what the spec names; None when it can be."""
    unread = next((one for one in (seen.unserved, seen.stable) if isinstance(one, Unreadable)), None)
    if unread is not None:
        return Step(Reason.UNREADABLE, unread.reason, (), mark)
    if seen.unserved:
        return _wait_for(mark, str(seen.unserved))
    name = seen.spec.stable.workload.name
    if not isinstance(seen.stable, Workload):
        return _wait_for(mark, f"spec.stable: there is no Deployment {name}; make it, or name another")
    if seen.stable.ready == 0:
        return _wait_for(mark, f"stable {name} has no ready pod")
    return None


def _before_first_step(seen: SeenMigration, route: Route, mark: Mark) -> Step:
    assert isinstance(seen.choice, CanaryChoice)
    assert not isinstance(seen.canary, Unreadable)
    if seen.canary is not None and _is_of_another_choice(seen.choice, seen.canary):
        outdated = Delete(Ref("Deployment", seen.owner.namespace, seen.canary.name))
        return replace(_wait_for(mark, "the canary of an earlier choice is removed"), actions=(outdated,))
    make = tuple(Apply(m) for m in seen.choice.manifests)
    if seen.canary is None or seen.canary.ready == 0 or seen.canary.ready < seen.canary.replicas:
        # Made only while missing, or scaled away after a rollback; from then on its owner may scale it.
        waiting = _wait_for(mark, canary_message(seen.canary))
        return replace(waiting, actions=make) if seen.canary is None or seen.canary.replicas == 0 else waiting
    another = deviation(seen.choice.benchmarked, seen.canary)
    if another:
        return _refuse(Reason.BENCHMARK_REFUSED, another, mark)
    if not route.accepted:
        return Step(Reason.ROUTE_NOT_ACCEPTED, route.why_not, (), mark)
    if not isinstance(seen.latest, Evidence):
        why = seen.latest.reason if seen.latest is not None else "nothing was asked yet"
        return Step(Reason.METRICS_MISSING, f"no weight before there is evidence: {why}", (), mark)
    if seen.latest.stable is None or seen.latest.stable.requests == 0:
        message = "the gateway has counted no request to stable through this route in the last scrapes"
        return Step(Reason.METRICS_MISSING, message, (), mark)
    if seen.spec.decision.baseline.policy == "Require" and (seen.day is None or seen.day.why):
        why = seen.day.why if seen.day is not None else "it could not be read yet"
        message = f"no weight before {seen.spec.decision.baseline.window} of stable are known: {why}"
        return Step(Reason.WAITING_FOR_BASELINE, message, (), mark)
    return rise(seen, mark, "stable is measured and the canary is ready")


def _is_of_another_choice(choice: CanaryChoice, canary: Workload) -> bool:
    """Whether we made this canary, for a candidate that is not chosen any more, or was another when it was measured."""
    wanted = next((m["metadata"]["labels"] for m in choice.manifests if m["kind"] == "Deployment"), None)
    if wanted is None or canary.labels.get(names.LABEL_MIGRATION) != wanted[names.LABEL_MIGRATION]:
        return False
    other = canary.labels.get(names.LABEL_CANDIDATE) != wanted[names.LABEL_CANDIDATE]
    return bool(other or is_of_another_measure(choice.benchmarked, canary))


def _on_step(seen: SeenMigration, route: Route, mark: Mark) -> Step:
    """The canary carries traffic: look for harm first, then for evidence."""
    harmed = harm(seen, mark)
    if harmed is not None:
        return harmed
    assert isinstance(seen.canary, Workload)
    weighing = _weigh(seen, mark, seen.canary)
    if weighing.verdict is Verdict.ROLLBACK:
        return roll_back(seen, mark, weighing.reason, weighing.message, weighing)
    not_followed = without_stable(seen, mark)
    if not_followed is not None:
        return replace(not_followed, weighing=weighing)
    return (
        paused(mark, weighing.message, _noted(weighing)) if mark.paused else _withoutharm(seen, route, mark, weighing)
    )


def _noted(weighing: Weighing) -> Weighing:
    """With when it was decided, by the blocks, so that status is not written oftener for it."""
    evidence = weighing.evidence
    if weighing.verdict is not Verdict.ADVANCE:
        return weighing
    return replace(weighing, evidence=replace(evidence, decided=evidence.until))


def _withoutharm(seen: SeenMigration, route: Route, mark: Mark, weighing: Weighing) -> Step:
    """Nothing speaks for a rollback: up, or stay."""
    assert isinstance(seen.canary, Workload)
    assert isinstance(seen.choice, CanaryChoice)
    if seen.not_understood:
        message = f"{seen.not_understood}; without evidence the canary goes back after spec.decision.maxBlind"
        return Step(Reason.INVALID_SPEC, message, (), mark, weighing, stalled=True)
    if not route.accepted:
        return Step(Reason.ROUTE_NOT_ACCEPTED, route.why_not, (), mark, weighing)
    if seen.behind:
        # What came after may speak against the canary: neither the step's end nor its limit is judged without it.
        message = f"{weighing.message}; the evidence since {timestamp(weighing.evidence.until)} is still being read"
        return Step(Reason.WAITING_EVIDENCE, message, (), mark, weighing)
    lacking = not_whole(seen.canary)
    if lacking:
        return hold(seen, mark, replace(weighing, reason=Reason.WAITING_FOR_WORKLOADS, message=lacking))
    another = deviation(seen.choice.benchmarked, seen.canary)
    if another:
        return Step(Reason.BENCHMARK_REFUSED, another, (), mark, weighing, stalled=True)
    if weighing.verdict is Verdict.ADVANCE:
        return advance(seen, mark, _noted(weighing))
    return hold(seen, mark, weighing)


def _weigh(seen: SeenMigration, mark: Mark, canary: Workload) -> Weighing:
    """Fold the new blocks into the step's evidence and judge it; too long without any is a rollback."""
    evidence = seen.evidence or StepEvidence.start(mark.since, seen.scrape_seconds)
    cores = canary.cpu_limit * canary.replicas if canary.cpu_limit is not None else None
    assert isinstance(seen.choice, CanaryChoice)
    baselines = seen.day.baselines if seen.day is not None else {}
    pods, rps = max(1, canary.replicas), seen.choice.benchmarked.rps
    anew = seen.now + timedelta(seconds=SETTLE_SCRAPES * seen.scrape_seconds)
    split_ = Split(
        mark.weight, cores, pods, rps, baselines, peaks_of(seen), builds=canary.builds, anew=anew,
        complete_from=canary.complete_from(seen.now),
    )  # fmt: skip
    if not isinstance(seen.blocks, Unreadable):
        evidence = fold(evidence, seen.spec, seen.blocks, split_)
    if isinstance(seen.peak, Peak):
        evidence = replace(evidence, peak=max(evidence.peak, significant(seen.peak.rate)))
    weighing = weigh(evidence, seen.spec, split_)
    blind = (seen.now - evidence.until).total_seconds()
    limit = duration_seconds(seen.spec.decision.max_blind) + duration_seconds(seen.spec.decision.block)
    if isinstance(seen.blocks, Unreadable) and weighing.verdict is not Verdict.ROLLBACK:
        verdict = Verdict.ROLLBACK if blind > limit else Verdict.HOLD
        message = f"no evidence for {blind:.0f} s, at most {limit:.0f} s: {seen.blocks.reason}"
        return replace(weighing, verdict=verdict, reason=Reason.BLIND, message=message)
    return weighing


def _refuse(reason: Reason, message: str, mark: Mark | None) -> Step:
    return Step(reason, message, (), mark, stalled=reason is not Reason.BENCHMARK_NOT_READY, recheck_after=5.0)


def _wait_for(mark: Mark | None, message: str) -> Step:
    return Step(Reason.WAITING_FOR_WORKLOADS, message, (), mark)


def _not_ours_message(seen: SeenMigration) -> str:
    assert seen.spec.traffic.gateway_api is not None
    if isinstance(seen.route, Route) and seen.route.migration:
        name = seen.spec.traffic.gateway_api.route.name
        return f"HTTPRoute {name} belongs to CanaryMigration {seen.route.migration}; delete that one, or choose another"
    return (
        f"HTTPRoute {seen.spec.traffic.gateway_api.route.name} exists and was not made by this migration; choose "
        f"another spec.traffic.gatewayAPI.route.name, or hand it over with the annotation "
        f"{names.ANNOTATION_HAND_OVER}: {seen.owner.name}"
    )
