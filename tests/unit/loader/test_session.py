"""The loader as a process, against a small server and with scripts in place of wrk and oha.

The real generators run in the conformance and cluster tests; here it is about order, failures and the last
line.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from changeover.loader import session

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
    code, found = loader.run(url, "--warm-up", "2", "--expect-body-sha256", DIGEST)
    assert code == 0 and "failed" not in found
    assert found["generator"] == {"name": "wrk", "version": "4.1.0"}
    assert found["requests"] == sum(count for _, count in found["histogram"])
    calls = loader.calls.read_text().splitlines()
    assert ["-d2s" in calls[0], "-d1s" in calls[1], len(calls)] == [True, True, 2]


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
    monkeypatch.setattr(session, "SCRATCH", (tmp_path / "missing",))
    with session.scratch_file(wanted=True) as database:
        assert database is None


def test_samples_are_written_to_the_first_writable_place_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SCRATCH", (tmp_path / "missing", tmp_path))
    with session.scratch_file(wanted=True) as database:
        assert database is not None and tmp_path in database.parents
        database.write_text("samples")
    assert list(tmp_path.iterdir()) == []
    with session.scratch_file(wanted=False) as database:
        assert database is None
