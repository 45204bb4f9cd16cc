"""A rollback and a promotion before one's eyes, on a cluster that stands: three backends, own load, two migrations.

Everything is in one namespace, is made of the operator's own loader image, and goes with that namespace.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from changeover.cli.gather import fetch
from changeover.cli.kubectl import Kubectl
from changeover.cli.preflight import preflight
from changeover.cli.preflight_metrics import METRIC_SOURCE
from changeover.cli.prometheus import operator_config, scrape_seconds, source_of
from changeover.cli.render import pairs
from changeover.cli.target import MIGRATION, Target, UsageError
from changeover.cli.verdict import BAD, ROLLED_BACK, SUCCEEDED, Check, exit_code
from changeover.cli.watching import watch

Body = dict[str, Any]
NAMESPACE = "changeover-demo"
OLD, NEW, BROKEN, ROUTE = "checkout-old", "checkout-new", "checkout-broken", "checkout"
RATE, WEIGHTS = 100, (25, 100)  # requests/s of own load; %
FIRST_SCRAPES_SECONDS = 45.0  # of a Prometheus that begins: its targets are found, and scraped every 30 s at the most
SHORTEST_BLOCK = 5.0  # seconds; a block holds a scrape
READY_SECONDS = 120
SERVER = """
import http.server as h, os, random, signal, sys
class Checkout(h.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        bad = self.path != '/ready' and random.random() < float(os.environ['BAD'])
        body = b'out of order' if bad else b'thank you'
        self.send_response(500 if bad else 200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
h.ThreadingHTTPServer.request_queue_size = 128
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
h.ThreadingHTTPServer(('', 8080), Checkout).serve_forever()
"""


@dataclass(frozen=True)
class Stage:
    """What the operator's configuration says: the image to run, the Gateway and how often Prometheus scrapes."""

    image: str
    gateway: tuple[str, str]  # namespace and name
    host: str
    scrape_seconds: float


def stage_of(kubectl: Kubectl, gateway: str) -> Stage:
    """Raises UsageError with the mend when the operator lacks something; `gateway` is NAMESPACE/NAME or empty."""
    deployment, config = operator_config(Kubectl(NAMESPACE, kubectl.context, kubectl.kubeconfig))
    if deployment is None:
        raise UsageError("the operator is not installed; helm install changeover charts/changeover --namespace …")
    known = {f"{one['namespace']}/{one['name']}": one for one in config.get("gateways") or []}
    if not known or (gateway and gateway not in known):
        example = '--set-json \'gateways=[{"namespace":"…","name":"…","url":"http://SERVICE.NAMESPACE.svc"}]\''
        knows = f"it knows {', '.join(known)}" if known else "it knows none"
        raise UsageError(
            f"the operator has to know where load reaches the Gateway; {knows}; helm upgrade with {example}"
        )
    chosen = known[gateway] if gateway else next(iter(known.values()))
    source = source_of(config, "default")
    if source is None:
        raise UsageError("the operator has no metric source called default; name one so in the chart's metricSources")
    where = (chosen["namespace"], chosen["name"])
    return Stage(config["loaderImage"], where, f"{NAMESPACE}.example.com", scrape_seconds(source))


def run(kubectl: Kubectl, stage: Stage, console: Console) -> int:
    """The whole of it. Exit code 0: rolled back and promoted, as it should be; 1: something is missing; 4: else."""
    here = Kubectl(NAMESPACE, kubectl.context, kubectl.kubeconfig)
    if kubectl.get("namespace", NAMESPACE) is not None:
        raise UsageError(f"an earlier demo is still there; kubectl delete namespace {NAMESPACE}")
    _title(console, "Three backends of a checkout: the old one, a new one, and one that fails six requests of ten")
    apply(kubectl, namespace())
    apply(here, *(part for name, bad in ((OLD, 0.0), (NEW, 0.0), (BROKEN, 0.6)) for part in backend(stage, name, bad)))
    for name in (OLD, NEW, BROKEN):
        here.run("rollout", "status", f"deployment/{name}", f"--timeout={READY_SECONDS}s")
    first = migration(stage, "to-broken", OLD, BROKEN)
    if not _all_there(here, first, console):
        console.print(f"Mend what is marked {BAD}, then: kubectl delete namespace {NAMESPACE}, and once more.")
        return 1
    back = _act(here, first, console, f"{OLD} -> {BROKEN}: what is beyond doubt is taken back at the first scrape")
    console.print("Its route is handed to the next migration.")
    here.run("delete", MIGRATION, "to-broken", "--wait")
    here.run("annotate", "httproute", ROUTE, "changeover.dev/hand-over-to=to-new")
    second = migration(stage, "to-new", OLD, NEW)
    promoted = _act(
        here, second, console, f"{OLD} -> {NEW}: {RATE} requests a second, {_steps()} of them to the new one"
    )
    console.print(
        f"\nLook: kubectl changeover get cmig/to-new -n {NAMESPACE}; report, replay and explain know it, too."
    )
    console.print(f"Remove it all: kubectl delete namespace {NAMESPACE}")
    return SUCCEEDED if (back, promoted) == (ROLLED_BACK, SUCCEEDED) else 4


def _steps() -> str:
    return " and then ".join(f"{weight} %" for weight in WEIGHTS)


def _all_there(here: Kubectl, body: Body, console: Console) -> bool:
    _title(console, "Is all there that a migration needs?")
    found = _settled(here, body, console)
    for check in found:
        console.print(pairs([(check.sign, check.what, check.how)]))
    return all(check.sign != BAD for check in found)


def _settled(here: Kubectl, body: Body, console: Console) -> list[Check]:
    """The checks, when a Prometheus that was started a moment ago has had the time for its first scrapes."""
    until, is_told = time.monotonic() + FIRST_SCRAPES_SECONDS, False
    while True:
        found = list(preflight(here, body))
        missing = [check.what for check in found if check.sign == BAD]
        is_young = missing and all(what.startswith(METRIC_SOURCE) for what in missing)
        if not is_young or time.monotonic() > until:
            return found
        if not is_told:
            limit = f"up to {FIRST_SCRAPES_SECONDS:.0f} s"
            console.print(f"Waiting {limit} for the first scrapes of a Prometheus that begins ({missing[0]})")
            is_told = True
        time.sleep(2)


def _act(here: Kubectl, body: Body, console: Console, what: str) -> int | None:
    """One migration from its beginning to its end; its exit code, and None, which is no success, for none yet."""
    _title(console, what)
    begun = time.monotonic()
    apply(here, body)
    target = Target(MIGRATION, body["metadata"]["name"])
    watch(here, target, console, wide=False)
    console.print(f"({time.monotonic() - begun:.0f} s)")
    return exit_code(fetch(here, target))


def _title(console: Console, text: str) -> None:
    console.print(f"\n=== {text}", style="bold", soft_wrap=True)


def apply(kubectl: Kubectl, *bodies: Body) -> None:
    """All of these in one call. Raises KubectlFailed."""
    kubectl.run("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(bodies)}))


def namespace() -> Body:
    """As a careful cluster would have it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def backend(stage: Stage, name: str, bad: float) -> Iterator[Body]:
    """Deployment and Service of a checkout that answers this share of its requests with 500."""
    labels = {"app": name}
    container = {
        "name": "checkout", "image": stage.image, "command": ["python3", "-c", SERVER],
        "env": [{"name": "BAD", "value": str(bad)}], "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        },
    }  # fmt: skip
    secure = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"containers": [container], "securityContext": secure, "automountServiceAccountToken": False}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    service = {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service}


def migration(stage: Stage, name: str, stable: str, canary: str) -> Body:
    """Hurried, to be watched: steps of a few blocks, and objectives that a hundred requests can show."""
    block = max(SHORTEST_BLOCK, stage.scrape_seconds)
    old, new = ({"service": {"name": arm, "port": 80}, "workload": {"name": arm}} for arm in (stable, canary))
    parent = dict(zip(("namespace", "name"), stage.gateway, strict=True))
    spec = {
        "stable": old, "canary": {"type": "Workload", "workload": new},
        "traffic": {"gatewayAPI": {"route": {"name": ROUTE}, "parentRefs": [parent], "hostnames": [stage.host]}},
        "load": {"requestsPerSecond": RATE, "connections": 10},
        "steps": [{"weightPercent": one, "minDuration": f"{2 * block:g}s", "maxDuration": "10m"} for one in WEIGHTS],
        "objectives": [
            {"name": "latency", "type": "Latency", "latency": {"percentile": "95", "max": "300ms"}},
            {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}},
        ],
        "decision": {"falseAdvancePercent": 10, "block": f"{block:g}s", "maxBlind": f"{12 * block:g}s"},
    }  # fmt: skip
    return {
        "apiVersion": "changeover.dev/v1alpha1", "kind": "CanaryMigration", "metadata": {"name": name}, "spec": spec,
    }  # fmt: skip
