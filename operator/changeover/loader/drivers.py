"""One run of the generator that the settings choose, from its command to what it measured."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from changeover.loader import h2load, meters, oha, process, wrk
from changeover.loader.failures import GeneratorFailed
from changeover.loader.report import Measurement
from changeover.loader.settings import H2LOAD, OHA, WRK, Settings
from changeover.loader.target import Target

SCRATCH = (Path("/dev/shm"), Path("/tmp"))
"""Where oha's samples may go: memory first, which is writable although the root file system is read-only."""

_VERSIONS = {
    WRK: (["wrk", "-v"], wrk.parse_version),
    OHA: (["oha", "--version"], oha.parse_version),
    H2LOAD: (["h2load", "--version"], h2load.parse_version),
}


@dataclass(frozen=True)
class Run:
    measurement: Measurement
    finished: process.Finished


def version_of(settings: Settings) -> dict[str, str]:
    """The generator's name and version; GeneratorFailed when it is not there."""
    command, parse = _VERSIONS[settings.generator]
    return {"name": settings.generator, "version": parse(process.version_output(command))}


def run(settings: Settings, target: Target, seconds: int, samples: int, awaited: bool = True) -> Run:
    """`samples` is how many requests are expected whose latencies are to be kept one by one; 0 for none. Where they are
    not `awaited`, the last requests are given up when the time is over, so that the run lasts no longer.
    """
    if settings.generator == WRK:
        return _run_wrk(settings, target, seconds)
    if settings.generator == H2LOAD:
        finished = _execute(settings, target, h2load.make_command(settings, target, seconds), seconds)
        return Run(h2load.parse_h2load(finished), finished)
    return _run_oha(settings, target, seconds, samples, awaited)


def samples_to_keep(settings: Settings, expected_rate: float | None) -> int:
    """How many are expected; 0 when they are more than --max-samples, and so none is kept."""
    rate = settings.rate or expected_rate or oha.FASTEST
    expected = int(rate * settings.measure_seconds)
    return expected if expected <= settings.max_samples else 0


def _run_wrk(settings: Settings, target: Target, seconds: int) -> Run:
    command = wrk.make_command(settings, target, seconds)
    finished = _execute(settings, target, command, seconds, wrk.make_environment(settings))
    return Run(wrk.measurement_of(wrk.parse_wrk(finished.output), settings.connections), finished)


def _run_oha(settings: Settings, target: Target, seconds: int, samples: int, awaited: bool) -> Run:
    with scratch_file(samples * oha.row_bytes(target.path)) as database:
        command = oha.make_command(settings, target, seconds, database, awaited)
        finished = _execute(settings, target, command, seconds)
        kept = _read_samples(database, seconds) if database and database.exists() else None
    return Run(oha.parse_oha(finished, kept, settings, seconds), finished)


def _execute(
    settings: Settings, target: Target, command: list[str], seconds: int, environment: dict[str, str] | None = None
) -> process.Finished:
    def count_alive() -> int | None:
        # Without keep-alive the table is full of TIME_WAIT: reading it would take the generator's own core.
        return meters.connections_alive(target.port) if settings.keep_alive else None

    return process.run(command, environment or {}, seconds, settings.timeout_seconds, count_alive)


@contextlib.contextmanager
def scratch_file(size: int) -> Iterator[Path | None]:
    """A path for so many bytes in the first place that is writable and has them free; None for 0 or no such place."""
    folder = next((place for place in SCRATCH if os.access(place, os.W_OK) and _free(place) >= size), None)
    if not size or folder is None:
        yield None
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix="loader-") as name:
        yield Path(name) / "samples.db"


def _free(place: Path) -> int:
    return shutil.disk_usage(place).free


def _read_samples(database: Path, seconds: int) -> oha.Samples:
    """Of a window of so many seconds, grouped by SQLite: a list of all rows would take several times the memory that
    oha's own took."""
    by_value = "SELECT CAST(ROUND(duration * 1000000) AS INTEGER) AS us, COUNT(*) FROM oha GROUP BY us ORDER BY us"
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            buckets = connection.execute(by_value).fetchall()
            # oha's clock of start and end begins with its window.
            overall = 'SELECT AVG("end" - "start"), COALESCE(SUM("end" <= ?), 0) FROM oha'
            service_mean, in_time = connection.execute(overall, (seconds,)).fetchone()
    except sqlite3.Error as error:
        raise GeneratorFailed(f"oha's samples cannot be read: {error}") from error
    return oha.Samples([(int(value), int(count)) for value, count in buckets], service_mean, in_time)
