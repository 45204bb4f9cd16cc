"""The sequential rule of a step: advance, hold or roll back (§2.5-§2.7), and how long that will take (§3).

    state = TargetState.start()
    state = update(state, block, target, design)          # once per block; None for a block without data
    decision = judge({"latency": state}, {"latency": target}, design)

An advance needs every target; one target is enough to roll back; anything else is a hold, and no lapse of
time turns a hold into an advance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from changeover.core.design import Baseline, Block, Design, Target, make_baseline
from changeover.core.expectation import Expectation, expected_blocks
from changeover.core.target_state import (
    SCRAPE_LEAST_BAD,
    Rule,
    TargetState,
    advance_variance_factor,
    is_hard_trip,
    log_evidence,
    update,
)

__all__ = [
    "SCRAPE_LEAST_BAD",
    "Baseline",
    "Block",
    "Decision",
    "Design",
    "Expectation",
    "Reason",
    "Rule",
    "Target",
    "TargetDecision",
    "TargetState",
    "TargetVerdict",
    "Verdict",
    "expected_blocks",
    "is_hard_trip",
    "judge",
    "judge_target",
    "log_evidence",
    "make_baseline",
    "update",
]

INCIDENT_LOAD = 1.5
"""Shared-load factor above which a bad recent rate is called a shared incident (§2.7)."""

DISPLAY_Z = 1.96
"""Normal quantile of the 95 % interval shown beside a rate; no decision uses it."""


class Verdict(StrEnum):
    """What to do with the step."""

    ADVANCE = "Advance"
    HOLD = "Hold"
    ROLLBACK = "Rollback"


class TargetVerdict(StrEnum):
    """What one target says."""

    PASSING = "Passing"
    FAILING = "Failing"
    UNDECIDED = "Undecided"
    NO_DATA = "NoData"


class Reason(StrEnum):
    """Why (§2.7)."""

    EVIDENCE_SUFFICES = "EvidenceSuffices"
    WAITING_EVIDENCE = "WaitingEvidence"
    RECENTLY_BAD = "RecentlyBad"
    SHARED_INCIDENT = "SharedIncident"
    BLIND = "Blind"
    SLOW_VIOLATION = "SlowViolation"
    FAST_VIOLATION = "FastViolation"
    HARD_TRIP = "HardTrip"
    WAITING_GATE = "WaitingGate"
    NO_TARGETS = "NoTargets"


RULE_REASONS = {
    Rule.SLOW: Reason.SLOW_VIOLATION,
    Rule.FAST: Reason.FAST_VIOLATION,
    Rule.HARD: Reason.HARD_TRIP,
    Rule.BLIND: Reason.BLIND,
}


@dataclass(frozen=True, slots=True)
class TargetDecision:
    """One target's verdict with the numbers behind it.

    evidence, needed  nats of evidence that the rate is below the limit, and how many an advance needs
    bad, requests     counts of the canary over `blocks` blocks of this step
    rate              bad / requests; None without requests
    low, high         95 % interval of the rate for display (Wilson, counts divided by the dispersion)
    limit             q, the accepted share of bad requests
    recent_rate       exponentially weighted rate of the last blocks, None without requests
    load              how many times its long-run rate stable is at now
    rule              rollback rule that fired
    """

    name: str
    verdict: TargetVerdict
    reason: Reason
    rule: Rule | None
    evidence: float
    needed: float
    bad: int
    requests: int
    rate: float | None
    low: float
    high: float
    limit: float
    recent_rate: float | None
    load: float
    blocks: int
    blind: int
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the step, the target that decides it (empty for an advance), and every target."""

    verdict: Verdict
    reason: Reason
    deciding: str
    rule: Rule | None
    message: str
    targets: tuple[TargetDecision, ...]


def judge(
    states: Mapping[str, TargetState],
    targets: Mapping[str, Target],
    design: Design,
    *,
    gates_pass: bool = True,
) -> Decision:
    """Decide the step from every target's state (§2.7): any rollback, else advance if all pass, else hold.

    `gates_pass` stands for whatever else must agree before an advance (the CPU gate of §6).  The order of the
    targets does not matter: the answer lists them by name.  Raises KeyError when a target has no state.
    """
    judged = tuple(judge_target(name, states[name], targets[name], design) for name in sorted(targets))
    failing = [one for one in judged if one.rule is not None]
    waiting = [one for one in judged if one.verdict is not TargetVerdict.PASSING]
    if failing:
        return _decision(Verdict.ROLLBACK, min(failing, key=_severity), judged)
    if waiting:
        return _decision(Verdict.HOLD, min(waiting, key=lambda one: one.evidence), judged)
    if not judged:
        return Decision(Verdict.HOLD, Reason.NO_TARGETS, "", None, "no target gives evidence", judged)
    if not gates_pass:
        return Decision(Verdict.HOLD, Reason.WAITING_GATE, "", None, "another gate does not pass", judged)
    message = "; ".join(f"{one.name}: {one.message}" for one in judged)
    return Decision(Verdict.ADVANCE, Reason.EVIDENCE_SUFFICES, "", None, message, judged)


