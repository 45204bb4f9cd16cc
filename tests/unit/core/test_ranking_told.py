"""What a ranking tells: every figure of its rows and pairs, and when it may be called decided."""

from __future__ import annotations

import math

import pytest
from changeover.core.race import WIDEST
from changeover.core.ranking import Contest, Estimate, PairVerdict, interval_of, rank

from tests.bench.decision.race import is_decided, unbeaten
from tests.unit.core.test_ranking import NAMES, SPREAD, rounds_of

SMALLER = Contest(larger_is_better=False)
FOUR = rounds_of(SPREAD, 4)


def without(name: str, row: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in row.items() if key != name}


class TestDecided:
    def test_four_rounds_without_any_valid_run_decide_nothing(self) -> None:
        ranking = rank([{}] * 4, NAMES)
        assert (ranking.rows, ranking.winner, ranking.tied_with) == ((), "", ())
        assert unbeaten(ranking) == tuple(NAMES)
        assert not is_decided(ranking)

    def test_a_lone_candidate_is_measured_until_the_first_look_all_the_same(self) -> None:
        for count, decided in ((2, False), (3, False), (4, True), (5, True)):
            ranking = rank([{"axum": 100.0 + n} for n in range(count)], ["axum"])
            assert is_decided(ranking) is decided

    def test_with_a_tie_and_an_open_rival_it_goes_on(self) -> None:
        """Two are proven ties for the first place; a third, which varies more, may still be as good or worse."""
        steady = [100.0, 100.1, 99.9, 100.0, 100.1, 99.9]
        wild = [101.0, 97.0, 100.0, 98.0, 101.0, 97.0]
        rounds = [{"a": one, "b": one, "wild": other} for one, other in zip(steady, wild, strict=True)]
        ranking = rank(rounds, ["a", "b", "wild"], Contest(max_rounds=13))
        assert ranking.comparison("a", "b").verdict is PairVerdict.TIE
        assert ranking.comparison("a", "wild").verdict is PairVerdict.UNRESOLVED
        assert not is_decided(ranking)

    def test_losers_that_tie_among_themselves_do_not_keep_it_going(self) -> None:
        ranking = rank(rounds_of({"tokio": 0.0, "gin": -0.5, "axum": -0.5}, 6), ["axum", "gin", "tokio"])
        assert ranking.winner == "tokio" and is_decided(ranking)


class TestRoundUnderWay:
    def test_it_takes_nothing_away_from_what_the_rounds_before_it_decided(self) -> None:
        """tokio, the winner so far, is not measured yet in the fifth round."""
        ranking = rank([*FOUR, without("tokio", FOUR[0])], NAMES)
        assert ranking.pairs == rank(FOUR, NAMES).pairs
        assert is_decided(ranking)

    def test_it_adds_nothing_to_a_pair_before_it_is_over(self) -> None:
        ranking = rank([FOUR[0], without("tokio", FOUR[1])], NAMES)
        assert {pair.rounds for pair in ranking.pairs} == {1}

    def test_the_last_planned_round_is_none_that_could_go_on(self) -> None:
        ranking = rank([*FOUR[:3], without("tokio", FOUR[3])], NAMES, Contest(max_rounds=4))
        assert (ranking.comparison("gin", "axum").rounds, ranking.comparison("gin", "tokio").rounds) == (4, 3)

    def test_one_who_has_lost_is_not_waited_for(self) -> None:
        rounds = [*FOUR, *(without("express", row) for row in rounds_of(SPREAD, 2, seed=2))]
        ranking = rank(rounds, NAMES)
        assert (ranking.comparison("gin", "express").rounds, is_decided(ranking)) == (4, True)


class TestRows:
    def test_a_mean_is_geometric_and_in_the_values_own_unit_whatever_is_better(self) -> None:
        rounds = [{"axum": 10.0, "gin": 30.0}, {"axum": 40.0, "gin": 30.0}, {"axum": 20.0}]
        for contest in (Contest(), SMALLER):
            rows = {row.candidate: row for row in rank(rounds, ["axum", "gin"], contest).rows}
            assert rows["axum"].estimate.mean == pytest.approx(20.0)
            assert rows["axum"].estimate.low < 20.0 < rows["axum"].estimate.high
            assert (rows["axum"].rounds, rows["gin"].rounds) == (3, 2)

    def test_an_interval_is_as_wide_as_the_contests_confidence_asks_for(self) -> None:
        for confidence in (0.5, 0.95):
            found = rank(FOUR, NAMES, Contest(confidence=confidence)).estimate("gin")
            assert found is not None
            assert found.high == pytest.approx(interval_of([row["gin"] for row in FOUR], confidence).high)

    def test_a_row_tells_with_whom_its_order_is_not_decided(self) -> None:
        """axum and gin lost to tokio, and cannot be told apart from one another."""
        rows = rank(rounds_of({"tokio": 0.0, "gin": -0.5, "axum": -0.5}, 6), ["axum", "gin", "tokio"]).rows
        ties = {row.candidate: row.tied_with for row in rows}
        assert ties == {"tokio": (), "gin": ("axum",), "axum": ("gin",)}
        assert [row.rank for row in rows] == [1, 2, 2]

    def test_one_that_was_never_measured_ties_with_nobody(self) -> None:
        assert all("dead" not in row.tied_with for row in rank(FOUR[:2], [*NAMES, "dead"]).rows)

    def test_undecided_rows_are_told_from_the_best_mean_down_and_equal_ones_by_name(self) -> None:
        two = rank(FOUR[:2], NAMES)
        assert [row.candidate for row in two.rows] == ["tokio", "axum", "gin", "express"]
        equal = rank([{name: 100.0 for name in NAMES}] * 4, list(reversed(NAMES)))
        assert [row.candidate for row in equal.rows] == NAMES

    def test_orders_are_carried_on_along_every_branch(self) -> None:
        """a is over b and c, b over d, c over e: a is over d and e, whom it never met."""
        met = ({"a": 1000.0, "b": 500.0, "c": 500.0}, {"b": 500.0, "d": 250.0}, {"c": 500.0, "e": 250.0})
        rounds = [{name: value + n for name, value in row.items()} for row in met for n in range(4)]
        ranking = rank(rounds, ["a", "b", "c", "d", "e"], Contest(max_rounds=12))
        assert {row.candidate: row.rank for row in ranking.rows} == {"a": 1, "b": 2, "c": 2, "d": 3, "e": 3}

    def test_who_is_surely_worse_comes_later_though_its_mean_is_higher(self) -> None:
        """b lost to a in four rounds; c was measured only afterwards, in poorer ones."""
        rounds = [{"a": 110.0 + n, "b": 100.0 + n} for n in range(4)] + [{"c": 50.0}] * 2
        rows = rank(rounds, ["a", "b", "c"], Contest(max_rounds=6)).rows
        assert [(row.candidate, row.rank) for row in rows if row.candidate != "c"] == [("a", 1), ("b", 2)]
        assert rows[-1].candidate == "b"


