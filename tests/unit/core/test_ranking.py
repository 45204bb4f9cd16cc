"""The ranking of candidates: what may be claimed, and what may not."""

from __future__ import annotations

import math
from random import Random

import pytest
from changeover.core.race import WIDEST
from changeover.core.ranking import Contest, PairVerdict, Ranking, interval_of, rank
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.decision.race import Field, is_decided, measure, unbeaten

NAMES = ["axum", "express", "gin", "tokio"]


def rounds_of(effects: dict[str, float], count: int, sd: float = 0.02, seed: int = 1) -> list[dict[str, float]]:
    rng = Random(seed)
    rounds = []
    for _ in range(count):
        level = rng.gauss(7, 0.05)
        rounds.append({name: math.exp(level + effect + rng.gauss(0, sd)) for name, effect in effects.items()})
    return rounds


SPREAD = {"axum": -0.3, "express": -1.0, "gin": -0.6, "tokio": 0.0}

VALUES = st.floats(1.0, 1e6)
TABLES = st.lists(
    st.fixed_dictionaries({}, optional={name: VALUES for name in NAMES}), min_size=1, max_size=14
)  # every value may be missing


class TestTables:
    def test_clear_differences_are_an_order(self) -> None:
        ranking = rank(rounds_of(SPREAD, 6), NAMES)
        assert [(row.rank, row.candidate) for row in ranking.rows] == [
            (1, "tokio"), (2, "axum"), (3, "gin"), (4, "express"),
        ]  # fmt: skip
        assert (ranking.winner, ranking.tied_with, unbeaten(ranking)) == ("tokio", (), ("tokio",))
        assert is_decided(ranking)

    def test_without_the_first_the_others_are_an_order_of_their_own(self) -> None:
        ranking = rank(rounds_of({**SPREAD, "gin": -0.3}, 6, sd=0.05), NAMES)
        rivals = {"axum", "express", "gin"}
        assert (unbeaten(ranking), ranking.active_against(rivals)) == (("tokio",), ("axum", "gin", "tokio"))
        assert is_decided(ranking) and not ranking.is_decided_among(rivals)
        assert ranking.is_decided_among({"axum", "express"}) and ranking.is_decided_among(NAMES)

    def test_smaller_is_better_turns_it_round(self) -> None:
        ranking = rank(rounds_of(SPREAD, 6), NAMES, Contest(larger_is_better=False))
        assert [row.candidate for row in ranking.rows] == ["express", "gin", "axum", "tokio"]
        comparison = ranking.comparison("express", "tokio")
        assert comparison.verdict is PairVerdict.BETTER
        # the ratio stays one of values: express needs e^-1 of tokio's
        assert comparison.low < math.exp(-1.0) < comparison.high < 1

    def test_three_rounds_alone_give_wide_intervals_but_may_decide_what_is_far_apart(self) -> None:
        three = rank(rounds_of(SPREAD, 3), NAMES, Contest(max_rounds=3))
        many = rank(rounds_of(SPREAD, 20), NAMES)
        assert three.winner == "tokio" and is_decided(three)
        few, more = three.estimate("tokio"), many.estimate("tokio")
        assert few is not None and more is not None
        assert few.high / few.low > (more.high / more.low) ** 2

    def test_before_the_first_look_nothing_is_decided(self) -> None:
        ranking = rank(rounds_of(SPREAD, 3), NAMES)
        assert not is_decided(ranking) and not ranking.is_decided_among({"tokio"})
        assert unbeaten(ranking) == tuple(NAMES)
        assert {pair.verdict for pair in ranking.pairs} == {PairVerdict.UNRESOLVED}
        assert {row.rank for row in ranking.rows} == {1}

    def test_close_candidates_tie_with_the_winner(self) -> None:
        ranking = rank(rounds_of({**SPREAD, "axum": -0.001}, 20, sd=0.005), NAMES)
        assert {ranking.winner, *ranking.tied_with} == {"tokio", "axum"}
        assert ranking.comparison("tokio", "axum").verdict is PairVerdict.TIE
        assert is_decided(ranking)
        assert [row.rank for row in ranking.rows] == [1, 1, 3, 4]

    def test_what_is_not_resolved_is_not_decided(self) -> None:
        ranking = rank(rounds_of({"axum": 0.0, "gin": 0.02}, 20, sd=0.2), ["axum", "gin"])
        assert ranking.comparison("axum", "gin").verdict is PairVerdict.UNRESOLVED
        assert not is_decided(ranking)
        assert ranking.tied_with != ()

    def test_identical_candidates_tie(self) -> None:
        rounds = [{"axum": value, "gin": value} for value in (100.0, 120.0, 90.0, 110.0)]
        ranking = rank(rounds, ["axum", "gin"])
        assert ranking.comparison("axum", "gin").verdict is PairVerdict.TIE
        assert [row.rank for row in ranking.rows] == [1, 1]
        assert is_decided(ranking)

    def test_an_order_once_decided_stays(self) -> None:
        rounds = rounds_of(SPREAD, 4, sd=0.005) + [{name: 1000.0 for name in NAMES}] * 10
        assert rank(rounds, NAMES).comparison("tokio", "express").verdict is PairVerdict.BETTER

    def test_one_value_is_no_row_and_two_are_a_wide_one(self) -> None:
        assert rank(rounds_of(SPREAD, 1), NAMES).rows == ()
        assert rank([], NAMES).winner == ""
        assert len(rank(rounds_of(SPREAD, 2), NAMES).rows) == 4

    def test_a_candidate_without_any_valid_run_is_not_ranked_and_does_not_block(self) -> None:
        rounds = [{**row, "dead": 0.0} for row in rounds_of(SPREAD, 6)]
        ranking = rank(rounds, [*NAMES, "dead"])
        assert "dead" not in [row.candidate for row in ranking.rows]
        assert ranking.estimate("dead") is None
        assert is_decided(ranking) and ranking.tied_with == ()

    @pytest.mark.parametrize("void", [0.0, -1.0, float("nan"), float("inf")])
    def test_impossible_values_are_void(self, void: float) -> None:
        rounds = rounds_of(SPREAD, 8)
        without = [{k: v for k, v in row.items() if k != "gin" or i != 2} for i, row in enumerate(rounds)]
        spoilt = [{**row, "gin": void} if i == 2 else row for i, row in enumerate(rounds)]
        assert rank(spoilt, NAMES) == rank(without, NAMES)

    def test_a_round_under_way_counts_towards_no_look(self) -> None:
        rounds = rounds_of(SPREAD, 4)
        partial = [*rounds[:3], {"tokio": rounds[3]["tokio"]}]
        assert not is_decided(rank(partial, NAMES))
        assert is_decided(rank(rounds, NAMES))

    def test_losers_need_not_be_measured_any_more(self) -> None:
        rounds = rounds_of({"axum": 0.0, "gin": 0.0, "express": -1.0}, 4)
        later = [
            {k: v for k, v in row.items() if k != "express"} for row in rounds_of({"axum": 0.0, "gin": 0.0}, 9, 0.01)
        ]
        ranking = rank(rounds + later, ["axum", "gin", "express"])
        assert ranking.rows[-1].candidate == "express"
        assert ranking.comparison("axum", "gin").verdict is PairVerdict.TIE

    def test_orders_are_carried_on(self) -> None:
        """tokio over gin and gin over express: tokio over express, though those two never met."""
        rounds = rounds_of({"tokio": 0.0, "gin": -0.5}, 4, 0.005) + rounds_of({"gin": -0.5, "express": -1.0}, 4, 0.005)
        ranking = rank(rounds, ["express", "gin", "tokio"], Contest(max_rounds=8))
        assert [(row.rank, row.candidate) for row in ranking.rows] == [(1, "tokio"), (2, "gin"), (3, "express")]
        assert ranking.comparison("tokio", "express").verdict is PairVerdict.UNRESOLVED
        assert ranking.winner == "tokio" and ranking.tied_with == () and is_decided(ranking)

    def test_orders_in_a_circle_decide_nothing(self) -> None:
        names = ["a", "b", "c"]
        met = [("a", "b"), ("b", "c"), ("c", "a")]
        rounds = [{x: 1000.0 * (1 + i / 1000), y: 500.0} for x, y in met for i in range(12)]
        ranking = rank(rounds, names, Contest(max_rounds=36))
        assert {row.rank for row in ranking.rows} == {1}
        assert unbeaten(ranking) == ("a", "b", "c") and not is_decided(ranking)

    def test_a_comparison_reads_the_same_from_both_sides(self) -> None:
        ranking = rank(rounds_of(SPREAD, 6), NAMES)
        one, other = ranking.comparison("tokio", "gin"), ranking.comparison("gin", "tokio")
        assert (one.verdict, other.verdict) == (PairVerdict.BETTER, PairVerdict.WORSE)
        assert (other.ratio, other.low, other.high) == pytest.approx((1 / one.ratio, 1 / one.high, 1 / one.low))
        with pytest.raises(KeyError):
            ranking.comparison("tokio", "nobody")


