"""Builders of valid objects, as dictionaries: tests say only what matters to them."""

from __future__ import annotations

from typing import Any

from changeover.api.v1alpha1 import API_VERSION
from changeover.core.plan import Manifest
from changeover.testing.objects import merge_patch

NAMESPACE = "shop"


def a_benchmark(name: str = "web", **spec: Any) -> Manifest:
    """A FrameworkBenchmark of two candidates in three short rounds; keyword arguments replace fields of its spec."""
    resources = {"requests": {"cpu": "500m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}
    base = {
        "candidates": [
            {"name": candidate, "image": f"localhost/{candidate}:1", "resources": resources}
            for candidate in ("fast", "lame")
        ],
        "scenarios": [{"name": "keep-alive", "type": "Closed", "closed": {"connections": 360}}],
        "schedule": {
            "rounds": {"min": 3, "max": 3},
            "warmUp": "2s",
            "measure": "10s",
            "coolDown": "2s",
            "aaProbe": False,
            "crossCheck": False,
        },
    }
    return _resource("FrameworkBenchmark", name, {**base, **spec})


def a_migration(name: str = "shop", **spec: Any) -> Manifest:
    """A CanaryMigration from ``old`` to ``new`` in three steps; keyword arguments replace fields of its spec."""
    base = {
        "stable": a_backend("old"),
        "canary": {"type": "Workload", "workload": a_backend("new")},
        "traffic": {"gatewayAPI": {"route": {"name": "shop"}, "parentRefs": [{"name": "public"}]}},
        "steps": [{"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h"} for weight in (10, 50, 100)],
        "objectives": [
            {"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": "50ms"}},
            {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}},
            {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}},
        ],
        "decision": {"falseAdvancePercent": 5, "block": "1m", "maxBlind": "5m"},
    }
    return _resource("CanaryMigration", name, {**base, **spec})


def a_backend(name: str, port: int = 80) -> dict[str, Any]:
    """One arm of a migration: a Service and a Deployment of the same name."""
    return {"service": {"name": name, "port": port}, "workload": {"kind": "Deployment", "name": name}}


def a_deployment(name: str, replicas: int = 2, **more: Any) -> Manifest:
    """A user's Deployment; keyword arguments are merged into it."""
    labels = {"app": name}
    base = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [
                        {"name": "web", "image": f"localhost/{name}:1", "resources": {"limits": {"cpu": "500m"}}}
                    ]
                },
            },
        },
    }
    merged: Manifest = merge_patch(base, more)
    return merged


def a_node(name: str = "node-1") -> Manifest:
    """A Node with what a benchmark's environment shows of it."""
    info = {"kernelVersion": "6.1.0", "kubeletVersion": "v1.36.0", "containerRuntimeVersion": "containerd://2.0"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"nodeInfo": info, "capacity": {"cpu": "2"}},
    }


def a_report(requests_per_second: float = 1000.0, **more: Any) -> dict[str, Any]:
    """A loader's report of a fair run; keyword arguments replace its fields."""
    answered = int(requests_per_second * 8)
    p50 = 0.9 * 360 / requests_per_second
    latency = {"mean": p50, "p50": p50, "p90": 1.5 * p50, "p99": 2 * p50, "p999": 3 * p50, "max": 4 * p50}
    base: dict[str, Any] = {
        "version": 1,
        "generator": {"name": "wrk", "version": "4.2.0"},
        "mode": "closed",
        "connections": 360,
        "windowStart": 0.0,
        "windowEnd": 8.0,
        "durationSeconds": 8.0,
        "requests": answered,
        "succeeded": answered,
        "errors": {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 0},
        "requestsPerSecond": requests_per_second,
        "latency": latency,
        "generatorCPU": {"userSeconds": 2.0, "systemSeconds": 1.0, "cores": 0.4},
        "cpuModel": "some CPU",
        "littleRatio": 0.9,
        "histogram": [[1000, answered]],
    }
    return {**base, **more}


BY_H2LOAD: dict[str, Any] = {
    "generator": {"name": "h2load", "version": "1.52.0"},
    "latency": None,
    "latencyRefused": "h2load is used for the rate alone",
    "littleRatio": None,
    "histogram": [],
}
"""What a report of h2load's has instead."""


def some_checks(passed: bool) -> list[dict[str, Any]]:
    """The loader's conformance checks, shortened: one that passed, one as told, one that does not apply."""
    return [
        {"name": "same body", "passed": True, "detail": "13 bytes, the same on two fresh connections"},
        {"name": "404 elsewhere", "passed": passed, "detail": "404" if passed else "status 200"},
        {"name": "HEAD", "passed": None, "detail": "the benchmark's method is POST"},
    ]


def _resource(kind: str, name: str, spec: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
