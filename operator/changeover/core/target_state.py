"""Evidence about one target during one step, one block at a time (§2.2-§2.6 of the decision rule).

`TargetState` is immutable and starts afresh at each step.  Its numbers are kept rounded, so that `to_dict`
loses nothing and a restart after any block changes no decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from changeover.core.design import Block, Design, Target, significant
from changeover.core.dispersion import Batches, add, advance_dispersion, rollback_dispersion, spread

LOAD_PRIOR_EVENTS = 4.0
"""v: pseudo-events that shrink the shared-load factor towards the step's level (§2.2)."""

RECENT_DECAY = 0.8
"""Weight that the recent rate keeps from one block to the next (§2.3)."""

ADVANCE_MIXTURE = ((0.05, 0.10), (0.2, 0.15), (0.35, 0.20), (0.5, 0.25), (0.65, 0.20), (0.8, 0.10))
"""(ratio of the rate to its limit, weight) of the alternatives the advance evidence bets on (§2.5)."""

LEAST_SPREAD_RATIO = 0.2
"""Rate, over the limit, below which the spread of bad requests is no longer taken relative to their own rate.

A canary at its limit is seen that low practically never: measured, no cell of false advances changed against 0, while
a good canary with one block of four bad requests waits 36 blocks instead of for ever.
"""

SLOW_MIXTURE = ((1.25, 0.30), (1.5, 0.30), (2.0, 0.20), (3.0, 0.15), (6.0, 0.05))
"""(ratio of the rate to its limit, weight) of the violations the slow rollback rule looks for (§2.6a)."""

SLOW_HORIZON_BLOCKS = 480
"""Blocks over which the slow rule's chance to start afresh is budgeted (§2.6a)."""

SLOW_LEAST_NATS, SLOW_MOST_NATS = -50.0, 10.0
"""Least and most that one block adds to the slow rule's evidence.

The most keeps one freak block after a long calm from rolling back; the specification's 50 let it (1-2 % of good
canaries with single-block bursts of their own), and made clear jumps only a few blocks quicker.
"""

SLOW_CEILING = 1e30
"""Ceiling of the slow rule's evidence: far above any threshold, far below overflow."""

FAST_START = 2.0
"""Head start of the fast rule: the first blocks of a step are the most suspect (§2.6b)."""

FAST_CAP = 2.65
"""Most that one block adds to the fast rule, so that one freak block is not enough (§2.6b)."""

HARD_LEAST_BAD = 10
"""Bad requests that a block must hold for the hard rule (§2.6c)."""

SCRAPE_LEAST_BAD = 5
"""The same for what was seen since the last scrapes: all of five bad at a limit of 1 % are e^23 times likelier at the
rate seen. At the first weight, where a canary gets 2 requests a second, ten would take a scrape more."""

HARD_RATIO = 30.0
HARD_LEAST_NATS = 20.0


class Rule(StrEnum):
    """Rollback rule that fired (§2.6)."""

    SLOW = "Slow"
    FAST = "Fast"
    HARD = "Hard"
    BLIND = "Blind"


