"""oha: its command, and its JSON with the samples of its database turned into a Measurement. Pure.

oha 1.16's JSON holds the exact percentiles p50, p90, p99 and p99.9 and eleven linear bins, which cannot be
merged. Its --db-url writes every answer (seconds: duration from the scheduled start, end, start) after the
run; with that the histogram is exact, and so is the rate of the window (`_duration`). A row costs oha about
6 µs once the window is over and some 50 B of scratch space, beside the 360 B of memory that oha keeps of
every answer anyway: hence --max-samples.

oha counts what broke by message only; `kind_of` sorts the messages. With -w it awaits what it has sent when
the time is over; what was scheduled but not sent by then is dropped without a word (report.unsent counts
it).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from changeover.loader import histogram
from changeover.loader.failures import GeneratorFailed
from changeover.loader.process import Finished
from changeover.loader.report import Errors, Latency, Measurement, Window, summarise
from changeover.loader.settings import CLOSED, OPEN, TAKE_A_BODY, Settings
from changeover.loader.target import Target

ROW_BYTES, BARE_ROW_BYTES = 100, 50
"""Of scratch space for one answer, at least and without its path, which each row repeats; 48 were measured for "/"."""

BYTES_A_CHARACTER = 1.5
"""Of the path; with 1,000 characters, of which SQLite fills its pages badly, a row was measured to take 1,370."""

FASTEST = 60_000
"""Requests a second that one core of oha does at most, about; for a closed loop of which no warm-up tells the rate."""

WORKER_THREADS = 1
"""One core drives it; a second thread would measure the scheduler."""


@dataclass(frozen=True)
class Samples:
    """Every answer's latency in microseconds, the mean time in the server in seconds (None without answers), and how
    many of the answers came before the window ended."""

    buckets: histogram.Buckets
    service_mean: float | None
    in_time: int


def row_bytes(path: str) -> int:
    """Of scratch space for one answer from this path, rounded up."""
    return max(ROW_BYTES, BARE_ROW_BYTES + math.ceil(BYTES_A_CHARACTER * len(path)))


def make_command(
    settings: Settings, target: Target, seconds: int, database: Path | None, awaited: bool = True
) -> list[str]:
    """`awaited`: what was sent is answered, or times out, before oha ends; else it hangs up when its time is over."""
    command = ["oha", "--no-tui", "--no-color", "--output-format", "json", "--disable-compression"]
    command += ["-w"] if awaited else []
    command += ["-z", f"{seconds}s", "-c", str(settings.connections), "-t", f"{settings.timeout_seconds}s"]
    command += ["--worker-threads", str(WORKER_THREADS), "-m", settings.method, "--redirect=0"]
    # With "=", or what begins with a dash would be taken for a flag.
    command.append(f"--host={target.host_header}")
    command += [f"-H={name}: {value}" for name, value in settings.headers]
    if settings.body:
        command.append(f"-d={settings.body.decode()}")
    elif settings.method in TAKE_A_BODY:
        command.append("-H=Content-Length: 0")
    if not settings.keep_alive:
        command.append("--disable-keepalive")
    if settings.mode == OPEN:
        command += ["-q", f"{settings.rate:f}", "--latency-correction"]
    if database is not None:
        command += ["--db-url", str(database)]
    return [*command, target.url]


def parse_version(text: str) -> str:
    found = re.search(r"^oha (\d+\.\d+\.\d+)", text, re.MULTILINE)
    if not found:
        raise GeneratorFailed(f"oha does not say its version: {text[:80]!r}")
    return found.group(1)


def parse_oha(finished: Finished, samples: Samples | None, settings: Settings, seconds: int) -> Measurement:
    """What a run of so many seconds showed; GeneratorFailed when it cannot be read or lacks samples."""
    try:
        return _measurement(json.loads(finished.output), finished, samples, settings, seconds)
    except (ValueError, KeyError, TypeError) as error:
        raise GeneratorFailed(f"oha's JSON cannot be read: {error!r}") from error


def _measurement(
    found: dict[str, Any], finished: Finished, samples: Samples | None, settings: Settings, seconds: int
) -> Measurement:
    by_status = {int(status): int(count) for status, count in found["statusCodeDistribution"].items()}
    requests = sum(by_status.values())
    succeeded = by_status.get(settings.expect_status, 0)
    messages = {str(message): int(count) for message, count in found["errorDistribution"].items()}
    if samples is not None and (stored := histogram.total(samples.buckets)) != requests:
        raise GeneratorFailed(f"oha stored {stored} samples of {requests} answers")
    spread = _spread(found, samples, settings) if requests else _Spread(None, [], histogram.ROUNDED, None)
    total = float(found["summary"]["total"])
    duration = _duration(found, samples, seconds, requests)
    return Measurement(
        window=_window(finished, duration, total),
        duration=duration,
        requests=requests,
        succeeded=succeeded,
        errors=_errors(messages, status=requests - succeeded),
        bytes_received=int(found["summary"]["totalData"]),
        latency=spread.latency,
        latency_refused=None if requests else "no request was completed",
        buckets=spread.buckets,
        histogram_kind=spread.kind,
        service_mean=spread.service_mean,
        error_messages=messages,
        awaited=total,
    )


def _duration(found: dict[str, Any], samples: Samples | None, seconds: int, requests: int) -> float:
    """Seconds over which the answers are true: the whole divided by it is the rate.

    oha's own total ends with the last request that it awaited. One that hangs until its timeout, of however many, would
    take a quarter of the rate from a window of 30 s. So the rate is at least the window's own, of the answers that came
    in it; where nobody knows how many these were, the answers are taken to have come until the slowest one could.
    """
    total = float(found["summary"]["total"])
    if not requests:
        return total
    if samples is None:
        return min(total, seconds + float(found["summary"]["slowest"]))
    return min(total, seconds * requests / samples.in_time) if samples.in_time else total


def _window(finished: Finished, duration: float, total: float) -> Window:
    """oha's clock starts some milliseconds after its process and ends some before its JSON: nobody says how many."""
    uncertainty = max(0.0, finished.first_output - finished.started - total)
    return Window(finished.started, finished.started + duration, uncertainty)


