"""Running commands, and the one error that a person is meant to read."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Words = Sequence[str | Path]


class Problem(Exception):
    """Something is in the way; the message says what, and how to mend it. Shown without a traceback."""


class CommandFailed(Problem):
    """A command ended with an error; its last lines are in the message."""


def run(
    argv: Words,
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float | None = None,
) -> str:
    """Run a command to its end and return what it wrote to its standard output."""
    done = _finish(argv, stdin, env, cwd, seconds)
    if done.returncode != 0:
        raise CommandFailed(_reason(argv, done))
    return done.stdout


def run_logged(argv: Words, log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a long command and keep all that it wrote, for when its last lines are not enough."""
    done = _finish(argv, "", env, cwd, None)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        raise CommandFailed(f"{_reason(argv, done)}\n(all of it: {log})")


def _finish(
    argv: Words, stdin: str, env: Mapping[str, str] | None, cwd: Path | None, seconds: float | None
) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in argv]
    everything = {**os.environ, **(env or {})}
    return subprocess.run(
        words, input=stdin, env=everything, cwd=cwd, text=True, capture_output=True, errors="replace", timeout=seconds
    )


def _reason(argv: Words, done: subprocess.CompletedProcess[str]) -> str:
    tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
    return f"`{' '.join(map(str, argv))[:300]}` ended with {done.returncode}:\n{tail}"


def succeeds(argv: Words, *, seconds: float | None = None) -> bool:
    """Whether a command ends well; its output does not matter."""
    try:
        run(argv, seconds=seconds)
    except (CommandFailed, FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return True


def wait_until(what: str, check: Callable[[], bool], *, seconds: float, every: float = 0.2) -> None:
    """Wait for something to become true, or say what did not."""
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise Problem(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(every)


def write_if_changed(path: Path, text: str) -> bool:
    """Write a file unless it already says so; whether it was written."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return True
