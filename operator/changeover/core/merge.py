"""Reports of several load pods that ran one scenario together, made into one. Pure.

What is added: connections, rates, requests, errors, bytes, CPU seconds, histograms. What is the largest: the maximum
latency, and the generator's cores (of a pod, or of a node whose cores several pods share). What is recomputed:
percentiles from the added histogram (an average of percentiles is a percentile of nothing), the mean weighted by the
requests, Little's ratio from the requests in flight.

The window is the one that all pods cover, for CPU counters. What a pod did outside it is in its counts and cannot be
told apart, so every pod's own window must lie in it for all but a twentieth; otherwise the merge is refused. For the
same reason durationSeconds is the mean of the pods' durations, over which the counts are true.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from changeover.loader import histogram
from changeover.loader.histogram import Buckets
from changeover.loader.report import VERSION, summarise

Report = Mapping[str, Any]

OVERLAP = 0.95
"""Of each pod's window that must lie within the common one."""

APART = 2.0
"""Times the p99 of the others, from which a pod's own p99 may stand apart."""

SIGMAS = 4.0
"""By which chance must be excluded; requests of one moment are alike, so the usual 2 or 3 would see ghosts."""

FEWEST_SLOW = 10
"""Requests beyond the others' tail that a verdict needs: below it the normal approximation means nothing."""

_SAME = ("version", "generator", "mode", "target", "keepAlive")
_ADDED = ("connections", "requests", "succeeded", "requestsPerSecond", "bytesReceived")
_ADDED_IF_KNOWN = ("rate", "unsent", "connectionsOpened", "connectionsAlive")


@dataclass(frozen=True)
class Merged:
    """`content` is a report of version 1 with `pods`, their number; `reasons` why the run may be unfair, as in
    core.audit: a word, a colon, the numbers."""

    content: Mapping[str, Any]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class MergeRefused:
    """These reports are not one run, or cannot be added; `reason` says which and why."""

    reason: str


def merge_reports(reports: Sequence[Report]) -> Merged | MergeRefused:
    """All pods' reports as one; pods are numbered from 0 in the order given."""
    refusal = _refusal(reports)
    if refusal is not None:
        return MergeRefused(refusal)
    added = histogram.added([_buckets(report) for report in reports])
    content = {
        **{name: reports[0][name] for name in _SAME},
        "pods": len(reports),
        **_window(reports),
        **{name: sum(report[name] for report in reports) for name in _ADDED},
        **{name: _known((report[name] for report in reports), sum) for name in _ADDED_IF_KNOWN},
        "errors": _added_counts(reports, "errors"),
        "errorMessages": _added_counts(reports, "errorMessages"),
        **_latency(reports, added),
        "generatorCPU": {
            "userSeconds": sum(report["generatorCPU"]["userSeconds"] for report in reports),
            "systemSeconds": sum(report["generatorCPU"]["systemSeconds"] for report in reports),
            "cores": _busiest(reports),
        },
        "generatorThrottling": {
            name: _known((report["generatorThrottling"][name] for report in reports), sum)
            for name in ("periods", "seconds")
        },
        "littleRatio": _little_ratio(reports),
        "startAt": reports[0].get("startAt"),
        "startedLateSeconds": _known((report.get("startedLateSeconds") for report in reports), max),
        "conformance": _conformance(reports),
        "warmUp": reports[0].get("warmUp"),  # of one length in all pods, and judged in none
        "cpus": sum(own[0]["cpus"] for own in _by_node(reports)),
        "cpuModel": ", ".join(sorted({report["cpuModel"] for report in reports if report.get("cpuModel")})),
        "node": ", ".join(sorted({str(report["node"]) for report in reports if report.get("node")})),
    }
    return Merged(content, _standing_apart(reports))


def _refusal(reports: Sequence[Report]) -> str | None:
    if not reports:
        return "no report"
    for pod, report in enumerate(reports):
        if (problem := _unreadable(report)) is not None:
            return f"pod {pod}: {problem}"
    for name in _SAME:
        others = [report[name] for report in reports if report[name] != reports[0][name]]
        if others:
            return f"{name} differs: {reports[0][name]} and {others[0]}"
    return _too_little_overlap(reports)


def _unreadable(report: Report) -> str | None:
    """Why one report cannot be part of any sum."""
    if report.get("version") != VERSION:
        return f"version {report.get('version')}, expected {VERSION}"
    if "failed" in report:
        return f"it failed: {report['failed']}"
    if "steps" in report:
        return "a ramp's steps lie at rates of its own"
    if not report.get("histogramMergeable"):
        return f"its histogram ({report.get('histogramKind')}) cannot be added"
    return None


def _too_little_overlap(reports: Sequence[Report]) -> str | None:
    start, end = _common(reports)
    for pod, report in enumerate(reports):
        own = report["windowEnd"] - report["windowStart"]
        share = max(0.0, end - start) / own if own > 0 else 0.0
        if share < OVERLAP:
            return f"pod {pod}: {share:.1%} of its window is common to all pods, at least {OVERLAP:.0%} is needed"
    return None


def _common(reports: Sequence[Report]) -> tuple[float, float]:
    return max(report["windowStart"] for report in reports), min(report["windowEnd"] for report in reports)


