"""The operator is killed while it measures: is the result whole, and is no round counted twice?

Each kill is SIGKILL to the operator's process, at a moment drawn from the seed; the Deployment starts another. What is
looked at afterwards is what the cluster kept: the records, and the events of the load Jobs.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.measured import short
from tests.cluster import cgroups
from tests.cluster.layout import cluster_from_environment
from tests.demo import acts
from tests.demo.kube import Kube

ROUNDS = 3
SCENARIO = "keep-alive"
CANDIDATES = ("go-net-http", "node-http", "rust-std")
SHORTEST_RUN_SECONDS = 20.0  # of one run on the local cluster; kills are drawn from the time that all take at the least
MARGIN = 0.1  # of a kill's share of that time, at either end: two kills never fall together
LONGEST_START_SECONDS = 60.0
COMMAND = [b"python", b"-m", b"changeover"]  # the operator's, in its container


@dataclass
class Course:
    """What was seen of one benchmark. Records are kept as text, since they must not change by a byte."""

    killed_after: list[float] = field(default_factory=list)  # seconds from the start
    records_before: list[Mapping[str, str]] = field(default_factory=list)  # as of right before each kill
    records: Mapping[str, str] = field(default_factory=dict)  # at the end
    jobs: Mapping[str, set[str]] = field(default_factory=dict)  # load Job's name -> uids that were seen under it
    succeeded: bool = False
    seconds: float = 0.0


def measure(kube: Kube, times: int, seed: int) -> None:
    """Print the figures of one benchmark."""
    course = run_and_kill(kube, make_benchmark("kills", CANDIDATES, seed), times, seed)
    found = problems(course, CANDIDATES)
    print(describe(course))
    print("\n".join(found) or "whole: every cell counted once, no window twice, no load Job twice, no record changed")


def make_benchmark(name: str, candidates: Sequence[str], seed: int) -> dict[str, Any]:
    """The example backends of these names, in rounds in an order of the seed."""
    benchmark = short.make_benchmark(name, [short.a_candidate(one, one) for one in candidates], ROUNDS)
    benchmark["spec"]["schedule"] |= {"seed": seed, "warmUp": "1s", "coolDown": "0s"}
    return benchmark


def moments(times: int, seed: int, seconds: float) -> list[float]:
    """So many moments, one in each equal part of the time, in order."""
    draw, part = random.Random(seed), seconds / times
    return [part * (number + MARGIN + (1 - 2 * MARGIN) * draw.random()) for number in range(times)]


def run_and_kill(kube: Kube, benchmark: dict[str, Any], times: int, seed: int) -> Course:
    """Run a benchmark to its end and kill the operator so many times meanwhile. Raises CommandFailed."""
    name = benchmark["metadata"]["name"]
    runs = ROUNDS * len(benchmark["spec"]["candidates"])
    waiting = moments(times, seed, runs * SHORTEST_RUN_SECONDS)
    course, began = Course(), time.monotonic()
    kube.kubectl("apply", "--filename", "-", stdin=json.dumps(benchmark))
    for _ in acts.follow(kube, "frameworkbenchmarks", name, short.LONGEST_SECONDS):
        if waiting and time.monotonic() - began >= waiting[0]:
            waiting.pop(0)
            course.records_before.append(records_of(kube, name))
            kill_operator(kube)
            course.killed_after.append(time.monotonic() - began)
    course.seconds = time.monotonic() - began
    status = acts.status_of(kube, "frameworkbenchmarks", name)
    course.succeeded = acts.condition(status, "Succeeded").get("status") == "True"
    course.records, course.jobs = records_of(kube, name), jobs_of(kube, name)
    return course


def kill_operator(kube: Kube) -> None:
    """SIGKILL to the operator's process, however it is; its pod goes with it, since a kubelet starts the container of a
    pod that dies again and again later each time. Raises CommandFailed when there is none to be killed."""
    acts.wait_until("the operator runs", LONGEST_START_SECONDS, lambda: bool(operator_processes()))
    for process in operator_processes():
        os.kill(process, signal.SIGKILL)
    kube.run(
        "kubectl", "-n", acts.OPERATOR_NAMESPACE, "delete", "pod", "-l", "app.kubernetes.io/name=changeover",
        "--grace-period=0", "--force",
    )  # fmt: skip


def operator_processes() -> list[int]:
    """Ids of the operator's processes, of which there is one, in the local cluster's own cgroups."""
    return [pid for pid in cgroups.processes(cluster_from_environment()) if _command(pid)[: len(COMMAND)] == COMMAND]


def _command(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return []


def records_of(kube: Kube, benchmark: str) -> dict[str, str]:
    """Every record as it is written; empty before the first."""
    found: dict[str, str] = {}
    for place in kube.items("configmap", f"changeover.dev/benchmark={benchmark}"):
        found |= place.get("data") or {}
    return found


def jobs_of(kube: Kube, benchmark: str) -> dict[str, set[str]]:
    """The load Jobs that were made since the benchmark was, by the events that their controller left."""
    since = kube.get("frameworkbenchmarks", benchmark)["metadata"]["creationTimestamp"]
    chosen = "--field-selector=involvedObject.kind=Job,reason=SuccessfulCreate"
    events = json.loads(kube.kubectl("get", "events", chosen, "--output", "json"))["items"]
    return jobs_in(events, benchmark, since)


def jobs_in(events: Sequence[Mapping[str, Any]], benchmark: str, since: str) -> dict[str, set[str]]:
    """Name of each load Job that made a pod since that time (RFC 3339, UTC) -> the uids under that name."""
    found: dict[str, set[str]] = defaultdict(set)
    for event in events:
        job = event["involvedObject"]
        if job["name"].startswith(f"{benchmark}-load-") and event["metadata"]["creationTimestamp"] >= since:
            found[job["name"]].add(job["uid"])
    return dict(found)


def problems(course: Course, candidates: Sequence[str]) -> list[str]:
    """What is not as if nobody had been killed; empty when all is."""
    doubled = [f"load Job {name} was made {len(uids)} times" for name, uids in course.jobs.items() if len(uids) > 1]
    if len(course.jobs) != len(course.records):
        doubled.append(f"{len(course.jobs)} load Jobs for {len(course.records)} records")
    ended = [] if course.succeeded else ["it did not succeed"]
    return [*ended, *_cells(course, candidates), *_overlaps(course), *doubled, *_changed(course)]


def _cells(course: Course, candidates: Sequence[str]) -> list[str]:
    """Cells that are not settled by exactly one fair run; a void run is measured again, and both are kept."""
    fair: dict[tuple[int, str], int] = {cell: 0 for cell in itertools.product(range(1, ROUNDS + 1), candidates)}
    for record in map(json.loads, course.records.values()):
        cell = (record["round"], record["candidate"])
        fair[cell] = fair.get(cell, 0) + (not record["void"])
    return [f"round {round_}, {name}: {n} fair runs" for (round_, name), n in fair.items() if n != 1]


def _overlaps(course: Course) -> list[str]:
    reports = {key: json.loads(text)["report"] for key, text in course.records.items()}
    measured = sorted((key for key, report in reports.items() if report), key=lambda key: reports[key]["windowStart"])
    return [
        f"the windows of {one} and {other} overlap"
        for one, other in itertools.pairwise(measured)
        if reports[one]["windowEnd"] > reports[other]["windowStart"]
    ]


def _changed(course: Course) -> list[str]:
    return [
        f"record {key} is not what it was before kill {number}"
        for number, before in enumerate(course.records_before, 1)
        for key, text in before.items()
        if course.records.get(key) != text
    ]


def describe(course: Course) -> str:
    """The figures of a course in a few lines."""
    fair = sum(not json.loads(text)["void"] for text in course.records.values())
    kept = ", ".join(str(len(before)) for before in course.records_before)
    return "\n".join(
        [
            f"{len(course.killed_after)} kills, after {', '.join(f'{s:.0f}' for s in course.killed_after)} s"
            f" of {course.seconds:.0f} s, when {kept} runs were recorded",
            f"{len(course.records)} records, {fair} of them fair; {len(course.jobs)} load Jobs",
        ]
    )
