"""What speaks for and against the canary in this step? Blocks of counters become evidence for each objective.

A step's evidence starts afresh with each weight. It is a pure function of the blocks since the weight was set, kept as
sufficient statistics in status, so that a restart neither loses nor counts a block twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.migration import MigrationSpec, Objective
from changeover.core import sequential
from changeover.core.capacity import PLAIN, CapacityDesign, CPUShare, judge_share
from changeover.core.conditions import parse_timestamp
from changeover.core.observed import Counts, Evidence
from changeover.core.sequential import Block, Decision, Design, Target, TargetDecision, TargetState, Verdict

SETTLE_SCRAPES = 2.0  # after a change of weight: the gateway takes it, and one full scrape passes

MISSED = {"Latency": Reason.LATENCY_MISSED, "Errors": Reason.ERRORS_MISSED, "CPU": Reason.CPU_MISSED}


@dataclass(frozen=True)
class StepEvidence:
    """All that counts in this step; `since` names the weight it belongs to, `until` the end of the last block."""

    since: datetime
    until: datetime
    states: Mapping[str, TargetState] = field(default_factory=dict)
    cpu: Mapping[str, CPUShare] = field(default_factory=dict)
    requests: int = 0
    last: Evidence | None = None  # the latest block, to be shown; not kept over a restart

    @classmethod
    def start(cls, since: datetime, scrape_seconds: float) -> StepEvidence:
        """No evidence; the first block begins when the new weight has settled."""
        return cls(since, since + timedelta(seconds=SETTLE_SCRAPES * scrape_seconds))

    def to_text(self) -> str:
        """Compact JSON for status."""
        content = {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "requests": self.requests,
            "states": {name: state.to_dict() for name, state in self.states.items()},
            "cpu": {name: share.to_dict() for name, share in self.cpu.items()},
        }
        return json.dumps(content, separators=(",", ":"), sort_keys=True)

    @classmethod
    def parse(cls, text: str, since: datetime) -> StepEvidence | None:
        """Inverse of ``to_text``; None when it is not readable, or belongs to another weight."""
        try:
            content = json.loads(text)
            if parse_timestamp(content["since"]) != since:
                return None
            return cls(
                since=since,
                until=parse_timestamp(content["until"]),
                states={name: TargetState.from_dict(state) for name, state in content["states"].items()},
                cpu={name: CPUShare.from_dict(share) for name, share in content["cpu"].items()},
                requests=int(content["requests"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


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


def make_design(spec: MigrationSpec) -> Design:
    """The parameters of the decision rule that a spec asks for."""
    block = duration_seconds(spec.decision.block)
    base = Design(
        alpha=spec.decision.false_advance_percent / 100,
        beta=spec.decision.false_rollback_percent / 100,
        max_blind=max(1, math.ceil(duration_seconds(spec.decision.max_blind) / block)),
        targets=max(1, len(targets_of(spec))),
        steps=len(spec.steps),
    )
    return Design.for_block(block, base)


def limit_of(objective: Objective) -> float | None:
    """The accepted share of bad requests; None for an objective that is not about requests."""
    if objective.latency is not None:
        return round(1 - float(objective.latency.percentile) / 100, 6)
    if objective.errors is not None:
        return float(objective.errors.max_percent) / 100
    return None


def targets_of(spec: MigrationSpec) -> dict[str, Target]:
    """The targets of the sequential rule."""
    limits = {objective.name: limit_of(objective) for objective in spec.objectives}
    # 100 % errors allowed is no target; the rule needs a limit below 1.
    return {name: Target(min(q, 0.999)) for name, q in limits.items() if q is not None}


def fold(
    evidence: StepEvidence, spec: MigrationSpec, blocks: Sequence[Evidence], limit_cores: float | None
) -> StepEvidence:
    """The evidence after more blocks, in order; a block that does not start where the last one ended is an error."""
    design, targets = make_design(spec), targets_of(spec)
    for block in blocks:
        if block.start != evidence.until:
            raise ValueError(f"a block from {block.start} does not follow evidence until {evidence.until}")
        states = {
            o.name: sequential.update(
                evidence.states.get(o.name, TargetState.start()), _block(block, o), targets[o.name], design
            )
            for o in spec.objectives
            if o.name in targets
        }
        requests = block.canary.requests if block.canary is not None else 0
        share = None if block.canary_cores is None or not limit_cores else block.canary_cores / limit_cores
        cpu = {o.name: _cpu(evidence, o.name, share, spec) for o in spec.objectives if o.cpu is not None}
        evidence = replace(
            evidence, until=block.end, states=states, cpu=cpu, requests=evidence.requests + requests, last=block
        )
    return evidence


def _block(block: Evidence, objective: Objective) -> Block | None:
    """The block as one objective sees it; None, which counts as blind, when the canary's bad requests are not known."""
    bad = _bad(block.canary, objective)
    if block.canary is None or bad is None:
        return None
    stable_bad = _bad(block.stable, objective)
    if block.stable is None or stable_bad is None:
        return Block(block.canary.requests, bad)
    return Block(block.canary.requests, bad, block.stable.requests, stable_bad)


