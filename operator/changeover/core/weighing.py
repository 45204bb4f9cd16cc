"""What does a step's evidence say? Advance, hold or roll back, and each objective's part in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.objective import CPUObjective, Objective, QueryObjective
from changeover.core import sequential
from changeover.core.capacity import CPUShare, judge_share
from changeover.core.evidence import (
    Split,
    StepEvidence,
    bad_requests,
    cpu_design,
    make_design,
    projection_design,
    targets_of,
)  # fmt: skip
from changeover.core.guards import Guard
from changeover.core.measured_share import disagreement
from changeover.core.observed import Counts, Evidence
from changeover.core.projection import CapacityAnswer, Density, project
from changeover.core.sequential import Decision, Design, TargetDecision, TargetState, TargetVerdict, Verdict

_OF_PROJECTION = {CapacityAnswer.PASS: TargetVerdict.PASSING, CapacityAnswer.OVER: TargetVerdict.FAILING}
MISSED = {
    "Latency": Reason.LATENCY_MISSED,
    "Errors": Reason.ERRORS_MISSED,
    "CPU": Reason.CPU_MISSED,
    "Query": Reason.QUERY_MISSED,
}
UNASKED_ERRORS = 1 / 60
"""A limit that nobody set: thirty times it, where a rollback is beyond doubt, is half of the requests."""


@dataclass(frozen=True)
class ObjectiveView:
    """One objective as a reader sees it: figures as decimal strings in `unit`."""

    name: str
    type: str
    stable: str
    canary: str
    target: str
    unit: str
    requests: int
    verdict: str
    why: str


@dataclass(frozen=True)
class Weighing:
    """The evidence, what it says, and each objective's part in it."""

    evidence: StepEvidence
    verdict: Verdict
    reason: Reason
    message: str
    views: tuple[ObjectiveView, ...]


def hard_trip(spec: MigrationSpec, latest: Evidence) -> Weighing | None:
    """Whether what was seen since the last scrapes is beyond doubt by itself (§2.6c); None when it is not."""
    if latest.canary is None:
        return None
    targets, tripped = targets_of(spec), list[tuple[Objective, int]]()
    for objective in (o for o in spec.objectives if o.name in targets):
        bad, requests, q = bad_requests(latest.canary, objective), latest.canary.requests, targets[objective.name].q
        if bad is not None and sequential.is_hard_trip(bad, requests, q, least_bad=sequential.SCRAPE_LEAST_BAD):
            tripped.append((objective, bad))
    if not tripped:
        return _unasked_errors(spec, latest)
    objective, bad = min(tripped, key=lambda one: _rank(one[0].type))
    message = f"{objective.name}: {bad} of {latest.canary.requests} requests bad in the last scrapes"
    return Weighing(StepEvidence(latest.start, latest.end), Verdict.ROLLBACK, MISSED[objective.type], message, ())


def _unasked_errors(spec: MigrationSpec, latest: Evidence) -> Weighing | None:
    """Who judges no errors means that there are few: bad is a canary most of whose answers are such, and not stable's.

    As fast as they are they would keep every target of latency and CPU (docs/decisions/0025).
    """
    canary, stable = latest.canary, latest.stable
    if canary is None or any(objective.errors is not None for objective in spec.objectives):
        return None
    least = sequential.SCRAPE_LEAST_BAD
    if not sequential.is_hard_trip(canary.errors, canary.requests, UNASKED_ERRORS, least_bad=least):
        return None
    if stable is not None and 2 * stable.errors * canary.requests > canary.errors * stable.requests > 0:
        return None  # what both call is down
    message = (
        f"{canary.errors} of {canary.requests} requests in the last scrapes are errors, and no objective allows any"
    )
    return Weighing(StepEvidence(latest.start, latest.end), Verdict.ROLLBACK, MISSED["Errors"], message, ())


def _rank(type_: str) -> int:
    """Errors come first: from who answers wrongly, be it slowly, too, all goes back at once (``core.headroom``)."""
    return 0 if type_ == "Errors" else 1


def weigh(evidence: StepEvidence, spec: MigrationSpec, split: Split) -> Weighing:
    """Judge the step: rollback of any objective beats advance; advance needs all; everything else holds."""
    design, targets = make_design(spec), targets_of(spec, split.baselines)
    states = {name: evidence.states.get(name, TargetState.start()) for name in targets}
    decision = sequential.judge(states, targets, design) if targets else None
    by_name = {one.name: one for one in decision.targets} if decision is not None else {}
    views = tuple(_view(objective, evidence, by_name, spec, split) for objective in spec.objectives)
    failing = min((v for v in views if v.verdict == "Failing"), key=lambda v: _rank(v.type), default=None)
    if decision is not None and decision.verdict is Verdict.ROLLBACK and decision.rule is sequential.Rule.BLIND:
        return Weighing(evidence, Verdict.ROLLBACK, Reason.BLIND, decision.message, views)
    unseen = next((name for name, share in evidence.cpu.items() if share.unseen >= design.max_blind), None)
    if unseen is not None and failing is None:
        message = (
            f"{unseen}: no CPU of the canary at work for {spec.decision.max_blind}; is it asked anything, and have its "
            "pods a CPU limit or request?"
        )
        return Weighing(evidence, Verdict.ROLLBACK, Reason.BLIND, message, views)
    if failing is not None:
        message = f"{failing.name}: {failing.why} at weight {split.weight} ({evidence.requests:,} requests)"
        return Weighing(evidence, Verdict.ROLLBACK, MISSED[failing.type], message, views)
    if evidence.off:
        return _weigh_off(evidence, design, split.weight, views)
    if all(view.verdict == "Passing" for view in views):
        message = "; ".join(_within(view) for view in views)
        return Weighing(evidence, Verdict.ADVANCE, Reason.OBJECTIVES_HELD, message, views)
    waiting = next(view for view in views if view.verdict != "Passing")
    is_silent = waiting.type == "Query" and waiting.verdict == "NoData"
    reason = Reason.METRICS_MISSING if is_silent else _hold_reason(decision)
    return Weighing(evidence, Verdict.HOLD, reason, f"{waiting.name}: {waiting.why}", views)


