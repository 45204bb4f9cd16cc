"""Other backends are named under way: the route is live, so all its traffic is not sent to what is not there."""

from __future__ import annotations

from typing import Any

from changeover.core.errors import Unavailable
from changeover.core.plan import Manifest, Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World, weights

MIGRATION, ROUTE = Ref("CanaryMigration", NAMESPACE, "shop"), Ref("HTTPRoute", NAMESPACE, "shop")


def a_service(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {}}


async def passes(world: World, number: int) -> dict[str, Any]:
    for _ in range(number):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(5)
    status: dict[str, Any] = (world.cluster.peek(MIGRATION) or {}).get("status", {})
    return next((one for one in status.get("conditions", []) if one["type"] == "Ready"), {})


async def edited() -> World:
    """At 10 %, and then another Service is named for stable."""
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    while world.weight_of("shop", "new") != 10:
        await passes(world, 1)
    world.cluster.patch(MIGRATION, {"spec": {"stable": {"service": {"name": "older", "port": 80}}}})
    return world


def split(world: World) -> dict[str, int]:
    return weights(world.cluster.peek(ROUTE) or {})


async def test_a_service_that_is_not_there_gets_no_traffic() -> None:
    world = await edited()
    said = await passes(world, 5)
    assert split(world) == {"old": 90, "new": 10}
    assert (said["reason"], "there is no Service older" in said["message"]) == ("WaitingForWorkloads", True)
    world.cluster.put(a_service("older"))
    await passes(world, 1)
    assert split(world) == {"older": 100, "new": 0}


async def test_a_service_that_cannot_be_read_gets_none_yet() -> None:
    world = await edited()
    world.cluster.put(a_service("older"))

    def fault(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("get", "Service"):
            raise Unavailable("GET: 503")

    world.cluster.fault = fault
    said = await passes(world, 2)
    assert split(world) == {"old": 90, "new": 10} and "could not be read" in said["message"]
    world.cluster.fault = lambda *_: None
    await passes(world, 1)
    assert split(world) == {"older": 100, "new": 0}
