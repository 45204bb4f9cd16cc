"""The order of runs follows from the spec alone."""

from __future__ import annotations

from collections import Counter

from changeover.core.schedule import Run, order_of_round
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_repeats_of_void_runs_are_a_draw_of_their_own() -> None:
    orders = {tuple(order_of_round(list("abcdefgh"), 1, 1, attempt)) for attempt in (1, 2, 3)}
    assert len(orders) == 3


def test_a_repeat_has_an_identity_of_its_own() -> None:
    run = Run(2, "gin", "keep-alive")
    assert [run.again(attempt).id for attempt in (1, 2)] == ["r2.gin.keep-alive", "r2.gin.keep-alive.2"]
