"""A stage on a real API server: a namespace, an operator's process behind the fault proxy, and who plays the rest.

No controller and no kubelet runs here. A loop plays them: it gives Deployments pods that are ready, takes routes as a
gateway does, and notes how the traffic is split; a Prometheus on loopback tells of that traffic.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from changeover.testing.builders import a_deployment, a_migration
from changeover.testing.splits import Splits
from changeover.testing.world import SCRAPE_SECONDS, weights

from tests.apiserver.harness import ApiServer, Client, free_ports
from tests.apiserver.hurried import HurriedClock
from tests.apiserver.proxy import Proxy, Write
from tests.unit.crash.guard import mark_of
from tests.unit.fail_closed.scripted import Scripted

REPOSITORY = Path(__file__).resolve().parents[2]
FACTOR = 20.0  # a pass takes 0.1 s, which is one of 2 s: as often as the operator looks
PLAY_SECONDS = 0.05
END_SECONDS = 90.0  # of a story; it takes some six
NAME, ROUTE = "shop", "shop"
GATEWAY = "/apis/gateway.networking.k8s.io/v1"
OURS = "/apis/changeover.dev/v1alpha1"
DECISION = {"falseAdvancePercent": 20, "block": "5s", "maxBlind": "30s"}
STEPS = [{"weightPercent": weight, "minDuration": "10s", "maxDuration": "1h"} for weight in (10, 100)]


@dataclass
class Stage:
    """One namespace, its operator and the others."""

    server: ApiServer
    namespace: str
    folder: Path
    proxy: Proxy
    client: Client
    clock: HurriedClock
    epoch: float
    splits: Splits = field(default_factory=Splits)
    pods: list[str] = field(default_factory=list)
    operator: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def get(self, prefix: str, plural: str, name: str) -> dict[str, Any] | None:
        """An object, read past the proxy; None when there is none."""
        answer = self.client.get(self._path(prefix, plural, name))
        return answer.body if answer.ok else None

    def merge(self, prefix: str, plural: str, name: str, patch: Any) -> None:
        """Change an object, as a person does."""
        answer = self.client.merge(self._path(prefix, plural, name), patch)
        assert answer.ok, answer.message

    def delete(self, prefix: str, plural: str, name: str) -> None:
        """Delete an object, as a person does."""
        assert self.client.delete(self._path(prefix, plural, name)).ok

    def route(self) -> dict[str, Any] | None:
        """The route as it stands."""
        return self.get(GATEWAY, "httproutes", ROUTE)

    def migration(self) -> dict[str, Any] | None:
        """The migration as it stands."""
        return self.get(OURS, "canarymigrations", NAME)

    def play(self) -> None:
        """One round of everybody but the operator, which is started again when it died."""
        if self.operator is None or self.operator.poll() is not None:
            self._start()
        self._run_pods()
        self._take_route()
        time.sleep(PLAY_SECONDS)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone: nothing that it still had to say is heard."""
        if self.operator is not None:
            self.operator.kill()
            self.operator.wait()

    def _start(self) -> None:
        self.starts += 1
        words = [sys.executable, "-m", "tests.apiserver.hurried", str(self.folder / "config.yaml")]
        where = {"KUBECONFIG": str(self.folder / "kubeconfig"), "PYTHONPATH": str(REPOSITORY / "operator")}
        with (self.folder / "operator.log").open("ab") as log:
            self.operator = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *words, str(self.epoch), str(FACTOR)],
                cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **where},
            )  # fmt: skip

    def _run_pods(self) -> None:
        if self.pods:
            return
        for name in ("old", "new"):
            template = a_deployment(name)["spec"]["template"]
            for number in range(2):
                pod = {"metadata": {**template["metadata"], "name": f"{name}-{number}"}, "spec": template["spec"]}
                self.create("/api/v1", "pods", {"apiVersion": "v1", "kind": "Pod", **pod})
                path = self._path("/api/v1", "pods", f"{name}-{number}") + "/status"
                answer = self.client.merge(path, {"status": _running(template)})
                assert answer.ok, answer.message
                self.pods.append(f"{name}-{number}")

    def note(self, write: Write) -> None:
        """The gateway splits as the route says from the moment of its write, however busy this machine is."""
        if "/httproutes/" in write.path and "spec" in (write.body or {}):
            self.splits.note(self.clock.now(), {name: weight / 100 for name, weight in weights(write.body).items()})

    def _take_route(self) -> None:
        route = self.route()
        if route is None:
            return
        generation = route["metadata"]["generation"]
        parents = (route.get("status") or {}).get("parents") or []
        if parents and parents[0]["conditions"][0]["observedGeneration"] == generation:
            return
        taken = {"controllerName": "tests.changeover.dev/gateway"}
        told = [
            {
                **taken,
                "parentRef": parent,
                "conditions": [_condition(name, generation) for name in ("Accepted", "ResolvedRefs")],
            }
            for parent in route["spec"]["parentRefs"]
        ]
        self.client.merge(self._path(GATEWAY, "httproutes", ROUTE) + "/status", {"status": {"parents": told}})

    def create(self, prefix: str, plural: str, body: dict[str, Any]) -> None:
        """A new object in the namespace."""
        body["metadata"].pop("namespace", None)
        answer = self.client.create(self._path(prefix, plural), body)
        assert answer.ok, answer.message

    def _path(self, prefix: str, plural: str, name: str = "") -> str:
        return f"{prefix}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")


