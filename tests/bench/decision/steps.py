"""One step of a migration, simulated: what the rule decides, and after how many blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from changeover.core.sequential import (
    Baseline,
    Block,
    Design,
    Target,
    TargetState,
    Verdict,
    judge,
    log_evidence,
    make_baseline,
    update,
)

from .noise import Model, Path, poisson

BASELINE_HOURS = 24
BLOCKS_PER_HOUR = 60


@dataclass(frozen=True)
class Scene:
    """What is simulated.

    requests     canary requests per block
    weight       share of the traffic on the canary
    ratio        canary's long-run rate over the limit q
    stable       stable's long-run rate over q
    horizon      blocks after which a run that is still on hold ends
    missing      share of the blocks without data
    """

    model: Model
    ratio: float
    requests: float = 1000
    weight: float = 0.1
    q: float = 0.01
    stable: float = 0.5
    horizon: int = 480
    with_baseline: bool = True
    missing: float = 0.0
    design: Design = field(default_factory=Design)


@dataclass(frozen=True)
class Outcome:
    """How one run ended, and after which block."""

    verdict: Verdict
    blocks: int


@dataclass(frozen=True)
class Cell:
    """Shares of the runs (in per cent) and blocks until the decision."""

    runs: int
    advanced: float
    rolled_back: float
    advance_blocks: float | None
    rollback_blocks: float | None
    rollback_p90: float | None


def run(scene: Scene, rng: Random) -> Outcome:
    """One run until a decision or the horizon; the day before the step is the baseline's."""
    before, blocks = trace(scene, rng)
    return decide(scene, before, blocks)


def trace(scene: Scene, rng: Random) -> tuple[Baseline | None, Iterator[Block | None]]:
    """What a rule can see: stable's day before the step, and the step's blocks without end (None: no data)."""
    path = scene.model(rng)
    return baseline(scene, path, rng), _blocks(scene, path, rng)


def decide(scene: Scene, before: Baseline | None, blocks: Iterable[Block | None]) -> Outcome:
    """Our rule on these blocks, until it decides or the horizon is reached."""
    target = Target(scene.q, before if scene.with_baseline else None)
    state = TargetState.start()
    for count, block in enumerate(blocks, 1):
        state = update(state, block, target, scene.design)
        if count < scene.horizon and _must_hold(state, target, scene.design):
            continue  # the full verdict with its words costs as much as the update
        verdict = judge({"t": state}, {"t": target}, scene.design).verdict
        if verdict is not Verdict.HOLD or count == scene.horizon:
            return Outcome(verdict, count)
    raise AssertionError("traces are endless")


def measure(scene: Scene, runs: int, seed: int | str) -> Cell:
    """Many runs; every run has a generator of its own, so that a run can be repeated alone."""
    return summarise([run(scene, Random(f"{seed}/{index}")) for index in range(runs)])


def summarise(outcomes: Sequence[Outcome]) -> Cell:
    """One cell of a table."""
    runs = len(outcomes)
    advanced = [one.blocks for one in outcomes if one.verdict is Verdict.ADVANCE]
    rolled = [one.blocks for one in outcomes if one.verdict is Verdict.ROLLBACK]
    return Cell(
        runs=runs,
        advanced=100 * len(advanced) / runs,
        rolled_back=100 * len(rolled) / runs,
        advance_blocks=_quantile(advanced, runs, 0.5),
        rollback_blocks=_quantile(rolled, runs, 0.5),
        rollback_p90=_quantile(rolled, runs, 0.9),
    )


def baseline(scene: Scene, path: Path, rng: Random) -> Baseline | None:
    """Stable alone for a day before the migration, in hourly sums."""
    total = scene.requests / scene.weight
    sums = []
    for _ in range(BASELINE_HOURS):
        hour = [next(path) for _ in range(BLOCKS_PER_HOUR)]
        requests = total * sum(traffic for traffic, _, _ in hour)
        bad = total * scene.stable * scene.q * sum(traffic * factor for traffic, _, factor in hour)
        count = round(requests)
        sums.append((count, min(count, poisson(rng, bad))))
    return make_baseline(sums)


def _must_hold(state: TargetState, target: Target, design: Design) -> bool:
    decided = state.fired is not None or state.blind >= design.max_blind
    return not decided and log_evidence(state, target, design) < design.needed_log_evidence


def _blocks(scene: Scene, path: Path, rng: Random) -> Iterator[Block | None]:
    for traffic, canary, stable in path:
        yield None if rng.random() < scene.missing else _block(scene, rng, traffic, canary, stable)


def _block(scene: Scene, rng: Random, traffic: float, canary: float, stable: float) -> Block:
    requests = round(scene.requests * traffic)
    others = round(scene.requests * (1 / scene.weight - 1) * traffic)
    bad = poisson(rng, requests * scene.q * scene.ratio * canary)
    others_bad = poisson(rng, others * scene.q * scene.stable * stable)
    return Block(requests, min(bad, requests), others, min(others_bad, others))


def _quantile(values: list[int], runs: int, share: float) -> float | None:
    """Lower quantile over all runs, those that ended otherwise counting as later; None when it lies among them."""
    rank = math.ceil(share * runs) - 1
    return sorted(values)[rank] if rank < len(values) else None
