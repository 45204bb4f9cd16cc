"""S5, a minute of it: nonsense of others ends no operator and delays no neighbour. Whole: tests.trust.live.hostile."""

from __future__ import annotations

from dataclasses import replace

from tests.trust.live import hostile
from tests.trust.live.hostile import LADDER, Round, Side
from tests.trust.live.trials import Bench
from tests.trust.tenant.nonsense import states

CASES, SEED = 50, 7


async def test_beside_nonsense_a_migration_climbs_as_it_does_without(bench: Bench) -> None:
    rounds = hostile.attempt(bench, hostile.others(await states(), SEED), CASES, SEED)
    print("\n" + hostile.summary(rounds, []))
    assert hostile.failed(rounds) == []
    assert rounds[0].beside.taken > CASES // 4 and rounds[0].beside.refused > 0


def test_an_operator_that_ended_and_a_neighbour_that_was_delayed_are_told() -> None:
    well = Side(True, taken=9, read=9, starts=1, laps=[9.0, 10.0, 11.0], ladders=[LADDER])
    assert "from pass to pass 2.00" in str(Round(replace(well, pace=2.0), replace(well, pace=4.0)))
    slow = replace(well, laps=[16.0, 15.1, 40.0])
    assert hostile.failed([Round(well, well)]) == [] == hostile.failed([Round(slow, well), Round(well, well)])
    assert "1.60 times" in hostile.failed([Round(slow, well), Round(slow, well)])[0]
    for broken in (
        replace(well, starts=2), replace(well, ladders=[[0, 10, 0]]), replace(well, laps=[]), replace(well, read=0),
        replace(well, wrong=["a lap is not over"]),
    ):  # fmt: skip
        assert hostile.failed([Round(broken, well)]), broken
