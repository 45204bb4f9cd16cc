"""Running commands, and the one error that a person is meant to read."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class Problem(Exception):
    """Something is in the way; the message says what, and how to mend it. Shown without a traceback."""


class CommandFailed(Problem):
    """A command ended with an error; its last lines are in the message."""


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
) -> str:
    """Run a command to its end and return what it wrote; `log` also keeps the output for later reading."""
    words = [str(word) for word in argv]
    done = subprocess.run(
        words,
        input=stdin if stdin is not None else "",
        env={**os.environ, **(env or {})},
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        errors="replace",
    )
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        where = f"\n(all of it: {log})" if log else ""
        raise CommandFailed(f"`{' '.join(words)[:300]}` ended with {done.returncode}:\n{tail}{where}")
    return done.stdout


def succeeds(argv: Sequence[str | Path]) -> bool:
    """Whether a command ends well; its output does not matter."""
    try:
        run(argv)
    except (CommandFailed, FileNotFoundError):
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