class TestPairs:
    def test_a_comparison_is_of_the_values_whatever_is_better(self) -> None:
        rounds = [{"axum": 10.0, "gin": 20.0 + n / 10} for n in range(6)]
        for contest, verdict in ((Contest(), PairVerdict.WORSE), (SMALLER, PairVerdict.BETTER)):
            pair = rank(rounds, ["axum", "gin"], contest).comparison("axum", "gin")
            assert (pair.verdict, pair.rounds) == (verdict, 4)
            assert pair.ratio == pytest.approx(10 / 20.15, rel=1e-3)
            assert pair.low < pair.ratio < pair.high < 1
            assert pair.high / pair.ratio == pytest.approx(pair.ratio / pair.low)

    def test_turned_round_it_is_the_same_comparison(self) -> None:
        ranking = rank(FOUR, NAMES)
        one, other = ranking.comparison("axum", "gin"), ranking.comparison("gin", "axum")
        assert (one.first, one.second) == (other.second, other.first) == ("axum", "gin")
        assert (one.verdict, other.verdict) == (PairVerdict.BETTER, PairVerdict.WORSE)
        assert one.rounds == other.rounds == 4

    def test_a_loser_turned_round_is_a_winner_and_a_tie_stays_one(self) -> None:
        ranking = rank(FOUR, list(reversed(NAMES)))
        assert ranking.comparison("express", "gin").verdict is PairVerdict.WORSE
        assert ranking.comparison("gin", "express").verdict is PairVerdict.BETTER
        twins = rank([{"a": 100.0, "b": 100.0}] * 4, ["a", "b"])
        assert twins.comparison("a", "b").verdict is twins.comparison("b", "a").verdict is PairVerdict.TIE

    def test_with_one_round_in_common_it_spans_six_powers_of_ten_each_way(self) -> None:
        pair = rank(FOUR[:1], NAMES).comparison("axum", "gin")
        assert (pair.high / pair.ratio, pair.ratio / pair.low) == pytest.approx((1e6, 1e6))

    def test_who_was_not_compared_is_named(self) -> None:
        with pytest.raises(KeyError, match=r"\('tokio', 'nobody'\)"):
            rank(FOUR, NAMES).comparison("tokio", "nobody")


class TestInterval:
    def test_it_is_as_wide_as_the_confidence_asks_for(self) -> None:
        """Student's t with two degrees of freedom: 4.303 for 95 %, 0.8165 for 50 %."""
        values = [math.exp(1), math.exp(2), math.exp(3)]
        for estimate, quantile in ((interval_of(values), 4.30265), (interval_of(values, 0.5), 0.81650)):
            half = quantile / math.sqrt(3)
            logs = math.log(estimate.low), math.log(estimate.mean), math.log(estimate.high)
            assert logs == pytest.approx((2 - half, 2.0, 2 + half), rel=1e-4)

    def test_two_values_are_enough_for_one(self) -> None:
        """Student's t with one degree of freedom: 12.706."""
        estimate = interval_of([math.exp(1.9), math.exp(2.1)])
        assert math.log(estimate.high) == pytest.approx(2 + 12.7062 * 0.1, rel=1e-4)

    def test_values_far_apart_are_not_known_worse_than_a_single_one(self) -> None:
        estimate = interval_of([1.0, 1e12])
        assert (estimate.low, estimate.high) == pytest.approx((1e6 * math.exp(-WIDEST), 1e6 * math.exp(WIDEST)))

    def test_impossible_values_are_left_out(self) -> None:
        assert interval_of([2.0, 0.0, -1.0, math.nan, math.inf, 0.5]) == interval_of([2.0, 0.5])

    def test_without_a_value_it_is_all_zero(self) -> None:
        assert interval_of([]) == Estimate(0.0, 0.0, 0.0)
