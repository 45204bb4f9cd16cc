"""A migration is deleted: what became of its route is told by an Event, since nobody reads its status any more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from changeover.core import names
from changeover.core.errors import Unavailable
from changeover.core.plan import Ref
from changeover.reconcilers.execute import RETRY_SECONDS
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World

from tests.unit.reconcilers.served import served_with

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")


async def passes(world: World, number: int) -> float | None:
    after: float | None = None
    for _ in range(number):
        after = await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(30)
    return after


async def a_world(weight: int) -> World:
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    while world.weight_of("shop", "new") != weight:
        await passes(world, 1)
    return world


def told(world: World) -> list[tuple[str, bool]]:
    return [(event.message, event.warning) for _, event in world.cluster.events if event.reason == "Released"]


async def delete(world: World) -> list[tuple[str, bool]]:
    world.cluster.discard(MIGRATION)
    await passes(world, 3)
    assert world.cluster.peek(MIGRATION) is None
    return told(world)


async def test_under_way_all_traffic_is_told_to_be_on_stable() -> None:
    [(message, warning)] = await delete(await a_world(10))
    assert (message, warning) == (
        "all traffic is on stable, and the route is given back; it had 10 % on the canary",
        False,
    )


async def test_promoted_it_keeps_its_weight() -> None:
    world = await a_world(100)
    while "outcome" not in (world.cluster.peek(MIGRATION) or {})["status"]:
        await passes(world, 1)
    assert await delete(world) == [("the route is given back with 100 % on the canary", False)]


async def test_weight_that_nobody_watches_any_more_is_a_warning() -> None:
    world = await a_world(10)
    world.cluster.patch(MIGRATION, {"spec": {"stable": {"service": {"name": "older", "port": 80}}}})
    [(message, warning)] = await delete(world)
    assert warning and "there is no Service older" in message and world.weight_of("shop", "new") == 10


async def not_understood(monkeypatch: pytest.MonkeyPatch) -> World:
    """At 10 %, and then its spec is as no release has it."""
    return served_with(await a_world(10), MIGRATION, monkeypatch, stable=None)


async def test_a_route_whose_migration_is_not_understood_is_left_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await not_understood(monkeypatch)
    [(message, warning)] = await delete(world)
    assert warning and "spec.stable" in message and world.weight_of("shop", "new") == 10


async def test_without_a_route_there_is_nothing_to_tell() -> None:
    world = await a_world(10)
    world.cluster.discard(Ref("HTTPRoute", NAMESPACE, "shop"))
    assert await delete(world) == []


def refusing(verb: str) -> Callable[[str, str, str], None]:
    def fault(asked: str, kind: str, name: str) -> None:
        if asked == verb:
            raise Unavailable(f"{kind} {name}: 403")

    return fault


async def test_nobody_is_kept_from_deleting_by_an_event_that_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    world = await a_world(10)
    world.cluster.fault = refusing("emit")
    assert await delete(world) == [] and world.weight_of("shop", "new") == 0
    assert "shop/shop was deleted: all traffic is on stable" in caplog.text


async def test_what_somebody_else_holds_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await not_understood(monkeypatch)
    world.cluster.patch(MIGRATION, {"metadata": {"finalizers": [names.FINALIZER, "example.com/theirs"]}})
    world.cluster.discard(MIGRATION)
    await passes(world, 5)
    assert world.cluster.peek(MIGRATION) is not None and len(told(world)) == 1


async def test_a_finalizer_is_tried_again_of_what_is_not_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await not_understood(monkeypatch)
    world.cluster.discard(MIGRATION)
    world.cluster.fault = refusing("merge")
    assert await passes(world, 1) == RETRY_SECONDS and told(world) == []
    world.cluster.fault = lambda *_: None
    await passes(world, 1)
    assert world.cluster.peek(MIGRATION) is None and len(told(world)) == 1
