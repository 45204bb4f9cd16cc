"""The loader as a process, against a small server and with scripts in place of wrk and oha.

The real generators run in the conformance and cluster tests; here it is about order, failures and the last
line.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from changeover.loader import conformance, drivers, ramp, session
from changeover.loader.failures import InvalidArguments
from changeover.loader.meters import CpuTime
from changeover.loader.process import Finished
from changeover.loader.report import Errors, Measurement, Window, summarise
from changeover.loader.settings import Settings, parse_settings
from changeover.loader.target import Target

DATA = Path(__file__).with_name("data")
OPERATOR = Path(__file__).parents[3] / "operator"
BODY = b"Hello, World!"
DIGEST = hashlib.sha256(BODY).hexdigest()

FAKE_WRK = """#!/bin/sh
[ "$1" = -v ] && echo "wrk debian/4.1.0-3+b2 [epoll]" && exit 1
echo "$@" >> "$CALLS"
cat "$DUMP"
"""
FAKE_WRK_THAT_HANGS = """#!/bin/sh
[ "$1" = -v ] && echo "wrk debian/4.1.0-3+b2 [epoll]" && exit 1
echo $$ > "$CALLS"
sleep 60
"""
FAKE_WRK_THAT_FAILS = """#!/bin/sh
[ "$1" = -v ] && echo "wrk debian/4.1.0-3+b2 [epoll]" && exit 1
echo "unable to create thread" >&2
exit 2
"""


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


class Loader:
    """Starts the loader with a folder of our own on PATH in front of everything else."""

    def __init__(self, folder: Path, script: str) -> None:
        self.calls = folder / "calls"
        (folder / "wrk").write_text(script)
        (folder / "wrk").chmod(0o755)
        self.environment = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "PYTHONPATH": str(OPERATOR),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CALLS": str(self.calls),
            "DUMP": str(DATA / "wrk-go-net-http.txt"),
        }

    def start(self, url: str, *flags: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "changeover.loader",
            "--url",
            url,
            "--connections",
            "8",
            "--measure",
            "1",
        ]
        return subprocess.Popen(
            [*command, *flags], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, url: str, *flags: str) -> tuple[int, dict[str, Any]]:
        process = self.start(url, *flags)
        output, _ = process.communicate(timeout=30)
        lines = output.decode().splitlines()
        assert len(lines) == 1, "exactly one line on stdout"
        return process.returncode, json.loads(lines[0])


def test_a_run_warms_up_measures_and_reports(tmp_path: Path, url: str) -> None:
    loader = Loader(tmp_path, FAKE_WRK)
    code, found = loader.run(url, "--warm-up", "2", "--measure", "3", "--expect-body-sha256", DIGEST)
    assert code == 0 and "failed" not in found
    assert found["generator"] == {"name": "wrk", "version": "4.1.0"}
    assert found["requests"] == sum(count for _, count in found["histogram"])
    calls = loader.calls.read_text().splitlines()
    assert [word for call in calls for word in call.split() if word.startswith("-d")] == ["-d2s"] * 2 + ["-d3s"]
    assert (found["warmUp"]["seconds"], found["warmUp"]["steady"]) == (4, True)
    assert {*found["warmUp"]["slices"], found["warmUp"]["measured"]} == {found["requests"] / found["durationSeconds"]}


@pytest.mark.parametrize(
    ("path", "flags", "said"),
    [
        ("elsewhere", [], "status 404, expected 200"),
        ("", ["--expect-status", "204"], "status 200, expected 204"),
        ("", ["--expect-body-sha256", "0" * 64], DIGEST),
    ],
)
def test_what_is_not_as_expected_is_never_loaded(
    tmp_path: Path, url: str, path: str, flags: list[str], said: str
) -> None:
    loader = Loader(tmp_path, FAKE_WRK)
    code, found = loader.run(url + path, *flags)
    assert (code, found["version"], found["failed"]) == (1, 1, "UnexpectedResponse")
    assert said in found["message"]
    assert not loader.calls.exists()


def test_bad_flags_fail_with_a_line_too(tmp_path: Path) -> None:
    code, found = Loader(tmp_path, FAKE_WRK).run("http://127.0.0.1/", "--mode", "open")
    assert (code, found["failed"]) == (1, "InvalidArguments")


def test_a_generator_that_fails_is_quoted(tmp_path: Path, url: str) -> None:
    code, found = Loader(tmp_path, FAKE_WRK_THAT_FAILS).run(url)
    assert (code, found["failed"]) == (1, "GeneratorFailed")
    assert "ended with 2: unable to create thread" in found["message"]


def test_sigterm_ends_the_loader_and_its_generator_at_once(tmp_path: Path, url: str) -> None:
    loader = Loader(tmp_path, FAKE_WRK_THAT_HANGS)
    process = loader.start(url, "--measure", "50")
    deadline = time.monotonic() + 15
    while not (loader.calls.exists() and loader.calls.read_text().strip()):
        assert time.monotonic() < deadline, "the generator was not started"
        time.sleep(0.02)
    generator = int(loader.calls.read_text())
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=15)
    assert time.monotonic() - sent < 3
    assert process.returncode == 143
    assert json.loads(output)["failed"] == "Terminated"
    with pytest.raises(ProcessLookupError):
        os.kill(generator, 0)


def test_without_a_writable_place_there_are_no_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only root without /dev/shm and /tmp; such a pod once could not even import the loader."""
    monkeypatch.setattr(drivers, "SCRATCH", (tmp_path / "missing",))
    with drivers.scratch_file(1) as database:
        assert database is None


