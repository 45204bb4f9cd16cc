"""Gates that take their time: what one has said counts from when it said it, however long the others take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from changeover.core.errors import Unavailable
from changeover.core.plan import Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World

from tests.unit.crash.scenarios import with_hooks

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
GATE = {"at": "BeforeStep", "secretRef": {"name": "hooks"}, "timeout": "5s"}
BOARD = {**GATE, "name": "board", "onFailure": "Rollback"}
OTHERS = [{**GATE, "name": name} for name in ("first", "second", "third")]


def a_world(*gates: Any) -> World:
    return with_hooks(World(a_deployment("old"), a_deployment("new"), a_migration(gates=list(gates))))


async def looks(world: World, number: int) -> list[float | None]:
    after = []
    for _ in range(number):
        after.append(await reconcile_migration(MIGRATION, world.dependencies()))
        world.advance(max(after[-1] or 0.0, 0.05))
    return after


def answers(world: World, monkeypatch: pytest.MonkeyPatch, said: Mapping[str, int]) -> list[str]:
    """From now on these gates answer so, at once; the others not within their time. Who was asked."""
    asked: list[str] = []

    async def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        gate = json.loads(body)["data"]["gate"]
        asked.append(gate)
        if gate in said:
            return said[gate]
        world.advance(seconds)
        raise Unavailable("TimeoutError")

    monkeypatch.setattr(world.outgoing, "post", post)
    return asked


@pytest.mark.parametrize("order", [1, -1])
async def test_a_no_that_rolls_back_does_so_while_others_do_not_answer(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world(*[BOARD, *OTHERS][::order])
    while world.weight_of("shop", "new") != 10:
        await looks(world, 1)
    asked = answers(world, monkeypatch, {"board": 403})
    while "board" not in asked:
        await looks(world, 1)
    await looks(world, 2)
    assert world.weight_of("shop", "new") == 0


async def test_who_does_not_answer_is_left_alone_for_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_world(*OTHERS)
    while world.weight_of("shop", "new") != 10:
        await looks(world, 1)
    asked = answers(world, monkeypatch, {})
    while not asked:
        await looks(world, 1)
    before = len(asked)
    for _ in range(3):
        await looks(world, 1)
    assert len(asked) == before, "asked again in the next look, which harm waits for"
