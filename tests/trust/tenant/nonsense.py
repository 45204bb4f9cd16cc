"""Worlds in which somebody else has written nonsense: passes that read it, and change nothing."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from changeover.adapters.endpoints import Telemetry
from changeover.core import names
from changeover.core.mark import Mark
from changeover.core.plan import Manifest, Ref
from changeover.ports import Cluster, Event
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_benchmark, a_deployment, a_migration
from changeover.testing.cluster import FakeCluster
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World, weights
from prometheus_client import generate_latest

RECONCILE = {"CanaryMigration": reconcile_migration, "FrameworkBenchmark": reconcile_benchmark}
NEIGHBOUR = Ref("CanaryMigration", NAMESPACE, "other")
ODD: tuple[Any, ...] = (
    None, "", " ", "\x00", "\u202e\ud7ff", "x" * 70_000, "-1", "NaN", "1e999", "{", "[]", "{}", '{"phase":', "null",
    "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "2026-01-01", "Promoted", "RolledBack",
    "[" * 100_000,
    0, -1, 2**63, 10**400, 1.5, float("1e300"), float("inf"), float("nan"),
    True, False, [], {}, [None], [[]], [{}], {"a": {"b": []}}, ["x"] * 3000,
)  # fmt: skip
FIXED = frozenset({
    "apiVersion", "kind", "name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "type",
    "selector", "template", "containers", "spec", "metadata", "matchLabels", "labels", "status",
})  # fmt: skip
"""What an API server never lets out: these neither go nor change their type."""


@dataclass(frozen=True)
class State:
    """A world at one moment, and who is looked at."""

    name: str
    world: World
    ref: Ref


@dataclass
class Hostile:
    """The port ``Cluster``: what is read is the world's, but for one object; what is written goes nowhere."""

    inner: FakeCluster
    replaced: Mapping[Ref, Manifest] = field(default_factory=dict)
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    writes: list[tuple[str, Ref, Any]] = field(default_factory=list)
    was_read: bool = False  # what is replaced

    async def get(self, ref: Ref) -> Manifest | None:
        return self._spoilt(ref) if ref in self.replaced else await self.inner.get(ref)

    async def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        found = await self.inner.list(kind, namespace, labels)
        return [self._spoilt(_ref(one)) if _ref(one) in self.replaced else copy.deepcopy(one) for one in found]

    def _spoilt(self, ref: Ref) -> Manifest:
        self.was_read = True
        return copy.deepcopy(self.replaced[ref])

    async def apply(self, manifest: Manifest) -> Manifest:
        self.writes.append(("apply", _ref(manifest), manifest))
        return manifest

    async def create(self, manifest: Manifest) -> Manifest:
        self.writes.append(("create", _ref(manifest), manifest))
        return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "1"}}

    async def merge(self, ref: Ref, patch: Manifest) -> None:
        self.writes.append(("merge", ref, patch))

    async def delete(self, read: Manifest) -> None:
        self.writes.append(("delete", _ref(read), None))

    async def apply_status(self, ref: Ref, status: Mapping[str, Any], version: str = "") -> None:
        self.writes.append(("status", ref, dict(status)))

    async def emit(self, regarding: Manifest, event: Event) -> None:
        self.writes.append(("event", _ref(regarding), (event.reason, event.message)))

    async def log(self, namespace: str, pod: str) -> str:
        return self.logs[namespace, pod] if (namespace, pod) in self.logs else await self.inner.log(namespace, pod)


def _ref(body: Manifest) -> Ref:
    return Ref(body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])


async def look(state: State, cluster: Hostile, ref: Ref | None = None) -> list[tuple[str, Ref, Any]]:
    """One pass, and a scrape of what it shows; what it would have written."""
    of: Cluster = cluster
    asked, telemetry = ref or state.ref, Telemetry()
    await RECONCILE[asked.kind](asked, replace(state.world.dependencies(of), show=telemetry.resources.show))
    generate_latest(telemetry.registry)
    return cluster.writes


def highest_weight(writes: list[tuple[str, Ref, Any]], route: str = "shop") -> int:
    """Of the canary, in what a pass writes to a route."""
    routes = [body for _, ref, body in writes if ref == Ref("HTTPRoute", NAMESPACE, route) and "spec" in body]
    return max((weights(route).get("new", 0) for route in routes), default=0)


