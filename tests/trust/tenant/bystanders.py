"""What others have in a namespace, none of which a tenant may change, read or run by way of our resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from changeover.core import names
from changeover.core.manifests.common import labels_of
from changeover.core.plan import Manifest

GATEWAY = "/apis/gateway.networking.k8s.io/v1"
OURS = "/apis/changeover.dev/v1alpha1"
VICTIM = "victim"
HARMLESS_CONTAINER = {
    "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip
PLAIN: Manifest = {"containers": [{"name": "web", "image": "localhost/web:1", "securityContext": HARMLESS_CONTAINER}]}
PRIVILEGED: Manifest = {
    "hostPID": True, "hostIPC": True, "serviceAccountName": "admin", "nodeName": "node-1",
    "automountServiceAccountToken": True, "priorityClassName": "system-node-critical",
    "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["api"]}],
    "nodeSelector": {"node-role.kubernetes.io/control-plane": ""}, "tolerations": [{"operator": "Exists"}],
    "securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}], "runAsUser": 0},
    "containers": [{
        "name": "web", "image": "localhost/root:1", "ports": [{"containerPort": 8080, "hostPort": 8080}],
        "securityContext": {"privileged": True, "capabilities": {"add": ["SYS_ADMIN"]}},
        "lifecycle": {"postStart": {"exec": {"command": ["id"]}}},
    }],
    "initContainers": [{"name": "setup", "image": "localhost/root:1", "securityContext": {"privileged": True}}],
}  # fmt: skip
ROOT_DISK: Manifest = {**PLAIN, "volumes": [{"name": "root", "hostPath": {"path": "/"}}]}
SECRETIVE: Manifest = {
    "volumes": [{"name": "keys", "secret": {"secretName": "db"}}],
    "containers": [{
        "name": "web", "image": "localhost/web:1", "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
    }],
}  # fmt: skip


def bystanders(namespace: str) -> Iterator[tuple[str, Manifest]]:
    """Path and body of each."""
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}/deployments"
    for name in ("hooks", "db"):
        yield f"{core}/secrets", {"metadata": {"name": name}, "stringData": {"url": "http://x", "password": "secret"}}
    yield f"{core}/configmaps", {"metadata": {"name": "settings"}, "data": {"a": "b"}}
    specs = {"old": PLAIN, "new": PLAIN, "privileged": PRIVILEGED, "rooted": ROOT_DISK, "secretive": SECRETIVE}
    for name, spec in specs.items():
        yield apps, _deployment(name, spec)
    yield apps, _deployment("web-worker", PLAIN)
    yield apps, _deployment("web-theirs", PLAIN, labels_of(benchmark="theirs"))
    for name in ("old", "new", "web-front", "web-shelf", "cash-canary", "web-theirs"):
        labels = labels_of(benchmark="theirs") if name == "web-theirs" else {"app": name}
        service = {"selector": {"app": name}, "ports": [{"port": 80}]}
        yield f"{core}/services", {"metadata": {"name": name, "labels": labels}, "spec": service}
    for name in ("old", "new"):
        yield f"{core}/pods", {"metadata": {"name": name, "labels": {"app": name}}, "spec": PLAIN}
    yield f"{OURS}/namespaces/{namespace}/frameworkbenchmarks", _published("published")
    if namespace == VICTIM:
        yield apps, _deployment("victims-own", PLAIN)
        yield f"{OURS}/namespaces/{namespace}/frameworkbenchmarks", _published("victims-own")
    for name, (labels, weights) in ROUTES.items():
        yield f"{GATEWAY}/namespaces/{namespace}/httproutes", _route(name, labels, weights)


ROUTES: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "theirs": ({}, {"old": 1}),
    "taken": ({names.LABEL_MIGRATION: "other"}, {"old": 100, "new": 0}),
    "third": ({}, {"old": 50, "new": 0, "web-front": 50}),
    "split": ({}, {"old": 100, "new": 0}),
    "shop-testers": ({}, {"old": 1}),
}


def _deployment(name: str, spec: Manifest, more: dict[str, str] | None = None) -> Manifest:
    labels = {"app": name, **(more or {})}
    template = {"metadata": {"labels": labels}, "spec": spec}
    body = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name, "labels": labels}, "spec": body}


def _route(name: str, labels: dict[str, str], weights: dict[str, int]) -> dict[str, Any]:
    backends = [{"name": service, "port": 80, "weight": weight} for service, weight in weights.items()]
    spec = {"parentRefs": [{"name": "public", "namespace": "gateway"}], "rules": [{"backendRefs": backends}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name, "labels": labels}, "spec": spec,
    }  # fmt: skip


def _published(name: str) -> dict[str, Any]:
    candidates = [{"name": one, "image": f"localhost/{one}:1"} for one in ("quick", "slow")]
    scenarios = [{"name": "keep-alive", "type": "Closed", "closed": {}}]
    return {
        "apiVersion": "changeover.dev/v1alpha1", "kind": "FrameworkBenchmark", "metadata": {"name": name},
        "spec": {"candidates": candidates, "scenarios": scenarios},
    }  # fmt: skip


RANKED: dict[str, Any] = {
    "observedGeneration": 1,
    "conditions": [{
        "type": "Ready", "status": "True", "observedGeneration": 1, "reason": "Published", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }],
    "ranking": [{
        "rank": 1, "candidate": "quick", "score": "1", "low": "1", "high": "1", "unit": "x", "meetsObjectives": True,
        "relativeToFirst": "1", "imageDigest": "sha256:localhost/quick:1",
    }],
    "winner": {"candidate": "quick", "image": "localhost/quick:1", "message": "", "tiedWith": []},
}  # fmt: skip
"""The status of a benchmark with a winner."""
