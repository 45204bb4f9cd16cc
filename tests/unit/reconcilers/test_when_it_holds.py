"""What docs/when-it-holds.md says to do is done, and does what it says."""

from __future__ import annotations

from typing import Any

from changeover.core import names
from changeover.core.plan import Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World

MIGRATION, ROUTE = Ref("CanaryMigration", NAMESPACE, "shop"), Ref("HTTPRoute", NAMESPACE, "shop")
OLD = Ref("Deployment", NAMESPACE, "old")


async def passes(world: World, number: int, seconds: float = 10.0) -> list[tuple[str, int]]:
    """Reason and weight after each."""
    came = []
    for _ in range(number):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(seconds)
        came.append((ready(world)["reason"], world.weight_of("shop", "new") or 0))
    return came


def ready(world: World) -> dict[str, Any]:
    conditions = (world.cluster.peek(MIGRATION) or {}).get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Ready"), {"reason": ""})


async def until(world: World, weight: int) -> None:
    for _ in range(500):
        if world.weight_of("shop", "new") == weight:
            return
        await passes(world, 1, 30.0)
    raise AssertionError(f"it never comes to {weight} %")


async def test_to_take_all_back_now_is_not_to_start_over() -> None:
    world = World(a_deployment("old", replicas=10), a_deployment("new"), a_migration())
    await until(world, 100)
    world.cluster.patch(OLD, {"spec": {"replicas": 1}})
    world.advance(20)
    world.metrics.behaviours["new"] = Behaviour(slow_share=0.5)
    while ready(world)["reason"] != "StableTooSmall":
        await passes(world, 1)
    assert "spec.rollback.ramp to Jump and spec.suspend to true in one edit" in ready(world)["message"]
    world.cluster.patch(MIGRATION, {"spec": {"rollback": {"ramp": "Jump"}, "suspend": True}})
    came = await passes(world, 60)
    assert {weight for _, weight in came} == {0} and ("RolledBack", 0) in came


async def test_what_is_contested_ends_by_an_abort_and_goes_on_by_a_retry() -> None:
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    await until(world, 10)
    while ready(world)["reason"] != "Contested":
        rules = (world.cluster.peek(ROUTE) or {})["spec"]["rules"]
        backends = [{**one, "weight": 70 if one["name"] == "old" else 30} for one in rules[0]["backendRefs"]]
        world.cluster.patch(ROUTE, {"spec": {"rules": [{**rules[0], "backendRefs": backends}]}})
        await passes(world, 1)
    for verb, reason in (("abort", "RolledBack"), ("retry", "Retried")):
        ask = {"metadata": {"annotations": {f"{names.ANNOTATION_REQUESTED}{verb}": "1"}}}
        world.cluster.patch(MIGRATION, ask)
        assert reason in {reason for reason, _ in await passes(world, 6)}, verb
    await until(world, 100)
