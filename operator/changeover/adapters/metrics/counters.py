"""What do raw samples of counters say about a span of time? Pure functions; no rate(), nothing extrapolated.

A *series* is what Prometheus returns for a range selector: ``{"metric": labels, "values": [[seconds, "value"], …]}``.
The value at an edge is the last sample at or before it, so that the difference is exact for what was scraped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from changeover.core.observed import Counts, NoData, Usage
from changeover.ports import Bound

Series = Mapping[str, Any]
STALE_SCRAPES = 2.5  # a last sample older than this many scrape intervals is no longer the present


@dataclass(frozen=True)
class Span:
    """A span of absolute time in seconds, and how often it is scraped."""

    start: float
    end: float
    scrape: float

    @property
    def lookback(self) -> float:
        """Seconds that a range selector must reach back from the end to hold the sample before the start."""
        return math.ceil(self.end - self.start + 3 * self.scrape)


def counts(
    series: Sequence[Series], span: Span, bounds: Mapping[str, Bound], around: Sequence[Series] = ()
) -> Counts | NoData:
    """Requests, errors and slow requests from a gateway's latency histogram (series by ``le`` and ``code``).

    ``around`` are further series of the same gateways: they show which of them were there before.
    """
    increases = _increases(series, span, around)
    if isinstance(increases, NoData):
        return increases
    if any(not math.isfinite(value) for _, value in increases):
        return NoData("a counter is NaN or infinite")
    buckets: dict[float, float] = {}
    errors = 0.0
    for labels, value in increases:
        bound = _bound_of(labels)
        buckets[bound] = buckets.get(bound, 0.0) + value
        if bound == math.inf and str(labels.get("code", "")).startswith("5"):
            errors += value
    if math.inf not in buckets:
        return NoData("the histogram has no +Inf bucket")
    if any(value > buckets[math.inf] for value in buckets.values()) or errors > buckets[math.inf]:
        return NoData("the histogram contradicts itself: a bucket counts more than there were requests")
    slow = {name: _slow(buckets, bound) for name, bound in bounds.items()}
    lacking = next((name for name, value in slow.items() if value is None), None)
    if lacking is not None:
        return NoData(f"no histogram bucket at or under {bounds[lacking].seconds:g} s; add one to the gateway")
    shown = {name: quantile(buckets, bound.percentile / 100) for name, bound in bounds.items()}
    return Counts(
        requests=round(buckets[math.inf]),
        errors=round(errors),
        slow={name: round(value) for name, value in slow.items() if value is not None},
        shown={name: value for name, value in shown.items() if value is not None},
    )


def usage(series: Sequence[Series], span: Span, pods: Sequence[str]) -> Usage | NoData:
    """CPU and memory of pods from the samples inside the span; a pod without two samples makes it NoData.

    Other pods that the series are of are not added, and told.
    """
    cores, memory, shortest = 0.0, 0.0, math.inf
    for pod in pods:
        cpu = _of_pod(series, "container_cpu_usage_seconds_total", pod, span)
        if not cpu or any(len(samples) < 2 for samples in cpu):
            return NoData(f"fewer than two CPU samples of pod {pod} inside the window")
        for samples in cpu:
            (first, low), (last, high) = samples[0], samples[-1]
            if any(not after >= before for (_, before), (_, after) in pairwise(samples)) or not math.isfinite(
                high - low
            ):
                return NoData(f"the CPU counter of pod {pod} was reset inside the window")
            cores += (high - low) / (last - first)
            shortest = min(shortest, last - first)
        peak = _peak(_of_pod(series, "container_memory_working_set_bytes", pod, span))
        if not 0 < peak < math.inf:
            return NoData(f"no memory samples of pod {pod} inside the window")
        memory += peak
    if shortest == math.inf:
        return NoData("no pods were named")
    return Usage(cores, memory, shortest, throttled_share(series, span, pods), others=_others(series, span, pods))


def _others(series: Sequence[Series], span: Span, pods: Sequence[str]) -> int:
    """How many pods beside these have samples inside the span."""
    inside = (one for one in series if any(span.start <= float(t) <= span.end for t, _ in one["values"]))
    return len({str(one["metric"].get("pod", "")) for one in inside} - {*pods, ""})


def throttled_share(series: Sequence[Series], span: Span, pods: Sequence[str]) -> float | None:
    """Share of the pods' CFS periods in which they were throttled; None when no counter says so.

    A container without a limit has no such counters; it is no reason to doubt the others.
    """
    periods, throttled = (
        sum(_difference(samples) for pod in pods for samples in _of_pod(series, f"container_cpu_cfs_{name}", pod, span))
        for name in ("periods_total", "throttled_periods_total")
    )
    return throttled / periods if periods > 0 else None


def _difference(samples: Sequence[tuple[float, float]]) -> float:
    return max(0.0, samples[-1][1] - samples[0][1])


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Quantile of cumulative buckets by linear interpolation, as histogram_quantile does; to be shown only."""
    bounds = sorted(buckets)
    total = buckets[math.inf]
    if total <= 0:
        return None
    lower, below = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= share * total:
            if bound == math.inf:
                return lower
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((share * total - below) / inside if inside > 0 else 1.0)
        lower, below = bound, buckets[bound]
    return lower


