"""The scheduler: in time, the urgent first, one pass at a time an object, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import ParamSpec

import pytest
from changeover.core.errors import Unavailable
from changeover.core.plan import Ref
from changeover.scheduler import Scheduler

A, B = Ref("CanaryMigration", "shop", "a"), Ref("FrameworkBenchmark", "shop", "b")
Answer = Callable[[Ref], Awaitable[float | None]]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time that jumps to the next timer instead of passing."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        ready, scheduled = getattr(self, "_ready"), getattr(self, "_scheduled")  # noqa: B009
        if not ready and scheduled:
            self._now = max(self._now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


P = ParamSpec("P")


def virtual_time(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run a test in a loop of its own whose time jumps."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


@dataclass
class Record:
    """What happened, with the seconds since the start."""

    passes: list[tuple[float, Ref]] = field(default_factory=list)
    failed: list[bool] = field(default_factory=list)
    forgotten: list[Ref] = field(default_factory=list)

    def passed(self, kind: str, seconds: float, failed: bool) -> None:
        self.failed.append(failed)

    def gone(self, ref: Ref) -> None:
        self.forgotten.append(ref)

    def times(self, ref: Ref = A) -> list[float]:
        return [round(at, 2) for at, one in self.passes if one == ref]


@contextlib.asynccontextmanager
async def working(answer: Answer, workers: int = 2) -> AsyncIterator[tuple[Scheduler, Record]]:
    record, loop = Record(), asyncio.get_running_loop()
    start = loop.time()

    async def reconcile(ref: Ref) -> float | None:
        record.passes.append((loop.time() - start, ref))
        return await answer(ref)

    scheduler = Scheduler({A.kind: reconcile, B.kind: reconcile}, record, workers)
    task = asyncio.create_task(scheduler.run())
    try:
        yield scheduler, record
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def nothing(ref: Ref) -> float | None:
    return None


def slowly(seconds: float, after: float | None = None) -> Answer:
    async def answer(ref: Ref) -> float | None:
        await asyncio.sleep(seconds)
        return after

    return answer


@virtual_time
async def test_what_needs_nothing_is_looked_at_once() -> None:
    async with working(nothing) as (scheduler, record):
        scheduler.wake(A)
        await asyncio.sleep(1000)
        assert record.times() == [0]
        assert scheduler.known() == set()


@virtual_time
async def test_a_pass_says_when_to_look_again() -> None:
    async with working(slowly(0, after=2.0)) as (scheduler, record):
        scheduler.wake(A)
        await asyncio.sleep(7)
        assert record.times() == [0, 2, 4, 6]


@virtual_time
async def test_the_earlier_of_two_wakes_wins_and_the_later_one_is_spent() -> None:
    async with working(nothing) as (scheduler, record):
        scheduler.wake(A, 10)
        scheduler.wake(A, 3)
        scheduler.wake(A, 20)
        await asyncio.sleep(100)
        assert record.times() == [3]


@virtual_time
async def test_a_change_during_a_pass_is_looked_at_right_after_it() -> None:
    async with working(slowly(5.0)) as (scheduler, record):
        scheduler.wake(A)
        await asyncio.sleep(1)
        scheduler.wake(A)
        scheduler.wake(A)
        await asyncio.sleep(100)
        assert record.times() == [0, 5]


@virtual_time
async def test_one_object_is_never_in_two_passes_at_once() -> None:
    running, most = 0, 0

    async def answer(ref: Ref) -> float | None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        return 0.1

    async with working(answer, workers=4) as (scheduler, record):
        for _ in range(30):
            scheduler.wake(A)
            scheduler.wake(A, 0.3)
            await asyncio.sleep(0.3)
        assert most == 1
        assert len(record.times()) >= 8


@virtual_time
async def test_a_wake_for_later_during_a_pass_is_not_lost() -> None:
    async with working(slowly(1.0)) as (scheduler, record):
        scheduler.wake(A)
        await asyncio.sleep(0.5)
        scheduler.wake(A, 10)
        await asyncio.sleep(100)
        assert len(record.times()) == 2


@virtual_time
async def test_a_pass_whose_inner_task_another_cancels_is_made_again_and_costs_no_worker() -> None:
    """kopf, when it ends, cancels what tasks it finds in the loop."""
    inner: list[asyncio.Task[None]] = []

    async def answer(_: Ref) -> None:
        inner.append(asyncio.create_task(asyncio.sleep(10)))
        await inner[-1]

    async with working(answer, workers=1) as (scheduler, record):
        scheduler.wake(A)
        await asyncio.sleep(1)
        inner[0].cancel()
        await asyncio.sleep(50)
        assert record.times() == [0, 3]


@virtual_time
async def test_what_is_forgotten_is_not_looked_at() -> None:
    async with working(nothing) as (scheduler, record):
        scheduler.wake(A, 5)
        scheduler.forget(A)
        scheduler.forget(B)
        await asyncio.sleep(100)
        assert record.times() == []
        assert scheduler.known() == set()
        assert record.forgotten == [A, B]


@virtual_time
async def test_forgotten_and_woken_again_is_looked_at_once() -> None:
    async with working(nothing) as (scheduler, record):
        scheduler.wake(A, 5)
        scheduler.forget(A)
        scheduler.wake(A, 7)
        await asyncio.sleep(100)
        assert record.times() == [7]


@virtual_time
async def test_live_migrations_go_before_benchmarks_that_have_waited_longer() -> None:
    order: list[Ref] = []

    async def answer(ref: Ref) -> float | None:
        order.append(ref)
        await asyncio.sleep(1)
        return None

    async with working(answer, workers=1) as (scheduler, _):
        benchmarks = [Ref(B.kind, "shop", f"b{n}") for n in range(5)]
        for ref in benchmarks:
            scheduler.wake(ref)
        await asyncio.sleep(0.5)
        scheduler.wake(A)
        await asyncio.sleep(100)
    assert order == [benchmarks[0], A, *benchmarks[1:]]


@virtual_time
async def test_an_error_nobody_foresaw_is_logged_counted_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries = 0

    async def answer(ref: Ref) -> float | None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("surprise")
        return None

    async with working(answer) as (scheduler, record):
        with caplog.at_level(logging.ERROR):
            scheduler.wake(A)
            await asyncio.sleep(100)
        assert record.times() == [0, 5]
        assert record.failed == [True, False]
        assert "a pass of CanaryMigration shop/a failed" in caplog.text and "surprise" in caplog.text


@virtual_time
async def test_a_cluster_that_does_not_answer_is_a_warning_and_another_look(caplog: pytest.LogCaptureFixture) -> None:
    tries = 0

    async def answer(ref: Ref) -> float | None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("GET /apis: timed out")
        return None

    async with working(answer) as (scheduler, record):
        with caplog.at_level(logging.WARNING):
            scheduler.wake(A)
            await asyncio.sleep(100)
        assert record.times() == [0, 2]
        assert record.failed == [False, False], "no error that nobody foresaw"
        assert "was not finished: GET /apis: timed out" in caplog.text and "Traceback" not in caplog.text


@virtual_time
async def test_who_does_not_lead_looks_at_nothing_and_forgets_nothing() -> None:
    async def answer(ref: Ref) -> float | None:
        return 10.0

    async with working(answer) as (scheduler, record):
        scheduler.led = asyncio.Event()
        scheduler.wake(A)
        scheduler.wake(B, after=1)
        await asyncio.sleep(50)
        assert record.passes == []
        scheduler.led.set()
        await asyncio.sleep(25)
        assert (record.times(A), record.times(B)) == ([50, 60, 70], [50, 60, 70])
        scheduler.led.clear()
        await asyncio.sleep(100)
        assert (len(record.times(A)), len(record.times(B))) == (3, 3)
        scheduler.led.set()
        await asyncio.sleep(5)
        assert (record.times(A)[3:], record.times(B)[3:]) == ([175], [175]), "what became due is looked at at once"


@virtual_time
async def test_one_objects_trouble_does_not_stop_the_others() -> None:
    async def answer(ref: Ref) -> float | None:
        if ref == A:
            raise RuntimeError("surprise")
        return 1.0

    async with working(answer, workers=1) as (scheduler, record):
        scheduler.wake(A)
        scheduler.wake(B)
        await asyncio.sleep(10)
        assert len(record.times(B)) >= 10


@virtual_time
async def test_a_pass_that_asks_for_no_pause_does_not_spin() -> None:
    async with working(slowly(0, after=0.0)) as (scheduler, record):
        scheduler.wake(A)
        await asyncio.sleep(1)
        assert len(record.times()) <= 21


@virtual_time
async def test_ten_thousand_idle_objects_cost_one_pass_each() -> None:
    async with working(nothing, workers=8) as (scheduler, record):
        for number in range(10_000):
            scheduler.wake(Ref(B.kind, "shop", f"b{number}"))
        await asyncio.sleep(60)
        assert len(record.passes) == 10_000


@pytest.mark.parametrize("turns", range(5))
def test_it_ends_when_it_is_cancelled_just_when_there_is_news(turns: int) -> None:
    """asyncio.wait_for of Python 3.11 swallows such a cancellation, and the operator would be killed for not ending."""

    async def cancelled() -> bool:
        async def again(ref: Ref) -> float | None:
            return 0.05

        scheduler = Scheduler({A.kind: again}, Record())
        scheduler.wake(A)
        task = asyncio.create_task(scheduler.run())
        await asyncio.sleep(0.12)
        scheduler.wake(Ref(A.kind, "shop", "c"), 0.2)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        ended = task.done()
        while not task.done():  # what was swallowed once is not swallowed twice
            task.cancel()
            await asyncio.sleep(0.01)
        return ended

    assert asyncio.run(cancelled())
