"""A benchmark that is edited and measures anew while a migration has its canary from it."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core.plan import Ref
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_benchmark, a_deployment, a_migration
from changeover.testing.world import World

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
BENCHMARK = Ref("FrameworkBenchmark", NAMESPACE, "web")
CANARY = Ref("Deployment", NAMESPACE, "shop-canary")
BEFORE: dict[str, Any] = {"pool": "1", "memory": "64Mi", "digest": "a"}
EDITS = [{**BEFORE, "pool": "64", "memory": "512Mi"}, {**BEFORE, "digest": "b"}]


def candidates(pool: str, memory: str, digest: str) -> list[dict[str, Any]]:
    amounts = {"cpu": "500m", "memory": memory}
    return [
        {
            "name": name, "image": f"localhost/{name}@sha256:{digest * 64}", "env": [{"name": "POOL", "value": pool}],
            "resources": {"requests": amounts, "limits": amounts},
        }
        for name in ("fast", "lame")
    ]  # fmt: skip


def there(world: World, ref: Ref) -> dict[str, Any]:
    found = world.cluster.peek(ref)
    assert found is not None
    return found


def condition(world: World, ref: Ref, kind: str) -> dict[str, Any]:
    [found] = [one for one in there(world, ref)["status"]["conditions"] if one["type"] == kind]
    assert isinstance(found, dict)
    return found


async def published(world: World) -> None:
    for _ in range(500):
        await reconcile_benchmark(BENCHMARK, world.dependencies())
        world.advance(2.0)
        ready = condition(world, BENCHMARK, "Ready")
        if (ready["reason"], ready["observedGeneration"]) == (
            "Published",
            there(world, BENCHMARK)["metadata"]["generation"],
        ):
            return
    raise AssertionError("the benchmark published nothing")


async def a_world() -> World:
    """With a benchmark that has published, and a migration that takes its winner."""
    canary = {"type": "Benchmark", "benchmark": {"ref": {"name": "web"}, "replicas": 2}}
    world = World(a_benchmark(candidates=candidates(**BEFORE)), a_deployment("old"), a_migration(canary=canary))
    world.speeds = {"fast": 2000, "lame": 1000}
    await published(world)
    return world


async def measured_anew(world: World, edit: dict[str, Any]) -> None:
    world.cluster.patch(BENCHMARK, {"spec": {"candidates": candidates(**edit)}})
    await published(world)


async def passes(world: World, number: int) -> None:
    for _ in range(number):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(5.0)


def ask(world: World, verb: str) -> None:
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {f"changeover.dev/requested-{verb}": "now"}}})


def runs(world: World) -> dict[str, Any]:
    """As what the canary runs."""
    [container] = there(world, CANARY)["spec"]["template"]["spec"]["containers"]
    digest = container["image"][-1]
    return {
        "pool": container["env"][0]["value"], "memory": container["resources"]["limits"]["memory"], "digest": digest,
    }  # fmt: skip


def weight(world: World) -> int:
    return world.weight_of("shop", CANARY.name) or 0


@pytest.mark.parametrize("edit", EDITS, ids=["environment and memory", "image"])
async def test_before_the_first_weight_the_canary_is_made_anew(edit: dict[str, Any]) -> None:
    world = await a_world()
    world.accepts = False
    await passes(world, 12)
    assert (runs(world), weight(world)) == (BEFORE, 0)
    await measured_anew(world, edit)
    world.accepts = True
    for _ in range(60):
        await passes(world, 1)
        if weight(world):
            break
    assert (runs(world), weight(world)) == (edit, 10)


@pytest.mark.parametrize("edit", EDITS, ids=["environment and memory", "image"])
async def test_one_that_carries_traffic_waits_for_a_person_and_the_mend_that_is_named_mends_it(
    edit: dict[str, Any],
) -> None:
    world = await a_world()
    while not weight(world):
        await passes(world, 1)
    await measured_anew(world, edit)
    await passes(world, 30)
    stalled = condition(world, MIGRATION, "Stalled")
    assert (runs(world), weight(world), stalled["status"]) == (BEFORE, 10, "True")
    assert "measured anew since this canary was made" in stalled["message"]
    assert "abort and retry the migration" in stalled["message"]
    ask(world, "abort")
    await passes(world, 12)
    assert weight(world) == 0
    ask(world, "retry")
    for _ in range(60):
        await passes(world, 1)
        if weight(world):
            break
    assert (runs(world), weight(world)) == (edit, 10)


async def test_its_owner_may_scale_it_and_a_benchmark_measured_again_as_it_was_changes_nothing() -> None:
    world = await a_world()
    world.accepts = False
    await passes(world, 12)
    world.cluster.patch(CANARY, {"spec": {"replicas": 3}})
    made = there(world, CANARY)["metadata"]["uid"]
    world.cluster.patch(BENCHMARK, {"metadata": {"annotations": {"changeover.dev/requested-retry": "again"}}})
    await published(world)
    world.accepts = True
    await passes(world, 12)
    kept = there(world, CANARY)
    assert (kept["metadata"]["uid"], kept["spec"]["replicas"]) == (made, 3)
    assert weight(world) == 10
