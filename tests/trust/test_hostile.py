"""S5, a minute of it: what others write ends no pass with an exception. All of it: python -m tests.trust.hostile."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

from tests.trust import hostile
from tests.trust.hostile import explore, known_states

SEED, CASES = 7, 4000


async def test_nonsense_of_others_ends_no_pass_and_raises_no_weight() -> None:
    tally = await explore(CASES, SEED)
    print(f"\n{tally.report()}")
    assert [f"{case.key()}: {why:.400}" for case, why in tally.failed] == []
    assert tally.cases >= CASES
    assert tally.shared > CASES // 100


async def test_a_neighbour_whose_weight_rises_is_told() -> None:
    known = (await known_states())["stepping"]
    lower = {"stepping": replace(known, neighbour=known.neighbour - 1)}
    with mock.patch.object(hostile, "known_states", mock.AsyncMock(return_value=lower)):
        tally = await explore(60, SEED)
    assert tally.shared > 0
    assert any("the neighbour's weight rises" in why for _, why in tally.failed)
