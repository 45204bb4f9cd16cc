"""A minute's sample of what is told while something happens; the whole takes ``make trust-crash`` and its like."""

from __future__ import annotations

import pytest

from tests.trust.live.__main__ import Tally, attempt, chosen
from tests.trust.live.goals import GOALS
from tests.trust.live.trials import Bench

SECONDS = 15.0  # in which trials begin; the last take some ten more
SEED = 20261128


@pytest.mark.parametrize("goal", GOALS)
def test_whatever_happens_on_the_way_the_end_is_the_same(bench: Bench, goal: str) -> None:
    """What failed once comes first. What fails is printed as it is to be stored: a test writes nothing."""
    tally = Tally()
    attempt(bench, chosen(goal, SEED), tally, SECONDS)
    print(f"\n  {goal}: {tally}")
    assert tally.did > 0, "nothing came of any: nothing was tried"
    assert not tally.failed
