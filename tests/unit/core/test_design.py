"""Design, baseline and the dispersion of batches."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from changeover.core.design import Baseline, Block, Design, Target, is_demonstration, make_baseline, significant
from changeover.core.dispersion import (
    Batches,
    Spread,
    add,
    advance_dispersion,
    batch_means_factor,
    rollback_dispersion,
    spread,
    von_neumann_factor,
)
from hypothesis import given, settings
from hypothesis import strategies as st

DESIGN = Design()


def test_the_defaults_are_the_specifications() -> None:
    assert DESIGN.tau == pytest.approx(5.667, abs=1e-3)
    assert DESIGN.long_run_cv2 == pytest.approx(1.417, abs=1e-3)
    assert DESIGN.needed_log_evidence == pytest.approx(4.605, abs=1e-3)
    assert DESIGN.fast_threshold(0) == pytest.approx(5.3)
    assert Design(targets=2, steps=5).slow_threshold == pytest.approx(math.log(1000) + 1)


@pytest.mark.parametrize(
    "wrong",
    [{"alpha": 0.0}, {"beta": 1.0}, {"phi": 1.0}, {"cv": -1}, {"min_blocks": 0}, {"max_blind": 0}, {"floor_blocks": 0}],
)
def test_a_design_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Design(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", [(1, 2, 0, 0), (1, -1, 0, 0), (-1, -1, 0, 0), (1, 0, 3, 4)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="counts"):
        Block(*counts)


@pytest.mark.parametrize("q", [0.0, 1.0, -0.1, 1.5])
def test_a_limit_out_of_range_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        Target(q)


class TestForBlock:
    def test_a_minute_is_the_design_itself(self) -> None:
        assert Design.for_block(60) == DESIGN

    def test_noise_lasts_as_long_whatever_the_block(self) -> None:
        for seconds in (20, 30, 45):
            design = Design.for_block(seconds)
            assert design.phi ** (60 / seconds) == pytest.approx(0.7)
            assert design.floor_blocks * seconds == pytest.approx(30 * 60)

    def test_long_blocks_keep_the_floor(self) -> None:
        assert Design.for_block(300).floor_blocks == 30
        assert Design.for_block(300).phi == pytest.approx(0.7**5)

    def test_a_demonstration_is_bounded_and_says_so(self) -> None:
        design = Design.for_block(5)
        assert is_demonstration(5) and not is_demonstration(20)
        assert (design.phi, design.floor_blocks) == (0.9, 15)

    def test_what_is_not_noise_is_kept(self) -> None:
        base = Design(alpha=0.05, targets=3, steps=4, max_blind=7)
        scaled = Design.for_block(10, base)
        assert (scaled.alpha, scaled.targets, scaled.steps, scaled.max_blind) == (0.05, 3, 4, 7)


class TestBaseline:
    def test_it_is_the_rate_with_its_interval(self) -> None:
        baseline = make_baseline([(600_000, 3000)] * 24)
        assert baseline is not None
        assert baseline.p == 0.005
        # without spread only Poisson noise is left: 2.6 sqrt(72 001) / 14 400 000
        assert baseline.p_hi - baseline.p == pytest.approx(2.6 * math.sqrt(72_001) / 14_400_000, rel=1e-3)
        assert baseline.p - baseline.p_lo == pytest.approx(baseline.p_hi - baseline.p, rel=1e-3)

    @pytest.mark.parametrize(
        "sums",
        [
            pytest.param([], id="nothing"),
            pytest.param([(600_000, 3000)] * 7, id="seven hours"),
            pytest.param([(600_000, 3000)] * 7 + [(0, 0)] * 17, id="seven hours with requests"),
            pytest.param([(1000, 1)] * 24, id="too few bad requests"),
            pytest.param([(600_000, 0)] * 24, id="no bad request at all"),
            pytest.param([(1000, 100), (1000, 0)] * 12, id="wild from hour to hour"),
        ],
    )
    def test_it_is_none_when_too_thin(self, sums: list[tuple[int, int]]) -> None:
        assert make_baseline(sums) is None

    def test_a_slow_cycle_is_not_noise(self) -> None:
        cycle = [(600_000, round(3000 * (1 + 0.5 * math.sin(2 * math.pi * hour / 24)))) for hour in range(24)]
        shuffled = list(cycle)
        Random(1).shuffle(shuffled)
        slow, wild = make_baseline(cycle), make_baseline(shuffled)
        assert slow is not None and wild is not None
        assert slow.p_hi - slow.p < 0.5 * (wild.p_hi - wild.p)

    def test_a_round_trip_changes_nothing(self) -> None:
        baseline = make_baseline([(600_000, 3000 + hour) for hour in range(24)])
        assert baseline is not None
        assert Baseline.from_dict(json.loads(json.dumps(baseline.to_dict()))) == baseline


class TestDispersion:
    def test_factors_are_those_of_the_specification(self) -> None:
        assert batch_means_factor(1, 0.7) == pytest.approx(DESIGN.tau)
        assert batch_means_factor(10**6, 0.7) == pytest.approx(1, abs=1e-4)
        assert batch_means_factor(1, 0.0) == pytest.approx(1)
        assert von_neumann_factor(1, 0.7) == pytest.approx(DESIGN.tau / 0.3)

    def test_batches_double_at_sixteen(self) -> None:
        batches = Batches()
        for block in range(1, 65):
            batches = add(batches, 1000.0, 10, DESIGN)
            assert sum(k for _, k in batches.full) + batches.bad == 10 * block
            assert len(batches.full) < 16
        assert (batches.size, len(batches.full)) == (8, 8)

    def test_even_counts_show_no_dispersion_and_wild_ones_do(self) -> None:
        even = wild = Batches()
        for block in range(12):
            even = add(even, 1000.0, 10, DESIGN)
            wild = add(wild, 1000.0, 40 * (block % 2), DESIGN)
        assert spread(even, DESIGN).batch_means == 0
        assert spread(wild, DESIGN).batch_means > 1

    def test_a_spread_is_not_forgotten_at_a_merge(self) -> None:
        batches = Batches()
        for block in range(15):
            batches = add(batches, 1000.0, 40 * (block % 2), DESIGN)
        before = spread(batches, DESIGN).batch_means
        merged = add(batches, 1000.0, 40, DESIGN)
        # pairs of neighbours cancel out exactly: without the floor nothing would be left
        assert spread(merged, DESIGN).batch_means > 0.5 * before

    def test_a_step_in_the_rate_is_noise_for_advancing_but_not_for_rolling_back(self) -> None:
        batches = Batches()
        for block in range(14):
            batches = add(batches, 1000.0, 5 if block < 7 else 30, DESIGN)
        seen = spread(batches, DESIGN)
        assert rollback_dispersion(seen, DESIGN) < 0.5 * advance_dispersion(seen, 14, DESIGN)

    def test_the_designs_noise_is_a_floor_that_fades(self) -> None:
        calm = Spread(0.0, 0.0, 0)
        assert advance_dispersion(calm, 1, DESIGN) == pytest.approx(DESIGN.long_run_cv2)
        assert advance_dispersion(Spread(0.0, 0.0, 60), 60, DESIGN) == pytest.approx(3 / 63 * DESIGN.long_run_cv2)

    @settings(max_examples=30)
    @given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1000)), max_size=80))
    def test_a_round_trip_changes_nothing(self, blocks: list[tuple[float, int]]) -> None:
        batches = Batches()
        for expected, bad in blocks:
            batches = add(batches, expected, bad, DESIGN)
        assert Batches.from_dict(json.loads(json.dumps(batches.to_dict()))) == batches


@given(st.floats(-1e12, 1e12), st.integers(1, 12))
def test_rounding_twice_is_rounding_once(value: float, digits: int) -> None:
    assert significant(significant(value, digits), digits) == significant(value, digits)
