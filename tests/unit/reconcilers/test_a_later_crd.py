"""A CRD that is newer than the operator takes fields that this one does not know: what is under way is watched."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.v1alpha1 import MigrationSpec
from changeover.core.plan import Manifest, Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.reconcilers.spec import understood
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World
from pydantic import ValidationError

from tests.unit.reconcilers.served import served_with

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
SPEC: Manifest = a_migration()["spec"]


async def passes(world: World, number: int) -> dict[str, Any]:
    """The condition Ready after so many passes."""
    for _ in range(number):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(5)
    conditions = (world.cluster.peek(MIGRATION) or {}).get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Ready"), {})


def of_a_later_release(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """From now on the migration has a field more, as the API server has it."""
    return served_with(world, MIGRATION, monkeypatch, mirror=True)


@pytest.fixture
async def under_way(monkeypatch: pytest.MonkeyPatch) -> World:
    """At 10 %, and then the field comes."""
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    while world.weight_of("shop", "new") != 10:
        await passes(world, 1)
    return of_a_later_release(world, monkeypatch)


async def test_no_weight_rises_and_the_field_is_named(under_way: World) -> None:
    said = await passes(under_way, 200)
    assert (under_way.weight_of("shop", "new"), said["reason"]) == (10, "InvalidSpec")
    assert said["message"].startswith("spec.mirror: ") and "later release" in said["message"]


async def test_harm_is_taken_back(under_way: World) -> None:
    under_way.metrics.behaviours["new"] = Behaviour(error_share=0.5)
    await passes(under_way, 5)
    assert under_way.weight_of("shop", "new") == 0


async def test_a_deletion_gives_the_traffic_back(under_way: World) -> None:
    under_way.cluster.discard(MIGRATION)
    await passes(under_way, 3)
    assert (under_way.weight_of("shop", "new"), under_way.cluster.peek(MIGRATION)) == (0, None)


async def test_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    world = of_a_later_release(World(a_deployment("old"), a_deployment("new"), a_migration()), monkeypatch)
    said = await passes(world, 20)
    assert (world.cluster.peek(Ref("HTTPRoute", NAMESPACE, "shop")), said["reason"]) == (None, "InvalidSpec")


def test_each_unknown_field_is_left_out_and_named_wherever_it_is() -> None:
    steps = [SPEC["steps"][0], {**SPEC["steps"][1], "canaryOnly": True}, SPEC["steps"][2]]
    spec, why = understood(MigrationSpec, {**SPEC, "steps": steps, "mirror": {"percent": 1}})
    assert spec == MigrationSpec.model_validate(SPEC)
    assert "spec.steps.1.canaryOnly: " in why and "spec.mirror: " in why


def test_what_is_known_is_taken_whole_and_what_is_wrong_is_refused() -> None:
    assert understood(MigrationSpec, SPEC) == (MigrationSpec.model_validate(SPEC), "")
    with pytest.raises(ValidationError, match="weightPercent"):
        understood(MigrationSpec, {**SPEC, "mirror": True, "steps": [{"weightPercent": "ten"}]})
