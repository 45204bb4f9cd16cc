"""Running one generator to its end, with a look at the kernel's counters just before its window ends."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from changeover.loader import meters
from changeover.loader.failures import GeneratorFailed

LOOK_BEFORE_END_SECONDS = 0.1
"""The look comes while all connections are still at work, not while the last are being closed."""

WRAP_UP_SECONDS = 60.0
"""For what a generator computes after the run, beyond the timeout of its last requests."""

FILES_BESIDE = 64
"""Open files that a generator has beside those of its connections: pipes, its event loop, its samples."""


@dataclass(frozen=True)
class Finished:
    """Moments in seconds since the epoch. `cpu`, `alive` and `throttling` (since the cgroup's start) are as of
    `looked`; `ended` is the process's end."""

    output: str
    started: float
    first_output: float
    looked: float
    ended: float
    cpu: meters.CpuTime
    alive: int | None
    throttling: meters.Throttling | None = None


def allow_files(connections: int) -> None:
    """As many open files as so many connections need, for what is started from now on.

    Twice as many where that is allowed: without keep-alive oha opens the next while the last is being closed.
    GeneratorFailed when they are not allowed: a generator would go on with fewer connections, which then count as lost.
    """
    needed, wanted = connections + FILES_BESIDE, 2 * connections + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        mend = "lower the connections, raise load.instances, or let the load pod's runtime allow more"
        raise GeneratorFailed(f"{hard} files may be open, {connections} connections need {needed}; {mend}")
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def version_output(command: Sequence[str]) -> str:
    """wrk prints its version and fails, so the exit code says nothing."""
    try:
        found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GeneratorFailed(f"{command[0]}: {error}") from error
    return found.stdout.decode(errors="replace")


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    window_seconds: float,
    timeout_seconds: float,
    count_alive: Callable[[], int | None],
) -> Finished:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with contextlib.ExitStack() as cleanup:
        with _sigterm_held():
            started = time.time()
            process = _start(command, environment)
            cleanup.callback(_end, process)  # a generator must not outlive its Job
        assert process.stdout is not None and process.stderr is not None
        output, complaints = _Reader(process.stdout), _Reader(process.stderr)
        _wait(process, window_seconds - LOOK_BEFORE_END_SECONDS)
        looked, cpu, alive = time.time(), meters.cpu_time(process.pid), count_alive()
        throttling = meters.throttling()
        if _wait(process, timeout_seconds + WRAP_UP_SECONDS) is None:
            raise GeneratorFailed(f"{command[0]} did not end within {WRAP_UP_SECONDS:.0f} s after its window")
        ended = time.time()
    if process.returncode != 0:
        said = complaints.text().strip()[-300:]
        raise GeneratorFailed(f"{command[0]} ended with {process.returncode}: {said}")
    if cpu is None:
        cpu, looked = _children_since(before), time.time()
    return Finished(output.text(), started, output.first or ended, looked, ended, cpu, alive, throttling)


@contextlib.contextmanager
def _sigterm_held() -> Iterator[None]:
    """SIGTERM takes effect at the end of the block: raised within Popen, it would leave a child that nobody knows.

    The signal is kept by a handler and not by a mask, which the child would inherit.
    """
    came: list[int] = []
    usual = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)
        if came:
            signal.raise_signal(signal.SIGTERM)


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise GeneratorFailed(f"{command[0]}: {error}") from error


class _Reader:
    """Drains a pipe, so that the process never waits for us, and notes when the first bytes came."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.first: float | None = None
        self._chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._drain, args=(pipe,), daemon=True)
        self._thread.start()

    def _drain(self, pipe: IO[bytes]) -> None:
        with pipe:
            while chunk := os.read(pipe.fileno(), 1 << 16):
                self.first = self.first or time.time()
                self._chunks.append(chunk)

    def text(self) -> str:
        self._thread.join()
        return b"".join(self._chunks).decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _children_since(before: resource.struct_rusage) -> meters.CpuTime:
    """For a process that was gone before the look: all it used, with what it computed after its run."""
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return meters.CpuTime(after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)
