"""A migration that changes while a pass looks at the world, or cannot be asked: no weight rises on what it said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from changeover.core import names
from changeover.core.errors import Unavailable
from changeover.core.plan import Ref
from changeover.reconcilers.execute import CHANGED_RETRY_SECONDS, RETRY_SECONDS
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
ROUTE = Ref("HTTPRoute", NAMESPACE, "shop")


async def one_pass(world: World) -> float | None:
    return await reconcile_migration(MIGRATION, world.dependencies())


async def before_the_rise_to(weight: int, build: str = "") -> World:
    """A world in which the next pass raises the weight: found by a twin that goes one pass further."""
    world, passes = World(a_deployment("old"), a_deployment("new"), a_migration()), 0
    while world.weight_of("shop", "new") != weight:
        await _later_pass(world, build)
        passes += 1
        assert passes < 500, f"it never comes to {weight} %"
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    for _ in range(passes - 1):
        await _later_pass(world, build)
    return world


async def _later_pass(world: World, build: str) -> None:
    made_of(world, build)
    await one_pass(world)
    world.advance(30)


def made_of(world: World, build: str) -> None:
    """The canary's pods have the label that the Deployment controller gives those of one template."""
    for pod in [one for one in world.cluster.all("Pod") if one["metadata"]["name"].startswith("new-")]:
        labels = {"pod-template-hash": build} if build else {}
        world.cluster.patch(Ref("Pod", NAMESPACE, pod["metadata"]["name"]), {"metadata": {"labels": labels}})


def while_it_looks(world: World, do: Callable[[], object]) -> None:
    """Once, when the pass has read the migration and looks at the pods."""
    done = list[str]()

    def meanwhile(verb: str, kind: str, name: str) -> None:
        if kind == "Pod" and not done:
            done.append(verb)
            do()

    world.cluster.fault = meanwhile


CHANGES: dict[str, dict[str, Any]] = {
    "suspended": {"spec": {"suspend": True}},
    "edited": {"spec": {"steps": [{"weightPercent": 5}, {"weightPercent": 100}]}},
    "aborted": {"metadata": {"annotations": {f"{names.ANNOTATION_REQUESTED}abort": "1"}}},
    "paused": {"metadata": {"annotations": {f"{names.ANNOTATION_REQUESTED}pause": "1"}}},
}


@pytest.mark.parametrize("weight", [10, 100])
@pytest.mark.parametrize("change", CHANGES)
async def test_a_rise_that_was_decided_on_what_it_said_before_is_not_written(change: str, weight: int) -> None:
    world = await before_the_rise_to(weight)
    before = world.weight_of("shop", "new")
    while_it_looks(world, lambda: world.cluster.patch(MIGRATION, CHANGES[change]))
    assert await one_pass(world) == CHANGED_RETRY_SECONDS
    assert world.weight_of("shop", "new") == before < weight


def made_anew_by_force(world: World) -> None:
    """Deleted, its finalizer taken off by somebody else, and made anew: the route still has its mark."""
    world.cluster.discard(MIGRATION)
    world.cluster.patch(MIGRATION, {"metadata": {"finalizers": []}})
    world.cluster.put(a_migration())


async def test_who_is_made_anew_while_the_route_has_a_mark_goes_on_at_its_weight() -> None:
    world = await before_the_rise_to(100)
    made_anew_by_force(world)
    weights = []
    for _ in range(5):
        await one_pass(world)
        world.advance(30)
        weights.append(world.weight_of("shop", "new"))
    assert weights[0] == 50 and weights[-1] == 100 and 0 not in weights


async def test_who_is_made_anew_and_whose_route_was_deleted_starts_over() -> None:
    world = await before_the_rise_to(100)
    made_anew_by_force(world)
    world.cluster.discard(ROUTE)
    for _ in range(2):
        await one_pass(world)
    assert world.weight_of("shop", "new") == 0


async def test_an_old_view_of_one_that_was_deleted_and_made_anew_gives_no_route_away() -> None:
    """As an API server that lags behind would show it: the old one on its way out, beside the route of the new one."""
    world = await before_the_rise_to(100)
    world.cluster.discard(MIGRATION)
    old = world.cluster.peek(MIGRATION)
    assert old is not None and old["metadata"]["deletionTimestamp"]
    route = world.cluster.peek(ROUTE)

    def is_made_anew(verb: str, kind: str, name: str) -> None:
        if kind == "HTTPRoute":
            world.cluster.fault = lambda *_: None
            made_anew_by_force(world)
            world.cluster.patch(MIGRATION, {"metadata": {"finalizers": [names.FINALIZER]}})

    world.cluster.fault = is_made_anew
    await one_pass(world)
    found = world.cluster.peek(MIGRATION)
    assert found is not None and found["metadata"]["uid"] != old["metadata"]["uid"]
    assert world.cluster.peek(ROUTE) == route


def refuses_to_write_migrations(verb: str, kind: str, name: str) -> None:
    if verb == "merge" and kind == "CanaryMigration":
        raise Unavailable("somebody's webhook is down")


async def test_a_migration_that_cannot_be_asked_does_not_rise() -> None:
    world = await before_the_rise_to(100)
    before = world.weight_of("shop", "new")
    world.cluster.fault = refuses_to_write_migrations
    assert await one_pass(world) == RETRY_SECONDS
    assert world.weight_of("shop", "new") == before
    assert "webhook is down" in (world.cluster.peek(MIGRATION) or {})["status"]["conditions"][0]["message"]


async def test_a_deletion_takes_the_traffic_to_stable_though_the_migration_cannot_be_asked() -> None:
    world = await before_the_rise_to(100)
    assert world.weight_of("shop", "new") == 50
    world.cluster.discard(MIGRATION)
    world.cluster.fault = refuses_to_write_migrations
    assert await one_pass(world) == RETRY_SECONDS
    assert world.weight_of("shop", "new") == 0
    assert world.cluster.peek(MIGRATION) is not None
    world.cluster.fault = lambda *_: None
    await one_pass(world)
    assert world.cluster.peek(MIGRATION) is None


async def test_a_build_that_comes_mid_step_begins_its_evidence_anew() -> None:
    """The Deployment is given another image while all is waited for: what the pods of before showed raises nothing."""
    world = await before_the_rise_to(100, build="first")
    assert requests_of(world) > 1000
    made_of(world, "second")
    await one_pass(world)
    assert (world.weight_of("shop", "new"), requests_of(world)) == (50, 0)


async def test_what_was_counted_while_nobody_looked_is_no_evidence_of_a_build_that_came_meanwhile() -> None:
    """50 minutes away, or suspended, and the pods are others: of blocks so old nobody knows whose they are."""
    world = await before_the_rise_to(100, build="first")
    world.advance(50 * 60)
    made_of(world, "second")
    for _ in range(60):
        await one_pass(world)
        world.advance(2)
        made_of(world, "second")
    assert world.weight_of("shop", "new") == 50


def requests_of(world: World) -> int:
    return int((world.cluster.peek(MIGRATION) or {})["status"]["objectives"][0]["requests"])
