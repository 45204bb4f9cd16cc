"""Run a scenario to its end; then again, killed at each write, restarted with nothing but the cluster's state."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from changeover.core.plan import Ref
from changeover.ports import Dependencies
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.crashes import Crash, CrashingCluster
from changeover.testing.world import World

from tests.unit.crash.guard import Guard, mark_of

RECONCILERS: dict[str, Callable[[Ref, Dependencies], Awaitable[float | None]]] = {
    "CanaryMigration": reconcile_migration,
    "FrameworkBenchmark": reconcile_benchmark,
}
MOST_PASSES = 250


@dataclass(frozen=True)
class Scenario:
    """A world, who is reconciled, what others do (decided by the state alone), and when it is over."""

    make: Callable[[], World]
    ref: Ref
    is_over: Callable[[World], bool]
    meddle: Callable[[World], None] = lambda world: None
    seconds: float = 30.0  # between passes
    stride: int = 1  # of the writes that it is killed at; a long story says the same with fewer of them


@dataclass
class Reference:
    """The uninterrupted run: its end, and the world at the start of each pass with the writes before it."""

    end: dict[str, Any]
    starts: list[tuple[int, World]]
    writes: int
    good: set[str] = field(default_factory=set)  # states from which the end was reached


async def one_pass(scenario: Scenario, world: World, at: int | None = None, after: bool = False) -> int:
    """One pass of a fresh process; returns its writes."""
    cluster = CrashingCluster(world.cluster, at, after)
    await RECONCILERS[scenario.ref.kind](scenario.ref, world.dependencies(cluster))
    return cluster.calls


async def run_reference(scenario: Scenario) -> Reference:
    world = scenario.make()
    Guard(world)
    starts, writes, good = [], 0, set()
    for _ in range(MOST_PASSES):
        starts.append((writes, copy.deepcopy(world)))
        good.add(fingerprint(world))
        writes += await one_pass(scenario, world)
        if scenario.is_over(world):
            # Once over, a pass has nothing left to write.
            await settle(scenario, world)
            return Reference(end_state(world), starts, writes, good)
        _go_on(scenario, world)
    raise AssertionError(f"not over after {MOST_PASSES} passes: {end_state(world)}")


async def settle(scenario: Scenario, world: World) -> None:
    """The pass after the end may tidy up; the one after that writes nothing."""
    for _ in range(3):
        _go_on(scenario, world)
        writes = await one_pass(scenario, world)
    assert writes == 0, f"a pass after the end still writes: {end_state(world)}"


def _go_on(scenario: Scenario, world: World) -> None:
    scenario.meddle(world)
    world.advance(scenario.seconds)


async def replay(scenario: Scenario, reference: Reference, k: int, after: bool) -> None:
    """Killed at the k-th write; the end must be that of the reference."""
    writes, start = next(entry for entry in reversed(reference.starts) if entry[0] <= k)
    world = copy.deepcopy(start)
    try:
        await one_pass(scenario, world, k - writes, after)
    except Crash:
        pass
    else:
        raise AssertionError(f"write {k} was not reached")
    seen = []
    for _ in range(MOST_PASSES):
        seen.append(fingerprint(world))
        if seen[-1] in reference.good:
            break  # from this very state the end has been reached before
        await one_pass(scenario, world)
        if scenario.is_over(world):
            await settle(scenario, world)
            assert end_state(world) == reference.end, _difference(end_state(world), reference.end)
            break
        _go_on(scenario, world)
    else:
        raise AssertionError(f"killed at write {k}, it is not over after {MOST_PASSES} passes: {end_state(world)}")
    reference.good.update(seen)


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    return "; ".join(f"{key}: {found[key]} instead of {wanted[key]}" for key in wanted if found[key] != wanted[key])


def fingerprint(world: World) -> str:
    """Everything that the next pass can see."""
    return json.dumps(
        [str(world.clock.now()), world.metrics.mode, sorted(world.broken), str(world.splits.known), _all(world)]
    )


def _all(world: World) -> list[Any]:
    kinds = ("CanaryMigration", "FrameworkBenchmark", "ConfigMap", "Deployment", "HTTPRoute", "Job", "Pod", "Service")
    return [found for kind in kinds for found in world.cluster.all(kind)]


def end_state(world: World) -> dict[str, Any]:
    """What must be the same however often the process died; times and messages with measured numbers are left out."""
    return {
        "objects": sorted(f"{found['kind']} {found['metadata']['name']}" for found in _all(world) if _lasts(found)),
        "routes": [route_facts(found) for found in world.cluster.all("HTTPRoute")],
        "finalizers": [found["metadata"].get("finalizers", []) for found in _all(world)],
        "records": [sorted(found.get("data", {})) for found in world.cluster.all("ConfigMap")],
        "statuses": [
            status_facts(found.get("status", {})) for found in _all(world) if "changeover" in found["apiVersion"]
        ],
    }


def _condition(condition: dict[str, Any]) -> tuple[str, ...]:
    """Why something is unknown depends on how many passes there were; that it is unknown does not."""
    known = condition["status"] != "Unknown"
    return condition["type"], condition["status"], condition["reason"] if known else ""


def _lasts(found: dict[str, Any]) -> bool:
    return found["kind"] != "Pod"  # their names hold the uids of their Deployments


def route_facts(found: dict[str, Any]) -> Any:
    """What of a route must be the same."""
    mark = mark_of(found)
    kept = (
        {key: mark[key] for key in ("phase", "step", "weight", "generation", "reason", "attempt", "paused")}
        if mark
        else None
    )
    return found["metadata"].get("labels"), found["spec"], kept


def status_facts(status: dict[str, Any]) -> dict[str, Any]:
    """What of a status must be the same."""
    outcome, winner = status.get("outcome") or {}, status.get("winner") or {}
    return {
        "observedGeneration": status.get("observedGeneration"),
        "conditions": [_condition(c) for c in status.get("conditions", [])],
        "outcome": {key: outcome.get(key) for key in ("result", "generation", "attempt", "reason")},
        "history": [(entry["from"], entry["to"], entry["reason"]) for entry in status.get("history", [])],
        "step": {key: status.get("step", {}).get(key) for key in ("index", "text", "weightPercent")},
        "traffic": {key: status.get("traffic", {}).get(key) for key in ("desiredPercent", "appliedPercent")},
        "requests": [(entry["verb"], entry["token"], entry["result"]) for entry in status.get("requests", [])],
        "notifications": [(one["name"], one["event"], one["state"]) for one in status.get("notifications", [])],
        "paused": status.get("paused"),
        "attempt": status.get("attempt"),
        "winner": {key: winner.get(key) for key in ("candidate", "imageDigest", "tiedWith", "crossCheck")},
        "ranking": status.get("ranking"),
        "results": status.get("results"),
        "progress": status.get("progress", {}).get("text"),
        "report": status.get("report"),
    }
