"""Pods come and go while nobody looks: of those that were there before, no CPU is known, which is no blindness."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from changeover.core.conditions import parse_timestamp
from changeover.core.observed import NoData
from changeover.core.plan import Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World

MIGRATION, NEW = Ref("CanaryMigration", NAMESPACE, "shop"), Ref("Deployment", NAMESPACE, "new")


def as_cadvisor(world: World) -> None:
    """Nothing is known of a pod before it was there."""
    usual = world.metrics.usage

    async def usage(namespace: str, pods: Any, start: datetime, end: datetime) -> Any:
        there = {one["metadata"]["name"]: one["metadata"]["creationTimestamp"] for one in world.cluster.all("Pod")}
        if any((end - max(start, parse_timestamp(there[pod]))).total_seconds() < 10 for pod in pods):
            return NoData("fewer than two samples inside the window")
        return await usual(namespace, pods, start, end)

    world.metrics.usage = usage  # type: ignore[method-assign]


async def passes(world: World, number: int, seconds: float) -> None:
    for _ in range(number):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(seconds)


def one_moves(world: World) -> None:
    """To another node, as in an upgrade of the pool that takes the operator, too."""
    last = max(
        one["metadata"]["name"] for one in world.cluster.all("Pod") if one["metadata"]["name"].startswith("new-")
    )
    world.cluster.remove(Ref("Pod", NAMESPACE, last))


def one_more(world: World) -> None:
    """An autoscaler adds it."""
    world.cluster.patch(NEW, {"spec": {"replicas": 3}})


async def test_a_pod_that_waits_for_a_node_makes_nobody_blind() -> None:
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    as_cadvisor(world)
    while world.weight_of("shop", "new") != 10:
        await passes(world, 1, 10)
    set_state = world._set_state
    world._set_state = lambda pod, name: None if pod["metadata"]["name"].endswith("-2") else set_state(pod, name)  # type: ignore[method-assign]
    one_more(world)
    await passes(world, 40, 10)
    assert world.weight_of("shop", "new") == 10
    world._set_state = set_state  # type: ignore[method-assign]
    await passes(world, 100, 10)
    assert (world.weight_of("shop", "new") or 0) >= 50


@pytest.mark.parametrize("change", [one_moves, one_more])
@pytest.mark.parametrize("suspended", [False, True])
async def test_a_good_canary_whose_pods_changed_while_nobody_looked_goes_on(change: Any, suspended: bool) -> None:
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    as_cadvisor(world)
    while world.weight_of("shop", "new") != 10:
        await passes(world, 1, 10)
    await passes(world, 18, 10)
    world.cluster.patch(MIGRATION, {"spec": {"suspend": suspended}})
    await passes(world, 1, 600)
    change(world)
    world.advance(60)
    world.advance(60)
    world.cluster.patch(MIGRATION, {"spec": {"suspend": False}})
    for _ in range(100):
        await passes(world, 1, 10)
        if world.weight_of("shop", "new") != 10:
            break
    assert world.weight_of("shop", "new") == 50
