"""One run of load as a Job: the loader's container with the request, the scenario and the times as its arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.api.v1alpha1.scenario import OpenLoad, Scenario
from changeover.core import names
from changeover.core.manifests.common import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    SCRATCH_MOUNT,
    SCRATCH_VOLUME,
    labels_of,
    owner_reference,
    placement,
)  # fmt: skip
from changeover.core.observed import Owner
from changeover.core.plan import Manifest

START_ALLOWANCE_SECONDS = 60  # scheduling, image start, and the loader's first answer
LEAST_MEMORY, BYTES_A_SAMPLE = 1 << 30, 500  # oha keeps every sample: some 350 bytes, and 100 in its database


@dataclass(frozen=True)
class LoadTarget:
    """Which run loads what."""

    run: str
    url: str
    image: str


def make_load_job(owner: Owner, spec: BenchmarkSpec, scenario: Scenario, target: LoadTarget) -> Manifest:
    """The Job of one run; it is never tried again by itself, since a second try would be another draw."""
    seconds = duration_seconds(spec.schedule.warm_up) + duration_seconds(spec.schedule.measure)
    labels = labels_of(benchmark=owner.name, role=names.ROLE_LOAD)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.load_job(owner.name, target.run),
            "namespace": owner.namespace,
            "labels": {**labels, names.LABEL_RUN: target.run},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(seconds) + START_ALLOWANCE_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": _pod(owner, spec, scenario, target)},
        },
    }


def _pod(owner: Owner, spec: BenchmarkSpec, scenario: Scenario, target: LoadTarget) -> dict[str, Any]:
    beside_candidate = {
        "labelSelector": {"matchLabels": {names.LABEL_ROLE: names.ROLE_CANDIDATE}},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 2,
        # Room for sockets in TIME_WAIT when every request takes a new one; a safe sysctl.
        "securityContext": {
            **POD_SECURITY,
            "sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}],
        },
        **placement(spec.placement.load),
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [beside_candidate]}},
        "containers": [
            {
                "name": "load",
                "image": target.image,
                "args": loader_arguments(spec, scenario, target.url),
                "resources": {"requests": {"memory": "128Mi"}, "limits": {"memory": str(memory_bytes(spec, scenario))}},
                "securityContext": CONTAINER_SECURITY,
                "volumeMounts": [SCRATCH_MOUNT],
            }
        ],
        "volumes": [SCRATCH_VOLUME],
    }


def memory_bytes(spec: BenchmarkSpec, scenario: Scenario) -> int:
    """Memory that the generator may need: a known rate tells, a closed loop is cut off by what a core can do."""
    if not isinstance(scenario.load, OpenLoad):
        return LEAST_MEMORY
    seconds = max(duration_seconds(spec.schedule.warm_up), duration_seconds(spec.schedule.measure))
    return max(LEAST_MEMORY, math.ceil(scenario.load.requests_per_second * seconds) * BYTES_A_SAMPLE)


def loader_arguments(spec: BenchmarkSpec, scenario: Scenario, url: str) -> list[str]:
    """Command line of ``python -m changeover.loader`` for one scenario."""
    request, load = spec.request, scenario.load
    arguments = [
        f"--url={url}{request.path}",
        f"--mode={scenario.type.lower()}",
        f"--connections={load.connections}",
        f"--keep-alive={str(load.keep_alive).lower()}",
        f"--warm-up={math.ceil(duration_seconds(spec.schedule.warm_up))}",
        f"--measure={math.ceil(duration_seconds(spec.schedule.measure))}",
        f"--method={request.method}",
        f"--expect-status={request.expect_status}",
    ]
    if isinstance(load, OpenLoad):
        arguments.append(f"--rate={load.requests_per_second}")
    if request.expect_body_sha256:
        arguments.append(f"--expect-body-sha256={request.expect_body_sha256}")
    return arguments + [f"--header={header.name}: {header.value}" for header in request.headers]
