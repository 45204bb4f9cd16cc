"""The rivals' rules against answers known without them, and the comparison: the same blocks for everybody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice, repeat
from random import Random

import pytest
from changeover.core.sequential import Block, Verdict

from tests.bench.decision import __main__ as tables
from tests.bench.decision import side_by_side, steps
from tests.bench.decision.noise import MODELS
from tests.bench.decision.rivals import (
    KAYENTA_FRACTION,
    KAYENTA_QUANTILE,
    RIVALS,
    Rule,
    argo,
    flagger,
    is_high,
    kayenta,
    mann_whitney,
)

Q = 0.01
GOOD, AT_LIMIT, BAD, EMPTY = Block(1000, 5, 9000, 45), Block(1000, 10, 9000, 45), Block(1000, 11, 9000, 45), Block(0, 0)
HARES, TORTOISES = [2, 3, 4, 5, 6, 12], [1, 7, 8, 9, 10, 11]
"""Places in a race, the example of the encyclopedias: 11 of the 36 pairs are won by the tortoise."""


def advance(blocks: int) -> steps.Outcome:
    return steps.Outcome(Verdict.ADVANCE, blocks)


def rollback(blocks: int) -> steps.Outcome:
    return steps.Outcome(Verdict.ROLLBACK, blocks)


class TestFlagger:
    def test_a_canary_that_fails_every_check_is_rolled_back_after_the_fifth(self) -> None:
        assert flagger(repeat(BAD), Q) == rollback(5)
        assert flagger(repeat(BAD), Q, threshold=2) == rollback(2)

    def test_a_canary_that_passes_every_check_advances_after_its_count(self) -> None:
        assert flagger(repeat(GOOD), Q) == advance(1)
        assert flagger(repeat(GOOD), Q, passes=10) == advance(10)

    def test_failed_checks_add_up_over_passed_ones(self) -> None:
        assert flagger([BAD, GOOD] * 9, Q, passes=10) == rollback(9)

    def test_a_check_fails_beyond_the_limit_and_without_requests_but_not_at_the_limit(self) -> None:
        assert flagger([BAD, BAD, AT_LIMIT], Q) == advance(3)
        assert flagger(repeat(EMPTY), Q) == rollback(5)


class TestArgo:
    def test_without_a_failure_limit_the_first_failed_measurement_rolls_back(self) -> None:
        assert argo([GOOD, GOOD, BAD], Q) == rollback(3)

    def test_ten_measurements_advance_with_as_many_failures_as_the_limit(self) -> None:
        assert argo(repeat(GOOD), Q) == advance(10)
        assert argo([BAD] * 3 + [GOOD] * 7, Q, failure_limit=3) == advance(10)
        assert argo([GOOD] * 6 + [BAD] * 4, Q, failure_limit=3) == rollback(10)


class TestMannWhitney:
    def test_tortoise_and_hare(self) -> None:
        wins, deviate = mann_whitney(HARES, TORTOISES)
        assert wins == 11  # pairs in which the hare's place is the higher number
        assert deviate == pytest.approx(-(18 - 11 - 0.5) / math.sqrt(6 * 6 * 13 / 12))
        assert mann_whitney(TORTOISES, HARES) == (25, -deviate)

    def test_ties_count_half_and_shrink_the_variance(self) -> None:
        # By hand: U = 1/2 + 1/2; three values tie: variance 6/12 (6 - (27 - 3)/(5 x 4)) = 2.4.
        wins, deviate = mann_whitney([1, 2, 2], [2, 3])
        assert wins == 1
        assert deviate == pytest.approx(-1.5 / math.sqrt(2.4))

    def test_equal_values_say_nothing(self) -> None:
        assert mann_whitney([1, 1], [1, 1, 1]) == (3, 0)


class TestKayenta:
    def test_high_is_where_the_interval_of_all_shifts_begins_above_a_quarter_of_the_estimate(self) -> None:
        rng, answers = Random(1), set()
        for _ in range(60):
            canary, stable = ([rng.gauss(mean, 1) for _ in range(20)] for mean in (5.9, 5))
            differences = sorted(first - second for first in canary for second in stable)
            lower = next(
                shift for shift in differences
                if mann_whitney([value - shift - 1e-9 for value in canary], stable)[1] <= KAYENTA_QUANTILE
            )  # fmt: skip
            estimate = (differences[199] + differences[200]) / 2
            answers.add(is_high(canary, stable))
            assert is_high(canary, stable) == (lower > KAYENTA_FRACTION * estimate)
        assert answers == {True, False}

    def test_the_effect_must_be_as_large_as_the_allowed_increase(self) -> None:
        stable = [1 + index / 1000 for index in range(20)]
        canary = [1.2 * value for value in stable]
        assert is_high(canary, stable)
        assert not is_high(canary, stable, allowed_increase=1.5)
        assert not is_high(stable, canary)

    def test_it_rolls_back_at_a_look_and_advances_after_the_last(self) -> None:
        worse = [Block(1000, 40 + index % 3, 9000, 45) for index in range(60)]
        equal = [Block(1000, 5 + index % 3, 9000, 9 * (5 + index % 3)) for index in range(60)]
        assert kayenta(worse, Q) == rollback(20)
        assert kayenta(equal, Q) == advance(60)
        assert kayenta(equal[:10] + worse[:50], Q) == rollback(40)  # at 20 half of the points are bad: not High
        assert kayenta(repeat(EMPTY), Q) == advance(60)


@pytest.mark.parametrize("rule", RIVALS.values(), ids=RIVALS)
def test_a_rule_that_ran_out_of_blocks_does_not_pretend_to_have_decided(rule: Rule) -> None:
    with pytest.raises(ValueError, match="too few blocks"):
        rule([], Q)


class TestSideBySide:
    SCENE = steps.Scene(MODELS["ar_cand"], 1.1, horizon=40)

    def test_every_rule_sees_the_same_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: dict[int, list[Block]] = {}

        def spy(blocks: Iterable[Block], q: float, count: int) -> steps.Outcome:
            seen[count] = list(islice(blocks, count))
            return advance(count)

        spies = {str(count): lambda blocks, q, count=count: spy(blocks, q, count) for count in (60, 3, 30)}
        monkeypatch.setattr(side_by_side, "RIVALS", spies)
        side_by_side.run(self.SCENE, Random("a"))
        _, blocks = steps.trace(self.SCENE, Random("a"))
        expected = list(islice(blocks, 60))
        assert seen == {count: expected[:count] for count in (60, 3, 30)}
        assert len(set(expected)) > 30

    def test_our_own_rows_are_those_of_the_other_tables(self) -> None:
        pairs = set()
        for seed in "abcd":
            scene = steps.Scene(MODELS["diurnal"], 0.6)
            ended = side_by_side.run(scene, Random(seed))
            assert ended[side_by_side.OURS] == steps.run(scene, Random(seed))
            assert ended[side_by_side.OURS_ALONE] == steps.run(replace(scene, with_baseline=False), Random(seed))
            pairs.add((ended[side_by_side.OURS], ended[side_by_side.OURS_ALONE]))
        assert any(ours != alone for ours, alone in pairs)

    def test_ours_alone_is_given_fewer_runs(self) -> None:
        cells = side_by_side.measure(self.SCENE, 3, "unit", alone=2)
        assert {name: cell.runs for name, cell in cells.items()} == {
            name: 2 if name == side_by_side.OURS_ALONE else 3 for name in side_by_side.NAMES
        }

    def test_the_same_seed_gives_the_same_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tables, "DESIGN_NOISE", ("iid",))
        rows = [tuple(row) for row in tables.rival_rows(2, 1)]
        assert rows == [tuple(row) for row in tables.rival_rows(2, 1)]
        assert [row[1] for row in rows[1:]] == list(side_by_side.NAMES)
        assert {len(row) for row in rows} == {10}

    def test_another_seed_is_another_run(self) -> None:
        def first(seed: str) -> Iterator[Block | None]:
            return islice(steps.trace(self.SCENE, Random(seed))[1], 10)

        assert list(first("a")) != list(first("b"))


def test_a_burst_of_errors_is_rolled_back_at_once() -> None:
    rows = {(row[0], row[1]): (row[2], row[3]) for row in tables.burst_rows(5, 1)}
    assert rows["100% errors", "60"] == ("1 (1)", "1 (1)")
    assert rows["100% errors", "1000"] == ("1 (1)", "1 (1)")