HOOK = {"name": "hooks", "namespace": NAMESPACE}
RICH: dict[str, Any] = {
    "gates": [{"name": "board", "at": "BeforePromotion", "secretRef": {"name": "hooks"}}],
    "notify": [{"name": "on-call", "type": "Slack", "secretRef": {"name": "hooks"}}],
    "match": {"headers": [{"name": "X-Canary", "value": "always"}]},
    "load": {"requestsPerSecond": 5},
    "acceptance": {"duration": "1m"},
}


async def states() -> list[State]:
    """Migrations before, on and after their steps, and benchmarks under way and published."""
    found = []
    for name, spec, passes, errors in (
        ("preparing", RICH, 2, 0.0), ("stepping", RICH, 14, 0.0), ("rolling back", {}, 0, 0.5),
        ("promoted", RICH, 90, 0.0), ("asked", {"gates": RICH["gates"]}, 40, 0.0),
    ):  # fmt: skip
        world = _migrating(spec)
        ref = Ref("CanaryMigration", NAMESPACE, "shop")
        await _run(world, ref, passes or 12, 30.0)
        if errors:
            world.metrics.behaviours["new"] = Behaviour(error_share=errors)
            await _run(world, ref, 3, 30.0)
        found.append(State(name, world, ref))
    for name, passes in (("started", 3), ("under load", 4), ("reported", 9), ("published", 90)):
        world = World(a_benchmark(), *_neighbours())
        ref = Ref("FrameworkBenchmark", NAMESPACE, "web")
        await _run(world, ref, passes, 6.0)
        found.append(State(f"benchmark {name}", world, ref))
    found.append(await _follows_a_benchmark(found[-1].world))
    return found


def _neighbours() -> Iterator[Manifest]:
    other = {"gatewayAPI": {"route": {"name": "other"}, "parentRefs": [{"name": "public"}]}}
    yield a_migration("other", traffic=other)
    yield a_deployment("old")
    yield a_deployment("new")
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": HOOK,
        "data": {"url": "aHR0cDovL3g=", "signingKey": "eA=="},
    }


def _migrating(spec: dict[str, Any]) -> World:
    return World(a_migration(**spec), *_neighbours())


async def _run(world: World, ref: Ref, passes: int, seconds: float) -> None:
    for _ in range(passes):
        await RECONCILE[ref.kind](ref, world.dependencies())
        await RECONCILE[NEIGHBOUR.kind](NEIGHBOUR, world.dependencies())
        world.advance(seconds)


async def _follows_a_benchmark(published: World) -> State:
    world = copy.deepcopy(published)
    chosen = {"type": "Benchmark", "benchmark": {"ref": {"name": "web"}}}
    world.cluster.put(a_migration(canary=chosen))
    ref = Ref("CanaryMigration", NAMESPACE, "shop")
    await _run(world, ref, 8, 30.0)
    return State("follows a benchmark", world, ref)


def attack(state: State, rng: random.Random) -> tuple[str, Hostile]:
    """A cluster in which one thing that a pass reads is nonsense, and what that is."""
    cluster, inner = Hostile(state.world.cluster), state.world.cluster
    if inner.logs and rng.random() < 0.2:
        key = rng.choice(sorted(inner.logs))
        cluster.logs = {key: _log(inner.logs[key], rng)}
        return f"log of {key}", cluster
    own = inner.peek(state.ref)
    kinds = ("HTTPRoute", "Deployment", "Pod", "Job", "ConfigMap", "FrameworkBenchmark", "Node", "Secret")
    others = [body for kind in kinds for body in inner.all(kind)]
    body = copy.deepcopy(own if own is not None and rng.random() < 0.5 else rng.choice(others))
    ref = _ref(body)
    what = _spoil(body, rng)
    cluster.replaced = {ref: body}
    return f"{ref.kind} {ref.name}: {what}", cluster


def _spoil(body: Manifest, rng: random.Random) -> str:
    ours = body["kind"] in RECONCILE
    if rng.random() < (0.2 if ours else 0.35) or not (body.get("status") or body.get("data")):
        return _spoil_metadata(body, rng)
    part = "data" if "data" in body else "status"
    if part == "data":
        key = rng.choice(sorted(body["data"])) if body["data"] else "a"
        text = rng.choice([one for one in ODD if isinstance(one, str)])
        body["data"][key] = text
        return f"data.{key} = {text!r:.60}"
    step = body["status"].get("step") if part == "status" else None
    if step and step.get("evidence") and rng.random() < 0.3:
        return spoiled(step, rng)
    # Of our own kinds an earlier release may have stored anything; of the others the types are the API server's.
    told = [spoiled(body[part], rng, typed=not ours) for _ in range(rng.choice((1, 1, 2, 5)))]
    return f"{part}: {'; '.join(told)}"


