"""What a decision tells: the target that decides, its words and its figures, and where exactly each rung begins."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from changeover.core.sequential import (
    Block,
    Design,
    Reason,
    Rule,
    Target,
    TargetState,
    TargetVerdict,
    Verdict,
    judge,
    judge_target,
    log_evidence,
)

from tests.unit.core.test_sequential import BASELINE, DESIGN, LATENCY, fold, steady

GOOD = fold(steady(3, 30))
SPOTLESS = fold(steady(0, 30))
SHARED = fold([Block(1000, 3, 9000, 45)] * 20 + [Block(1000, 30, 9000, 405)] * 2, Target(0.01, BASELINE))


def told(state: TargetState, target: Target = LATENCY, design: Design = DESIGN) -> tuple[TargetVerdict, Reason]:
    one = judge_target("t", state, target, design)
    return one.verdict, one.reason


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (TargetState.start(), "no requests yet"),
        (fold([Block(1, 0)]), "0 of 1 requests are bad (0 %, limit 1 %) in 1 blocks; at least 8 blocks are needed"),
        (fold([None] * 4), "Blind(4/5): blocks without data"),
        (fold([*steady(0, 30), None]), "Blind(1/5): blocks without data"),
        (
            fold(steady(3, 7)),
            "21 of 7000 requests are bad (0.3 %, limit 1 %) in 7 blocks; at least 8 blocks are needed",
        ),
        (
            fold(steady(3, 8)),
            "24 of 8000 requests are bad (0.3 %, limit 1 %) in 8 blocks; evidence 1.91 of 4.61 nats",
        ),
        (GOOD, "90 of 30000 requests are bad (0.3 %, limit 1 %) in 30 blocks; evidence 42.40 of 4.61 nats"),
        (
            fold([*steady(0, 60), *steady(60, 1)]),
            "60 of 61000 requests are bad (0.0984 %, limit 1 %) in 61 blocks; 1.2 % in the latest blocks",
        ),
        (
            SHARED,
            "120 of 22000 requests are bad (0.545 %, limit 1 %) in 22 blocks; stable is at 8.9 times its usual rate",
        ),
    ],
)
def test_a_targets_words_are_these(state: TargetState, message: str) -> None:
    target = Target(0.01, BASELINE) if state is SHARED else LATENCY
    assert judge_target("t", state, target, DESIGN).message == message


def test_a_hold_and_a_rollback_name_the_target_that_decides_and_an_advance_names_them_all() -> None:
    both = {"errors": LATENCY, "latency": LATENCY}
    bad = fold(steady(400, 1))
    for other, verdict in ((TargetState.start(), Verdict.HOLD), (bad, Verdict.ROLLBACK)):
        decision = judge({"errors": other, "latency": GOOD}, both, DESIGN)
        assert (decision.verdict, decision.deciding) == (verdict, "errors")
        assert decision.message == f"errors: {decision.targets[0].message}"
        assert (decision.reason, decision.rule) == (decision.targets[0].reason, decision.targets[0].rule)
    passed = judge({"errors": SPOTLESS, "latency": GOOD}, both, DESIGN)
    assert (passed.verdict, passed.reason) == (Verdict.ADVANCE, Reason.EVIDENCE_SUFFICES)
    assert (passed.deciding, passed.rule) == ("", None)
    assert passed.message == "; ".join(f"{one.name}: {one.message}" for one in passed.targets)
    assert [one.name for one in passed.targets] == ["errors", "latency"]


def test_of_two_that_wait_the_one_with_the_least_evidence_is_named() -> None:
    states = {"a": fold(steady(3, 10)), "b": fold(steady(9, 10))}
    evidence = {name: log_evidence(state, LATENCY, DESIGN) for name, state in states.items()}
    assert evidence["b"] < evidence["a"]
    assert judge(states, dict.fromkeys(states, LATENCY), DESIGN).deciding == "b"


def test_what_holds_without_any_target_s_fault_says_so() -> None:
    nothing = judge({}, {}, DESIGN)
    assert (nothing.verdict, nothing.reason, nothing.message) == (
        Verdict.HOLD, Reason.NO_TARGETS, "no target gives evidence",
    )  # fmt: skip
    gate = judge({"t": GOOD}, {"t": LATENCY}, DESIGN, gates_pass=False)
    assert (gate.verdict, gate.reason, gate.message) == (
        Verdict.HOLD, Reason.WAITING_GATE, "another gate does not pass",
    )  # fmt: skip
    for decision in (nothing, gate):
        assert (decision.deciding, decision.rule) == ("", None)
    assert (nothing.targets, [one.name for one in gate.targets]) == ((), ["t"])


RULES = {
    Rule.HARD: Reason.HARD_TRIP,
    Rule.FAST: Reason.FAST_VIOLATION,
    Rule.SLOW: Reason.SLOW_VIOLATION,
    Rule.BLIND: Reason.BLIND,
}


def failed_by(rule: Rule) -> TargetState:
    """A target whose rollback rule fired; too many blind blocks fire without being told of before."""
    return fold([None] * 5) if rule is Rule.BLIND else replace(GOOD, fired=rule)


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in RULES for b in RULES if a is not b])
def test_of_two_that_fail_the_surer_rule_is_named_whatever_the_names(first: Rule, second: Rule) -> None:
    """Hard, fast, slow, blind: an operator is to read of the worst first."""
    surer = min(first, second, key=list(RULES).index)
    decision = judge({"a": failed_by(first), "b": failed_by(second)}, {"a": LATENCY, "b": LATENCY}, DESIGN)
    assert (decision.verdict, decision.rule, decision.reason) == (Verdict.ROLLBACK, surer, RULES[surer])
    assert decision.deciding == ("a" if surer is first else "b")


@pytest.mark.parametrize("rule", RULES)
def test_of_two_that_fail_alike_the_first_by_name_is_named(rule: Rule) -> None:
    states = {name: failed_by(rule) for name in ("c", "b", "d")}
    assert judge(states, dict.fromkeys(states, LATENCY), DESIGN).deciding == "b"


class TestFigures:
    """Only shown, but what is shown must be true."""

    def test_every_figure_is_that_of_the_state(self) -> None:
        one = judge_target("errors", SHARED, Target(0.01, BASELINE), DESIGN)
        assert (one.name, one.bad, one.requests, one.blocks, one.blind) == ("errors", 120, 22_000, 22, 0)
        assert (one.rate, one.limit, one.load) == (120 / 22_000, 0.01, SHARED.load)
        assert one.evidence == log_evidence(SHARED, Target(0.01, BASELINE), DESIGN)
        assert judge_target("t", fold([None, None]), LATENCY, DESIGN).blind == 2

    def test_the_recent_rate_forgets_a_fifth_with_each_block(self) -> None:
        one = judge_target("t", fold([Block(1000, 0), Block(1000, 9)]), LATENCY, DESIGN)
        assert one.recent_rate == pytest.approx(9 / 1800)

    def test_without_requests_there_is_no_rate_and_anything_is_possible(self) -> None:
        one = judge_target("t", TargetState.start(), LATENCY, DESIGN)
        assert (one.rate, one.recent_rate, one.low, one.high) == (None, None, 0.0, 1.0)

    @pytest.mark.parametrize(
        ("bad", "requests", "low", "high"),
        # Wilson 1927, as tables have it
        [
            (10, 100, 0.0552, 0.1744),
            (0, 10, 0.0, 0.2775),
            (10, 10, 0.7225, 1.0),
            (1, 1, 0.2065, 1.0),
            (1, 2, 0.0945, 0.9055),
        ],
    )
    def test_the_interval_is_wilsons(self, bad: int, requests: int, low: float, high: float) -> None:
        one = judge_target("t", TargetState(bad=bad, requests=requests), LATENCY, DESIGN)
        assert (one.low, one.high) == pytest.approx((low, high), abs=1e-4)

    @pytest.mark.parametrize("requests", [1, 5, 19, 23, 1000])
    def test_the_interval_never_leaves_the_possible(self, requests: int) -> None:
        none, all_ = (
            judge_target("t", TargetState(bad=bad, requests=requests), LATENCY, DESIGN) for bad in (0, requests)
        )
        assert none.low >= 0.0 and all_.high <= 1.0

    def test_requests_that_come_in_clumps_are_fewer_observations(self) -> None:
        """The rate stays within its interval, and the interval is wider than that of independent requests."""
        one = judge_target("t", GOOD, LATENCY, DESIGN)
        alone = judge_target("t", TargetState(bad=GOOD.bad, requests=GOOD.requests), LATENCY, DESIGN)
        assert one.rate is not None and one.low < one.rate < one.high
        assert one.high - one.low > 1.2 * (alone.high - alone.low)


class TestRungs:
    """Where each rung of a target's ladder begins, to the block and to the request."""

    def test_a_target_without_a_block_has_no_data_and_with_one_it_is_undecided(self) -> None:
        assert told(TargetState.start()) == (TargetVerdict.NO_DATA, Reason.WAITING_EVIDENCE)
        assert told(fold(steady(0, 1))) == (TargetVerdict.UNDECIDED, Reason.WAITING_EVIDENCE)

    @pytest.mark.parametrize(("blind", "rule"), [(1, None), (4, None), (5, Rule.BLIND), (6, Rule.BLIND)])
    def test_a_target_is_blind_from_the_first_block_without_data_and_fails_at_the_most(
        self, blind: int, rule: Rule | None
    ) -> None:
        one = judge_target("t", fold(steady(0, 30) + [None] * blind), LATENCY, DESIGN)
        assert (one.verdict, one.reason, one.rule) == (TargetVerdict.NO_DATA, Reason.BLIND, rule)

    def test_what_fired_is_told_before_blindness(self) -> None:
        one = judge_target("t", replace(GOOD, fired=Rule.SLOW, blind=9), LATENCY, DESIGN)
        assert (one.verdict, one.reason, one.rule) == (TargetVerdict.FAILING, Reason.SLOW_VIOLATION, Rule.SLOW)

    def test_the_least_number_of_blocks_is_enough_and_one_less_is_not(self) -> None:
        for blocks, verdict in ((7, TargetVerdict.UNDECIDED), (8, TargetVerdict.PASSING)):
            assert told(replace(SPOTLESS, blocks=blocks))[0] is verdict

    @pytest.mark.parametrize(("over", "reason"), [(0.0, Reason.EVIDENCE_SUFFICES), (1.0, Reason.RECENTLY_BAD)])
    def test_latest_blocks_at_the_limit_are_accepted_and_above_it_are_not(self, over: float, reason: Reason) -> None:
        state = replace(SPOTLESS, recent_requests=4000.0, recent_bad=1000.0 + over)
        assert told(state, Target(0.25))[1] is reason

    @pytest.mark.parametrize("bad", [101, 150, 1000])
    def test_above_the_limit_evidence_is_negative_however_little_is_asked_for(self, bad: int) -> None:
        """So no advance needs to look at the rate of all blocks beside the evidence."""
        state = replace(SPOTLESS, bad=bad, requests=10_000, expected=10_000.0)
        lenient = replace(DESIGN, alpha=1 - 1e-9)
        assert log_evidence(state, LATENCY, lenient) < 0
        assert told(state, LATENCY, lenient) == (TargetVerdict.UNDECIDED, Reason.WAITING_EVIDENCE)

    @pytest.mark.parametrize(
        ("load", "reason"), [(1.5, Reason.RECENTLY_BAD), (1.51, Reason.SHARED_INCIDENT), (0.9, Reason.RECENTLY_BAD)]
    )
    def test_beyond_half_as_much_again_of_stables_load_it_is_called_a_shared_incident(
        self, load: float, reason: Reason
    ) -> None:
        assert told(replace(SPOTLESS, recent_bad=60.0, recent_requests=1000.0, load=load))[1] is reason

    def test_a_shared_load_without_recently_bad_requests_is_no_incident(self) -> None:
        assert told(replace(SPOTLESS, load=9.0)) == (TargetVerdict.PASSING, Reason.EVIDENCE_SUFFICES)

    def test_evidence_of_exactly_what_is_needed_suffices(self) -> None:
        state = fold(steady(3, 16))
        evidence = log_evidence(state, LATENCY, DESIGN)
        exactly = replace(DESIGN, alpha=math.exp(-evidence))
        assert exactly.needed_log_evidence == evidence
        assert told(state, LATENCY, exactly) == (TargetVerdict.PASSING, Reason.EVIDENCE_SUFFICES)

    def test_evidence_that_does_not_suffice_waits_though_the_blocks_do(self) -> None:
        strict = replace(DESIGN, alpha=math.exp(-50))
        assert told(GOOD, LATENCY, strict) == (TargetVerdict.UNDECIDED, Reason.WAITING_EVIDENCE)
        assert judge_target("t", GOOD, LATENCY, strict).needed == pytest.approx(50)