class _Spread(NamedTuple):
    latency: Latency | None
    buckets: histogram.Buckets
    kind: str
    service_mean: float | None


def _spread(found: dict[str, Any], samples: Samples | None, settings: Settings) -> _Spread:
    if samples is not None:
        return _Spread(summarise(samples.buckets), samples.buckets, histogram.ROUNDED, samples.service_mean)
    latency = _own_latency(found)
    # In an open loop oha's own mean holds the wait for a connection, which Little's law does not allow for.
    service = latency.mean if settings.mode == CLOSED else None
    return _Spread(latency, _own_bins(found), histogram.BINNED, service)


def _own_latency(found: dict[str, Any]) -> Latency:
    at, summary = found["latencyPercentiles"], found["summary"]
    return Latency(
        mean=summary["average"],
        p50=at["p50"],
        p90=at["p90"],
        p99=at["p99"],
        p999=at["p99.9"],
        max=summary["slowest"],
    )


def _own_bins(found: dict[str, Any]) -> histogram.Buckets:
    bins: Counter[int] = Counter()
    for seconds, count in found["responseTimeHistogram"].items():
        bins[round(float(seconds) * histogram.MICROSECONDS)] += int(count)
    return sorted((value, count) for value, count in bins.items() if count)


def _errors(messages: dict[str, int], status: int) -> Errors:
    kinds: Counter[str] = Counter()
    for message, count in messages.items():
        kinds[kind_of(message)] += count
    return Errors(
        connect=kinds["connect"],
        read=kinds["read"],
        write=kinds["write"],
        timeout=kinds["timeout"],
        status=status,
    )


_KINDS = (
    (
        "connect",
        r"refused|cannot assign requested address|address in use|unreachable|no route|dns",
    ),
    ("timeout", r"time(d )?-?out|deadline"),
    ("write", r"broken pipe|error writing|body write"),
)


def kind_of(message: str) -> str:
    """What none of the words fits broke while an answer was read: a reset, an early end, a malformed one."""
    lowered = message.lower()
    return next((kind for kind, pattern in _KINDS if re.search(pattern, lowered)), "read")