def _slow(buckets: Mapping[float, float], bound: Bound) -> float | None:
    """Requests over the bound: the exact bucket, or the next lower one, which errs towards calling requests slow."""
    nearest = bucket_for(buckets, bound.seconds)
    return None if nearest is None else buckets[math.inf] - buckets[nearest]


def bucket_for(bounds: Iterable[float], seconds: float) -> float | None:
    """The bucket by which requests over so many seconds are counted; None when there is none at or under it."""
    return max((bound for bound in bounds if bound <= seconds * (1 + 1e-9)), default=None)


def _bound_of(labels: Mapping[str, str]) -> float:
    text = labels.get("le", "+Inf")
    return math.inf if text in ("+Inf", "Inf") else float(text)


def _increases(
    series: Sequence[Series], span: Span, around: Sequence[Series]
) -> list[tuple[Mapping[str, str], float]] | NoData:
    """Increase of each series over the span.

    A series that appears inside the span counts from 0 when its gateway instance was there before (a first error has a
    series of its own); an instance that was not there before gives no increase, since its past is unknown.
    """
    fresh = [s for s in series if s["values"] and span.end - float(s["values"][-1][0]) <= STALE_SCRAPES * span.scrape]
    doubt = _doubt(series, fresh, span)
    if doubt:
        return NoData(doubt)
    present = {_instance(s) for s in (*series, *around) if _at(s, span.start, span.scrape) is not None}
    if not any(_instance(s) in present for s in fresh):
        return NoData("the gateway's counters begin inside the span")
    found = []
    for one in fresh:
        if _instance(one) not in present:
            return NoData("a gateway instance appeared inside the span")
        if _was_reset(one):
            return NoData("a counter was reset")
        before = _at(one, span.start, span.scrape)
        if before is None and float(one["values"][0][0]) <= span.start:
            return NoData("a counter was not scraped around the start of the span")
        found.append((one["metric"], float(one["values"][-1][1]) - (before or 0.0)))
    return found


def _instance(series: Series) -> str:
    labels = series["metric"]
    return str(labels.get("pod") or labels.get("instance") or "")


def _doubt(series: Sequence[Series], fresh: Sequence[Series], span: Span) -> str:
    """Why these series cannot be counted, whatever their values are; empty when they can."""
    if not series:
        return "no series"
    if not fresh:
        return "no fresh sample; the gateway is not scraped"
    if any(s not in fresh and s["values"] and float(s["values"][-1][0]) > span.start for s in series):
        return "a gateway instance vanished inside the span"
    if len({_identity(one) for one in series}) < len(series):
        return "a counter is there twice; is the gateway scraped by two jobs, or has Prometheus replicas?"
    return ""


def _identity(series: Series) -> tuple[str, ...]:
    """What the gateway itself tells a counter apart by; what else differs was added on the way, and counts double."""
    own = ("service", "code", "method", "protocol", "le")
    return (_instance(series), *(str(series["metric"].get(label, "")) for label in own))


def _at(series: Series, edge: float, scrape: float) -> float | None:
    """The last sample at or before the edge, if it is fresh there."""
    before = [(t, v) for t, v in series["values"] if t <= edge]
    if not before or edge - before[-1][0] > STALE_SCRAPES * scrape:
        return None
    return float(before[-1][1])


def _was_reset(series: Series) -> bool:
    values = [float(v) for _, v in series["values"]]
    return any(b < a for a, b in pairwise(values))


def _of_pod(series: Sequence[Series], name: str, pod: str, span: Span) -> list[list[tuple[float, float]]]:
    """Samples inside the span, a list a container; where cAdvisor knows no containers (cgroup v1), the pod's own.

    A kubelet tells of the same container at /metrics/cadvisor and at /metrics/resource: the longer of the two counts.
    """
    mine = [s for s in series if s["metric"].get("__name__") == name and s["metric"].get("pod") == pod]
    containers = [s for s in mine if s["metric"].get("container") not in (None, "", "POD")]
    longest: dict[str, list[tuple[float, float]]] = {}
    for one in containers or mine:
        inside = [(float(t), float(v)) for t, v in one["values"] if span.start <= float(t) <= span.end]
        container = str(one["metric"].get("container") or "")
        if inside and len(inside) > len(longest.get(container, [])):
            longest[container] = inside
    return list(longest.values())


def _peak(samples: Sequence[Sequence[tuple[float, float]]]) -> float:
    return sum(max(value for _, value in one) for one in samples)
