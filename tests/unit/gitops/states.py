"""A migration or benchmark in every state, as the operator leaves it: what GitOps tools have to read rightly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from changeover.core.plan import Ref
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World

from tests.unit.cli.fake import BENCHMARK, MIGRATION, STEPS, a_world, benchmark_world, go_on

WORKING, DONE, FAILED = "working", "done", "failed"


@dataclass(frozen=True)
class State:
    """A state: what it is to a machine, and whether a person is what it waits for."""

    make: Callable[[], World]
    means: str
    ref: Ref = MIGRATION
    waits_for_a_person: bool = False

    def body(self) -> dict[str, Any]:
        """The object as the API server has it."""
        found = self.make().cluster.peek(self.ref)
        assert found is not None
        return found


def _after(passes: int, **spec: Any) -> World:
    world = a_world(**spec)
    go_on(world, passes)
    return world


def _bad() -> World:
    world = a_world()
    world.metrics.behaviours["new"] = Behaviour(error_share=0.9)
    go_on(world, 20)
    return world


def _asked(verb: str) -> World:
    world = _after(8)
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {f"changeover.dev/requested-{verb}": "x"}}})
    go_on(world, 2)
    return world


def _edited() -> World:
    """Promoted, and the spec changed a moment ago: what status says is of the spec before."""
    world = _after(60)
    world.cluster.patch(MIGRATION, {"spec": {"drain": {"timeout": "1h"}}})
    return world


def _contested() -> World:
    world = _after(8)
    for _ in range(8):
        rules = (world.cluster.peek(Ref("HTTPRoute", "shop", "shop")) or {})["spec"]["rules"]
        for backend, weight in zip(rules[0]["backendRefs"], (63, 37), strict=True):
            backend["weight"] = weight
        world.cluster.patch(Ref("HTTPRoute", "shop", "shop"), {"spec": {"rules": rules}})
        go_on(world, 1, seconds=2.0)
    return world


def _benchmark(passes: int, failing: bool = False) -> World:
    world = benchmark_world()
    if failing:
        world.failing_jobs |= {"fast", "lame"}
    go_on(world, passes, BENCHMARK, 9.0)
    return world


MANUAL = [{**step, "approval": "Manual"} for step in STEPS]
STATES = {
    "new": State(a_world, WORKING),
    "preparing": State(lambda: _after(1), WORKING),
    "on a step": State(lambda: _after(8), WORKING),
    "waiting for approval": State(lambda: _after(8, steps=MANUAL), WORKING, waits_for_a_person=True),
    "paused": State(lambda: _asked("pause"), WORKING, waits_for_a_person=True),
    "suspended": State(lambda: _after(8, suspend=True), WORKING, waits_for_a_person=True),
    "promoted": State(lambda: _after(60), DONE),
    "promoted, and edited": State(_edited, WORKING),
    "rolled back": State(_bad, FAILED),
    "aborted": State(lambda: _asked("abort"), FAILED),
    "contested": State(_contested, FAILED),
    "an invalid spec": State(lambda: _after(2, metrics={"source": "unknown"}), FAILED),
    "a benchmark, new": State(benchmark_world, WORKING, BENCHMARK),
    "a benchmark under way": State(lambda: _benchmark(4), WORKING, BENCHMARK),
    "a benchmark, published": State(lambda: _benchmark(60), DONE, BENCHMARK),
    "a benchmark without a result": State(lambda: _benchmark(120, failing=True), FAILED, BENCHMARK),
}
