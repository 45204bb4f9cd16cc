"""Follow a resource: redrawn in place on a terminal, a line for each change in a pipe; and wait for its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.live import Live

from changeover.cli.gather import Body, fetch, gather
from changeover.cli.kubectl import Kubectl, KubectlFailed, NotThere
from changeover.cli.render import drawing
from changeover.cli.target import Target
from changeover.cli.verdict import TIMED_OUT, exit_code, is_current, is_true
from changeover.cli.view import make_view, one_line

EVERY_SECONDS = 2.0
PATIENCE_SECONDS = 300.0  # with a cluster that answered before
Seen = TypeVar("Seen")


def watch(kubectl: Kubectl, target: Target, console: Console, wide: bool) -> None:
    """Until it ends. Raises KubectlFailed."""
    if not console.is_terminal:
        for body in _changes(kubectl, target):
            console.print(one_line(body), soft_wrap=True)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        for gathered in _looks(lambda: gather(kubectl, target, wide)):
            if gathered is None:
                continue
            live.update(drawing(make_view(gathered, wide)), refresh=True)
            if _has_ended(gathered.body):
                return


def _changes(kubectl: Kubectl, target: Target) -> Iterator[Body]:
    """The resource each time that its line is another."""
    told = ""
    for body in _looks(lambda: fetch(kubectl, target)):
        if body is None:
            continue
        if one_line(body) != told:
            told = one_line(body)
            yield body
        if _has_ended(body):
            return


def _looks(look: Callable[[], Seen], until: float = math.inf) -> Iterator[Seen | None]:
    """What is seen, time and again until somebody has seen enough; None while the cluster does not answer.

    Raises KubectlFailed when the first look fails, since what was asked may be wrong, or after five minutes of silence:
    during a migration of days a control plane is upgraded. Raises NotThere at once.
    """
    answered = -math.inf
    while True:
        try:
            found: Seen | None = look()
            answered = time.monotonic()
        except NotThere:
            raise
        except KubectlFailed:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise
            found = None
        yield found
        time.sleep(min(EVERY_SECONDS, max(0.0, until - time.monotonic())))


def _has_ended(body: Body) -> bool:
    return is_current(body) and is_true(body, "Finished")


def wait(kubectl: Kubectl, target: Target, seconds: float, say: Callable[[str], None]) -> int:
    """The exit code of how it ended or stands still; 124 when that takes longer. Raises KubectlFailed."""
    deadline, last = time.monotonic() + seconds, "the cluster does not answer"
    for body in _looks(lambda: fetch(kubectl, target), deadline):
        code = exit_code(body) if body is not None else None
        last = one_line(body) if body is not None else last
        if code is not None or time.monotonic() > deadline:
            say(last)
            return TIMED_OUT if code is None else code
    raise AssertionError("it is looked at for ever")
