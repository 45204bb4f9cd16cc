"""The CPU gates, simulated: how often a canary above its limit passes, and how soon one below does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from changeover.core.capacity import PROJECTED, CapacityDesign, CPUShare, judge_share
from changeover.core.projection import CapacityAnswer, LoadShare, project
from changeover.core.sequential import TargetVerdict

LIMIT = 0.4
HORIZON = 480
MULTIPLE = 3.0

Loads = Callable[[Random], Iterator[float]]


def wander(rng: Random) -> Iterator[float]:
    """Load per pod relative to the peak: a slow wave between 0.4 and 1 with a wobble of its own."""
    start = rng.random() * 2 * math.pi
    block = 0
    while True:
        wave = 0.7 + 0.3 * math.sin(start + 2 * math.pi * block / 120)
        yield max(0.05, min(1.0, wave * (1 + rng.gauss(0, 0.05))))
        block += 1


def narrow(rng: Random) -> Iterator[float]:
    """Load between 0.9 and 1 of the peak: nothing to fit a slope to."""
    while True:
        yield 0.95 + 0.05 * (2 * rng.random() - 1)


def probe_ramp(rng: Random) -> Iterator[float]:
    """Density probe: the number of pods falls, so load per pod rises in six stairs from 0.5 to 2 of the peak."""
    block = 0
    while True:
        yield (0.5, 0.8, 1.1, 1.4, 1.7, 2.0)[(block // 4) % 6] * (1 + rng.gauss(0, 0.03))
        block += 1


@dataclass(frozen=True)
class Machine:
    """CPU share per pod: idle + (at - idle) x load^power, the share `at` being reached at MULTIPLE x peak.

    cv, phi   AR(1) noise of the share relative to its mean
    scale     loads are multiplied by it (1.5: more is seen per pod; projections beyond reach are refused)
    """

    at: float
    loads: Loads
    idle: float = 0.02
    cv: float = 0.1
    phi: float = 0.7
    power: float = 1.0
    scale: float = 1.5

    def path(self, rng: Random) -> Iterator[tuple[float, float]]:
        """(load relative to peak, share) per block."""
        noise = rng.gauss(0, self.cv)
        for load in self.loads(rng):
            seen = load * self.scale
            mean = self.idle + (self.at - self.idle) * (seen / MULTIPLE) ** self.power
            yield seen, max(0.0, mean * (1 + noise))
            noise = self.phi * noise + rng.gauss(0, self.cv * math.sqrt(1 - self.phi**2))


@dataclass(frozen=True)
class GateCell:
    """Per cent of the runs, and median block of the first pass."""

    passed: float
    refused: float
    failed: float
    block: int | None


def run_projection(machine: Machine, rng: Random, design: CapacityDesign = PROJECTED) -> tuple[str, int]:
    """First pass, or first over, or the refusal that was left at the horizon."""
    state = LoadShare.start()
    verdict = project(state, MULTIPLE, LIMIT, design)
    looks = set(design.schedule())
    for block, (load, share) in enumerate(machine.path(rng), 1):
        state = state.add(load, share, design)
        if block in looks or block == HORIZON:
            verdict = project(state, MULTIPLE, LIMIT, design)
        if verdict.answer in (CapacityAnswer.PASS, CapacityAnswer.OVER) or block == HORIZON:
            return verdict.answer.value, block
    raise AssertionError("paths are endless")


def run_share(mean: float, cv: float, phi: float, rng: Random, design: CapacityDesign) -> tuple[str, int]:
    """The gate without projection: first pass or failure of a share that wanders around `mean`."""
    state = CPUShare.start()
    noise = rng.gauss(0, cv)
    for block in range(1, HORIZON + 1):
        state = state.add(max(0.0, mean * (1 + noise)), design)
        verdict, _ = judge_share(state, LIMIT, design)
        if verdict is not TargetVerdict.UNDECIDED:
            return verdict.value, block
        noise = phi * noise + rng.gauss(0, cv * math.sqrt(1 - phi**2))
    return "Wait", HORIZON


def summarise(outcomes: list[tuple[str, int]]) -> GateCell:
    """Shares of the answers, in per cent."""
    runs = len(outcomes)
    passes = sorted(block for answer, block in outcomes if answer in ("Pass", "Passing"))
    return GateCell(
        passed=100 * len(passes) / runs,
        refused=100 * sum(answer == "Refuse" for answer, _ in outcomes) / runs,
        failed=100 * sum(answer in ("Over", "Failing") for answer, _ in outcomes) / runs,
        block=passes[(runs - 1) // 2] if len(passes) > (runs - 1) // 2 else None,
    )


MACHINES: dict[str, Machine] = {
    "A edge / wander / iid": Machine(LIMIT, wander, phi=0.0),
    "A edge / wander / ar .7": Machine(LIMIT, wander),
    "A edge / wander / ar .7 / idle 0": Machine(LIMIT, wander, idle=0.0),
    "A edge / narrow / ar .7 / idle 0": Machine(LIMIT, narrow, idle=0.0, scale=1.7),
    "A edge / probe ramp / ar .7": Machine(LIMIT, probe_ramp, scale=1.0),
    "A edge / wander / ar .9": Machine(LIMIT, wander, phi=0.9),
    "A edge / wander / cv .3": Machine(LIMIT, wander, cv=0.3),
    "A edge / convex, power 1.15": Machine(LIMIT, wander, power=1.15),
    "A edge x 1.25 / convex, power 1.15": Machine(1.25 * LIMIT, wander, power=1.15),
    "A twice the limit / wander / ar .7": Machine(2 * LIMIT, wander),
    "A edge / low density": Machine(LIMIT, wander, scale=1.0),
    "D good .25 / wander / ar .7": Machine(0.25, wander),
    "D good .30 / wander / ar .7": Machine(0.30, wander),
    "D good .30 / probe ramp / ar .7": Machine(0.30, probe_ramp, scale=1.0),
    "D good .30 / narrow / ar .7": Machine(0.30, narrow, scale=1.7),
}
"""Name -> machine; A is at or above the limit, D below."""
