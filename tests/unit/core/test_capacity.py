"""The CPU gate without projection."""

from __future__ import annotations

import json
from random import Random

import pytest
from changeover.core.capacity import PLAIN, PROJECTED, CapacityDesign, CPUShare, judge_share
from changeover.core.sequential import TargetVerdict
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.decision.cpu import run_share, summarise

SHARES = st.lists(st.one_of(st.none(), st.floats(0, 1.5)), max_size=60)


def fold(shares: list[float | None], design: CapacityDesign = PLAIN) -> CPUShare:
    state = CPUShare.start()
    for share in shares:
        state = state.blind() if share is None else state.add(share, design)
    return state


def test_the_looks_are_the_specifications() -> None:
    assert PROJECTED.schedule() == (24, 36, 54, 81, 122, 182, 273, 410)
    assert PROJECTED.level == pytest.approx(0.00125)
    assert PLAIN.schedule()[:5] == (4, 6, 9, 14, 20)
    assert PLAIN.next_look(4) == 6
    assert PLAIN.next_look(346) is None


@pytest.mark.parametrize(
    "wrong", [{"first_look": 3}, {"looks": 0}, {"growth": 1.0}, {"alpha": 0.0}, {"phi": 1.0}, {"reach": 0.5}]
)
def test_a_design_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"need|must"):
        CapacityDesign(**wrong)  # type: ignore[arg-type]


def test_short_blocks_are_more_correlated() -> None:
    assert PLAIN.for_block(30).phi == pytest.approx(0.7**0.5)
    assert PLAIN.for_block(5).phi == 0.9


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        pytest.param([], TargetVerdict.NO_DATA, id="before any block"),
        pytest.param([0.2, 0.21, 0.19], TargetVerdict.UNDECIDED, id="three blocks are too few"),
        pytest.param([0.2, 0.21, 0.19, 0.2], TargetVerdict.PASSING, id="four blocks far below"),
        pytest.param([0.38, 0.39, 0.37, 0.38], TargetVerdict.UNDECIDED, id="four blocks near the limit"),
        pytest.param([0.8, 0.81, 0.79, 0.8], TargetVerdict.FAILING, id="four blocks far above"),
        pytest.param([0.2, 0.21, 0.19, 0.2, None], TargetVerdict.NO_DATA, id="blind now"),
        pytest.param([0.2, 0.21, 0.19, 0.2, 0.9, 0.9], TargetVerdict.UNDECIDED, id="high lately"),
        pytest.param([0.8, 0.81, 0.79, 0.8, *[0.1] * 5], TargetVerdict.UNDECIDED, id="was high, is low"),
        pytest.param([0.05, 0.9, 0.05, 0.9], TargetVerdict.UNDECIDED, id="wild"),
    ],
)
def test_shares_give(shares: list[float | None], verdict: TargetVerdict) -> None:
    assert judge_share(fold(shares), 0.4)[0] is verdict


def test_equal_blocks_are_no_proof_of_constancy() -> None:
    assert judge_share(fold([0.399] * 4), 0.4)[0] is TargetVerdict.UNDECIDED


def test_what_is_shown_now_has_a_bound_above_the_mean() -> None:
    assert CPUShare.start().now() is None
    shown = fold([0.2, 0.22, 0.18]).now()
    assert shown is not None and shown[0] == pytest.approx(0.2) and shown[1] > 0.22


@pytest.mark.parametrize("share", [-0.1, float("nan"), float("inf")])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        CPUShare.start().add(share)


@settings(max_examples=25, deadline=None)
@given(SHARES)
def test_a_restart_after_any_block_changes_nothing(shares: list[float | None]) -> None:
    straight = restarted = CPUShare.start()
    for share in shares:
        straight = straight.blind() if share is None else straight.add(share)
        after = restarted.blind() if share is None else restarted.add(share)
        restarted = CPUShare.from_dict(json.loads(json.dumps(after.to_dict())))
        assert restarted == straight


@settings(max_examples=25, deadline=None)
@given(SHARES, st.floats(0.05, 1.0), st.floats(0.0, 0.5))
def test_a_higher_limit_never_turns_a_pass_into_less(shares: list[float | None], limit: float, more: float) -> None:
    state = fold(shares)
    if judge_share(state, limit)[0] is TargetVerdict.PASSING:
        assert judge_share(state, limit + more)[0] is TargetVerdict.PASSING


def test_measured_at_the_edge_and_below() -> None:
    at = summarise([run_share(0.42, 0.1, 0.7, Random(f"unit/{index}"), PLAIN) for index in range(12)])
    below = summarise([run_share(0.3, 0.1, 0.7, Random(f"unit/{index}"), PLAIN) for index in range(25)])
    assert at.passed == 0
    assert below.passed == 100
    assert below.block is not None and below.block <= 14
