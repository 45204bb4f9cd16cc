"""The report: what one run of a generator showed, in the words of its JSON (version 1). Pure.

Units: seconds as floats, wall-clock moments as seconds since the epoch, the histogram in microseconds. null
means that it was not measured; it never stands for zero.

    startAt                   the instant of --start-at, null without; startedLateSeconds: how long after it the
                              warm-up began
    conformance               with --conformance a list of {name, passed, detail} (see conformance.py); null without
    cpus                      cores that the generator may run on, for several pods on one node; cpuModel: their
                              name in /proc/cpuinfo, null where it has none
    warmUp                    its seconds; slices: what each showed, requests a second in a closed loop, else one over
                              the median latency (1/s); measured: the same of the window; steady: null when it was not
                              judged, false when it still rose (see warmup.py)
    windowStart, windowEnd    the edges of the measured window, for reading CPU counters over exactly it;
                              windowUncertaintySeconds bounds how far each may be off
    requests, succeeded       answers that came; those of the expected status (wrk: of a status below 400)
    durationSeconds           over which the counts are true; in oha's, which awaits what it has sent, without the
                              silence in which only a request that hangs is awaited
    requestsPerSecond         succeeded ÷ duration: a failed request is not speed
    unsent                    open loop: scheduled requests that were not sent when the window ended. Their latency
                              is in no percentile, so a run with many of them says nothing about its tail
    latency                   of every answer; a request without one (errors) is in no percentile. Open loop: from the
                              scheduled start, so it holds the wait for a connection. null with latencyRefused when
                              it could not be had
    histogram                 [microseconds, count] ascending; histogramKind "rounded": values to histogramDigits
                              significant decimal digits (3, so off by at most 0.5 %) and histogramMergeable true:
                              histograms of several reports are added by value. "binned": the generator's own few
                              bins, because the run had too many requests for samples: not mergeable; latency is exact
    bytesReceived             wrk, h2load: whole answers; oha: bodies only
    littleRatio               throughput × mean time in the server ÷ connections: above 1 (but for 2 % of noise) the
                              run contradicts itself; well below 1 the generator was the bottleneck
    connectionsOpened         by this network namespace during the run (TCP ActiveOpens), whichever process did it;
                              wrk opens one more than it was told, to try the address
    connectionsAlive          established to the target just before the window ended; null with keep-alive off
    steps, knee, kneeBounded  only with --mode ramp, whose other fields are those of the last step that held, or of
                              the first when none did: every step with `held` and `why`; the highest rate that held,
                              null when the first did not; false when no step above it broke by the target's doing, so
                              that the knee is a lower bound
    generatorCPU.cores        share of the run until just before the window's end; what the generator computes after
                              the run is not in it, nor is it in generatorThrottling
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from changeover.loader import histogram
from changeover.loader.histogram import Buckets

VERSION = 1

FRACTIONS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}

LACKED = re.compile(r"\(os error (23|24|98|99)\)")
"""In oha's messages, Linux's numbers for what a process can have no more of: files, and ports for new connections."""

FEW = 5
"""Requests without a latency that the edges of the window explain."""


@dataclass(frozen=True)
class Window:
    start: float
    end: float
    uncertainty: float


@dataclass(frozen=True)
class Errors:
    connect: int = 0
    read: int = 0
    write: int = 0
    timeout: int = 0
    status: int = 0

    def total(self) -> int:
        return self.connect + self.read + self.write + self.timeout + self.status

    def as_json(self) -> dict[str, int]:
        names = ("connect", "read", "write", "timeout", "status")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Latency:
    """Seconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float

    def as_json(self) -> dict[str, float]:
        names = ("mean", "p50", "p90", "p99", "p999", "max")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Measurement:
    """What a generator's own output says of its run."""

    window: Window
    duration: float
    requests: int
    succeeded: int
    errors: Errors
    bytes_received: int
    latency: Latency | None
    latency_refused: str | None = None
    buckets: Buckets = field(default_factory=list)
    histogram_kind: str = histogram.ROUNDED
    service_mean: float | None = None
    """Seconds from sending to answer, without the wait for a connection; what Little's law is about."""
    error_messages: dict[str, int] = field(default_factory=dict)
    awaited: float | None = None
    """Seconds until the last request was answered or given up, where these are more than the duration: all that time
    the connections could carry requests, so Little's law is about it."""


@dataclass(frozen=True)
class Surroundings:
    """What was read beside the generator: CPU, throttling and sockets, as differences over the run."""

    user_seconds: float
    system_seconds: float
    cores: float
    throttled_periods: int | None
    throttled_seconds: float | None
    connections_opened: int | None
    connections_alive: int | None


