"""Canaries with a fault, the migrations to them and the traffic that they meet."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.demo.kube import Kube

STABLE = "faults-stable"  # serves all lanes but the one that nobody asks
STEPS = (1, 5, 10, 25, 50)
SIGNING_KEY = "only for tests"
GATEWAY = {"name": "public", "namespace": "gateway"}
SECURE = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
LOCKED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


@dataclass(frozen=True)
class Lane:
    """A route under live traffic: its host name, its stable backend, and requests/s."""

    route: str
    stable: str
    rate: int

    @property
    def host(self) -> str:
        """The route's host name."""
        return f"{self.route}.example.com"


def backend(name: str, fault: str = "", replicas: int = 2) -> list[dict[str, Any]]:
    """Deployment and Service of the faulty backend with one fault."""
    container = {
        "name": "backend", "image": "localhost/changeover-faulty:1", "env": [{"name": "FAULT", "value": fault}],
        "ports": [{"name": "http", "containerPort": 8080}], "securityContext": LOCKED,
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "300m", "memory": "64Mi"}},
    }  # fmt: skip
    pod = {
        "nodeSelector": {"changeover.dev/role": "candidate"}, "securityContext": SECURE, "containers": [container],
        "tolerations": [{"key": "changeover.dev/role", "operator": "Exists", "effect": "NoSchedule"}],
    }  # fmt: skip
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    # As some charts select; what the demonstration moves selects by matchLabels.
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": [name]}]}
    deployment = {"replicas": replicas, "selector": selector, "template": template}
    service = {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service},
    ]


def route_to_stable(lane: Lane) -> dict[str, Any]:
    """The lane's route as its users have it before any migration."""
    rules = [{"backendRefs": [{"name": lane.stable, "port": 80}]}]
    spec = {"parentRefs": [GATEWAY], "hostnames": [lane.host], "rules": rules}
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    return {**kind, "metadata": {"name": lane.route}, "spec": spec}


def errors_below(percent: str) -> dict[str, Any]:
    """An objective: so few percent of the requests may fail."""
    return {"name": "errors", "type": "Errors", "errors": {"maxPercent": percent}}


def latency_below(most: str, percentile: str) -> dict[str, Any]:
    """An objective: this percentile may take so long at the most."""
    return {"name": "latency", "type": "Latency", "latency": {"percentile": percentile, "max": most}}


def migration(
    lane: Lane, name: str, weights: Sequence[int], *objectives: dict[str, Any], false_advance_percent: int = 10
) -> dict[str, Any]:
    """From the lane's stable backend to one of the same name as the migration; hurried, as a test is, unless asked."""
    stable, canary = (
        {"service": {"name": service, "port": 80}, "workload": {"name": service}} for service in (lane.stable, name)
    )
    gateway = {"route": {"name": lane.route}, "parentRefs": [GATEWAY], "hostnames": [lane.host]}
    spec = {
        "stable": stable, "canary": {"type": "Workload", "workload": canary}, "traffic": {"gatewayAPI": gateway},
        "steps": [{"weightPercent": weight, "minDuration": "10s", "maxDuration": "30m"} for weight in weights],
        "objectives": list(objectives),
        "decision": {"falseAdvancePercent": false_advance_percent, "block": "5s", "maxBlind": "30s"},
    }  # fmt: skip
    kind = {"apiVersion": "changeover.dev/v1alpha1", "kind": "CanaryMigration"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def load(lane: Lane, minutes: int = 30) -> dict[str, Any]:
    """Live load through the gateway at the lane's rate, bounded in time."""
    words = ["oha", "-z", f"{minutes}m", "-q", str(lane.rate), "-c", "20", "--latency-correction", "--no-tui"]
    container = {
        "name": "oha", "image": "localhost/changeover-loader:dev", "securityContext": LOCKED,
        "command": [*words, "--output-format", "json", "--host", lane.host, "http://traefik.gateway.svc/"],
        "resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "1Gi"}},
    }  # fmt: skip
    spec = {
        "restartPolicy": "Never", "automountServiceAccountToken": False, "securityContext": SECURE,
        "nodeSelector": {"changeover.dev/role": "load"}, "containers": [container],
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"traffic-{lane.route}"}, "spec": spec}


@contextmanager
def traffic(kube: Kube, lane: Lane) -> Iterator[None]:
    """The lane's route, and its load through it."""
    apply(kube, route_to_stable(lane))
    time.sleep(3)  # the gateway takes the route
    with loaded(kube, lane):
        yield


@contextmanager
def loaded(kube: Kube, lane: Lane) -> Iterator[None]:
    """A lane's load, on a route that is there."""
    pod = load(lane)
    name = pod["metadata"]["name"]
    apply(kube, pod)
    try:
        kube.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
        yield
    finally:
        kube.kubectl("delete", "pod", name, "--grace-period=0", "--wait")


def receiver(kube: Kube) -> list[dict[str, Any]]:
    """Of a webhook: it prints what it is told, a line of JSON each; with its Service, and the Secret that names it."""
    program = (
        "import http.server as h, json\n"
        "class Told(h.BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        body = self.rfile.read(int(self.headers['Content-Length'])).decode()\n"
        "        headers = {k.lower(): v for k, v in self.headers.items()}\n"
        "        print(json.dumps({'headers': headers, 'body': body}), flush=True)\n"
        "        self.send_response(204)\n"
        "        self.end_headers()\n"
        "    def log_message(self, *_):\n"
        "        pass\n"
        "h.HTTPServer(('', 8080), Told).serve_forever()\n"
    )
    container = {
        "name": "receiver", "image": "localhost/changeover-loader:dev", "securityContext": LOCKED,
        "command": ["python3", "-c", program], "resources": {"limits": {"memory": "64Mi"}},
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }  # fmt: skip
    pod = {
        "restartPolicy": "Never", "automountServiceAccountToken": False, "securityContext": SECURE,
        "nodeSelector": {"changeover.dev/role": "load"}, "containers": [container],
    }  # fmt: skip
    labels, url = {"app": "receiver"}, f"http://receiver.{kube.namespace}.svc:8080/hooks"
    service = {"selector": labels, "ports": [{"port": 8080}]}
    secret = {"url": url, "signingKey": SIGNING_KEY}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "receiver", "labels": labels}, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "receiver"}, "spec": service},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hooks"}, "stringData": secret},
    ]


def apply(kube: Kube, *objects: dict[str, Any]) -> None:
    """All of these in one call."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    kube.kubectl("apply", "--filename", "-", stdin=text)


def ready(kube: Kube, *deployments: str) -> None:
    """Wait until their pods are."""
    for name in deployments:
        kube.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")
