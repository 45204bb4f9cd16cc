"""wrk: its command, and its dump turned into a Measurement with the rewrite of its latencies undone. Pure.

The dump is the last line that dump.lua writes: preparedMicros and endedMicros since the epoch,
durationMicros, requests, bytes, errors by kind, buckets as [microseconds, count]. wrk's own latency table
is not used: it shows the rewritten histogram (see histogram.py). Requests that took longer than --timeout
are missing from it, so with timeouts there is no latency at all; throughput and errors remain true.

wrk counts a refused connection as `write` (it notices at its first write), and does not count at all a connection that
the server closed without an answer: report.connectionsOpened shows both.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from changeover.loader.failures import GeneratorFailed
from changeover.loader.histogram import (
    MICROSECONDS,
    Buckets,
    NotInvertible,
    correction_interval,
    recovered,
)
from changeover.loader.report import Errors, Measurement, Window, summarise
from changeover.loader.settings import Settings
from changeover.loader.target import Target

DUMP_SCRIPT = Path(__file__).with_name("dump.lua")
THREADS = 1
"""One core drives it; and wrk drops the remainder of connections ÷ threads: one divides every number."""


@dataclass(frozen=True)
class Dump:
    prepared_us: int
    ended_us: int
    duration_us: int
    requests: int
    bytes_received: int
    errors: Errors
    buckets: Buckets


def make_command(settings: Settings, target: Target, seconds: int) -> list[str]:
    headers = [*settings.headers, ("Host", target.host_header)]
    command = ["wrk", f"-t{THREADS}", f"-c{settings.connections}", f"-d{seconds}s"]
    command += ["--timeout", f"{settings.timeout_seconds}s", "-s", str(DUMP_SCRIPT)]
    for name, value in headers:
        command += ["-H", f"{name}: {value}"]
    return [*command, target.url]


def make_environment(settings: Settings) -> dict[str, str]:
    return {"CHANGEOVER_METHOD": settings.method, "CHANGEOVER_BODY": settings.body.decode()}


def parse_version(text: str) -> str:
    """From `wrk -v`, such as "wrk debian/4.1.0-3+b2 [epoll] Copyright …"."""
    found = re.search(r"^wrk \D*(\d+\.\d+\.\d+)", text, re.MULTILINE)
    if not found:
        raise GeneratorFailed(f"wrk does not say its version: {text[:80]!r}")
    return found.group(1)


def parse_wrk(output: str) -> Dump:
    line = next((line for line in reversed(output.splitlines()) if line.startswith("{")), None)
    if line is None:
        raise GeneratorFailed("wrk printed no dump")
    try:
        return _dump(json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise GeneratorFailed(f"wrk's dump cannot be read: {error!r}") from error


def _dump(dump: dict[str, Any]) -> Dump:
    return Dump(
        prepared_us=int(dump["preparedMicros"]),
        ended_us=int(dump["endedMicros"]),
        duration_us=int(dump["durationMicros"]),
        requests=int(dump["requests"]),
        bytes_received=int(dump["bytes"]),
        errors=Errors(**{kind: int(count) for kind, count in dump["errors"].items()}),
        buckets=[(int(value), int(count)) for value, count in dump["buckets"]],
    )


def measurement_of(dump: Dump, connections: int) -> Measurement:
    window = Window(
        start=dump.prepared_us / MICROSECONDS,
        end=(dump.prepared_us + dump.duration_us) / MICROSECONDS,
        uncertainty=max(0, dump.ended_us - dump.prepared_us - dump.duration_us) / MICROSECONDS,
    )
    raw, refused = _raw_buckets(dump, connections)
    latency = summarise(raw) if raw else None
    return Measurement(
        window=window,
        duration=dump.duration_us / MICROSECONDS,
        requests=dump.requests,
        succeeded=dump.requests - dump.errors.status,
        errors=dump.errors,
        bytes_received=dump.bytes_received,
        latency=latency,
        latency_refused=refused,
        buckets=raw,
        service_mean=latency.mean if latency else None,
    )


def _raw_buckets(dump: Dump, connections: int) -> tuple[Buckets, str | None]:
    if dump.requests == 0:
        return [], "no request was completed"
    if dump.errors.timeout:
        return [], f"{dump.errors.timeout} requests exceeded the timeout and are missing from wrk's histogram"
    interval = correction_interval(dump.duration_us, dump.requests, connections)
    try:
        return recovered(dump.buckets, interval, dump.requests), None
    except NotInvertible as error:
        return [], f"wrk's histogram cannot be inverted: {error}"
