"""The CPU gate that projects to a higher load."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from changeover.core.capacity import PROJECTED, CapacityDesign
from changeover.core.projection import CapacityAnswer, CapacityVerdict, Density, LoadShare, project
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.decision.cpu import LIMIT, Machine, probe_ramp, run_projection, summarise, wander

BLOCKS = st.lists(st.one_of(st.none(), st.tuples(st.floats(0, 500), st.floats(0, 1.2))), max_size=60)


def fold(blocks: list[tuple[float, float] | None], design: CapacityDesign = PROJECTED) -> LoadShare:
    state = LoadShare.start()
    for block in blocks:
        state = state.blind() if block is None else state.add(*block, design)
    return state


def line(count: int, idle: float = 0.02, per_request: float = 0.001) -> list[tuple[float, float] | None]:
    """Loads from 50 to 150 requests per second, shares on a straight line with a wobble of 1 %."""
    loads = [50.0 + (37 * index) % 101 for index in range(count)]
    return [(x, (idle + per_request * x) * (1.01 if index % 2 else 0.99)) for index, x in enumerate(loads)]


@pytest.mark.parametrize(
    ("blocks", "rps", "answer"),
    [
        pytest.param([], 300, CapacityAnswer.WAIT, id="before any block"),
        pytest.param(line(23), 250, CapacityAnswer.WAIT, id="before the first look"),
        pytest.param(line(24), 250, CapacityAnswer.PASS, id="27 % projected"),
        pytest.param(line(24, per_request=0.004), 250, CapacityAnswer.OVER, id="102 % projected"),
        pytest.param(line(24, per_request=0.0015), 250, CapacityAnswer.WAIT, id="39.5 % projected"),
        pytest.param(line(24), 400, CapacityAnswer.REFUSE, id="more than twice the highest load seen"),
        pytest.param([*line(24), None], 250, CapacityAnswer.WAIT, id="blind now"),
        pytest.param([(100.0, 0.1)] * 24, 200, CapacityAnswer.PASS, id="constant load: the proportional bound"),
        pytest.param([(0.0, 0.01)] * 24, 200, CapacityAnswer.REFUSE, id="no load at all"),
        pytest.param(line(24), 60, CapacityAnswer.PASS, id="below the mean load: the line alone"),
    ],
)
def test_blocks_give(blocks: list[tuple[float, float] | None], rps: float, answer: CapacityAnswer) -> None:
    assert project(fold(blocks), rps, LIMIT).answer is answer


def test_the_estimate_is_on_the_line_and_between_its_bounds() -> None:
    verdict = project(fold(line(24)), 250, LIMIT)
    assert verdict.estimate == pytest.approx(0.27, abs=0.01)
    assert verdict.lower is not None and verdict.upper is not None and verdict.estimate is not None
    assert verdict.lower < verdict.estimate < verdict.upper
    assert (verdict.look, verdict.next_look) == (24, 36)


def test_a_look_outlives_a_restart() -> None:
    state = fold(line(30))
    restarted = LoadShare.from_dict(json.loads(json.dumps(state.to_dict())))
    assert restarted == state
    assert project(restarted, 250, LIMIT).look == 24


@pytest.mark.parametrize(
    ("blocks", "lately"),
    [
        pytest.param([(130.0, 0.95)] * 6, "140.1%", id="over the limit as it is"),
        pytest.param([(130.0, 0.3)] * 6, "48.2%", id="twice the CPU a request"),
    ],
)
def test_a_look_of_an_hour_ago_does_not_pass_what_uses_more_by_now(blocks: list[Any], lately: str) -> None:
    """Looks come further and further apart, and after the last one there is none: a step may wait a day for a peak."""
    state = fold([*line(24), *blocks])
    found = project(state, 250, LIMIT)
    assert found.answer is CapacityAnswer.WAIT
    assert (found.look, found.why.rpartition("; by the latest blocks ")[2]) == (24, lately)


def test_a_burst_of_cpu_that_is_over_holds_no_longer() -> None:
    burst = [*line(24), *[(130.0, 0.95)] * 3]
    assert project(fold(burst), 250, LIMIT).answer is CapacityAnswer.WAIT
    assert project(fold([*burst, *[(130.0, 0.15)] * 8]), 250, LIMIT).answer is CapacityAnswer.PASS


def test_what_an_earlier_release_kept_says_nothing_of_the_latest_blocks() -> None:
    kept = fold(line(24)).to_dict()
    del kept["recent"]
    assert project(LoadShare.from_dict(kept), 250, LIMIT).answer is CapacityAnswer.PASS


def test_short_demonstrations_look_earlier() -> None:
    early = CapacityDesign(first_look=8)
    assert project(fold(line(8), early), 250, LIMIT, early).answer is CapacityAnswer.PASS


class TestRefusal:
    def refused(self, density: Density | None, rps: float = 400) -> CapacityVerdict:
        return project(fold(line(24)), rps, LIMIT, density=density)

    def test_it_says_how_much_load_is_needed(self) -> None:
        verdict = self.refused(None)
        assert verdict.needed_rps == 200
        assert "at least 200" in verdict.why

    def test_it_says_how_many_pods_would_do(self) -> None:
        assert "at most 2 of 4 pods at weight 10" in self.refused(Density(4, 10)).why

    def test_it_says_which_weight_would_do(self) -> None:
        assert "weight 14 would do" in self.refused(Density(1, 10)).why

    def test_it_says_when_nothing_would(self) -> None:
        assert "no weight is enough" in self.refused(Density(1, 90)).why


@pytest.mark.parametrize("block", [(-1.0, 0.1), (1.0, -0.1), (float("nan"), 0.1), (1.0, float("inf"))])
def test_an_impossible_block_is_refused(block: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        LoadShare.start().add(*block)


@settings(max_examples=25, deadline=None)
@given(BLOCKS, st.floats(1, 1000))
def test_a_restart_after_any_block_changes_nothing(blocks: list[tuple[float, float] | None], rps: float) -> None:
    straight = restarted = LoadShare.start()
    for block in blocks:
        straight = straight.blind() if block is None else straight.add(*block)
        after = restarted.blind() if block is None else restarted.add(*block)
        restarted = LoadShare.from_dict(json.loads(json.dumps(after.to_dict())))
        assert restarted == straight
    assert project(restarted, rps, LIMIT) == project(straight, rps, LIMIT)


@settings(max_examples=25, deadline=None)
@given(BLOCKS, st.floats(1, 1000), st.floats(0.05, 1), st.floats(0, 0.5))
def test_a_higher_limit_never_turns_a_pass_into_less(
    blocks: list[tuple[float, float] | None], rps: float, limit: float, more: float
) -> None:
    state = fold(blocks)
    if project(state, rps, limit).answer is CapacityAnswer.PASS:
        assert project(state, rps, limit + more).answer is CapacityAnswer.PASS


def test_measured_at_the_edge_and_below() -> None:
    above = [run_projection(Machine(1.25 * LIMIT, wander), Random(f"unit/{index}")) for index in range(10)]
    below = [run_projection(Machine(0.25, probe_ramp, scale=1.0), Random(f"unit/{index}")) for index in range(20)]
    assert summarise(above).passed == 0
    assert summarise(below).passed == 100
