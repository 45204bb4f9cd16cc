"""One session: verify, warm up, measure, report. The order is the point: nothing is loaded that was not
verified."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from changeover.loader import meters, oha, process, report, wrk
from changeover.loader.failures import GeneratorFailed
from changeover.loader.report import Measurement, Surroundings
from changeover.loader.settings import Settings
from changeover.loader.target import Target, resolve, verify

SCRATCH = (Path("/dev/shm"), Path("/tmp"))
"""Where oha's samples may go: memory first, which is writable although the root file system is read-only."""


@dataclass(frozen=True)
class Run:
    measurement: Measurement
    finished: process.Finished


def perform(settings: Settings) -> dict[str, Any]:
    version = _generator_version(settings)
    target = resolve(settings)
    verify(target, settings)
    progress(f"{target.url} answers as expected")
    expected_rate = settings.rate
    if settings.warm_up_seconds:
        progress(f"warming up for {settings.warm_up_seconds} s with {version['name']} {version['version']}")
        warm = _run(settings, target, settings.warm_up_seconds, expected_rate).measurement
        expected_rate = settings.rate or warm.requests / warm.duration
    progress(f"measuring for {settings.measure_seconds} s with {settings.connections} connections")
    throttled, opened = meters.throttling(), meters.connections_opened()
    run = _run(settings, target, settings.measure_seconds, expected_rate)
    surroundings = _surroundings(run, throttled, opened)
    context = {
        "generator": version,
        "target": target.url,
        "mode": settings.mode,
        "connections": settings.connections,
        "keepAlive": settings.keep_alive,
        "rate": settings.rate,
        "unsent": report.unsent(settings.rate, settings.measure_seconds, run.measurement),
    }
    return report.as_json(run.measurement, surroundings, context)


def progress(text: str) -> None:
    print(f"loader: {text}", file=sys.stderr, flush=True)


def _generator_version(settings: Settings) -> dict[str, str]:
    if settings.uses_wrk:
        return {"name": "wrk", "version": wrk.parse_version(process.version_output(["wrk", "-v"]))}
    return {"name": "oha", "version": oha.parse_version(process.version_output(["oha", "--version"]))}


def _run(settings: Settings, target: Target, seconds: int, expected_rate: float | None) -> Run:
    return (
        _run_wrk(settings, target, seconds) if settings.uses_wrk else _run_oha(settings, target, seconds, expected_rate)
    )


def _run_wrk(settings: Settings, target: Target, seconds: int) -> Run:
    command = wrk.make_command(settings, target, seconds)
    finished = _execute(settings, target, command, seconds, wrk.make_environment(settings))
    return Run(wrk.measurement_of(wrk.parse_wrk(finished.output), settings.connections), finished)


def _run_oha(settings: Settings, target: Target, seconds: int, expected_rate: float | None) -> Run:
    few = expected_rate is not None and expected_rate * seconds <= oha.SAMPLES_LIMIT
    with scratch_file(wanted=few) as database:
        command = oha.make_command(settings, target, seconds, database)
        finished = _execute(settings, target, command, seconds, {})
        samples = _read_samples(database) if database and database.exists() else None
    return Run(oha.parse_oha(finished, samples, settings), finished)


def _execute(
    settings: Settings, target: Target, command: list[str], seconds: int, environment: dict[str, str]
) -> process.Finished:
    def count_alive() -> int | None:
        # Without keep-alive the table is full of TIME_WAIT: reading it would take the generator's own core.
        return meters.connections_alive(target.port) if settings.keep_alive else None

    return process.run(command, environment, seconds, settings.timeout_seconds, count_alive)


@contextlib.contextmanager
def scratch_file(wanted: bool) -> Iterator[Path | None]:
    folder = next((place for place in SCRATCH if os.access(place, os.W_OK)), None)
    if not wanted or folder is None:
        yield None
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix="loader-") as name:
        yield Path(name) / "samples.db"


def _read_samples(database: Path) -> oha.Samples:
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            rows = connection.execute('SELECT duration, "end" - "start" FROM oha').fetchall()
    except sqlite3.Error as error:
        raise GeneratorFailed(f"oha's samples cannot be read: {error}") from error
    return oha.Samples([row[0] for row in rows], [row[1] for row in rows])


def _surroundings(run: Run, throttled: meters.Throttling | None, opened: int | None) -> Surroundings:
    throttled_now, opened_now = meters.throttling(), meters.connections_opened()
    both = (throttled, throttled_now) if throttled and throttled_now else None
    cpu, finished = run.finished.cpu, run.finished
    return Surroundings(
        user_seconds=cpu.user_seconds,
        system_seconds=cpu.system_seconds,
        cores=(cpu.user_seconds + cpu.system_seconds) / (finished.looked - finished.started),
        throttled_periods=both[1].periods - both[0].periods if both else None,
        throttled_seconds=both[1].seconds - both[0].seconds if both else None,
        connections_opened=opened_now - opened if opened is not None and opened_now is not None else None,
        connections_alive=finished.alive,
    )