@dataclass(frozen=True, slots=True)
class TargetState:
    """Sums of one target over the blocks of one step.

    blocks           blocks with data; `bad` of `requests` canary requests in them
    expected         canary requests weighted with the shared-load factor, for advancing
    stable_*         the same counts of stable
    recent_*         exponentially weighted bad requests, requests, and requests allowed for load
    load             shared-load factor of the latest block, for rolling back (1: stable as usual)
    slow, fast       state of the two rollback statistics
    blind            consecutive blocks without data, up to now
    fired            rollback rule that fired at some block of this step; it stays
    """

    blocks: int = 0
    bad: int = 0
    requests: int = 0
    expected: float = 0.0
    stable_bad: int = 0
    stable_requests: int = 0
    recent_bad: float = 0.0
    recent_requests: float = 0.0
    recent_allowed: float = 0.0
    load: float = 1.0
    slow: tuple[float, ...] = (0.0,) * len(SLOW_MIXTURE)
    fast: float = FAST_START
    blind: int = 0
    fired: Rule | None = None
    batches: Batches = field(default_factory=Batches)

    @classmethod
    def start(cls) -> TargetState:
        """The state before the first block of a step."""
        return cls()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; `from_dict` gives back an equal state."""
        return {
            "blocks": self.blocks,
            "canary": [self.requests, self.bad],
            "stable": [self.stable_requests, self.stable_bad],
            "expected": self.expected,
            "recent": [self.recent_bad, self.recent_requests, self.recent_allowed],
            "load": self.load,
            "slow": list(self.slow),
            "fast": self.fast,
            "blind": self.blind,
            "fired": self.fired.value if self.fired else "",
            "batches": self.batches.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TargetState:
        """Inverse of `to_dict`; raises KeyError, TypeError or ValueError on another shape."""
        requests, bad = data["canary"]
        stable_requests, stable_bad = data["stable"]
        recent_bad, recent_requests, recent_allowed = data["recent"]
        slow = tuple(float(value) for value in data["slow"])
        if len(slow) != len(SLOW_MIXTURE):
            raise ValueError("slow must hold one number per alternative")
        return cls(
            blocks=int(data["blocks"]),
            bad=int(bad),
            requests=int(requests),
            expected=float(data["expected"]),
            stable_bad=int(stable_bad),
            stable_requests=int(stable_requests),
            recent_bad=float(recent_bad),
            recent_requests=float(recent_requests),
            recent_allowed=float(recent_allowed),
            load=float(data["load"]),
            slow=slow,
            fast=float(data["fast"]),
            blind=int(data["blind"]),
            fired=Rule(data["fired"]) if data["fired"] else None,
            batches=Batches.from_dict(data["batches"]),
        )


def update(state: TargetState, block: Block | None, target: Target, design: Design) -> TargetState:
    """The state after one more block; None or a block without canary requests counts as blind (§2.6d).

    A blind block touches nothing else: no imputation.
    """
    if block is None or block.canary_requests == 0:
        return replace(state, blind=state.blind + 1)
    load_advance = _load_factor(state, block, target, for_advance=True)
    load = _load_factor(state, block, target, for_advance=False)
    counted = _count(state, block, load_advance, load, design)
    tested = replace(
        counted,
        slow=_slow(counted, block, target, design),
        fast=_fast(counted, block, target, design),
    )
    return replace(tested, fired=state.fired or _fired(tested, block, target, design))


def is_hard_trip(bad: int, requests: int, q: float, load_factor: float = 1.0, least_bad: int = HARD_LEAST_BAD) -> bool:
    """Whether one scrape or block is beyond doubt: `least_bad` requests or more, over 30 times the limit (§2.6c).

    `load_factor` is `TargetState.load`; below 1 it counts as 1.  For limits above 1.7 % thirty times the
    limit nears or passes all requests: there the bar is half-way between the limit and 1, and in every case
    the counts must be e^20 times likelier at the rate seen than at the limit (Kullback-Leibler).
    """
    allowed = min(0.999, q * max(1.0, load_factor))
    if bad < least_bad or requests <= 0 or bad > requests:
        return False
    rate = bad / requests
    if rate <= min(HARD_RATIO * allowed, (1 + allowed) / 2):
        return False
    good = 1 - rate
    nats = rate * math.log(rate / allowed) + (good * math.log(good / (1 - allowed)) if good > 0 else 0.0)
    return requests * nats >= HARD_LEAST_NATS


def log_evidence(state: TargetState, target: Target, design: Design) -> float:
    """Natural logarithm of the evidence that the long-run rate is below the limit; 0 before any block (§2.5).

    For independent Poisson or binomial counts and dispersion 1 its exponential is a nonnegative
    supermartingale at any rate >= q; with the dispersion estimated it is a calibrated quasi-likelihood.
    """
    if state.blocks == 0:
        return 0.0
    expected_bad = target.q * min(state.expected, state.requests)
    dispersion = advance_variance_factor(state, target, design)
    return mixture_log_evidence(state.bad, expected_bad, dispersion)


def mixture_log_evidence(bad: float, expected_bad: float, dispersion: float) -> float:
    """log sum of w exp[(bad log r + expected_bad (1 - r)) / dispersion] over the advance mixture (§2.5)."""
    terms = [
        math.log(weight) + (bad * math.log(ratio) + expected_bad * (1 - ratio)) / dispersion
        for ratio, weight in ADVANCE_MIXTURE
    ]
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms))


def advance_variance_factor(state: TargetState, target: Target, design: Design) -> float:
    """D: assumed variance of the bad count over its Poisson variance; 1 before any block (§2.5)."""
    if state.blocks == 0:
        return 1.0
    expected_bad = target.q * min(state.expected, state.requests)
    seen = spread(state.batches, design, least_rate=LEAST_SPREAD_RATIO * target.q)
    return 1 + expected_bad / state.blocks * advance_dispersion(seen, state.blocks, design)


def _load_factor(state: TargetState, block: Block, target: Target, *, for_advance: bool) -> float:
    """How many times its long-run rate stable is at, shrunk to its level earlier in the step (§2.2)."""
    baseline = target.baseline
    if baseline is None or block.stable_requests == 0:
        return 1.0
    rate = baseline.p_hi if for_advance else baseline.p_lo
    level = _stable_level(state, rate)
    return (block.stable_bad + LOAD_PRIOR_EVENTS * level) / (block.stable_requests * rate + LOAD_PRIOR_EVENTS)


def _stable_level(state: TargetState, rate: float) -> float:
    return (state.stable_bad + LOAD_PRIOR_EVENTS) / (state.stable_requests * rate + LOAD_PRIOR_EVENTS)


def _count(state: TargetState, block: Block, load_advance: float, load: float, design: Design) -> TargetState:
    requests, bad = block.canary_requests, block.canary_bad
    return replace(
        state,
        blocks=state.blocks + 1,
        bad=state.bad + bad,
        requests=state.requests + requests,
        # nine digits: a long step's sum must still notice a block of few requests
        expected=significant(state.expected + requests * load_advance, 9),
        stable_bad=state.stable_bad + block.stable_bad,
        stable_requests=state.stable_requests + block.stable_requests,
        recent_bad=significant(RECENT_DECAY * state.recent_bad + bad),
        recent_requests=significant(RECENT_DECAY * state.recent_requests + requests),
        recent_allowed=significant(RECENT_DECAY * state.recent_allowed + requests * max(1.0, load)),
        load=significant(load),
        blind=0,
        batches=add(state.batches, requests * load_advance, bad, design),
    )


def _slow(state: TargetState, block: Block, target: Target, design: Design) -> tuple[float, ...]:
    """e-detector of moderate violations: any block may be the first bad one (§2.6a); `state` has `block`."""
    level = _stable_level(state, target.baseline.p_lo) if target.baseline else 1.0
    allowed = block.canary_requests * target.q
    dispersion = 1 + allowed * level * rollback_dispersion(spread(state.batches, design), design)
    restart = 0.5 if state.blocks == 1 else 0.5 / SLOW_HORIZON_BLOCKS
    values = []
    for (ratio, _), value in zip(SLOW_MIXTURE, state.slow, strict=True):
        exponent = (block.canary_bad * math.log(ratio) - allowed * state.load * (ratio - 1)) / dispersion
        grown = math.exp(max(SLOW_LEAST_NATS, min(SLOW_MOST_NATS, exponent))) * (value + restart)
        values.append(significant(min(SLOW_CEILING, grown)))
    return tuple(values)


def _fast(state: TargetState, block: Block, target: Target, design: Design) -> float:
    """Capped negative-binomial cumulative sum for clear violations (§2.6b); `state` includes `block`."""
    allowed = block.canary_requests * target.q * max(1.0, state.load)
    shape = 1 / design.cv**2 if design.cv > 0 else 1e9
    bad = block.canary_bad
    step = bad * math.log(3 / 1.3) - (bad + shape) * math.log((shape + 3 * allowed) / (shape + 1.3 * allowed))
    return significant(max(0.0, state.fast) + min(step, FAST_CAP))


def _fired(state: TargetState, block: Block, target: Target, design: Design) -> Rule | None:
    """The rollback rule that fires at `block`, the surest first; `state` includes `block` (§2.6)."""
    if is_hard_trip(block.canary_bad, block.canary_requests, target.q, state.load):
        return Rule.HARD
    if state.recent_bad <= target.q * state.recent_allowed:
        return None
    if state.blocks >= 2 and state.fast >= design.fast_threshold(state.blocks):
        return Rule.FAST
    evidence = sum(weight * value for (_, weight), value in zip(SLOW_MIXTURE, state.slow, strict=True))
    if state.blocks >= 3 and evidence > 0 and math.log(evidence) >= design.slow_threshold:
        return Rule.SLOW
    return None
