"""Other backends are named under way: the route is live, so all its traffic is not sent to what is not there."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core import names
from changeover.core.errors import Unavailable
from changeover.core.plan import Manifest, Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_backend, a_deployment, a_migration
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World, weights

MIGRATION, ROUTE = Ref("CanaryMigration", NAMESPACE, "shop"), Ref("HTTPRoute", NAMESPACE, "shop")


def a_service(name: str) -> Manifest:
    spec = {"ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def an_adopted_route(*services: str) -> Manifest:
    """One of its users', with all on the first."""
    backends = [{"name": name, "port": 80, "weight": 100 if name == services[0] else 0} for name in services]
    spec = {"parentRefs": [{"name": "public"}], "rules": [{"backendRefs": backends}]}
    return {"kind": "HTTPRoute", "metadata": {"name": "shop", "namespace": NAMESPACE}, "spec": spec}


async def passes(world: World, number: int) -> dict[str, Any]:
    for _ in range(number):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(5)
    status: dict[str, Any] = (world.cluster.peek(MIGRATION) or {}).get("status", {})
    return next((one for one in status.get("conditions", []) if one["type"] == "Ready"), {})


async def edited(*before: Manifest) -> World:
    """At 10 %, and then another Service is named for stable."""
    world = World(a_deployment("old"), a_deployment("new"), a_migration(), *before)
    while world.weight_of("shop", "new") != 10:
        await passes(world, 1)
    name_stable(world, "older")
    return world


def name_stable(world: World, service: str, port: int = 80) -> None:
    world.cluster.patch(MIGRATION, {"spec": {"stable": {"service": {"name": service, "port": port}}}})


def unreadable_services(verb: str, kind: str, name: str) -> None:
    if (verb, kind) == ("get", "Service"):
        raise Unavailable("GET: 503")


def backends(world: World) -> list[tuple[str, int, int]]:
    """Service, port and weight."""
    [rule] = (world.cluster.peek(ROUTE) or {})["spec"]["rules"]
    return [(one["name"], one["port"], one.get("weight", 1)) for one in rule["backendRefs"]]


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
    world.cluster.fault = unreadable_services
    said = await passes(world, 2)
    assert split(world) == {"old": 90, "new": 10} and "could not be read" in said["message"]
    world.cluster.fault = lambda *_: None
    await passes(world, 1)
    assert split(world) == {"older": 100, "new": 0}


async def test_meanwhile_the_backends_of_before_are_watched_and_no_weight_rises() -> None:
    world = await edited(a_service("old"))
    said = await passes(world, 200)  # many times what the step needs
    assert split(world) == {"old": 90, "new": 10} and "there is no Service older" in said["message"]
    world.metrics.behaviours["new"] = Behaviour(error_share=0.5)
    await passes(world, 5)
    assert split(world) == {"old": 100, "new": 0}


@pytest.mark.parametrize("pods", [None, 0, 2], ids=["no Deployment", "scaled to nothing", "none is ready"])
@pytest.mark.parametrize("how", ["harm", "abort", "deleted"])
async def test_so_they_are_while_the_other_service_has_no_pods_that_answer(pods: int | None, how: str) -> None:
    """A Service is there at once, its pods later, or never."""
    world = await edited(a_service("old"), a_service("older"))
    world.cluster.patch(MIGRATION, {"spec": {"stable": {"workload": {"name": "older"}}}})
    if pods is not None:
        world.broken.add("older")
        world.cluster.put(a_deployment("older", replicas=pods))
    said = await passes(world, 100)
    assert (split(world), said["reason"]) == ({"old": 90, "new": 10}, "WaitingForWorkloads")
    if how == "harm":
        world.metrics.behaviours["new"] = Behaviour(error_share=0.5)
    elif how == "abort":
        ask(world, "abort")
    else:
        world.cluster.discard(MIGRATION)
    await passes(world, 5)
    assert split(world) == {"old": 100, "new": 0}


async def at_another_port() -> World:
    """At 10 %, and then a port of stable's Service is named that it does not have."""
    world = await edited(a_service("old"))
    name_stable(world, "old", 8080)
    return world


async def test_a_port_that_its_service_does_not_have_gets_no_traffic() -> None:
    world = await at_another_port()
    said = await passes(world, 200)
    assert backends(world) == [("old", 80, 90), ("new", 80, 10)]
    assert (said["reason"], "Service old has no port 8080, but 80" in said["message"]) == ("WaitingForWorkloads", True)
    world.metrics.behaviours["new"] = Behaviour(error_share=0.5)
    await passes(world, 5)
    assert backends(world) == [("old", 80, 100), ("new", 80, 0)]


async def test_deleted_with_such_a_port_it_gives_its_traffic_to_the_port_of_before() -> None:
    world = await at_another_port()
    await passes(world, 2)
    world.cluster.discard(MIGRATION)
    await passes(world, 3)
    assert (backends(world), world.cluster.peek(MIGRATION)) == ([("old", 80, 100), ("new", 80, 0)], None)