def _window(reports: Sequence[Report]) -> dict[str, float]:
    start, end = _common(reports)
    return {
        "windowStart": start,
        "windowEnd": end,
        "windowUncertaintySeconds": max(report["windowUncertaintySeconds"] for report in reports),
        "durationSeconds": sum(report["durationSeconds"] for report in reports) / len(reports),
    }


def _latency(reports: Sequence[Report], added: Buckets) -> dict[str, Any]:
    """Percentiles to the histogram's 0.5 %; mean and maximum exact, because they can be had exactly."""
    common: dict[str, Any] = {
        "histogramKind": histogram.ROUNDED,
        "histogramDigits": histogram.DIGITS,
        "histogramMergeable": True,
    }
    unknown = [(pod, report["latencyRefused"]) for pod, report in enumerate(reports) if report["latency"] is None]
    if unknown:
        refused = f"pod {unknown[0][0]}: {unknown[0][1]}"
        return {**common, "latency": None, "latencyRefused": refused, "histogram": []}
    requests = sum(report["requests"] for report in reports)
    mean = sum(report["latency"]["mean"] * report["requests"] for report in reports) / requests
    largest = max(report["latency"]["max"] for report in reports)
    percentiles = {name: min(value, largest) for name, value in summarise(added).as_json().items()}  # rounded up
    return {
        **common,
        "latency": {**percentiles, "mean": mean, "max": largest},
        "latencyRefused": None,
        "histogram": [[value, count] for value, count in added],
    }


def _buckets(report: Report) -> Buckets:
    return [(value, count) for value, count in report["histogram"]]


def _known(values: Iterable[float | None], combine: Callable[[list[float]], float]) -> float | None:
    """None as soon as one pod does not know: a sum of the others would pass for the whole."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    return combine(known) if len(known) == len(listed) else None


def _by_node(reports: Sequence[Report]) -> list[list[Report]]:
    """The pods that share a node's cores; one whose node is not known is taken to have its own."""
    nodes: dict[Any, list[Report]] = {}
    for pod, report in enumerate(reports):
        nodes.setdefault(report.get("node") or pod, []).append(report)
    return list(nodes.values())


def _busiest(reports: Sequence[Report]) -> float:
    """Share of its core that the busiest pod used, or of its cores the busiest node, if that is more."""
    shared = [sum(_cores(report) for report in own) / own[0]["cpus"] for own in _by_node(reports)]
    return float(max(*shared, *(_cores(report) for report in reports)))


def _cores(report: Report) -> float:
    return float(report["generatorCPU"]["cores"])


def _added_counts(reports: Sequence[Report], name: str) -> dict[str, int]:
    keys = sorted({key for report in reports for key in report[name]})
    return {key: sum(report[name].get(key, 0) for report in reports) for key in keys}


def _little_ratio(reports: Sequence[Report]) -> float | None:
    """A pod's ratio times its connections is its requests in flight, and those add."""
    ratios = [(report["littleRatio"], report["connections"]) for report in reports]
    in_flight = _known((None if ratio is None else ratio * connections for ratio, connections in ratios), sum)
    return None if in_flight is None else in_flight / sum(report["connections"] for report in reports)


def _conformance(reports: Sequence[Report]) -> list[Mapping[str, Any]] | None:
    """Each check as the first pod that saw it fail reports it, or else the first that made it."""
    made = [check for report in reports for check in report.get("conformance") or []]
    if not made:
        return None
    names = dict.fromkeys(check["name"] for check in made)
    by_name = [[check for check in made if check["name"] == name] for name in names]
    return [next((check for check in checks if check["passed"] is False), checks[0]) for checks in by_name]


def _standing_apart(reports: Sequence[Report]) -> tuple[str, ...]:
    """Pods whose p99 is more than APART times that of all others together, beyond what sampling explains."""
    if len(reports) < 2 or any(report["latency"] is None for report in reports):
        return ()
    found = []
    for pod, report in enumerate(reports):
        others = histogram.added([_buckets(other) for index, other in enumerate(reports) if index != pod])
        own_p99, their_p99 = report["latency"]["p99"], histogram.percentile_seconds(others, 0.99)
        if own_p99 > APART * their_p99 and _is_beyond_chance(_buckets(report), others, APART * their_p99):
            found.append(f"PodApart: pod {pod} has p99 {own_p99 * 1000:.1f} ms, the others {their_p99 * 1000:.1f} ms")
    return tuple(found)


def _is_beyond_chance(own: Buckets, others: Buckets, limit: float) -> bool:
    """Whether the shares of requests slower than the limit (seconds) differ by more than SIGMAS standard errors."""
    mine, theirs = _slower(own, limit), _slower(others, limit)
    n, m = histogram.total(own), histogram.total(others)
    if mine < FEWEST_SLOW:
        return False
    share = (mine + theirs) / (n + m)
    error = math.sqrt(share * (1 - share) * (1 / n + 1 / m))
    return mine / n - theirs / m > SIGMAS * error


def _slower(buckets: Buckets, limit: float) -> int:
    return sum(count for value, count in buckets if value > limit * histogram.MICROSECONDS)
