"""A migration is judged by the pods of its own Deployments, however their selectors are written."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core.errors import Unavailable
from changeover.core.plan import Manifest, Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.reconcilers.workloads import read_workload
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
SELECTORS = ("labels", "labels and expressions", "expressions only")


def a_track(name: str, by: str) -> Manifest:
    """One Deployment of an app that has several, told apart by the label ``track``."""
    own = {"key": "track", "operator": "In", "values": [name]}
    selector: dict[str, Any] = {
        "labels": {"matchLabels": {"app": "shop", "track": name}},
        "labels and expressions": {"matchLabels": {"app": "shop"}, "matchExpressions": [own]},
        "expressions only": {"matchExpressions": [own]},
    }[by]
    found = a_deployment(name)
    found["spec"]["template"]["metadata"]["labels"] = {"app": "shop", "track": name}
    found["spec"]["selector"] = selector
    return found


async def passes(world: World, number: int) -> None:
    for _ in range(number):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(5)


async def at_ten_percent(by: str) -> World:
    world = World(*(a_track(name, by) for name in ("old", "new", "neighbour")), a_migration())
    while world.weight_of("shop", "new") != 10:
        await passes(world, 1)
    return world


@pytest.mark.parametrize("by", SELECTORS)
async def test_a_canary_without_a_ready_pod_goes_back_whatever_stands_beside_it(by: str) -> None:
    world = await at_ten_percent(by)
    world.broken.add("new")
    world.tick()
    await passes(world, 4)
    assert world.weight_of("shop", "new") == 0


@pytest.mark.parametrize("by", SELECTORS)
async def test_a_neighbours_crash_is_no_matter_of_the_canarys(by: str) -> None:
    world = await at_ten_percent(by)
    world.crashed["neighbour"] = world.clock.now()
    world.tick()
    await passes(world, 4)
    assert world.weight_of("shop", "new") == 10


async def test_a_selector_of_no_words_is_never_taken_for_all_pods() -> None:
    deployment = a_deployment("new")
    deployment["spec"]["selector"] = {}
    world = World(a_deployment("old"), deployment)
    with pytest.raises(Unavailable, match=r"Deployment shop/new's.*name its own pods with matchLabels"):
        await read_workload(world.cluster, NAMESPACE, "new")
