"""A minute's sample of what is told while something happens; the whole takes ``make trust-crash`` and its like."""

from __future__ import annotations

import pytest

from tests.trust.live.__main__ import attempt, chosen
from tests.trust.live.goals import GOALS
from tests.trust.live.trials import Bench

SECONDS = 15.0  # in which trials begin; the last take some ten more
SEED = 20261128


@pytest.mark.parametrize("goal", GOALS)
def test_whatever_happens_on_the_way_the_end_is_the_same(bench: Bench, goal: str) -> None:
    tally = attempt(bench, chosen(goal, SEED), SECONDS)
    print(f"\n  {goal}: {tally}")
    assert tally.tried > tally.missed, "nothing came of any: nothing was tried"
    assert not tally.failed