def _spoil_metadata(body: Manifest, rng: random.Random) -> str:
    keys = (
        names.ANNOTATION_MARK, names.ANNOTATION_ABOUT, names.ANNOTATION_HAND_OVER, names.ANNOTATION_FROM_BENCHMARK,
        f"{names.ANNOTATION_REQUESTED}abort", f"{names.ANNOTATION_REQUESTED}\u202e", names.ANNOTATION_RETRY,
        names.LABEL_MIGRATION, names.LABEL_BENCHMARK, names.LABEL_ROUND, names.LABEL_RUN, names.LABEL_CANDIDATE,
        names.LABEL_MANAGED_BY, "batch.kubernetes.io/job-completion-index",
    )  # fmt: skip
    key = rng.choice(keys)
    place = "annotations" if key.startswith(names.ANNOTATION_REQUESTED) or "label" not in key else "labels"
    place = rng.choice(("annotations", "labels")) if rng.random() < 0.3 else place
    holder = body["metadata"].get(place) or {}
    text = rng.choice([one for one in ODD if isinstance(one, str)])
    if key == names.ANNOTATION_MARK and key in holder and rng.random() < 0.8:
        mark = json.loads(holder[key])
        spoiled(mark, rng)
        text = json.dumps(mark)
    if rng.random() < 0.1 and not (place == "labels" and body["kind"] in ("Pod", "Job", "Deployment")):
        body["metadata"][place] = None if rng.random() < 0.5 else {}  # but what is listed by its labels has them
        return f"no {place}"
    if rng.random() < 0.1 and key in (body["metadata"].get(place) or {}):
        del body["metadata"][place][key]
        return f"no {key}"
    body["metadata"][place] = {**holder, key: text}
    return f"{place} {key} = {text!r:.200}"


def spoiled(value: Any, rng: random.Random, typed: bool = False) -> str:
    """Change one thing in a value, and say which."""
    path = []
    holder = value
    while True:
        keys = [k for k in (holder if isinstance(holder, dict) else range(len(holder))) if not (typed and k in FIXED)]
        if not keys:
            return "nothing"
        key: Any = rng.choice(keys)
        path.append(str(key))
        inside = holder[key]
        if isinstance(inside, dict | list) and inside and rng.random() < 0.8:
            holder = inside
            continue
        if isinstance(inside, str) and inside.startswith('{"') and inside.endswith("}") and rng.random() < 0.8:
            content = json.loads(inside)  # evidence, and the day of stable
            told = spoiled(content, rng)
            holder[key] = json.dumps(content)
            return f"{'.'.join(path)}: {told}"
        same = [one for one in ODD if type(one) is type(inside) and not isinstance(one, list | dict)] or [
            type(inside)()
        ]
        if rng.random() < 0.25 and isinstance(holder, dict):
            del holder[key]
            return f"{'.'.join(path)} left out"
        if typed and isinstance(holder, list) and isinstance(inside, dict):
            del holder[key]  # an item that lacks what it must have is never let out
            return f"{'.'.join(path)} taken out"
        holder[key] = copy.deepcopy(rng.choice(same if typed else ODD))
        return f"{'.'.join(path)} = {holder[key]!r:.80}"


def forges_a_mark(cluster: Hostile) -> bool:
    """Whether the nonsense happens to be sense: a mark that says another weight is one, whoever wrote it."""
    for body in cluster.replaced.values():
        text = (body["metadata"].get("annotations") or {}).get(names.ANNOTATION_MARK)
        try:
            if body["kind"] == "HTTPRoute" and text and Mark.parse(json.loads(text)) is not None:
                return True
        except ValueError:
            continue
    return False


def _log(text: str, rng: random.Random) -> str:
    lines = text.splitlines()
    try:
        report = json.loads(lines[-1])
    except (ValueError, IndexError):
        return rng.choice([one for one in ODD if isinstance(one, str)])
    spoiled(report, rng)
    return "\n".join([*lines[:-1], json.dumps(report)])
