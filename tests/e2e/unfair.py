"""Which fault makes which run void: the cases of test_unfair_runs.py, and the benchmarks that they are part of.

Each case is a candidate (tests/backends/faulty) in one benchmark. A run should be void for one reason alone, so the
load that a fault meets is chosen so that nothing else goes wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changeover.core.itinerary import ATTEMPTS
from changeover.core.schedule import Run

from tests.bench.measured import short

SCENARIO, ROUNDS = "load", 3
HELLO = "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f"  # Hello, World!
CONNECTIONS, FEW_CONNECTIONS, RATE = 360, 20, 100
SILENT_SOURCE = {"name": "silent", "url": "http://127.0.0.1:9", "timeoutSeconds": 1, "scrapeIntervalSeconds": 1}
SQUEEZED_LOAD_CPU = "150m"  # a generator takes more than twice of it for a backend that has a core

FULL, STEADY, RISING, WARMING, UNANSWERED, UNMETERED, SQUEEZED = (
    "full", "steady", "rising", "warming", "unanswered", "unmetered", "squeezed",
)  # fmt: skip
TWO = ("healthy", "another")  # a benchmark has at least two candidates
GONE, UNLOADED = "gone", "unloaded"  # healthy; the test does something to their runs


@dataclass(frozen=True)
class Case:
    """A candidate's run in a benchmark, and the reasons that make it void: all of these, and none
    but those that may come beside them."""

    benchmark: str
    candidate: str
    reasons: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    fault: str = ""


def _void(benchmark: str, fault: str, reason: str) -> Case:
    return Case(benchmark, fault, frozenset({reason}), fault=fault)


CASES = (
    Case(FULL, "healthy"),
    _void(FULL, "errors", "Errors"),
    _void(FULL, "restarts", "CandidateRestarted"),
    _void(FULL, "closes", "NotKeptAlive"),
    _void(FULL, "loses", "ConnectionsLost"),
    Case(STEADY, "healthy"),
    _void(STEADY, "slow", "RateNotReached"),
    _void(STEADY, "bursts", "Throttled"),
    Case(STEADY, UNLOADED, frozenset({"LoadFailed"})),
    # A pod that goes takes its counters and its connections with it.
    Case(
        STEADY, GONE, frozenset({"CandidateGone", "MetricsMissing"}),
        beside=frozenset({"Errors", "RateNotReached", "ConnectionsLost", "NotKeptAlive"}),
    ),
    Case(RISING, "healthy", frozenset({"KneeNotReached"})),
    _void(RISING, "slow", "NoKnee"),
    _void(WARMING, "warms", "NotSteady"),
    _void(WARMING, "wrong-body", "UnexpectedResponse"),  # the second that a benchmark needs; it is never loaded
    _void(UNANSWERED, "wrong-body", "UnexpectedResponse"),
    _void(UNANSWERED, "hangs-up", "TargetUnreachable"),
    _void(UNANSWERED, "never-ready", "NotReady"),
    *(Case(UNMETERED, name, frozenset({"MetricsMissing"})) for name in TWO),
    *(Case(SQUEEZED, name, frozenset({"LoadGeneratorSaturated"})) for name in TWO),
)  # fmt: skip

NOT_PROVOKED = {
    "KeptAlive": "oha closes every connection itself: only a generator that is broken keeps one",
    "LittleLaw": "throughput and latency come from one clock: only a clock that jumps makes them disagree",
    "ImageChanged": "the kubelet keeps the image that it has, and nothing is pushed while the local cluster measures",
    "NotPinned": "the scheduler keeps a pod to the node of the first run, or does not start it",
    "PodApart": "two load pods stand apart on nodes that differ, and the local cluster has one node for load",
}
"""Reasons that no backend and no user can bring about on the local cluster; each has a unit test, as the others do."""

_CLOSED = {"type": "Closed", "closed": {"connections": CONNECTIONS}}
_OPEN = {"type": "Open", "open": {"requestsPerSecond": RATE, "connections": FEW_CONNECTIONS}}
_RAMP = {
    "startRequestsPerSecond": RATE // 2,
    "factor": "1.2",
    "maxSteps": 2,
    "bisections": 0,
    "connections": FEW_CONNECTIONS,
}
_LOADS: dict[str, dict[str, Any]] = {
    FULL: _CLOSED,
    STEADY: _OPEN,
    RISING: {"type": "Ramp", "ramp": _RAMP},
    WARMING: {"type": "Closed", "closed": {"connections": FEW_CONNECTIONS}},
    UNANSWERED: _CLOSED,
    UNMETERED: _OPEN,
    SQUEEZED: _CLOSED,
}
# CPU needs two scrapes inside the window, and the local cluster's Prometheus scrapes every 5 s.
_SCHEDULE = {
    "rounds": {"min": ROUNDS, "max": ROUNDS},
    "warmUp": "1s",
    "measure": "10s",
    "coolDown": "0s",
    "aaProbe": False,
    "stopWhenDecided": False,
}
_MORE: dict[str, dict[str, Any]] = {
    WARMING: {"schedule": {**_SCHEDULE, "warmUp": "2s"}},  # 1 s is too short to be judged
    UNMETERED: {"metrics": {"source": SILENT_SOURCE["name"]}, "schedule": {**_SCHEDULE, "measure": "5s"}},
}


def run_ids(case: Case) -> list[str]:
    """Keys of the case's records, in order: its run of each round, and its repeats, as often as it was void."""
    runs = [Run(number, case.candidate, SCENARIO) for number in range(1, ROUNDS + 1)]
    return [run.again(attempt).id for run in runs for attempt in range(1, ATTEMPTS + 1)]


def fits(case: Case, record: Mapping[str, Any]) -> bool:
    """Whether the run is void for the reasons that it was given, and for no other."""
    reasons = {text.split(":")[0] for text in record["void"]}
    return case.reasons <= reasons <= case.reasons | case.beside


def benchmarks() -> dict[str, dict[str, Any]]:
    """Every benchmark by its name."""
    return {name: _benchmark(name, [case for case in CASES if case.benchmark == name]) for name in _LOADS}


def _benchmark(name: str, cases: list[Case]) -> dict[str, Any]:
    spec = {
        "scenarios": [{"name": SCENARIO, **_LOADS[name]}],
        "request": {"expectBodySHA256": HELLO},
        "schedule": _SCHEDULE,
        **_MORE.get(name, {}),
    }
    return short.make_benchmark(name, [_candidate(case) for case in cases], ROUNDS, **spec)


def _candidate(case: Case) -> dict[str, Any]:
    made = {
        **short.a_candidate(case.candidate, "faulty"),
        "readinessPath": "/ready",
        "env": [{"name": "FAULT", "value": case.fault}],
    }
    if case.benchmark == SQUEEZED:
        made["resources"] = {**short.RESOURCES, "limits": {"cpu": "1", "memory": "256Mi"}}
    return made
