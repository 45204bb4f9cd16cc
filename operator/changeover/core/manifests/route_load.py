"""Load of a migration's own through its route: one Job at a constant rate, open loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from changeover.api.v1alpha1.benchmark import MOST_OPEN_REQUESTS
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.core import names
from changeover.core.manifests.common import labels_of, owner_reference
from changeover.core.manifests.load_job import (
    BYTES_A_SAMPLE,
    END_ALLOWANCE_SECONDS,
    LEAST_MEMORY,
    LEAST_SCRATCH,
    START_ALLOWANCE_SECONDS,
    load_pod,
    request_arguments,
    row_bytes,
)
from changeover.core.observed import Owner
from changeover.core.plan import Manifest


@dataclass(frozen=True)
class Aim:
    """Where load goes: the gateway's address, and the host name that the route listens to (empty: any)."""

    url: str
    host: str


@dataclass(frozen=True)
class RouteLoad:
    """So many requests a second over so many connections, for so many seconds."""

    job: str
    image: str
    rate: int
    connections: int
    seconds: int


def longest(rate: int, seconds: float) -> int:
    """Seconds that load of this rate may last: the generator keeps every latency, so requests are bounded."""
    return max(1, math.floor(min(seconds, MOST_OPEN_REQUESTS / rate)))


def make_route_load(owner: Owner, spec: MigrationSpec, load: RouteLoad, aim: Aim) -> Manifest:
    """The Job; it is never tried again by itself, and ends with its migration."""
    samples = load.rate * load.seconds
    arguments = [
        "--mode=open",
        "--driver=oha",
        f"--rate={load.rate}",
        f"--connections={min(load.connections, load.rate)}",
        "--keep-alive=true",
        f"--measure={load.seconds}",
        f"--max-samples={MOST_OPEN_REQUESTS}",
        *request_arguments(spec.request, aim.url),
        *([f"--host-header={aim.host}"] if aim.host and not _names_a_host(spec) else []),
    ]
    memory = max(LEAST_MEMORY, samples * (BYTES_A_SAMPLE + row_bytes(spec.request)))
    scratch = LEAST_SCRATCH + samples * row_bytes(spec.request)
    labels = labels_of(migration=owner.name, role=names.ROLE_LOAD)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": load.job,
            "namespace": owner.namespace,
            "labels": {**labels, names.LABEL_RUN: load.job},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": START_ALLOWANCE_SECONDS + load.seconds + END_ALLOWANCE_SECONDS,
            "template": {
                "metadata": {"labels": labels},
                "spec": load_pod(load.image, arguments, spec.placement.load, memory, scratch),
            },
        },
    }


def _names_a_host(spec: MigrationSpec) -> bool:
    return any(header.name.lower() == "host" for header in spec.request.headers)