def _running(template: dict[str, Any]) -> dict[str, Any]:
    container = template["spec"]["containers"][0]
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    one = {
        "name": container["name"], "image": container["image"], "imageID": f"sha256:{container['image']}",
        "ready": True, "restartCount": 0, "state": state,
    }  # fmt: skip
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [one]}


def _condition(name: str, generation: int) -> dict[str, Any]:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": name, "status": "True", "reason": name, "message": "", "lastTransitionTime": at,
        "observedGeneration": generation,
    }  # fmt: skip


@contextlib.contextmanager
def a_stage(server: ApiServer, namespace: str, folder: Path, failed: dict[str, float] | None = None) -> Iterator[Stage]:
    """Two Deployments, a migration between them, and an operator; `failed` is the share of requests a Service fails."""
    epoch = time.time()
    clock = HurriedClock(epoch, FACTOR)
    with contextlib.ExitStack() as stack:
        proxy = Proxy(server.host, server.port, str(server.certificates))
        stack.enter_context(_serving(proxy))
        client = stack.enter_context(server.client())
        stage = Stage(server, namespace, folder, proxy, client, clock, epoch)
        proxy.kill, proxy.wrote = stage.kill, stage.note
        stack.callback(stage.kill)
        prometheus = Scripted(stage.splits.share, lambda: stage.pods, namespace)
        prometheus.before = clock.now() - timedelta(hours=1)
        prometheus.failed = failed or {}
        stack.enter_context(_serving(prometheus))
        stage.splits.note(prometheus.before, {"old": 1.0})
        _set_up(stage, f"http://127.0.0.1:{prometheus.server_port}")
        yield stage


def _set_up(stage: Stage, prometheus: str) -> None:
    [port] = free_ports(1)
    source = {"name": "default", "url": prometheus, "timeoutSeconds": 2, "scrapeIntervalSeconds": SCRAPE_SECONDS}
    config = {
        "metricSources": [source], "loaderImage": "localhost/loader:1", "watchNamespaces": [stage.namespace],
        "port": port,
    }  # fmt: skip
    (stage.folder / "config.yaml").write_text(json.dumps(config))
    stage.server.kubeconfig(stage.folder / "kubeconfig", stage.proxy.url)
    answer = stage.client.create("/api/v1/namespaces", {"metadata": {"name": stage.namespace}})
    assert answer.ok, answer.message
    for name in ("old", "new"):
        stage.create("/apis/apps/v1", "deployments", a_deployment(name))
    stage.create(OURS, "canarymigrations", a_migration(NAME, steps=STEPS, decision=DECISION))


@contextlib.contextmanager
def _serving(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Story:
    """What a person does, decided by the state alone, and when it is over."""

    is_over: Callable[[Stage], bool]
    meddle: Callable[[Stage], None] = lambda stage: None
    failed: dict[str, float] = field(default_factory=dict)
    undetermined: frozenset[str] = frozenset()  # conditions that depend on how long it took, and not on what happened


def tell(stage: Stage, story: Story) -> None:
    """Play until it is over. Raises AssertionError when it does not end."""
    deadline = time.monotonic() + END_SECONDS
    while not story.is_over(stage):
        if time.monotonic() > deadline:
            log = (stage.folder / "operator.log").read_text()[-3000:]
            raise AssertionError(f"not over: {json.dumps((stage.migration() or {}).get('status'))}\n{log}")
        stage.play()
        story.meddle(stage)


def weight_of(stage: Stage) -> int:
    """The canary's weight; 0 without a route."""
    route = stage.route()
    return weights(route).get("new", 0) if route is not None else 0


def outcome_of(stage: Stage) -> str:
    """Promoted, RolledBack or nothing."""
    status = (stage.migration() or {}).get("status") or {}
    return str((status.get("outcome") or {}).get("result", ""))


def written_weights(stage: Stage) -> list[tuple[int, str]]:
    """Weight and phase of each write of the route, in order."""
    bodies = [
        write.body for write in stage.proxy.writes if "/httproutes/" in write.path and "spec" in (write.body or {})
    ]
    return [(weights(body)["new"], str((mark_of(body) or {}).get("phase"))) for body in bodies]
