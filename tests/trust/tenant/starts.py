"""States that stand still: where a spec is changed by mistake, and changed back."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from changeover.core.plan import Manifest, Ref
from changeover.testing.builders import NAMESPACE, a_benchmark, a_deployment, a_migration
from changeover.testing.world import World

from tests.trust.tenant.bystanders import RANKED
from tests.trust.tenant.leaves import REPOSITORY
from tests.trust.tenant.nonsense import RECONCILE

SAMPLES = REPOSITORY / "tests" / "apiserver" / "samples"
ROUTE = Ref("HTTPRoute", NAMESPACE, "shop")
ARMS: dict[str, Any] = {
    name: {"service": {"name": service, "port": 80}, "workload": {"name": service}}
    for name, service in (("stable", "old"), ("canary", "new"))
}
PASSES_AT_START, PASSES_AFTER, PASSES_BACK = 8, 6, 10  # enough to have a benchmark under load
TICK = 1.0  # seconds a pass: too few for anything to be decided


@dataclass(frozen=True)
class Start:
    """A spec and the world in which it stands still."""

    name: str
    ref: Ref
    spec: dict[str, Any]
    world: World

    def again(self) -> World:
        """A world of its own."""
        return copy.deepcopy(self.world)


async def run(world: World, ref: Ref, passes: int) -> None:
    """Some passes, a second apart."""
    for _ in range(passes):
        await RECONCILE[ref.kind](ref, world.dependencies())
        world.advance(TICK)


def put_spec(world: World, ref: Ref, spec: dict[str, Any]) -> None:
    """Change the spec as a person does. Raises InvalidSpec where the schema refuses it."""
    body = world.cluster.peek(ref)
    assert body is not None
    world.cluster.put({**body, "spec": spec})


def aspect(world: World, ref: Ref) -> dict[str, Any]:
    """What counts of a state: conditions, weights, and what there is; not times, generations and kept records."""
    body: Any = world.cluster.peek(ref) or {"metadata": {}}
    conditions = (body.get("status") or {}).get("conditions") or []
    objects = {
        (kind, found["metadata"]["name"])
        for kind in ("Deployment", "Service", "Job", "HTTPRoute")
        for found in world.cluster.all(kind)
        if not found["metadata"].get("deletionTimestamp")
    }
    return {
        "conditions": [(c["type"], c["status"], c["reason"]) for c in conditions],
        "weight": world.weight_of("shop", "new") or 0,
        "objects": objects,
        "finalizers": body["metadata"].get("finalizers"),
    }


def reason(world: World, ref: Ref) -> str:
    """The reason of the condition Ready; empty when there is none."""
    body: Any = world.cluster.peek(ref) or {}
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((c["reason"] for c in conditions if c["type"] == "Ready"), "")


async def starts() -> list[Start]:
    """Two kinds, and of each what its unions may hold."""
    return [await _start(*one) for one in _all()]


def _all() -> Iterator[tuple[str, Manifest, bool]]:
    """Name, object, and whether the gateway's counters are there."""
    full = yaml.safe_load((SAMPLES / "migration-full.yaml").read_text())["spec"]
    chosen = {**full["canary"], "benchmark": {**full["canary"]["benchmark"], "ref": {"name": "published"}}}
    chosen["benchmark"]["candidate"] = "quick"
    common = {"suspend": False, "stable": ARMS["stable"], "metrics": {"source": "default", "requests": "Traefik"}}
    workload = {"type": "Workload", "workload": ARMS["canary"]}
    yield "a migration to a workload", a_migration(**{**full, **common, "canary": workload}), False
    yield "a migration to a benchmark's winner", a_migration(**{**full, **common, "canary": chosen}), False
    yield "a migration on its first step", a_migration(), True
    bench = yaml.safe_load((SAMPLES / "benchmark-full.yaml").read_text())["spec"]
    bench |= {"suspend": False, "metrics": {**bench["metrics"], "source": "default"}, "ttlAfterFinished": "24h"}
    bench["load"] = {"driver": "Auto", "instances": 1}
    slow = {**bench["schedule"], "measure": "45s", "aaProbe": False}
    yield "a benchmark", a_benchmark(**bench), True
    ramp = {"name": "ramp", "type": "Ramp", "ramp": {"startRequestsPerSecond": 500, "factor": "1.5", "maxSteps": 4}}
    opened = {"name": "at-2000-rps", "type": "Open", "open": {"requestsPerSecond": 2000, "connections": 36}}
    yield "a benchmark with a ramp", a_benchmark(scenarios=[ramp], schedule=slow), True
    yield "a benchmark at a rate", a_benchmark(scenarios=[opened], schedule=slow), True
    copies = [{"name": name, "templateFrom": {"deploymentRef": {"name": name}}} for name in ("old", "new")]
    yield "a benchmark of copies", a_benchmark(candidates=copies, schedule=slow), True


async def _start(name: str, body: Manifest, counted: bool) -> Start:
    candidates = [{"name": one, "image": f"localhost/{one}:1"} for one in ("quick", "slow")]
    winner = {**a_benchmark("published", candidates=candidates), "status": RANKED}
    world = World(body, winner, a_deployment("old"), a_deployment("new"))
    ref = Ref(body["kind"], NAMESPACE, body["metadata"]["name"])
    world.metrics.mode = "good" if counted else "none"
    await run(world, ref, PASSES_AT_START)
    return Start(name, ref, body["spec"], world)
