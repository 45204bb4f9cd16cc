"""Follow a resource: redrawn in place on a terminal, a line for each change in a pipe; and wait for its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live

from changeover.cli.gather import Body, fetch, gather
from changeover.cli.kubectl import Kubectl
from changeover.cli.render import drawing
from changeover.cli.target import Target
from changeover.cli.verdict import TIMED_OUT, exit_code, is_current, is_true
from changeover.cli.view import make_view, one_line

EVERY_SECONDS = 2.0


def watch(kubectl: Kubectl, target: Target, console: Console, wide: bool) -> None:
    """Until it ends."""
    if not console.is_terminal:
        for body in _changes(kubectl, target):
            console.print(one_line(body), soft_wrap=True)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            gathered = gather(kubectl, target, wide)
            live.update(drawing(make_view(gathered, wide)), refresh=True)
            if _has_ended(gathered.body):
                return
            time.sleep(EVERY_SECONDS)


def _changes(kubectl: Kubectl, target: Target) -> Iterator[Body]:
    """The resource each time that its line is another."""
    told = ""
    while True:
        body = fetch(kubectl, target)
        if one_line(body) != told:
            told = one_line(body)
            yield body
        if _has_ended(body):
            return
        time.sleep(EVERY_SECONDS)


def _has_ended(body: Body) -> bool:
    return is_current(body) and is_true(body, "Finished")


def wait(kubectl: Kubectl, target: Target, seconds: float, say: Callable[[str], None]) -> int:
    """The exit code of how it ended or stands still; 124 when that takes longer."""
    deadline = time.monotonic() + seconds
    while True:
        body = fetch(kubectl, target)
        code = exit_code(body)
        if code is not None or time.monotonic() > deadline:
            say(one_line(body))
            return TIMED_OUT if code is None else code
        time.sleep(min(EVERY_SECONDS, max(0.0, deadline - time.monotonic())))
