"""After a time without passes: what is judged is all that was measured since, not only what is read first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from changeover.core.errors import Unavailable
from changeover.core.observed import Counts, NoData
from changeover.core.plan import Ref
from changeover.ports import CountQuery
from changeover.reconcilers.migration import reconcile_migration
from changeover.reconcilers.observe_migration import MAX_BLOCKS_A_PASS
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
AWAY = timedelta(hours=1)


async def away(bad_after: timedelta, **spec: Any) -> World:
    """On 10 %; then nobody looks for an hour, and some time after the start of that the canary fails every 20th."""
    world = World(a_deployment("old"), a_deployment("new"), a_migration(**spec))
    while world.weight_of("shop", "new") != 10:
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(5)
    begin, counts = world.clock.now() + bad_after, world.metrics.counts

    async def worse(query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        fails = query.backend.service == "new" and end > begin
        world.metrics.behaviours["new"] = Behaviour(0.001, 0.05 if fails else 0.0)
        return await counts(query, start, end)

    world.metrics.counts = worse  # type: ignore[method-assign]
    world.advance(AWAY.total_seconds())
    return world


async def looked_again(world: World, times: int) -> dict[str, Any]:
    for _ in range(times):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(2)
    status: dict[str, Any] = (world.cluster.peek(MIGRATION) or {})["status"]
    return status


def ready(status: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in status["conditions"] if one["type"] == "Ready")


async def test_no_weight_rises_on_what_was_read_first() -> None:
    status = await looked_again(world := await away(timedelta(minutes=MAX_BLOCKS_A_PASS + 5)), 1)
    assert world.weight_of("shop", "new") == 10
    assert "is still being read" in ready(status)["message"]
    status = await looked_again(world, 10)
    assert status["history"][-1]["reason"] == "ErrorsObjectiveMissed"
    assert world.weight_of("shop", "new") == 0


async def test_it_goes_on_when_all_was_read_and_holds() -> None:
    world = await away(2 * AWAY)
    await looked_again(world, 2)
    assert world.weight_of("shop", "new") == 10
    await looked_again(world, 2)
    assert world.weight_of("shop", "new") == 50


async def test_a_block_that_cannot_be_read_holds_the_weight_though_those_before_it_are_good() -> None:
    world = await away(2 * AWAY)
    counts, missing = world.metrics.counts, world.clock.now() - AWAY / 2

    async def broken(query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        if start < missing < end:
            raise Unavailable("no answer")
        return await counts(query, start, end)

    world.metrics.counts = broken  # type: ignore[method-assign]
    status = await looked_again(world, 2)
    assert (world.weight_of("shop", "new"), ready(status)["reason"]) == (10, "WaitingEvidence")
    world.metrics.counts = counts  # type: ignore[method-assign]
    await looked_again(world, 3)
    assert world.weight_of("shop", "new") == 50


async def test_a_source_that_does_not_answer_at_all_is_blindness_and_not_a_backlog() -> None:
    world = await away(2 * AWAY)
    await looked_again(world, 3)
    world.metrics.mode = "unreadable"
    world.advance(150)
    status = await looked_again(world, 1)
    assert ready(status)["reason"] == "Blind"


async def test_an_approval_waits_for_what_is_still_to_be_read() -> None:
    steps = [{"weightPercent": 10, "minDuration": "2m"}, {"weightPercent": 100, "approval": "Manual"}]
    world = await away(2 * AWAY, steps=steps)
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {"changeover.dev/requested-approve": "now"}}})
    status = await looked_again(world, 1)
    assert (world.weight_of("shop", "new"), status.get("requests") or []) == (10, [])
    await looked_again(world, 3)
    assert world.weight_of("shop", "new") == 100
