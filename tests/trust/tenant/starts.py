"""Where a spec is changed by mistake, and changed back: benchmarks that stand still, and migrations that climb."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import yaml
from changeover.core.plan import Manifest, Ref
from changeover.testing.builders import NAMESPACE, a_benchmark, a_deployment, a_migration
from changeover.testing.cluster import ref_of
from changeover.testing.world import World, weights

from tests.trust.tenant.bystanders import RANKED
from tests.trust.tenant.climb import Watch, a_pass, condition, on_canary
from tests.trust.tenant.leaves import REPOSITORY
from tests.trust.tenant.nonsense import HOOK
from tests.trust.tenant.rises import CORES_LIMIT, LENGTH, OPEN, QUEUE

SAMPLES = REPOSITORY / "tests" / "apiserver" / "samples"
ARMS: dict[str, Any] = {
    name: {"service": {"name": service, "port": 80}, "workload": {"name": service}}
    for name, service in (("stable", "old"), ("canary", "new"))
}
DAYS_KNOWN = 3  # of stable alone
AT_ROUTE = "shop"
SERVICE: Manifest = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}}


@dataclass(frozen=True)
class Pace:
    """Seconds between passes, how many there are after a change, and how many, at most, after it is taken back.

    What climbs is followed to its end.
    """

    tick: float
    after: int
    back: int
    climbs: bool


STILL = Pace(1.0, 6, 10, climbs=False)  # too short for anything to be decided
CLIMBING = Pace(600.0, 5, 60, climbs=True)  # a step lasts half an hour or two: what was about to rise does
PASSES_AT_START, MOST_PASSES = 8, 60  # enough to have a benchmark under load; to come to a step


@dataclass(frozen=True)
class Start:
    """A spec, and the world in which it is when it is changed; of one that climbs, the next pass would raise it."""

    name: str
    ref: Ref
    spec: dict[str, Any]
    world: World
    watch: Watch
    pace: Pace

    def again(self) -> Start:
        """With a world of its own."""
        return copy.deepcopy(self)

    async def go_on(self) -> None:
        """Some passes, as they come after a change."""
        for _ in range(self.pace.after):
            await self._pass()

    async def come_back(self) -> None:
        """As many as it takes to the end, or as they come after a change is taken back."""
        for _ in range(self.pace.back):
            await self._pass()
            if self.pace.climbs and self._has_finished():
                return

    async def _pass(self) -> None:
        await a_pass(self.world, self.ref, self.watch)
        self.world.advance(self.pace.tick)

    def _has_finished(self) -> bool:
        found, body = condition(self.world, self.ref, "Finished"), self.world.cluster.peek(self.ref)
        return found.get("status") == "True" and body is not None and (
            found["observedGeneration"] == body["metadata"]["generation"]
        )  # fmt: skip


class Queue(dict[str, float]):
    """What whole queries give: that of the samples always the same, and no other anything."""

    def __contains__(self, query: object) -> bool:
        return str(query).startswith(QUEUE)

    def __missing__(self, query: str) -> float:
        return LENGTH


class Surroundings(World):
    """A world whose gateway says of a route when a backend of it is not there."""

    def _take_route(self, route: Manifest) -> None:
        super()._take_route(route)
        there = {one["metadata"]["name"] for one in self.cluster.all("Service")}
        gone = [name for name in weights(route) if name not in there]
        status = (self.cluster.peek(ref_of(route)) or {}).get("status")
        if gone and status:
            for parent in status["parents"]:
                parent["conditions"][1] |= {"status": "False", "reason": "BackendNotFound"}
            self.cluster.patch(ref_of(route), {"status": status})


def put_spec(world: World, ref: Ref, spec: dict[str, Any]) -> None:
    """Change the spec as a person does. Raises InvalidSpec where the schema refuses it."""
    body = world.cluster.peek(ref)
    assert body is not None
    world.cluster.put({**body, "spec": spec})


def aspect(start: Start) -> dict[str, Any]:
    """What counts of a state: conditions, weight, and what there is; not times, generations and kept records."""
    world = start.world
    body: Any = world.cluster.peek(start.ref) or {"metadata": {}}
    status = body.get("status") or {}
    objects = {
        (kind, found["metadata"]["name"])
        for kind in ("Deployment", "Service", "Job", "HTTPRoute")
        for found in world.cluster.all(kind)
        if not found["metadata"].get("deletionTimestamp")
    }
    return {
        "conditions": [(c["type"], c["status"], c["reason"]) for c in status.get("conditions") or []],
        "weight": on_canary(world, start.watch.edit).get(AT_ROUTE) if start.watch.edit is not None else None,
        "objects": objects,
        "finalizers": body["metadata"].get("finalizers"),
        "outcome": (status.get("outcome") or {}).get("result"),
    }


async def starts() -> list[Start]:
    """Two kinds, and of each what its unions may hold."""
    still = [await _standing_still(name, body) for name, body in _benchmarks()]
    return [*still, *[await _about_to_rise(*one) for one in _migrations()]]


def _benchmarks() -> Iterator[tuple[str, Manifest]]:
    bench = yaml.safe_load((SAMPLES / "benchmark-full.yaml").read_text())["spec"]
    bench |= {"suspend": False, "metrics": {**bench["metrics"], "source": "default"}, "ttlAfterFinished": "24h"}
    bench["load"] = {"driver": "Auto", "instances": 1}
    slow = {**bench["schedule"], "measure": "45s", "aaProbe": False}
    yield "a benchmark", a_benchmark(**bench)
    ramp = {"name": "ramp", "type": "Ramp", "ramp": {"startRequestsPerSecond": 500, "factor": "1.5", "maxSteps": 4}}
    opened = {"name": "at-2000-rps", "type": "Open", "open": {"requestsPerSecond": 2000, "connections": 36}}
    yield "a benchmark with a ramp", a_benchmark(scenarios=[ramp], schedule=slow)
    yield "a benchmark at a rate", a_benchmark(scenarios=[opened], schedule=slow)
    copies = [{"name": name, "templateFrom": {"deploymentRef": {"name": name}}} for name in ("old", "new")]
    yield "a benchmark of copies", a_benchmark(candidates=copies, schedule=slow)


def _migrations() -> Iterator[tuple[str, Manifest, int]]:
    """Name, object, and at which weight it is to stand: everything that a spec may have, and all of it fulfilled."""
    full = yaml.safe_load((SAMPLES / "migration-full.yaml").read_text())["spec"]
    first = {
        "weightPercent": 10, "minDuration": "2h", "maxDuration": "48h", "onUndecided": "Rollback",
        "minRequests": 1000, "approval": "Automatic", "covers": ["DailyPeak"],
    }  # fmt: skip
    later = [{"weightPercent": weight, "minDuration": "30m", "maxDuration": "48h"} for weight in (50, 100)]
    objectives = [one if one["type"] != "CPU" else {**one, "cpu": {"maxPercent": 40}} for one in full["objectives"]]
    chosen = {**full["canary"]["benchmark"], "ref": {"name": "published"}, "candidate": "quick"}
    full |= {
        "suspend": False, "stable": ARMS["stable"], "metrics": {"source": "default", "requests": "Traefik"},
        "canary": {"type": "Workload", "workload": ARMS["canary"]}, "steps": [first, *later],
        "windows": {**full["windows"], "allowed": [OPEN]}, "decision": {**full["decision"], "block": "5m"},
        "objectives": [{**one} for one in objectives],
    }  # fmt: skip
    yield "a migration before its first step", a_migration(**full), 0
    yield "a migration on its first step", a_migration(**full), 10
    winner = {**full, "canary": {"type": "Benchmark", "benchmark": chosen}}
    yield "a migration to a benchmark's winner", a_migration(**winner), 10


def _around(body: Manifest) -> World:
    limit = {"limits": {"cpu": f"{CORES_LIMIT}", "memory": "64Mi"}}
    candidates = [{"name": one, "image": f"localhost/{one}:1", "resources": limit} for one in ("quick", "slow")]
    winner = {**a_benchmark("published", candidates=candidates), "status": RANKED}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": HOOK}
    data = {"url": "aHR0cDovL3g=", "signingKey": "eA=="}
    services = [{**SERVICE, "metadata": {"name": name, "namespace": NAMESPACE}} for name in ("old", "new")]
    deployments = [a_deployment(name) for name in ("old", "new")]
    world = Surroundings(body, winner, {**secret, "data": data}, *deployments, *services)
    world.metrics.values = Queue()
    world.splits.known = [(world.clock.now() - timedelta(days=DAYS_KNOWN), {"old": 1.0})]
    return world


async def _standing_still(name: str, body: Manifest) -> Start:
    start = Start(name, ref_of(body), body["spec"], _around(body), Watch(), STILL)
    for _ in range(PASSES_AT_START):
        await start._pass()
    return start


async def _about_to_rise(name: str, body: Manifest, weight: int) -> Start:
    """At the moment before the pass that raises it."""
    start = Start(name, ref_of(body), body["spec"], _around(body), Watch(), CLIMBING)
    for _ in range(MOST_PASSES):
        before = start.again()
        await start._pass()
        if aspect(start)["weight"] not in (None, weight) and aspect(before)["weight"] == weight:
            return before
    raise AssertionError(f"{name} does not rise from {weight} %: {aspect(start)}")