def _bad(counts: Counts | None, objective: Objective) -> int | None:
    """Requests that count against the objective; None when they were not counted, which is never none."""
    if counts is None:
        return None
    return counts.slow.get(objective.name) if objective.latency is not None else counts.errors


def _cpu(evidence: StepEvidence, name: str, share: float | None, spec: MigrationSpec) -> CPUShare:
    before = evidence.cpu.get(name, CPUShare.start())
    return before.blind() if share is None else before.add(share, _cpu_design(spec))


def _cpu_design(spec: MigrationSpec) -> CapacityDesign:
    return PLAIN.for_block(duration_seconds(spec.decision.block))


def hard_trip(spec: MigrationSpec, latest: Evidence) -> Weighing | None:
    """Whether the last scrape alone is beyond doubt (§2.6c); None when it is not."""
    if latest.canary is None:
        return None
    targets = targets_of(spec)
    for objective in (o for o in spec.objectives if o.name in targets):
        bad = _bad(latest.canary, objective)
        if bad is not None and sequential.is_hard_trip(bad, latest.canary.requests, targets[objective.name].q):
            message = f"{objective.name}: {bad} of {latest.canary.requests} requests bad in one scrape"
            nothing = StepEvidence(latest.start, latest.end)
            return Weighing(nothing, Verdict.ROLLBACK, MISSED[objective.type], message, ())
    return None


def weigh(evidence: StepEvidence, spec: MigrationSpec, weight: int) -> Weighing:
    """Judge the step: rollback of any objective beats advance; advance needs all; everything else holds."""
    design, targets = make_design(spec), targets_of(spec)
    states = {name: evidence.states.get(name, TargetState.start()) for name in targets}
    decision = sequential.judge(states, targets, design) if targets else None
    by_name = {one.name: one for one in decision.targets} if decision is not None else {}
    views = tuple(_view(objective, evidence, by_name, spec) for objective in spec.objectives)
    failing = next((v for v in views if v.verdict == "Failing"), None)
    if decision is not None and decision.verdict is Verdict.ROLLBACK and decision.rule is sequential.Rule.BLIND:
        return Weighing(evidence, Verdict.ROLLBACK, Reason.BLIND, decision.message, views)
    unseen = next((name for name, share in evidence.cpu.items() if share.unseen >= design.max_blind), None)
    if unseen is not None and failing is None:
        message = f"{unseen}: no CPU of the canary for {spec.decision.max_blind}; have its pods a CPU limit or request?"
        return Weighing(evidence, Verdict.ROLLBACK, Reason.BLIND, message, views)
    if failing is not None:
        message = f"{failing.name}: {failing.why} at weight {weight} ({evidence.requests:,} requests)"
        return Weighing(evidence, Verdict.ROLLBACK, MISSED[failing.type], message, views)
    if all(view.verdict == "Passing" for view in views):
        message = "; ".join(f"{v.name} {v.canary}{v.unit} within {v.target}{v.unit}" for v in views)
        return Weighing(evidence, Verdict.ADVANCE, Reason.OBJECTIVES_HELD, message, views)
    waiting = next(view for view in views if view.verdict != "Passing")
    return Weighing(evidence, Verdict.HOLD, _hold_reason(decision), f"{waiting.name}: {waiting.why}", views)


def _hold_reason(decision: Decision | None) -> Reason:
    known = {
        sequential.Reason.RECENTLY_BAD: Reason.RECENTLY_BAD,
        sequential.Reason.SHARED_INCIDENT: Reason.SHARED_INCIDENT,
        sequential.Reason.BLIND: Reason.BLIND,
    }
    return known.get(decision.reason, Reason.WAITING_EVIDENCE) if decision is not None else Reason.WAITING_EVIDENCE


def _view(
    objective: Objective, evidence: StepEvidence, judged: Mapping[str, TargetDecision], spec: MigrationSpec
) -> ObjectiveView:
    if objective.cpu is not None:
        return _cpu_view(objective, evidence, _cpu_design(spec))
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


def _cpu_view(objective: Objective, evidence: StepEvidence, design: CapacityDesign) -> ObjectiveView:
    assert objective.cpu is not None
    share = evidence.cpu.get(objective.name, CPUShare.start())
    verdict, why = judge_share(share, objective.cpu.max_percent / 100, design)
    shown = f"{100 * share.mean:.1f}" if share.mean is not None else ""
    return ObjectiveView(
        objective.name,
        objective.type,
        "",
        shown,
        str(objective.cpu.max_percent),
        "%",
        evidence.requests,
        verdict.value,
        why,
    )


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