@pytest.mark.parametrize(("service", "port"), [("oldd", 80), ("old", 8080)])
async def test_a_live_route_that_is_handed_over_is_not_sent_to_what_is_not_there(service: str, port: int) -> None:
    stable = a_backend("old")
    stable["service"] = {"name": service, "port": port}
    world = World(a_deployment("old"), a_deployment("new"), a_service("old"), a_migration(stable=stable))
    route = an_adopted_route("old")
    route["metadata"]["annotations"] = {names.ANNOTATION_HAND_OVER: "shop"}
    world.cluster.put(route)
    said = await passes(world, 5)
    assert backends(world) == [("old", 80, 100)] and service in said["message"]
    name_stable(world, "old")
    await passes(world, 1)
    assert backends(world) == [("old", 80, 100), ("new", 80, 0)]


@pytest.mark.parametrize("when", [1, 40])
async def test_without_a_mark_a_rollback_writes_nothing_to_what_is_not_there(when: int) -> None:
    """In its course or long after: what was meant for the backends of before is not written to those of the edit."""
    world = await edited(a_service("old"))
    world.metrics.behaviours["new"] = Behaviour(error_share=0.5)
    while split(world) != {"old": 100, "new": 0}:
        await passes(world, 1)
    await passes(world, when)
    world.cluster.patch(ROUTE, {"metadata": {"annotations": {names.ANNOTATION_MARK: None}}})
    said = await passes(world, 10)
    assert split(world) == {"old": 100, "new": 0} and "there is no Service older" in said["message"]
    name_stable(world, "old")
    await passes(world, 1)
    assert set(split(world)) == {"old", "new"}


async def test_mended_it_goes_on_where_it_was() -> None:
    world = await edited(a_service("old"))
    await passes(world, 5)
    name_stable(world, "old")
    lowest = 100
    while (weight := world.weight_of("shop", "new")) in (0, 10):
        lowest = min(lowest, weight)
        await passes(world, 1)
    assert lowest == 10


async def test_deleted_it_gives_its_traffic_to_the_stable_of_before() -> None:
    world = await edited(a_service("old"))
    await passes(world, 2)
    world.cluster.discard(MIGRATION)
    await passes(world, 3)
    assert (split(world), world.cluster.peek(MIGRATION)) == ({"old": 100, "new": 0}, None)


async def test_deleted_while_the_service_cannot_be_read_it_waits() -> None:
    world = await edited()
    world.cluster.discard(MIGRATION)
    world.cluster.fault = unreadable_services
    await passes(world, 3)
    assert split(world) == {"old": 90, "new": 10} and world.cluster.peek(MIGRATION)


async def test_deleted_with_no_stable_that_is_there_the_weights_are_left() -> None:
    world = await edited()
    world.cluster.discard(MIGRATION)
    await passes(world, 3)
    assert (split(world), world.cluster.peek(MIGRATION)) == ({"old": 90, "new": 10}, None)


async def test_an_adopted_route_without_the_backends_of_an_edit_is_watched_with_those_of_before() -> None:
    world = World(a_deployment("old"), a_deployment("new"), a_service("old"), a_service("older"))
    world.cluster.put(an_adopted_route("old", "new"))
    gateway = {"mode": "Adopted", "route": {"name": "shop"}}
    world.cluster.put(a_migration(traffic={"gatewayAPI": gateway}))
    while world.weight_of("shop", "new") != 10:
        await passes(world, 1)
    name_stable(world, "older")
    said = await passes(world, 100)
    assert split(world) == {"old": 90, "new": 10} and "older:80" in said["message"]
    world.metrics.behaviours["new"] = Behaviour(error_share=0.5)
    await passes(world, 5)
    assert split(world) == {"old": 100, "new": 0}


def ask(world: World, verb: str) -> None:
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {f"{names.ANNOTATION_REQUESTED}{verb}": "now"}}})


def answers(world: World) -> list[tuple[str, str]]:
    status = (world.cluster.peek(MIGRATION) or {})["status"]
    return [(one["verb"], one["result"]) for one in status.get("requests", [])]


@pytest.mark.parametrize("verb", ["pause", "abort"])
async def test_nor_by_a_persons_word(verb: str) -> None:
    """The Service is there, and none of its pods is ready."""
    world = await edited()
    ask(world, verb)
    await passes(world, 3)
    assert (split(world), answers(world)) == ({"old": 90, "new": 10}, [])
    world.cluster.put(a_service("older"))
    world.cluster.patch(MIGRATION, {"spec": {"stable": {"workload": {"name": "older"}}}})
    world.broken.add("older")
    world.cluster.put(a_deployment("older"))
    await passes(world, 3)
    assert (split(world), answers(world)) == ({"old": 90, "new": 10}, [])
    world.broken.clear()
    await passes(world, 3)
    assert (split(world), answers(world)) == ({"older": 100, "new": 0}, [(verb, "Accepted")])


@pytest.mark.parametrize("verb", ["pause", "abort"])
async def test_a_route_that_cannot_carry_the_weights_is_not_tried_five_times_a_second(verb: str) -> None:
    gateway = {"mode": "Adopted", "route": {"name": "shop"}}
    world = World(a_deployment("old"), a_deployment("new"), a_migration(traffic={"gatewayAPI": gateway}))
    await passes(world, 2)
    ask(world, verb)
    after = await reconcile_migration(MIGRATION, world.dependencies())
    assert after is not None and after >= 1
    assert ((await passes(world, 1))["reason"], answers(world)) == ("RouteUnfit", [])
    world.cluster.put(an_adopted_route("old", "new"))
    await passes(world, 2)
    assert answers(world) == [(verb, "Accepted")]
