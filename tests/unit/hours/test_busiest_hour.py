"""The day's busiest hour in whole passes: the route's, whoever answered, and no edited bound makes it another."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from changeover.core.plan import Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.clock import START
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RUSH = START.replace(hour=20, minute=0, second=0, microsecond=0)  # an hour long, each day
SEEN = timedelta(minutes=54)  # of it is enough
STEPS: list[dict[str, Any]] = [
    {"weightPercent": 50, "minDuration": "2m", "maxDuration": "24h"},
    {"weightPercent": 100, "minDuration": "2m", "maxDuration": "48h", "covers": ["DailyPeak"], "approval": "Manual"},
]


def latency(bound: str) -> list[dict[str, Any]]:
    return [{"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": bound}}]


def rush(start: datetime, end: datetime) -> float:
    """Mean rate beside the usual 100 requests/s."""
    begins = [RUSH + n * DAY for n in (-2, -1, 0, 1)]
    seconds = sum(max(0.0, (min(end, at + HOUR) - max(start, at)).total_seconds()) for at in begins)
    return 80.0 * seconds / (end - start).total_seconds()


async def a_world(last: dict[str, Any] = STEPS[1]) -> World:
    """With the first weight set within a minute, so that the hours are whole ones."""
    world = World(
        a_deployment("old"), a_deployment("new"), a_migration(steps=[STEPS[0], last], objectives=latency("50ms"))
    )
    world.splits.known.insert(0, (START - 2 * DAY, {"old": 1.0}))
    world.metrics.more = rush
    for _ in range(3):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(5.0)
    assert status(world)["baseline"]["busiest"] == ("20:00-21:00 UTC" if last["covers"] else "")
    return world


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (world.cluster.peek(MIGRATION) or {}).get("status", {})
    return found


async def until(world: World, at: datetime) -> None:
    """Passes up to an instant, or to the promotion."""
    while world.clock.now() < at and status(world).get("outcome", {}).get("result") != "Promoted":
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(min(300.0, max(5.0, (at - world.clock.now()).total_seconds())))


async def approved(world: World, at: datetime) -> None:
    await until(world, at)
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {"changeover.dev/requested-approve": "1"}}})


async def edited(world: World) -> None:
    world.cluster.patch(MIGRATION, {"spec": {"objectives": latency("60ms")}})


async def rolled_back_and_edited(world: World) -> None:
    world.metrics.behaviours["new"] = Behaviour(slow_share=0.5)
    await until(world, world.clock.now() + timedelta(minutes=10))
    assert status(world)["outcome"]["result"] == "RolledBack"
    world.metrics.behaviours.pop("new")
    await edited(world)


async def edited_under_a_new_release(world: World) -> None:
    """What the release before wrote says nothing of whose hours they are, so they are read anew, at half weight."""
    baseline = status(world)["baseline"]
    content = {name: value for name, value in json.loads(baseline["statistics"]).items() if name != "peaksKey"}
    world.cluster.patch(MIGRATION, {"status": {"baseline": {"statistics": json.dumps(content)}}})
    await edited(world)


async def nothing(world: World) -> None:
    """The spec stays."""


@pytest.mark.parametrize("happens", [nothing, edited, rolled_back_and_edited, edited_under_a_new_release])
async def test_a_bound_edited_after_the_days_rush_at_half_weight_lets_no_quiet_hour_pass(happens: Any) -> None:
    world = await a_world()
    await until(world, RUSH + HOUR)
    assert status(world)["step"]["weightPercent"] == 50
    await happens(world)
    await approved(world, RUSH + 2 * HOUR)
    await until(world, RUSH + DAY + SEEN)
    told = status(world)
    assert (told["step"]["weightPercent"], told["baseline"]["busiest"]) == (100, "20:00-21:00 UTC")
    assert told.get("outcome", {}).get("result") != "Promoted", told["outcome"]
    await until(world, RUSH + DAY + HOUR)
    assert status(world)["outcome"]["result"] == "Promoted"


async def test_a_step_that_is_to_cover_it_only_later_asks_then_and_leaves_the_baseline_as_it_is() -> None:
    world = await a_world({**STEPS[1], "covers": [], "minDuration": "12h"})
    await approved(world, START + HOUR)
    await until(world, START + timedelta(hours=2))
    before = status(world)["baseline"]
    assert (before["busiest"], status(world)["step"]["weightPercent"]) == ("", 100) and before["hours"] == 24
    await until(world, RUSH - HOUR)
    world.cluster.patch(MIGRATION, {"spec": {"steps": STEPS}})
    await until(world, RUSH)
    told = status(world)["baseline"]
    assert told["busiest"] and (told["hours"], told["message"]) == (before["hours"], before["message"])


@pytest.mark.parametrize("happens", [edited, edited_under_a_new_release])
async def test_a_bound_edited_at_full_weight_does_not_wait_for_ever(happens: Any) -> None:
    """Stable has had no request for hours, so there is no baseline; the route has its busiest hour all the same."""
    world = await a_world()
    await approved(world, START + HOUR)
    await until(world, RUSH - HOUR)
    assert status(world)["step"]["weightPercent"] == 100
    await happens(world)
    await until(world, RUSH + SEEN)
    told = status(world)
    assert "too few are in the metric source" in told["baseline"]["message"]
    assert told["baseline"]["busiest"] == "20:00-21:00 UTC" and "outcome" not in told
    await until(world, RUSH + HOUR)
    assert status(world)["outcome"]["result"] == "Promoted"
