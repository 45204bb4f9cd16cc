"""Who has just waited for a metric source in vain has waited for all: the others are told at once.

A pass that waits holds one of the scheduler's few workers. With eight objects on a source that hangs, all would be
held, and the objects of every other source with them (docs/decisions/0022).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from changeover.core.errors import Unavailable

SLOW_SHARE = 0.5  # of the timeout: a failure that came sooner held nobody up, and is nobody else's


class Breaker:
    """After a failure that was waited for, nobody asks for ``seconds``; then one does for all, until it is answered."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._why = ""  # what the last question failed with; empty while all is well
        self._until = 0.0
        self._trying = False

    @contextmanager
    def question(self) -> Iterator[None]:
        """Around a question, which raises Unavailable when it fails; raises it itself when there is no sense in it."""
        began, trying = self._now(), bool(self._why)
        if trying and (self._trying or began < self._until):
            raise Unavailable(f"{self._why} (not asked again yet)")
        self._trying = trying
        try:
            yield
            self._why = ""
        except Unavailable as error:
            waited = self._now() - began >= SLOW_SHARE * self._seconds
            self._why, self._until = (str(error), self._now() + self._seconds) if waited else ("", 0.0)
            raise
        finally:
            if trying:
                self._trying = False