class TestContest:
    def test_the_looks_are_the_specifications(self) -> None:
        rounds, shares = zip(*Contest().looks(), strict=True)
        assert rounds == (4, 6, 9, 13, 20)
        assert shares == pytest.approx((0.10, 0.15, 0.20, 0.25, 0.30))

    @pytest.mark.parametrize(
        ("low", "high", "rounds"),
        [(3, 3, [3]), (5, 15, [6, 9, 13, 15]), (3, 4, [4]), (10, 12, [12]), (3, 30, [4, 6, 9, 13, 30])],
    )
    def test_the_last_look_spends_what_is_left(self, low: int, high: int, rounds: list[int]) -> None:
        looks = Contest(min_rounds=low, max_rounds=high).looks()
        assert [look for look, _ in looks] == rounds
        assert sum(share for _, share in looks) == pytest.approx(1)

    @pytest.mark.parametrize("wrong", [{"confidence": 1.0}, {"min_rounds": 1}, {"max_rounds": 2}, {"tie_ratio": 0.0}])
    def test_a_contest_out_of_range_is_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=r"must|need"):
            Contest(**wrong)  # type: ignore[arg-type]


class TestInterval:
    def test_it_is_students_on_logarithms(self) -> None:
        estimate = interval_of([math.exp(1), math.exp(2), math.exp(3)])
        assert estimate.mean == pytest.approx(math.exp(2))
        assert math.log(estimate.high) == pytest.approx(2 + 4.30265 / math.sqrt(3), rel=1e-5)

    def test_one_value_knows_nothing_and_none_less(self) -> None:
        assert interval_of([5.0]).high == pytest.approx(5 * math.exp(WIDEST))
        assert interval_of([]) == interval_of([0.0])


