"""Short benchmarks on the local cluster: made, run through the operator, read back."""

from __future__ import annotations

import json
from typing import Any

from tests.demo import acts
from tests.demo.kube import Kube

NAMESPACE = "bench"
LONGEST_SECONDS = 7200
RESOURCES = {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"cpu": "200m", "memory": "256Mi"}}
CONNECTIONS, WARM_UP_SECONDS, MEASURE_SECONDS = 360, 5, 10


def a_candidate(name: str, image: str) -> dict[str, Any]:
    """One of the example backends under a name, with the limit that all examples have."""
    return {
        "name": name,
        "image": f"localhost/changeover-{image}:1",
        "env": [{"name": "DRAIN_SECONDS", "value": "1"}],
        "resources": RESOURCES,
    }


def make_benchmark(name: str, candidates: list[dict[str, Any]], rounds: int, **spec: Any) -> dict[str, Any]:
    """One scenario, keep-alive at 360 connections; keyword arguments add to the spec."""
    where = {
        "candidates": {
            "nodeSelector": {"changeover.dev/role": "candidate"},
            "tolerations": [{"key": "changeover.dev/role"}],
        },
        "load": {"nodeSelector": {"changeover.dev/role": "load"}},
    }
    return {
        "apiVersion": "changeover.dev/v1alpha1",
        "kind": "FrameworkBenchmark",
        "metadata": {"name": name},
        "spec": {
            "candidates": candidates,
            "placement": where,
            "scenarios": [{"name": "keep-alive", "type": "Closed", "closed": {"connections": CONNECTIONS}}],
            "schedule": {
                "rounds": {"min": rounds, "max": rounds}, "warmUp": f"{WARM_UP_SECONDS}s",
                "measure": f"{MEASURE_SECONDS}s", "coolDown": "1s", "seed": 1, "aaProbe": False,
                "crossCheck": False,
            },
            **spec,
        },
    }  # fmt: skip


def prepare(kube: Kube) -> None:
    """The operator as its chart installs it, and an empty namespace."""
    acts.install(kube)
    acts.make_namespace(kube)
    acts.clear(kube)


def run(kube: Kube, benchmark: dict[str, Any]) -> acts.Status:
    """Its last status. Raises CommandFailed when it does not end."""
    kube.kubectl("apply", "--filename", "-", stdin=json.dumps(benchmark))
    *_, status = acts.follow(kube, "frameworkbenchmarks", benchmark["metadata"]["name"], LONGEST_SECONDS)
    return status


def runs_of(kube: Kube, status: acts.Status) -> list[dict[str, Any]]:
    """Every run's record."""
    places = [kube.get("configmap", name) for name in status["report"]["configMaps"]]
    return [json.loads(text) for place in places for text in place["data"].values()]
