"""Migrations on sick metric sources beside one on a healthy source, in one Scheduler, and what is measured of it all.

Real: the Scheduler, the reconcilers, PrometheusSource over HTTP. Fake: the cluster, and the clock of the decisions,
which goes on a minute a pass. Timeouts and the Scheduler's times are real ones, a fraction of those in a cluster.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from changeover.adapters.metrics.prometheus import PrometheusSource, SourceSettings
from changeover.core.plan import Ref
from changeover.ports import BackendPort, Bound, CountQuery
from changeover.reconcilers.migration import reconcile_migration
from changeover.scheduler import Scheduler
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import SCRAPE_SECONDS, World

from tests.unit.fail_closed.scripted import OfWorld, scripted

TIMEOUT_SECONDS = 0.25
PATIENT_SECONDS = 10.0  # with the healthy source: a busy machine is slow, and no evidence for minutes is blindness
PACE_SECONDS = 0.1  # of real time from pass to pass
PASS_SECONDS = 60.0  # of the fake clock
GOOD_PASSES = 5  # at the first weight: evidence, but not enough to go on
MOST_PASSES_BEFORE = 30  # until it has the first weight: three, on a machine that is not busy
TICK_SECONDS = 0.005
LEAST_LAG_SECONDS = 0.6  # so long is the event loop's lag measured
LONGEST_SECONDS = 20.0  # of a fault, on however slow a machine

_quiet_peak = [0.0]  # and then that of the first run, MiB
connected: list[tuple[str, int]] = []  # where this process has connected to


def _note(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple):
        connected.append((str(args[1][0]), int(args[1][1])))


sys.addaudithook(_note)


class Metered(PrometheusSource):
    """How long each question took, seconds."""

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__(settings)
        self.took: list[float] = []
        self.timeout = settings.timeout_seconds

    async def _ask(self, *args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        try:
            return await super()._ask(*args, **kwargs)
        finally:
            self.took.append(time.monotonic() - began)


def metered(url: str, name: str = "sick", timeout: float = TIMEOUT_SECONDS) -> Metered:
    return Metered(SourceSettings(name, url, timeout, SCRAPE_SECONDS))


@dataclass(frozen=True)
class Seen:
    """One pass: the fake time, the weight after it, and what status said."""

    at: datetime
    weight: int
    reason: str
    says: str  # all conditions' messages


@dataclass
class Actor:
    """A migration in a world of its own; ``told`` is a Prometheus that knows the truth of that world."""

    name: str
    told: OfWorld
    source: Metered
    pace: float = PACE_SECONDS
    seen: list[Seen] = field(default_factory=list)

    @property
    def ref(self) -> Ref:
        return Ref("CanaryMigration", NAMESPACE, self.name)

    async def reconcile(self) -> float | None:
        world = self.told.world
        deps = replace(world.dependencies(), sources={"default": self.source})
        after = await reconcile_migration(self.ref, deps)
        status = (world.cluster.peek(self.ref) or {})["status"]
        ready = next((c for c in status["conditions"] if c["type"] == "Ready"), {"reason": ""})  # none at first
        says = " ".join(c["message"] for c in status["conditions"])
        self.seen.append(Seen(world.clock.now(), world.weight_of("shop", "new") or 0, ready["reason"], says))
        world.advance(PASS_SECONDS)
        return None if after is None else self.pace

    @property
    def outcome(self) -> str:
        """Result and reason, or nothing while it is under way."""
        found = (self.told.world.cluster.peek(self.ref) or {})["status"].get("outcome") or {}
        return f"{found.get('result', '')} {found.get('reason', '')}".strip()

    async def warm_up(self) -> None:
        """Up to the first weight, and good evidence there."""
        while not self.seen or self.seen[-1].weight == 0:
            await self.reconcile()
            assert len(self.seen) < MOST_PASSES_BEFORE, f"{self.name} got no weight: {self.seen[-1]}"
        for _ in range(GOOD_PASSES - 1):
            await self.reconcile()
        self.seen.clear()


@contextmanager
def actors(number: int) -> Iterator[list[Actor]]:
    """So many, and one more: the neighbour, the last. Each has a good source."""
    with ExitStack() as stack:
        found = []
        for name in [f"sick-{n}" for n in range(number)] + ["neighbour"]:
            # Nothing but the evidence holds it: a good one goes on within the passes that a sick one gets.
            steps = [{"weightPercent": w, "minDuration": "6m", "maxDuration": "9h"} for w in (10, 50, 100)]
            told = stack.enter_context(
                scripted(World(a_deployment("old"), a_deployment("new"), a_migration(name, steps=steps)))
            )
            found.append(Actor(name, told, metered(f"http://127.0.0.1:{told.server_port}", "healthy", PATIENT_SECONDS)))
        yield found


Lag = tuple[float, float]  # seconds that a timer was late, and those of them in which this process computed


@dataclass(frozen=True)
class Figures:
    """Of one run: real seconds, growth of the memory (MiB), passes of the neighbour.

    The lags of the event loop (seconds) are those while questions were asked and nothing else was done: in the passes
    the fake cluster takes its time on the same loop.
    """

    seconds: float
    lags: list[Lag]
    grown_mib: float
    neighbour_passes: int
    longest: float  # question to a sick source, seconds
    timeout: float  # of that source, seconds
    threads_left: int

    @property
    def lag_p99(self) -> float:
        """Seconds."""
        return sorted(lag for lag, _ in self.lags)[int(0.99 * len(self.lags))]

    @property
    def own_p99(self) -> float:
        """Seconds of it in which this process computed: what a busy machine adds is left out."""
        return sorted(own for _, own in self.lags)[int(0.99 * len(self.lags))]

    @property
    def pace(self) -> float:
        """Passes of the neighbour a second."""
        return self.neighbour_passes / self.seconds


async def play(sick: list[Actor], neighbour: Actor, passes: int) -> Figures:
    """Until each of the sick has had its passes, or has ended."""
    waiting = {actor.name: actor for actor in (*sick, neighbour)}
    scheduler = Scheduler({"CanaryMigration": lambda ref: waiting[ref.name].reconcile()}, _Nobody())
    before = _reset_peak()
    lags = await _lags(sick[0])
    for actor in waiting.values():
        scheduler.wake(actor.ref)
    began, task = time.monotonic(), asyncio.create_task(scheduler.run())
    await _until(lambda: all(len(one.seen) >= passes for one in sick), LONGEST_SECONDS)
    seconds, grown = time.monotonic() - began, _memory("VmHWM") - before
    if not _quiet_peak[1:]:
        _quiet_peak.append(_memory("VmHWM"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    longest = max(took for one in sick for took in one.source.took)
    left = await _threads_left("prometheus-sick")
    return Figures(seconds, lags, grown, len(neighbour.seen), longest, sick[0].source.timeout, left)


async def _lags(actor: Actor) -> list[Lag]:
    """How late a timer is while three questions at a time are asked."""
    lags: list[Lag] = []
    ticking = asyncio.create_task(_tick(lags))
    now = actor.told.world.clock.now()
    query = CountQuery(NAMESPACE, "shop", BackendPort("new", 80), {"latency": Bound(0.05, 99.0)})
    until = time.monotonic() + LEAST_LAG_SECONDS
    while time.monotonic() < until:
        asked = (actor.source.counts(query, now - timedelta(minutes=1), now) for _ in range(3))
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0.01)
    ticking.cancel()
    return lags


async def _tick(lags: list[Lag]) -> None:
    while True:
        began, used = time.monotonic(), time.process_time()
        await asyncio.sleep(TICK_SECONDS)
        lag = time.monotonic() - began - TICK_SECONDS
        lags.append((lag, min(lag, time.process_time() - used)))


class _Nobody:
    def passed(self, kind: str, seconds: float, failed: bool) -> None:
        assert not failed, "a pass has failed; its error is in the log"

    def gone(self, ref: Ref) -> None:
        pass


def _memory(name: str) -> float:
    """MiB, by its name in /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def _reset_peak() -> float:
    """The memory (MiB) from which growth counts: what is resident, or the peak of the quiet run, the first.

    What the fake clusters of a run take and give back is no growth.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return max(_memory("VmRSS"), *_quiet_peak)


async def _threads_left(prefix: str) -> int:
    """Threads of a source's pool that are still at a question some time after the last was given up."""
    await _until(lambda: not _at_work(prefix), 2 * TIMEOUT_SECONDS + 2.0)
    return _at_work(prefix)


async def _until(is_so: Callable[[], bool], seconds: float) -> None:
    """It is looked at now and then; after so many seconds at the latest it is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not is_so():  # noqa: ASYNC110 - counts and threads tell nobody that they changed
        await asyncio.sleep(0.02)


def _at_work(prefix: str) -> int:
    frames = sys._current_frames()
    named = {thread.ident for thread in threading.enumerate() if thread.name.startswith(prefix)}
    return sum("_answered" in _functions(frame) for ident, frame in frames.items() if ident in named)


def _functions(frame: Any) -> Iterator[str]:
    while frame is not None:
        yield frame.f_code.co_name
        frame = frame.f_back


Begin = Callable[[Actor], None]
MAX_BLIND = timedelta(minutes=5)
