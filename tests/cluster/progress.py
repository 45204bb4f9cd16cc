"""Steps with a number, a purpose, a time and an estimate of what is left, for whoever waits for the first cluster."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_HEARTBEAT_SECONDS = 20.0


@dataclass(frozen=True)
class Step:
    """One thing to do. `typical` is its time in seconds on 2 cores when nothing is cached."""

    title: str
    typical: float
    action: Callable[[], object]
    needed: Callable[[], bool] = lambda: True


Group = Sequence[Step]


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    whole = round(seconds)
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    )


class Runner:
    """Runs groups of steps one after another, of a group so many steps side by side, and tells how it goes."""

    def __init__(self, groups: Sequence[Group], memory: Path, at_once: int = 3) -> None:
        self.groups = [[step for step in group if step.needed()] for group in groups]
        self.memory = memory
        self.at_once = at_once
        self.total = sum(len(group) for group in self.groups)
        self.begun = time.monotonic()
        self.started: dict[str, float] = {}
        self.finished: dict[str, float] = {}
        self.learned: dict[str, float] = json.loads(memory.read_text()) if memory.exists() else {}
        self.lock = threading.Lock()

    def run(self) -> None:
        """Run everything; the first failure ends it, after the other steps of its group."""
        over = threading.Event()
        heart = threading.Thread(target=self._beat, args=(over,), daemon=True)
        heart.start()
        try:
            for group in self.groups:
                with ThreadPoolExecutor(self.at_once) as pool:
                    for done in [pool.submit(self._one, step) for step in group]:
                        done.result()
        finally:
            over.set()
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            self.memory.write_text(json.dumps({**self.learned, **self.finished}, indent=1))

    def left(self) -> float:
        """The seconds that are probably left: in each group the longest of what remains, or its share of all."""
        now = time.monotonic()
        groups = [[self._left_of(step, now) for step in group] for group in self.groups]
        return sum(max([*group, sum(group) / self.at_once]) for group in groups)

    def _left_of(self, step: Step, now: float) -> float:
        if step.title in self.finished:
            return 0.0
        typical = max(step.typical, self.learned.get(step.title, 0.0))
        return max(typical - (now - self.started.get(step.title, now)), 1.0)

    def _one(self, step: Step) -> None:
        with self.lock:
            self.started[step.title] = time.monotonic()
            number = len(self.started)
        self._say(f"[{number:>2}/{self.total}] {step.title} …")
        step.action()
        took = time.monotonic() - self.started[step.title]
        self.finished[step.title] = took
        self._say(f"[{number:>2}/{self.total}] {step.title}: {duration(took)}")

    def _say(self, text: str) -> None:
        elapsed = time.monotonic() - self.begun
        print(f"{text}   ({duration(elapsed)} so far, about {duration(self.left())} left)", file=sys.stderr, flush=True)

    def _beat(self, over: threading.Event) -> None:
        while not over.wait(_HEARTBEAT_SECONDS):
            busy = [title for title in self.started if title not in self.finished]
            self._say(f"        still at: {'; '.join(busy)}")
