"""kubectl played by the fake cluster of a world: what a command asks for, it answers from there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
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
        monkeypatch.setattr(Kubectl, "get", lambda self, kind, name: played.get(self, kind, name))
        monkeypatch.setattr(Kubectl, "items", lambda self, kind, labels=None: played.items(kind, labels))
        monkeypatch.setattr(Kubectl, "run", lambda self, *words, stdin=None: played.run(words))
        monkeypatch.setattr("changeover.cli.watching.time.sleep", lambda seconds: go_on(world, 1))
        return played

    return put


def command(*words: str, stdin: str | None = None) -> Result:
    """Runs ``kubectl changeover`` with these words."""
    return CliRunner().invoke(app, list(words), input=stdin)
