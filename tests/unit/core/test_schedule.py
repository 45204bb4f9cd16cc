"""The order of runs follows from the spec alone."""

from __future__ import annotations

from collections import Counter

from changeover.core.schedule import complete_rounds, next_run, order_of_round, runs_of_rounds
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.seen import benchmark_spec

names = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=12, unique=True)


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(names, st.integers(0, 2**31 - 1), st.integers(1, 50))
def test_a_round_is_a_permutation_and_the_same_seed_gives_the_same(candidates: list[str], seed: int, r: int) -> None:
    order = order_of_round(candidates, seed, r)
    assert sorted(order) == sorted(candidates)
    assert order == order_of_round(list(reversed(candidates)), seed, r)


def test_every_order_of_three_is_as_likely() -> None:
    seen = Counter(tuple(order_of_round(["a", "b", "c"], seed, r)) for seed in range(100) for r in range(1, 31))
    assert len(seen) == 6
    assert max(abs(count - 500) for count in seen.values()) < 100  # 3,000 orders; 5 standard deviations


def test_another_round_or_seed_gives_another_order() -> None:
    candidates = list("abcdefgh")
    orders = {tuple(order_of_round(candidates, seed, r)) for seed in (1, 2) for r in (1, 2, 3)}
    assert len(orders) == 6


def test_the_scenarios_of_a_candidate_follow_one_another() -> None:
    spec = benchmark_spec(
        scenarios=[{"name": name, "type": "Closed", "closed": {}} for name in ("one", "two")],
    )
    runs = [run.id for run in runs_of_rounds(spec, 1)]
    assert runs == ["r1.lame.one", "r1.lame.two", "r1.fast.one", "r1.fast.two"]


def test_the_next_run_is_the_first_that_is_not_done_and_rounds_count_when_whole() -> None:
    spec = benchmark_spec()
    done: set[str] = set()
    for number, run in enumerate(runs_of_rounds(spec, 3)):
        assert complete_rounds(spec, done) == number // 2
        assert next_run(spec, done, 3) == run
        done.add(run.id)
    assert next_run(spec, done, 3) is None
    assert complete_rounds(spec, done) == 3
    done.remove("r2.lame.keep-alive")
    assert complete_rounds(spec, done) == 1