def _within(view: ObjectiveView) -> str:
    """That an objective holds; its figure is not known in a pass without a new block."""
    figure = f"{view.name} {view.canary}{view.unit}" if view.canary else view.name
    return f"{figure} within {view.target}{view.unit}"


def _weigh_off(evidence: StepEvidence, design: Design, weight: int, views: tuple[ObjectiveView, ...]) -> Weighing:
    """The traffic does not split as it should: that is no evidence, and too long without any is a rollback."""
    how = disagreement(evidence.last, weight) if evidence.last is not None else ""
    message = f"{how or 'the split was not that of the weight'} ({evidence.off} of {design.max_blind} blocks)"
    verdict = Verdict.ROLLBACK if evidence.off >= design.max_blind else Verdict.HOLD
    return Weighing(evidence, verdict, Reason.WEIGHT_NOT_EFFECTIVE, message, views)


def _hold_reason(decision: Decision | None) -> Reason:
    known = {
        sequential.Reason.RECENTLY_BAD: Reason.RECENTLY_BAD,
        sequential.Reason.SHARED_INCIDENT: Reason.SHARED_INCIDENT,
        sequential.Reason.BLIND: Reason.BLIND,
    }
    return known.get(decision.reason, Reason.WAITING_EVIDENCE) if decision is not None else Reason.WAITING_EVIDENCE


def _view(
    objective: Objective,
    evidence: StepEvidence,
    judged: Mapping[str, TargetDecision],
    spec: MigrationSpec,
    split: Split,
) -> ObjectiveView:
    if objective.cpu is not None:
        return _cpu_view(objective.name, objective.cpu, evidence, spec, split)
    if objective.query is not None:
        return _query_view(objective.name, objective.query, evidence)
    one = judged[objective.name]
    if objective.latency is not None:
        stable, canary = (_shown(evidence, arm, objective.name) for arm in ("stable", "canary"))
        target, unit = f"{duration_seconds(objective.latency.max) * 1000:g}", "ms"
    else:
        state = evidence.states.get(objective.name, TargetState.start())
        stable, canary = _percent(state.stable_bad, state.stable_requests), _percent(state.bad, state.requests)
        assert objective.errors is not None
        target, unit = objective.errors.max_percent, "%"
    return ObjectiveView(
        objective.name, objective.type, stable, canary, target, unit, one.requests, one.verdict.value, one.message
    )


def _cpu_view(
    name: str, target: CPUObjective, evidence: StepEvidence, spec: MigrationSpec, split: Split
) -> ObjectiveView:
    share = evidence.cpu.get(name, CPUShare.start())
    verdict, why = judge_share(share, target.max_percent / 100, cpu_design(spec))
    if target.at_traffic_multiple > 1 and verdict is not TargetVerdict.FAILING:
        verdict, why = _projected(target, evidence, spec, split)
    shown = f"{100 * share.mean:.1f}" if share.mean is not None else ""
    return ObjectiveView(name, "CPU", "", shown, str(target.max_percent), "%", evidence.requests, verdict.value, why)


def _query_view(name: str, query: QueryObjective, evidence: StepEvidence) -> ObjectiveView:
    guard = evidence.guards.get(name, Guard())
    verdict, why = guard.judge(float(query.max), query.unit)
    shown = f"{guard.value:.6g}" if guard.value is not None else ""
    return ObjectiveView(name, "Query", "", shown, query.max, query.unit, evidence.requests, verdict.value, why)


def _projected(
    target: CPUObjective, evidence: StepEvidence, spec: MigrationSpec, split: Split
) -> tuple[TargetVerdict, str]:
    """Whether the CPU stays under the target when the canary alone carries the multiple of the peak."""
    if evidence.peak <= 0:
        return TargetVerdict.UNDECIDED, "the highest traffic of the last 24 hours is not known yet"
    rps = target.at_traffic_multiple * evidence.peak / split.pods
    seen = replace(evidence.load, highest=max(evidence.load.highest, split.benchmarked_rps))
    density = Density(split.pods, split.weight)
    found = project(seen, rps, target.max_percent / 100, projection_design(spec), density)
    verdict = _OF_PROJECTION.get(found.answer, TargetVerdict.UNDECIDED)
    times = f"at {target.at_traffic_multiple} times the peak of {evidence.peak:.4g} requests/s"
    return verdict, f"{times}: {found.why}"


def _shown(evidence: StepEvidence, arm: str, objective: str) -> str:
    counts: Counts | None = getattr(evidence.last, arm, None)
    value = counts.shown.get(objective) if counts is not None else None
    return "" if value is None else f"{value * 1000:.3g}"


def _percent(bad: int, requests: int) -> str:
    return "" if requests == 0 else f"{100 * bad / requests:.3g}"


def as_dict(view: ObjectiveView) -> dict[str, Any]:
    """The view as status has it."""
    return {
        "name": view.name, "type": view.type, "stable": view.stable, "canary": view.canary, "target": view.target,
        "unit": view.unit, "requests": view.requests, "verdict": view.verdict, "why": view.why[:1024],
    }  # fmt: skip