class TestProperties:
    @settings(max_examples=20, deadline=None)
    @given(TABLES, st.permutations(NAMES))
    def test_names_and_their_order_do_not_matter(self, rounds: list[dict[str, float]], order: list[str]) -> None:
        renamed = dict(zip(NAMES, order, strict=True))
        plain = rank(rounds, NAMES)
        other = rank([{renamed[k]: v for k, v in row.items()} for row in rounds], order)
        assert _places(plain, renamed) == _places(other, {name: name for name in NAMES})

    @settings(max_examples=20, deadline=None)
    @given(TABLES, st.sampled_from([1e-3, 0.5, 2.0, 1000.0]))
    def test_the_unit_does_not_matter(self, rounds: list[dict[str, float]], factor: float) -> None:
        plain = rank(rounds, NAMES)
        scaled = rank([{k: v * factor for k, v in row.items()} for row in rounds], NAMES)
        same = {name: name for name in NAMES}
        assert _places(plain, same) == _places(scaled, same)

    @settings(max_examples=20, deadline=None)
    @given(TABLES)
    def test_it_is_consistent_with_itself(self, rounds: list[dict[str, float]]) -> None:
        ranking = rank(rounds, NAMES)
        ranks = {row.candidate: row.rank for row in ranking.rows}
        for pair in ranking.pairs:
            assert pair.low <= pair.ratio <= pair.high
        for row in ranking.rows:
            assert row.estimate.low <= row.estimate.mean <= row.estimate.high
            for rival in row.tied_with:
                tied = next((other.tied_with for other in ranking.rows if other.candidate == rival), (row.candidate,))
                assert row.candidate in tied
        assert not ranking.rows or ranks[ranking.winner] == 1
        assert all(ranks.get(name, 1) == 1 for name in unbeaten(ranking))

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.tuples(VALUES, st.integers(0, 20)), min_size=4, max_size=10))
    def test_equal_candidates_are_never_ordered(self, levels: list[tuple[float, int]]) -> None:
        rounds = [{name: value * (1 + wobble / 100) for name in NAMES} for value, wobble in levels]
        assert {row.rank for row in rank(rounds, NAMES).rows} == {1}


def _places(ranking: Ranking, names: dict[str, str]) -> dict[str, tuple[int, frozenset[str]]]:
    return {names[row.candidate]: (row.rank, frozenset(names[one] for one in row.tied_with)) for row in ranking.rows}


class TestMeasured:
    def test_equal_candidates_are_seldom_ordered(self) -> None:
        """5 % of races may have any wrong order: more than 5 of 30 happen with probability 0.3 % then."""
        assert measure(Field((0.0,) * 4, 0.02), 30, "unit").wrong_order <= 100 * 5 / 30

    def test_steps_of_twenty_per_cent_are_found_in_four_rounds(self) -> None:
        cell = measure(Field((0.0, -0.2, -0.4), 0.02), 20, "unit")
        assert (cell.sole_winner, cell.best_lost) == (100, 0)
        assert cell.runs_used < 15
