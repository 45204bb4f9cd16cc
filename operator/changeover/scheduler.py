"""When is which object looked at? One heap of (when, object) for all, and a bounded number of workers.

kopf's timers cost a write per object and 28 % of a core for 10,000 idle ones, and go on for objects that were deleted
while the watch was broken (docs/decisions/0002). Here an object that needs nothing costs nothing, and one that is gone
simply is not scheduled again.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from changeover.core.errors import ChangeoverError
from changeover.core.plan import Ref

log = logging.getLogger(__name__)

Reconcile = Callable[[Ref], Awaitable[float | None]]
UNFINISHED_SECONDS = 2.0
RETRY_SECONDS = 5.0  # after an error that nobody foresaw


class Observer(Protocol):
    """Who wants to know how passes went (metrics)."""

    def passed(self, kind: str, seconds: float, failed: bool) -> None:
        """One pass is over."""
        ...

    def gone(self, ref: Ref) -> None:
        """The object is gone."""
        ...


@dataclass
class Scheduler:
    """Wakes objects in time; live migrations first. At most one pass an object at a time, none is lost."""

    reconcilers: Mapping[str, Reconcile]  # by kind, the most urgent kind first
    observer: Observer
    workers: int = 8
    led: asyncio.Event | None = None  # set while we lead; None: nobody else could
    _heap: list[tuple[float, Ref]] = field(default_factory=list)  # when, object; may hold outdated entries
    _ready: list[tuple[int, float, Ref]] = field(default_factory=list)  # what is due, the most urgent kind first
    _due: dict[Ref, float] = field(default_factory=dict)
    _running: set[Ref] = field(default_factory=set)
    _again: set[Ref] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _listening: list[set[Ref]] = field(default_factory=list)  # each is told of what is woken at once

    def wake(self, ref: Ref, after: float = 0.0) -> None:
        """Look at an object after so many seconds, or earlier if that was planned."""
        for woken in self._listening if after <= 0 else ():
            woken.add(ref)
        if ref in self._running and after <= 0:
            self._again.add(ref)  # what has just changed may have been read before the change
            return
        when = self._now() + after
        if when < self._due.get(ref, float("inf")):
            self._due[ref] = when
            heapq.heappush(self._heap, (when, ref))
            self._news.set()

    def forget(self, ref: Ref) -> None:
        """The object is gone."""
        self._due.pop(ref, None)
        self._again.discard(ref)
        self.observer.gone(ref)

    @contextlib.contextmanager
    def woken_meanwhile(self) -> Iterator[set[Ref]]:
        """What is woken at once while the block lasts."""
        woken = set[Ref]()
        self._listening.append(woken)
        try:
            yield woken
        finally:
            self._listening = [one for one in self._listening if one is not woken]

    def known(self) -> set[Ref]:
        """Objects that are due some time or looked at now."""
        return set(self._due) | self._running

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            if self.led is not None:
                await self.led.wait()
            ref = await self._next()
            if self.led is not None and not self.led.is_set():
                self.wake(ref)  # for when we lead again
                continue
            self._running.add(ref)
            after: float | None = RETRY_SECONDS
            try:
                after = await self._pass(ref)
            finally:
                self._running.discard(ref)
            if ref in self._again:
                self._again.discard(ref)
                self.wake(ref)
            elif after is not None:
                self.wake(ref, max(after, 0.05))

    async def _pass(self, ref: Ref) -> float | None:
        started, failed = self._now(), True
        try:
            after = await self.reconcilers[ref.kind](ref)
            failed = False
            return after
        except ChangeoverError as error:  # the cluster could not be read or written: the next pass is the retry
            failed = False
            log.warning("a pass of %s %s/%s was not finished: %s", ref.kind, ref.namespace, ref.name, error)
            return UNFINISHED_SECONDS
        except asyncio.CancelledError:
            if _is_to_end():
                raise
            # kopf, when it ends, cancels whatever task it finds, and so what a pass waits for. The worker goes on.
            log.warning("a pass of %s %s/%s was cut off", ref.kind, ref.namespace, ref.name)
            return UNFINISHED_SECONDS
        except Exception:
            # One object's trouble must not stop the others; it is looked at again, and the log has it all.
            log.exception("a pass of %s %s/%s failed", ref.kind, ref.namespace, ref.name)
            return RETRY_SECONDS
        finally:
            self.observer.passed(ref.kind, self._now() - started, failed)

    async def _next(self) -> Ref:
        while True:
            while self._heap and self._heap[0][0] <= self._now():
                when, ref = heapq.heappop(self._heap)
                heapq.heappush(self._ready, (self._urgency(ref), when, ref))
            while self._ready:
                _, when, ref = heapq.heappop(self._ready)
                if self._due.get(ref) != when:
                    continue  # woken earlier since, or forgotten: an outdated entry
                del self._due[ref]
                if ref not in self._running:
                    return ref
                self._again.add(ref)
            self._news.clear()
            wait = self._heap[0][0] - self._now() if self._heap else None
            try:
                # Not wait_for: up to Python 3.11 it may swallow a cancellation, and the operator would not end.
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                continue

    def _urgency(self, ref: Ref) -> int:
        return list(self.reconcilers).index(ref.kind)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _is_to_end() -> bool:
    """Whether it is we who were cancelled, and not only something that we wait for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