def summarise(buckets: Buckets) -> Latency:
    def at(fraction: float) -> float:
        return histogram.percentile_seconds(buckets, fraction)

    return Latency(
        mean=histogram.mean_seconds(buckets),
        p50=at(0.5),
        p90=at(0.9),
        p99=at(0.99),
        p999=at(0.999),
        max=at(1.0),
    )


def little_ratio(throughput: float, mean_seconds: float | None, connections: int) -> float | None:
    """Requests in flight by Little's law, as a share of the connections that could carry them."""
    return None if mean_seconds is None else throughput * mean_seconds / connections


def unsent(rate: float | None, window_seconds: float, measurement: Measurement) -> int | None:
    """Scheduled but neither answered nor failed. A closed loop schedules nothing."""
    if rate is None:
        return None
    failed = measurement.errors.total() - measurement.errors.status  # a wrong status is an answer, counted already
    return max(0, int(rate * window_seconds) - measurement.requests - failed)


def lost(report: Mapping[str, Any]) -> int:
    """Requests that have no latency: not sent when the window ended, or never answered. A wrong status is an answer."""
    failed: int = sum(count for kind, count in report["errors"].items() if kind != "status")
    return int(report.get("unsent") or 0) + failed


def lacked(report: Mapping[str, Any]) -> int:
    """Requests for which the generator itself had no port or file left: they say nothing of the target.

    A port is not free for a minute after its connection was closed by us, as each is without keep-alive.
    """
    messages = report.get("errorMessages") or {}
    return sum(count for message, count in messages.items() if LACKED.search(message))


def with_all(report: Mapping[str, Any]) -> dict[str, Any]:
    """As if what the generator lacked ports or files for had been sent, and answered as expected."""
    without = lacked(report)
    counts = {name: report[name] + without for name in ("requests", "succeeded")}
    return {**report, **counts, "errors": {**report["errors"], "lacked": -without}}


def is_known(report: Mapping[str, Any], percentile: str) -> bool:
    """Whether a percentile of a report's latency is, nearly, one of all requests.

    What was lost has waited longest and is in no percentile. While it is at most half of what lies beyond, the 99th
    that is told is at least the 98.5th of all; with more it is not known.
    """
    without = lost(report)
    beyond: float = (1 - FRACTIONS[percentile]) * (without + report["requests"])
    return without <= max(FEW, beyond / 2)


def is_tail_lacked(report: Mapping[str, Any]) -> bool:
    """Whether a run at a constant rate, which is about latency, has no p99 for want of ports or files alone."""
    is_asked = report["mode"] == "open" and lacked(report) > 0
    return is_asked and not is_known(report, "p99") and is_known(with_all(report), "p99")


def as_json(measurement: Measurement, surroundings: Surroundings, context: dict[str, Any]) -> dict[str, Any]:
    """The whole report; `context` is what was asked for: generator, target, mode, connections, keepAlive, rate."""
    mergeable = measurement.histogram_kind == histogram.ROUNDED
    buckets = histogram.compact(measurement.buckets) if mergeable else measurement.buckets
    duration = measurement.duration
    answered = measurement.requests / (measurement.awaited or duration)
    little = little_ratio(answered, measurement.service_mean, context["connections"])
    return {
        "version": VERSION,
        **context,
        "windowStart": measurement.window.start,
        "windowEnd": measurement.window.end,
        "windowUncertaintySeconds": measurement.window.uncertainty,
        "durationSeconds": duration,
        "requests": measurement.requests,
        "succeeded": measurement.succeeded,
        "errors": measurement.errors.as_json(),
        "errorMessages": measurement.error_messages,
        "requestsPerSecond": measurement.succeeded / duration,
        "latency": measurement.latency.as_json() if measurement.latency else None,
        "latencyRefused": measurement.latency_refused,
        "histogramKind": measurement.histogram_kind,
        "histogramDigits": histogram.DIGITS if mergeable else None,
        "histogramMergeable": mergeable,
        "histogram": [[value, count] for value, count in buckets],
        "bytesReceived": measurement.bytes_received,
        "generatorCPU": {
            "userSeconds": surroundings.user_seconds,
            "systemSeconds": surroundings.system_seconds,
            "cores": surroundings.cores,
        },
        "generatorThrottling": {
            "periods": surroundings.throttled_periods,
            "seconds": surroundings.throttled_seconds,
        },
        "littleRatio": little,
        "connectionsOpened": surroundings.connections_opened,
        "connectionsAlive": surroundings.connections_alive,
    }
