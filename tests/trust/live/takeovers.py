"""How long it takes until the other leads, and how much of it is the machine's: it may be busy with something else.

What was lost is the time for which the operator that takes over waited for a processor, as the kernel counts it, and
for which a thread of ours was late that wanted to wake up every 20 ms: the proxies are threads beside it.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROMISED = {"killed": 5.0, "told": 1.0}  # seconds of nine takeovers in ten
SHARE = 0.9
MOST_VOID = 0.1  # of the takeovers of a way
TICK_SECONDS = 0.02


@dataclass(frozen=True)
class Takeover:
    """One, in seconds.

    took   until the other's first look at the migration
    lost   of that, for want of a processor
    wrote  until its first write that was taken, its Lease's aside; 0 when there was none
    """

    way: str
    took: float
    lost: float = 0.0
    wrote: float = 0.0

    @property
    def is_void(self) -> bool:
        """Whether it was slow, and would have been in time on a machine that was ours: nothing is known of it."""
        promised = PROMISED.get(self.way, math.inf)
        return self.took > promised >= self.took - self.lost


class Lateness:
    """Seconds for which a thread of ours was late, while ``measuring``."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """For as long as the block lasts."""
        thread = threading.Thread(target=self._tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _tick(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            self._over.wait(TICK_SECONDS)
            self.seconds += max(0.0, time.monotonic() - began - 2 * TICK_SECONDS)


def waited(pid: int | None) -> float:
    """Seconds for which a process's first thread wanted a processor and had none; 0 where nobody counts."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def by_way(takeovers: Iterable[Takeover]) -> dict[str, list[Takeover]]:
    """By what happened to who led."""
    found: dict[str, list[Takeover]] = {}
    for one in takeovers:
        found.setdefault(one.way, []).append(one)
    return found


def too_slow(takeovers: Iterable[Takeover]) -> list[str]:
    """The ways in which more than one takeover in ten takes longer than is promised; those that are void aside."""
    valid = by_way(one for one in takeovers if not one.is_void)
    return [way for way, some in valid.items() if percentile([one.took for one in some]) > PROMISED.get(way, math.inf)]


def unjudged(takeovers: Iterable[Takeover]) -> list[str]:
    """The ways of which too many takeovers are void to say how long one takes."""
    return [way for way, some in by_way(takeovers).items() if sum(one.is_void for one in some) > MOST_VOID * len(some)]


def percentile(values: Iterable[float], share: float = SHARE) -> float:
    """The least value that so many of them do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def told(takeovers: Iterable[Takeover]) -> list[str]:
    """A line for each way."""
    lines = []
    for way, some in sorted(by_way(takeovers).items()):
        took = [one.took for one in some]
        wrote = [one.wrote for one in some if one.wrote]
        said = f"{way}: {len(some)} takeovers, median {statistics.median(took):.2f} s, of nine in ten at most"
        said += f" {percentile(took):.2f} s, most {max(took):.2f} s, {sum(one.is_void for one in some)} void"
        lines.append(said + (f"; first write after {statistics.median(wrote):.2f} s (median)" if wrote else ""))
    return lines