def test_samples_go_to_the_first_place_that_holds_them_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    monkeypatch.setattr(drivers, "SCRATCH", (tmp_path / "missing", small, large))
    monkeypatch.setattr(drivers, "_free", lambda place: 64 if place == small else 1_000)
    for size, folder in ((64, small), (65, large)):
        with drivers.scratch_file(size) as database:
            assert database is not None and folder in database.parents
            database.write_text("samples")
    assert [*small.iterdir(), *large.iterdir()] == []
    for size in (0, 1_001):
        with drivers.scratch_file(size) as database:
            assert database is None


@pytest.mark.parametrize(
    ("flags", "warm_rate", "kept"),
    [
        ("--mode open --rate 100", None, 1_000),
        ("--mode open --rate 50000", None, 500_000),
        ("--mode open --rate 50001", None, 0),
        ("--mode open --rate 50001 --max-samples 600000", None, 500_010),
        ("--keep-alive false", 2_000.0, 20_000),
        ("--keep-alive false", None, 0),  # nothing is known: what one core can do at most would be too many
        ("--keep-alive false --measure 8", None, 480_000),
        ("--keep-alive false", 60_000.0, 0),
    ],
)
def test_how_many_samples_are_kept(flags: str, warm_rate: float | None, kept: int) -> None:
    settings = parse_settings(["--url", "http://a/", "--connections", "1", "--measure", "10", *flags.split()])
    assert drivers.samples_to_keep(settings, warm_rate) == kept


def test_samples_are_read_as_a_histogram(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "samples.db")) as connection:
        connection.execute('CREATE TABLE oha (start REAL, "end" REAL, duration REAL)')
        rows = [(0.0, 0.1, 0.000_001_6), (0.0, 0.3, 0.000_002_4), (1.0, 1.2, 1.5)]  # the last one after a window of 1 s
        connection.executemany("INSERT INTO oha VALUES (?, ?, ?)", rows)
        connection.commit()
    found = drivers._read_samples(tmp_path / "samples.db", 1)
    assert found.buckets == [(2, 2), (1_500_000, 1)]
    assert found.service_mean == pytest.approx(0.2)
    assert found.in_time == 2


def test_the_warm_up_waits_for_its_instant(tmp_path: Path, url: str) -> None:
    instant = time.time() + 1.5
    code, found = Loader(tmp_path, FAKE_WRK).run(url, "--start-at", f"{instant:f}")
    assert code == 0
    assert time.time() >= instant
    assert found["startAt"] == pytest.approx(instant, abs=1e-5)
    assert 0 <= found["startedLateSeconds"] < 30


def test_an_instant_in_the_past_starts_at_once_and_says_how_late() -> None:
    before = time.monotonic()
    late = session.await_start(time.time() - 40)
    assert late is not None and 40 <= late < 60
    assert time.monotonic() - before < 20
    assert session.await_start(None) is None


def test_milliseconds_instead_of_seconds_are_not_waited_for() -> None:
    with pytest.raises(InvalidArguments, match="ahead"):
        session.await_start(time.time() * 1000)


def test_conformance_is_reported_and_never_ends_the_run(tmp_path: Path, url: str) -> None:
    """Python's own server answers in HTTP/1.0: it closes every connection."""
    code, found = Loader(tmp_path, FAKE_WRK).run(url, "--conformance")
    assert code == 0
    assert [check["name"] for check in found["conformance"]] == list(conformance.NAMES)
    passed = {check["name"]: check["passed"] for check in found["conformance"]}
    assert passed["same body"] and passed["404 elsewhere"] and passed["HTTP/1.0"]
    assert not passed["pipelined requests"]


@pytest.mark.parametrize(
    ("capacity", "rates", "knee", "shown"),
    [(500, [100, 200, 400, 800, 600], 400, 400), (50, [100], None, 100)],
)
def test_a_ramps_report_is_that_of_the_last_good_step(
    monkeypatch: pytest.MonkeyPatch, capacity: int, rates: list[float], knee: float | None, shown: float
) -> None:
    """A generator in place of the real one: beyond the capacity every answer is late."""
    asked = []

    def run(settings: Settings, target: Target, seconds: int, samples: int) -> drivers.Run:
        assert settings.mode == "open" and settings.rate and samples == settings.rate * seconds
        asked.append(settings.rate)
        count = int(settings.rate * seconds)
        buckets = [(1_000 if settings.rate <= capacity else 900_000, count)]
        start = 1_000.0 + 10 * len(asked)
        measurement = Measurement(
            Window(start, start + seconds, 0.0), seconds, count, count, Errors(), 0, summarise(buckets), None, buckets
        )
        return drivers.Run(measurement, Finished("", start, start, start + 1, start + 2, CpuTime(0.1, 0.1), 4))

    monkeypatch.setattr(drivers, "run", run)
    flags = "--url http://a/ --connections 4 --measure 2 --mode ramp --rate 100 --factor 2 --max-p99-ms 50 --bisect 1"
    settings = parse_settings(flags.split())
    assert settings.ramp is not None
    context = {"mode": settings.mode, "connections": 4}
    found = session._ramp(settings, settings.ramp, Target("10.0.0.7", 80, "/", "a"), context)
    assert asked == [step["rate"] for step in found["steps"]] == rates
    assert (found["knee"], found["kneeBounded"], found["rate"], found["mode"]) == (knee, True, shown, "ramp")
    good = next(step for step in found["steps"] if step["rate"] == shown)
    assert (found["windowStart"], found["windowEnd"]) == (good["windowStart"], good["windowEnd"])
    assert found["requestsPerSecond"] == shown
    assert set(found["steps"][0]) == {*ramp.STEP_FIELDS, "rate", "achieved", "held", "why"}
