"""The rules of other tools on the same blocks as ours: re-implementations from their documentation, first step only.

Each ran once, at one plausible setting, and none gets a baseline; see docs/decisions-measured.md for what that means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from changeover.core.sequential import Block, Verdict

from . import steps
from .steps import Cell, Outcome, Scene

Rule = Callable[[Iterator[Block], Scene], Outcome]

KAYENTA_LOOKS = (20, 40, 60)
KAYENTA_CONFIDENCE = 2.326  # standard normal quantile of 0.99: one end of the judge's 98 % interval
KAYENTA_TOLERANCE = 0.25  # of stable's mean: a shift within it is called no change


def is_bad(block: Block, q: float) -> bool:
    """A threshold check on one block: its share of bad requests is over the limit; without a request it fails, too."""
    return block.canary_requests == 0 or block.canary_bad / block.canary_requests > q


def flagger(blocks: Iterator[Block], scene: Scene, threshold: int = 5) -> Outcome:
    """Flagger: a check a block; the weight rises after each that passes, and goes back after five failed ones in all.

    Source: docs.flagger.app, "Canary analysis" (analysis.threshold: "max number of failed metric checks before
    rollback"); failed checks are not reset within a run.
    """
    for number, block in enumerate(blocks, 1):
        if not is_bad(block, scene.q):
            return Outcome(Verdict.ADVANCE, number)
        if number >= threshold:
            return Outcome(Verdict.ROLLBACK, number)
    raise AssertionError("blocks are endless")


def argo(limit: int, count: int = 10) -> Rule:
    """Argo Rollouts: `count` measurements a step, more than `limit` failed ones fail the analysis.

    Source: argo-rollouts.readthedocs.io, "Analysis & Progressive Delivery" (count, failureLimit).
    """

    def rule(blocks: Iterator[Block], scene: Scene) -> Outcome:
        failed = 0
        for number, block in enumerate(blocks, 1):
            failed += is_bad(block, scene.q)
            if failed > limit:
                return Outcome(Verdict.ROLLBACK, number)
            if number >= count:
                return Outcome(Verdict.ADVANCE, number)
        raise AssertionError("blocks are endless")

    return rule


def kayenta(blocks: Iterator[Block], scene: Scene) -> Outcome:
    """Kayenta's judge, repeated: canary against stable by the Mann-Whitney test over all blocks so far.

    Source: spinnaker.io, "How canary judgment works" (NetflixACAJudge: Mann-Whitney at 98 % with a tolerance of a
    quarter of the control's mean). It knows no limit: what it asks is whether the canary is worse than stable.
    """
    canary: list[float] = []
    stable: list[float] = []
    for number, block in enumerate(blocks, 1):
        canary.append(block.canary_bad / max(1, block.canary_requests))
        stable.append(block.stable_bad / max(1, block.stable_requests))
        if number in KAYENTA_LOOKS and is_worse(canary, stable):
            return Outcome(Verdict.ROLLBACK, number)
        if number >= KAYENTA_LOOKS[-1]:
            return Outcome(Verdict.ADVANCE, number)
    raise AssertionError("blocks are endless")


def is_worse(canary: Sequence[float], stable: Sequence[float]) -> bool:
    """Whether the canary's rates are surely higher, by more than the tolerance."""
    tolerated = KAYENTA_TOLERANCE * sum(stable) / len(stable)
    return mann_whitney_z([rate - tolerated for rate in canary], stable) > KAYENTA_CONFIDENCE


def mann_whitney_z(one: Sequence[float], other: Sequence[float]) -> float:
    """Standardised U of `one` over `other`, with mid-ranks and the correction for ties (Mann and Whitney 1947)."""
    n, m = len(one), len(other)
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in other])
    ranks, ties, at = 0.0, 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        size = end - at
        ranks += (at + end + 1) / 2 * sum(1 for _, mine in ranked[at:end] if mine)
        ties += size**3 - size
        at = end
    u = ranks - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    return (u - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0


RULES: dict[str, Rule | None] = {
    "ours": None,
    "ours, no baseline": None,
    "Flagger, threshold 5": flagger,
    "Argo, count 10, failureLimit 0": argo(0),
    "Argo, count 10, failureLimit 3": argo(3),
    "Kayenta-like, 60 blocks": kayenta,
}
"""Name -> rule; None is our own, with and without the day before."""


def measure(name: str, scene: Scene, runs: int, seed: str) -> Cell:
    """Many runs of one rule; a run of the same number sees the same blocks under every rule."""
    rule = RULES[name]
    if rule is None:
        return steps.measure(replace(scene, with_baseline=name == "ours"), runs, seed)
    outcomes = [rule(steps.blocks_of(scene, Random(f"{seed}/{index}")), scene) for index in range(runs)]
    return steps.summarise(outcomes)
