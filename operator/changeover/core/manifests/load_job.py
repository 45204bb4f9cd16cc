"""One run of load as a Job: the loader's container with the request, the scenario and the times as its arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.benchmark import MOST_OPEN_REQUESTS, BenchmarkSpec
from changeover.api.v1alpha1.candidate import NodeChoice
from changeover.api.v1alpha1.scenario import ClosedLoad, OpenLoad, RampLoad, Request, Scenario
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
END_ALLOWANCE_SECONDS = 40  # what was sent is awaited, 10 s at the most; 3 million samples are written and read
LONGEST_WARM_UP = 3  # times schedule.warmUp, while the candidate still gets faster; the loader's own figure
BARRIER_SECONDS = 15  # from the Job to the common start of several pods, which are scheduled and started by then
LEAST_MEMORY, BYTES_A_SAMPLE = 1 << 30, 400  # oha keeps every sample: some 350 bytes, beside its row in the database
LEAST_SCRATCH = 64 << 20  # the database, on disk when it is too large for the pod's /dev/shm
OHA_PER_SECOND, OHA_NEW_SOCKETS_PER_SECOND = 60_000, 20_000  # that one core of oha does at the most, about


@dataclass(frozen=True)
class LoadTarget:
    """Which run loads what."""

    run: str
    url: str
    image: str
    now: datetime
    pod: str = ""


def make_load_job(owner: Owner, spec: BenchmarkSpec, scenario: Scenario, target: LoadTarget) -> Manifest:
    """The Job of one run; it is never tried again by itself, since a second try would be another draw."""
    labels = labels_of(benchmark=owner.name, role=names.ROLE_LOAD)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.load_job(owner.name, target.run),
            "namespace": owner.namespace,
            "labels": {**labels, names.LABEL_RUN: target.run},
            "annotations": {names.ANNOTATION_LOADED_POD: target.pod},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "backoffLimit": 0,
            # Each pod is told by its index which part of the load is its own.
            "completionMode": "Indexed",
            "completions": spec.load.instances,
            "parallelism": spec.load.instances,
            "activeDeadlineSeconds": int(START_ALLOWANCE_SECONDS + load_seconds(spec, scenario)),
            "template": {"metadata": {"labels": labels}, "spec": _pod(owner, spec, scenario, target)},
        },
    }


def _pod(owner: Owner, spec: BenchmarkSpec, scenario: Scenario, target: LoadTarget) -> dict[str, Any]:
    beside_candidate = {
        "labelSelector": {"matchLabels": {names.LABEL_ROLE: names.ROLE_CANDIDATE}},
        "topologyKey": "kubernetes.io/hostname",
    }
    arguments, memory = loader_arguments(spec, scenario, target), memory_bytes(spec, scenario)
    pod = load_pod(target.image, arguments, spec.placement.load, memory, scratch_bytes(spec, scenario))
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [beside_candidate]}}
    return {**pod, "affinity": {**pod.get("affinity", {}), **apart}}


def load_pod(image: str, arguments: list[str], where: NodeChoice, memory: int, scratch: int) -> dict[str, Any]:
    """The pod of a load generator, with so many bytes of memory and of disk at the most."""
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
        **placement(where),
        "containers": [
            {
                "name": "load",
                "image": image,
                "args": arguments,
                "resources": {"requests": {"memory": "128Mi"}, "limits": {"memory": str(memory)}},
                "securityContext": CONTAINER_SECURITY,
                "volumeMounts": [SCRATCH_MOUNT],
            }
        ],
        "volumes": [{**SCRATCH_VOLUME, "emptyDir": {"sizeLimit": str(scratch)}}],
    }


def load_seconds(spec: BenchmarkSpec, scenario: Scenario) -> float:
    """How long a run's load takes at the most, from the making of its Job's pods to the report."""
    warm_up, window = duration_seconds(spec.schedule.warm_up), duration_seconds(spec.schedule.measure)
    windows = scenario.load.steps if isinstance(scenario.load, RampLoad) else 1
    barrier = BARRIER_SECONDS if spec.load.instances > 1 else 0
    return barrier + LONGEST_WARM_UP * warm_up + windows * (window + END_ALLOWANCE_SECONDS)


def memory_bytes(spec: BenchmarkSpec, scenario: Scenario) -> int:
    """Memory that the generator of one pod may need: that of every sample. wrk keeps none."""
    longest = max(duration_seconds(spec.schedule.warm_up), duration_seconds(spec.schedule.measure))
    bytes_a_sample = BYTES_A_SAMPLE + row_bytes(spec.request)
    return max(LEAST_MEMORY, math.ceil(_fastest(spec, scenario.load) * longest) * bytes_a_sample)


def scratch_bytes(spec: BenchmarkSpec, scenario: Scenario) -> int:
    """Disk that the samples of one window may need; beyond it the kubelet would evict the pod."""
    samples = math.ceil(_fastest(spec, scenario.load) * duration_seconds(spec.schedule.measure))
    return LEAST_SCRATCH + min(samples, MOST_OPEN_REQUESTS) * row_bytes(spec.request)


def row_bytes(request: Request) -> int:
    """Of the database for one answer: each row has the path in it. The loader's own figure (oha.row_bytes)."""
    return max(100, 50 + math.ceil(1.5 * len(request.path)))


