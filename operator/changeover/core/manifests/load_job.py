"""One run of load as a Job: the loader's container with the request, the scenario and the times as its arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.benchmark import BenchmarkSpec, Scenario
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
MEMORY = {"requests": {"memory": "128Mi"}, "limits": {"memory": "1Gi"}}  # oha keeps every sample


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
                "resources": MEMORY,
                "securityContext": CONTAINER_SECURITY,
                "volumeMounts": [SCRATCH_MOUNT],
            }
        ],
        "volumes": [SCRATCH_VOLUME],
    }


def loader_arguments(spec: BenchmarkSpec, scenario: Scenario, url: str) -> list[str]:
    """Command line of ``python -m changeover.loader`` for one scenario."""
    assert scenario.closed is not None  # the union guarantees it
    request = spec.request
    arguments = [
        f"--url={url}{request.path}",
        "--mode=closed",
        f"--connections={scenario.closed.connections}",
        f"--keep-alive={str(scenario.closed.keep_alive).lower()}",
        f"--warm-up={math.ceil(duration_seconds(spec.schedule.warm_up))}",
        f"--measure={math.ceil(duration_seconds(spec.schedule.measure))}",
        f"--method={request.method}",
        f"--expect-status={request.expect_status}",
    ]
    if request.expect_body_sha256:
        arguments.append(f"--expect-body-sha256={request.expect_body_sha256}")
    return arguments + [f"--header={header.name}: {header.value}" for header in request.headers]
