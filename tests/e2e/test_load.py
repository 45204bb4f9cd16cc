"""Kinds of load that the main job does not use, each in one run on real parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tests.bench.measured import short
from tests.demo import acts
from tests.demo.kube import CommandFailed, Kube

CANDIDATES = ("go-net-http", "rust-std")
RECORD_SECONDS = 420
# At a whole core oha saturates, and at half of one a quiet machine answers more than the three million requests whose
# latencies are kept; a third of one is enough for 64 MiB of them in 90 s.
A_THIRD = {"resources": {**short.RESOURCES, "limits": {"cpu": "350m", "memory": "256Mi"}}}


def fair_record(kube: Kube, name: str, images: Sequence[str] = CANDIDATES, **spec: Any) -> dict[str, Any]:
    """Of a benchmark that is deleted as soon as it has one.

    A shared machine may take the CPU away from a run, which is void then, with good reason, and is measured again.
    """
    candidates = [short.a_candidate(image, image) | spec.pop(image, {}) for image in images]
    benchmark = short.make_benchmark(name, candidates, 3, **spec)
    kube.kubectl("apply", "--filename", "-", stdin=json.dumps(benchmark))
    found: dict[str, dict[str, Any]] = {}

    def recorded() -> bool:
        status = acts.status_of(kube, "fb", name)
        for record in short.runs_of(kube, status) if "report" in status else []:
            found["void" if record["void"] else "fair"] = record
        return "fair" in found

    try:
        acts.wait_until(f"a fair run of {name}", RECORD_SECONDS, recorded)
    except CommandFailed as late:
        raise CommandFailed(f"{late}; of what was measured: {found.get('void', {}).get('void')}") from late
    finally:
        kube.kubectl("delete", "frameworkbenchmark", name, "--wait")
    return found["fair"]


def test_a_ramp_finds_the_knee_with_its_cpu(operator: Kube) -> None:
    ramp = {"startRequestsPerSecond": 500, "factor": "3", "maxSteps": 5, "bisections": 1, "connections": 64}
    record = fair_record(
        operator, "knee",
        scenarios=[{"name": "capacity", "type": "Ramp", "ramp": ramp}],
        objectives={"maxLatency": {"percentile": "99", "max": "100ms"}},
    )  # fmt: skip
    report = record["report"]
    held = sorted(point["rate"] for point in report["curve"] if point["held"])
    broke = sorted(point["rate"] for point in report["curve"] if not point["held"])
    # 200m of a core carry 500/s and not 40,500/s, on any machine that these tests run on.
    assert 500 <= report["knee"] == held[-1] < broke[0] <= 40_500
    assert report["latency"]["p99"] <= 0.1
    assert report["requestsPerSecond"] >= 0.95 * report["knee"]
    cores = [point["cpuCores"] for point in sorted(report["curve"], key=lambda p: float(p["rate"])) if point["held"]]
    assert all(more > less for less, more in pairwise([0.0, *cores])), "CPU grows with the rate"
    assert record["cpuCores"] == cores[-1]


def test_two_load_pods_are_one_load(operator: Kube) -> None:
    record = fair_record(
        operator, "together",
        load={"instances": 2},
        scenarios=[{"name": "constant", "type": "Open", "open": {"requestsPerSecond": 201, "connections": 33}}],
    )  # fmt: skip
    report = record["report"]
    assert (report["pods"], report["connections"], report["rate"]) == (2, 33, 201.0)
    assert 0.95 * 201 < report["requestsPerSecond"] < 1.05 * 201
    assert abs(report["requests"] / report["durationSeconds"] - 201) < 0.05 * 201
    assert report["startedLateSeconds"] < 1


PEAK = (  # a kubelet tells of each container twice, at /metrics/cadvisor and at /metrics/resource
    "sum(max by (pod, container) (max_over_time(container_memory_working_set_bytes"
    '{namespace="{{ .namespace }}",pod=~"{{ .podRegex }}",container!=""}[{{ .window }}])))'
)


def test_a_query_of_the_users_own_sees_what_the_operator_sees(open_operator: Kube) -> None:
    """The peak of memory, asked in PromQL, is the one that the operator reads from the raw samples itself."""
    queries = [{"name": "peak", "query": PEAK, "unit": "bytes"}, {"name": "silent", "query": "nothing_of_that_name"}]
    record = fair_record(open_operator, "own", metrics={"queries": queries})
    # A scrape that a busy machine still had on its way when the operator read may have come until the query was asked.
    # What is counted twice, or left out, would be off by half or more.
    peak = record["memoryPeakBytes"]
    assert list(record["metrics"]) == ["peak"] and 0.99 * peak <= record["metrics"]["peak"] <= 1.25 * peak
    assert "MetricUnknown: silent (the query gave no sample)" in record["remarks"]


def test_every_latency_of_a_long_window_is_kept(operator: Kube) -> None:
    """More samples than a pod's /dev/shm holds; oha because it was asked for, where wrk would have been chosen."""
    record = fair_record(
        operator, "long", images=("tokio", "hyperlane"),
        load={"driver": "Oha"}, tokio=A_THIRD, hyperlane=A_THIRD,
        scenarios=[{"name": "closed", "type": "Closed", "closed": {"connections": 64}}],
        schedule={"rounds": {"min": 3, "max": 3}, "warmUp": "2s", "measure": "90s", "aaProbe": False},
    )  # fmt: skip
    report = record["report"]
    assert (report["generator"]["name"], report["histogramMergeable"]) == ("oha", True)
    assert report["requests"] * 100 > 64 << 20, "too few requests to say anything"