def _fastest(spec: BenchmarkSpec, load: ClosedLoad | OpenLoad | RampLoad) -> float:
    """Requests a second that have their latency kept."""
    if isinstance(load, OpenLoad):
        return load.requests_per_second
    if isinstance(load, RampLoad):
        return min(load.top_rate, OHA_PER_SECOND)
    if not load.keep_alive:
        return OHA_NEW_SOCKETS_PER_SECOND
    return OHA_PER_SECOND if _is_for_oha(spec) else 0


def _is_for_oha(spec: BenchmarkSpec) -> bool:
    """Whether a closed loop that keeps its connections is driven by oha; the loader's own rule (Settings.generator)."""
    is_wrks = spec.request.expect_status < 400 and spec.request.is_answered_with_a_body
    return spec.load.driver == "Oha" or (spec.load.driver == "Auto" and not is_wrks)


def loader_arguments(spec: BenchmarkSpec, scenario: Scenario, target: LoadTarget) -> list[str]:
    """Command line of ``python -m changeover.loader`` for one scenario."""
    load = scenario.load
    arguments = [
        f"--mode={scenario.type.lower()}",
        f"--driver={spec.load.driver.lower()}",
        f"--connections={load.connections}",
        f"--keep-alive={str(load.keep_alive).lower()}",
        f"--warm-up={math.ceil(duration_seconds(spec.schedule.warm_up))}",
        f"--measure={math.ceil(duration_seconds(spec.schedule.measure))}",
        f"--max-samples={MOST_OPEN_REQUESTS}",
    ]
    if isinstance(load, OpenLoad):
        arguments.append(f"--rate={load.requests_per_second}")
    if isinstance(load, RampLoad):
        arguments += _ramp(spec, load)
    if spec.load.instances > 1:
        arguments += _together(spec, target)
    if spec.conformance == "Apart":
        arguments.append("--conformance")
    return arguments + request_arguments(spec.request, target.url)


def request_arguments(request: Request, url: str) -> list[str]:
    """The request to an address, and the answer that is expected."""
    arguments = [
        f"--url={url}{_literal(request.path)}",
        f"--method={request.method}",
        f"--expect-status={request.expect_status}",
    ]
    if request.expect_body_sha256:
        arguments.append(f"--expect-body-sha256={request.expect_body_sha256}")
    if request.body:
        arguments.append(f"--body={_literal(request.body)}")
    return arguments + [f"--header={header.name}: {_literal(header.value)}" for header in request.headers]


def _literal(text: str) -> str:
    """As an argument that the kubelet hands on unchanged: it would put a variable's value in for ``$(NAME)``."""
    return text.replace("$", "$$")


def _ramp(spec: BenchmarkSpec, load: RampLoad) -> list[str]:
    """The steps, and the objectives that the loader can judge; CPU is judged from the steps' windows afterwards."""
    arguments = [
        f"--rate={load.start_requests_per_second}",
        f"--factor={load.factor}",
        f"--max-steps={load.max_steps}",
        f"--bisect={load.bisections}",
    ]
    latency, errors = spec.objectives.max_latency, spec.objectives.max_error_percent
    if latency is not None:
        arguments.append(f"--percentile=p{latency.percentile.replace('.', '')}")
        arguments.append(f"--max-p99-ms={1000 * duration_seconds(latency.max):g}")
    return arguments if errors is None else [*arguments, f"--max-error-percent={errors}"]


def _together(spec: BenchmarkSpec, target: LoadTarget) -> list[str]:
    """Which part is this pod's (the kubelet puts its index in), and when all begin."""
    start = target.now + timedelta(seconds=BARRIER_SECONDS)
    return [
        f"--instances={spec.load.instances}",
        "--instance=$(JOB_COMPLETION_INDEX)",
        f"--start-at={start.timestamp():.3f}",
    ]