def judge_target(name: str, state: TargetState, target: Target, design: Design) -> TargetDecision:
    """One target's verdict with its numbers (§2.5-§2.7)."""
    evidence = log_evidence(state, target, design)
    verdict, reason, rule = _verdict(state, target, design, evidence)
    factor = advance_variance_factor(state, target, design)
    low, high = _wilson(state.bad / factor, state.requests / factor)
    return TargetDecision(
        name=name,
        verdict=verdict,
        reason=reason,
        rule=rule,
        evidence=evidence,
        needed=design.needed_log_evidence,
        bad=state.bad,
        requests=state.requests,
        rate=state.bad / state.requests if state.requests else None,
        low=low,
        high=high,
        limit=target.q,
        recent_rate=state.recent_bad / state.recent_requests if state.recent_requests else None,
        load=state.load,
        blocks=state.blocks,
        blind=state.blind,
        message=_message(state, target, design, reason, evidence),
    )


def _verdict(
    state: TargetState, target: Target, design: Design, evidence: float
) -> tuple[TargetVerdict, Reason, Rule | None]:
    """The ladder of one target: the first rung that holds wins."""
    if state.fired is not None:
        return TargetVerdict.FAILING, RULE_REASONS[state.fired], state.fired
    if state.blind >= design.max_blind:
        return TargetVerdict.NO_DATA, Reason.BLIND, Rule.BLIND
    if state.blind > 0:
        return TargetVerdict.NO_DATA, Reason.BLIND, None
    if state.blocks == 0:
        return TargetVerdict.NO_DATA, Reason.WAITING_EVIDENCE, None
    recently_bad = state.recent_bad > target.q * state.recent_requests
    if recently_bad and state.load > INCIDENT_LOAD:
        return TargetVerdict.UNDECIDED, Reason.SHARED_INCIDENT, None
    if state.blocks < design.min_blocks or evidence < design.needed_log_evidence:
        return TargetVerdict.UNDECIDED, Reason.WAITING_EVIDENCE, None
    # No need to ask for the rate of all blocks: above the limit their evidence is negative, and never suffices.
    if recently_bad:
        return TargetVerdict.UNDECIDED, Reason.RECENTLY_BAD, None
    return TargetVerdict.PASSING, Reason.EVIDENCE_SUFFICES, None


def _severity(one: TargetDecision) -> tuple[int, str]:
    """Order in which several failing targets are named as the deciding one."""
    assert one.rule is not None  # only targets that fail are compared
    return (Rule.HARD, Rule.FAST, Rule.SLOW, Rule.BLIND).index(one.rule), one.name


def _decision(verdict: Verdict, one: TargetDecision, judged: tuple[TargetDecision, ...]) -> Decision:
    return Decision(verdict, one.reason, one.name, one.rule, f"{one.name}: {one.message}", judged)


def _message(state: TargetState, target: Target, design: Design, reason: Reason, evidence: float) -> str:
    if reason is Reason.BLIND:
        return f"Blind({state.blind}/{design.max_blind}): blocks without data"
    if state.requests == 0:
        return "no requests yet"
    counts = (
        f"{state.bad} of {state.requests} requests are bad ({100 * state.bad / state.requests:.3g} %, limit "
        f"{100 * target.q:.3g} %) in {state.blocks} blocks"
    )
    if reason is Reason.SHARED_INCIDENT:
        return f"{counts}; stable is at {state.load:.2g} times its usual rate"
    if reason is Reason.WAITING_EVIDENCE and state.blocks < design.min_blocks:
        return f"{counts}; at least {design.min_blocks} blocks are needed"
    if reason is Reason.RECENTLY_BAD:
        return f"{counts}; {100 * state.recent_bad / state.recent_requests:.3g} % in the latest blocks"
    return f"{counts}; evidence {evidence:.2f} of {design.needed_log_evidence:.2f} nats"


def _wilson(bad: float, requests: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share (Wilson 1927); (0, 1) without requests."""
    if requests <= 0:
        return 0.0, 1.0
    rate, z2 = bad / requests, DISPLAY_Z**2
    centre = (rate + z2 / (2 * requests)) / (1 + z2 / requests)
    half = DISPLAY_Z / (1 + z2 / requests) * math.sqrt(rate * (1 - rate) / requests + z2 / (4 * requests**2))
    return max(0.0, centre - half), min(1.0, centre + half)
