"""kubectl played by the fake cluster of a world: what a command asks for, it answers from there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.main import app
from changeover.core.plan import Ref
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_benchmark, a_deployment, a_migration
from changeover.testing.world import World
from typer.testing import CliRunner, Result

KINDS = {
    "canarymigration": "CanaryMigration", "frameworkbenchmark": "FrameworkBenchmark", "httproute": "HTTPRoute",
    "httproutes.gateway.networking.k8s.io": "HTTPRoute",
    "deployment": "Deployment", "deployments": "Deployment", "service": "Service", "jobs": "Job", "pods": "Pod",
}  # fmt: skip
MIGRATION, BENCHMARK = Ref("CanaryMigration", NAMESPACE, "shop"), Ref("FrameworkBenchmark", NAMESPACE, "web")
STEPS = [{"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h"} for weight in (10, 100)]


def a_world(**spec: Any) -> World:
    return World(a_deployment("old"), a_deployment("new"), a_migration(**{"steps": STEPS, **spec}))


def benchmark_world() -> World:
    world = World(a_benchmark())
    world.speeds = {"fast": 2000.0, "lame": 1000.0}
    return world


def go_on(world: World, passes: int, ref: Ref = MIGRATION, seconds: float = 30.0) -> None:
    """So many passes of the operator."""
    reconcile = reconcile_migration if ref.kind == "CanaryMigration" else reconcile_benchmark

    async def run() -> None:
        for _ in range(passes):
            await reconcile(ref, world.dependencies())
            world.advance(seconds)

    asyncio.run(run())


class Played:
    """The world behind kubectl. ``raw`` answers `get --raw`; ``everywhere`` what is asked of all namespaces."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.commands: list[tuple[str, ...]] = []
        self.gateways: dict[str, dict[str, Any]] = {}
        self.raw: Callable[[str], str] = lambda path: json.dumps({"data": {"result": []}})
        self.everywhere: list[dict[str, Any]] = []
        self.allowed = True
        self.crds = {"canarymigrations.changeover.dev", "httproutes.gateway.networking.k8s.io"}
        self.after_annotating: Callable[[], None] = lambda: go_on(world, 1)

    def get(self, kubectl: Kubectl, kind: str, name: str) -> dict[str, Any] | None:
        if kind == "customresourcedefinition":
            return {} if name in self.crds else None
        if kind.startswith("gateways"):
            return self.gateways.get(name)
        return self.world.cluster.peek(Ref(KINDS[kind], kubectl.namespace or NAMESPACE, name))

    def items(self, kind: str, labels: Mapping[str, str] | None) -> list[dict[str, Any]]:
        found = self.world.cluster.all(KINDS[kind])
        wanted = (labels or {}).items()
        return [one for one in found if wanted <= (one["metadata"].get("labels") or {}).items()]

    def run(self, words: tuple[str, ...]) -> str:
        self.commands.append(words)
        if words[0] == "annotate":
            key, value = words[3].split("=", 1)
            ref = Ref(KINDS[words[1]], NAMESPACE, words[2])
            self.world.cluster.patch(ref, {"metadata": {"annotations": {key: value}}})
            self.after_annotating()
            return ""
        if words[:2] == ("get", "--raw"):
            return self.raw(words[2])
        if words[0] == "auth" and not self.allowed:
            raise KubectlFailed("no")
        return json.dumps({"items": self.everywhere})


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], Played]:
    """Puts a world behind kubectl."""

    def put(world: World) -> Played:
        played = Played(world)
        monkeypatch.setattr(Kubectl, "get", lambda self, kind, name, *flags: played.get(self, kind, name))
        monkeypatch.setattr(Kubectl, "items", lambda self, kind, labels=None: played.items(kind, labels))
        monkeypatch.setattr(Kubectl, "run", lambda self, *words, stdin=None: played.run(words))
        monkeypatch.setattr("changeover.cli.watching.time.sleep", lambda seconds: go_on(world, 1))
        return played

    return put


def command(*words: str, stdin: str | None = None) -> Result:
    """Runs ``kubectl changeover`` with these words."""
    return CliRunner().invoke(app, list(words), input=stdin)


GATEWAY = {
    "kind": "Gateway", "metadata": {"name": "public", "namespace": NAMESPACE},
    "status": {"conditions": [{"type": "Programmed", "status": "True"}]},
}  # fmt: skip
OPERATOR = {
    "kind": "Deployment",
    "metadata": {"name": "changeover", "namespace": "changeover-system"},
    "status": {"readyReplicas": 1},
}


def configured(**source: Any) -> dict[str, Any]:
    """The operator's configuration, with one metric source."""
    sources = [{"name": "default", "url": "http://prometheus.monitoring.svc:9090", **source}]
    data = {"config.yaml": yaml.safe_dump({"metricSources": sources})}
    return {"kind": "ConfigMap", "metadata": {"name": "changeover", "namespace": "changeover-system"}, "data": data}


CONFIG = configured()


@dataclass
class Scraped:
    """A Prometheus: how often it scrapes gateway and kubelets, how backends are named, and the histogram's buckets."""

    every: float = 15.0
    kubelets: float = 15.0
    label: str = "service"
    buckets: tuple[str, ...] = ("0.025", "0.05", "0.1", "+Inf")
    samples: int = 40

    def __call__(self, path: str) -> str:
        """The answer to `get --raw`."""
        return json.dumps({"data": {"result": self.result(parse_qs(urlsplit(path).query)["query"][0])}})

    def result(self, query: str) -> list[dict[str, Any]]:
        """Of an instant query."""
        if query.endswith("[10m]"):
            every = self.kubelets if query.startswith("container_cpu") else self.every
            lately = [[1893499200.0 + every * number, "1"] for number in range(self.samples)]
            return [{"metric": {"pod": "a"}, "values": lately[-2:]}, {"metric": {"pod": "b"}, "values": lately}]
        if query.startswith("group by (le)"):
            return [{"metric": {"le": bound}, "value": [0, "1"]} for bound in self.buckets]
        there = "@kubernetesgateway" not in query or f"{{{self.label}=~" in query
        return [{"metric": {}, "value": [0, "12"]}] if there else []


def well(play: Any, **spec: Any) -> Any:
    """A world in which everything is there."""
    world = a_world(**spec)
    for name in ("old", "new"):
        world.cluster.put(
            {"kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"ports": [{"port": 80}]}}
        )
        world.cluster.patch(Ref("Deployment", NAMESPACE, name), {"status": {"readyReplicas": 2}})
    played = play(world)
    played.gateways["public"] = GATEWAY
    played.everywhere, played.raw = [OPERATOR, CONFIG], Scraped()
    return played


def checked(code: int, *words: str) -> str:
    """What `preflight` says."""
    done = command("preflight", *(words or ("cmig/shop",)))
    assert done.exit_code == code, done.output
    return done.output
