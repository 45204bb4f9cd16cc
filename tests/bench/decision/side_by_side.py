"""Our rule and its rivals on the same blocks: same seed, same noise, same counts (common random numbers)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import tee
from random import Random

from changeover.core.sequential import Block

from . import steps
from .rivals import RIVALS, Rule
from .steps import Cell, Outcome, Scene

Decide = Callable[[Iterable[Block | None]], Outcome]

OURS = "ours"
OURS_ALONE = "ours, no baseline"
NAMES = (OURS, OURS_ALONE, *RIVALS)

FEW_RUNS = 400
"""At most so many runs where nothing is promised; ours on hold for 480 blocks costs most of the time."""


def measure(scene: Scene, runs: int, seed: int | str, alone: int) -> dict[str, Cell]:
    """A cell for every rule; ours without a baseline sees the first `alone` runs only."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in NAMES}
    for index in range(runs):
        for name, outcome in run(scene, Random(f"{seed}/{index}"), with_alone=index < alone).items():
            outcomes[name].append(outcome)
    return {name: steps.summarise(ended) for name, ended in outcomes.items()}


def run(scene: Scene, rng: Random, *, with_alone: bool = True) -> dict[str, Outcome]:
    """One run: how each rule ended on the same blocks, whatever each of them read of it."""
    before, blocks = steps.trace(scene, rng)
    deciders: dict[str, Decide] = {OURS: partial(steps.decide, scene, before)}
    if with_alone:
        deciders[OURS_ALONE] = partial(steps.decide, replace(scene, with_baseline=False), before)
    deciders |= {name: partial(_rival, rule, scene.q) for name, rule in RIVALS.items()}
    copies = tee(blocks, len(deciders))
    return {name: decide(copy) for (name, decide), copy in zip(deciders.items(), copies, strict=True)}


def _rival(rule: Rule, q: float, blocks: Iterable[Block | None]) -> Outcome:
    return rule((block for block in blocks if block is not None), q)
