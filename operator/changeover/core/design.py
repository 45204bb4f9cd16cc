"""What a decision is made from: its design (error rates, assumed noise), targets, blocks, long-run baseline.

Section numbers (§) are those of the decision rule's specification, docs/decision-quality.md.  A *bad* request
is a failed one, or one beyond an exact histogram bucket: always a count, never an interpolated quantile.
Rates are bad requests per request, without unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

REFERENCE_BLOCK_SECONDS = 60.0
"""Length of block for which the assumed correlation `Design.phi` is stated."""

DEMONSTRATION_SECONDS = 20.0
"""Blocks shorter than this are for demonstrations, see `Design.for_block`."""

MAX_DEMONSTRATION_PHI = 0.9
"""Highest correlation from block to block that a demonstration assumes."""

MIN_BASELINE_SUMS = 8
"""Fewer sums than this say nothing about how the rate wanders."""

BASELINE_STANDARD_ERRORS = 2.6
"""Half width of the baseline's interval in standard errors (two-sided 99 % of a normal)."""


@dataclass(frozen=True, slots=True)
class Design:
    """Parameters of the sequential rule; the defaults are those that were measured (§2).

    alpha        accepted probability of advancing a canary that is beyond its limit, per step
    beta         accepted probability of rolling back a good canary, per migration
    min_blocks   least blocks with data before a step may advance
    max_blind    consecutive blocks without data after which the step is rolled back
    cv, phi      assumed noise of the rate: coefficient of variation, correlation from block to block
    targets      number of targets of the migration; with `steps` it divides beta
    steps        number of steps of the migration
    floor_blocks blocks during which the assumed noise is a lower bound whatever calm has been seen

    Raises ValueError when a parameter is outside its range.
    """

    alpha: float = 0.01
    beta: float = 0.01
    min_blocks: int = 8
    max_blind: int = 5
    cv: float = 0.5
    phi: float = 0.7
    targets: int = 1
    steps: int = 1
    floor_blocks: float = 30.0

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.beta < 1):
            raise ValueError("alpha and beta must lie between 0 and 1")
        if self.cv < 0 or not 0 <= self.phi < 1:
            raise ValueError("cv must not be negative and phi must lie in [0, 1)")
        if min(self.min_blocks, self.max_blind, self.targets, self.steps) < 1 or self.floor_blocks <= 0:
            raise ValueError("min_blocks, max_blind, targets, steps and floor_blocks must be positive")

    @property
    def tau(self) -> float:
        """Variance inflation of a long mean under AR(1) correlation: (1 + phi) / (1 - phi) (§2)."""
        return (1 + self.phi) / (1 - self.phi)

    @property
    def long_run_cv2(self) -> float:
        """L0: assumed long-run squared coefficient of variation of the rate per block, cv^2 tau (§2)."""
        return self.cv**2 * self.tau

    @property
    def needed_log_evidence(self) -> float:
        """Natural logarithm of the evidence an advance needs, log(1/alpha) (§2.5, Ville's inequality)."""
        return -math.log(self.alpha)

    @property
    def slow_threshold(self) -> float:
        """Log evidence at which the slow rollback rule fires, log(targets steps / beta) + 1 (§2.6a)."""
        return math.log(self.targets * self.steps / self.beta) + 1

    def fast_threshold(self, blocks: int) -> float:
        """Height at which the fast rollback rule fires after `blocks` blocks (§2.6b).

        The specified 5.3 was calibrated for beta = 1 %; a stricter beta raises it by the nats it asks for.
        """
        return 5.3 + max(0.0, math.log(0.01 / self.beta)) + 2 * math.log1p(blocks / 20)

    @classmethod
    def for_block(cls, block_seconds: float, base: Design | None = None) -> Design:
        """`base` (default: the defaults), stated per minute, scaled to blocks of `block_seconds` seconds (§9).

        Noise lasts as long as it lasts: shorter blocks are more correlated, and the assumed noise holds for the
        same half hour, so that a decision takes about as many minutes whatever the block.  Blocks shorter than
        `DEMONSTRATION_SECONDS` are for demonstrations: noise is taken to be forgotten after some ten blocks, and
        a rate that wanders for minutes is not guarded against (measured in docs/decision-quality.md).
        """
        base = base or cls()
        scale = block_seconds / REFERENCE_BLOCK_SECONDS
        if is_demonstration(block_seconds):
            return replace(base, phi=min(MAX_DEMONSTRATION_PHI, base.phi**scale), floor_blocks=base.floor_blocks / 2)
        return replace(base, phi=base.phi**scale, floor_blocks=base.floor_blocks / min(1.0, scale))


def is_demonstration(block_seconds: float) -> bool:
    """Whether blocks are too short for the promises of §1: they hold for short-lived noise only."""
    return block_seconds < DEMONSTRATION_SECONDS


@dataclass(frozen=True, slots=True)
class Block:
    """Counts of one block of time, lying wholly after the weight was observed and after warm-up.

    Raises ValueError for impossible counts; a caller that reads such a block passes None (no data) instead.
    """

    canary_requests: int
    canary_bad: int
    stable_requests: int = 0
    stable_bad: int = 0

    def __post_init__(self) -> None:
        canary = 0 <= self.canary_bad <= self.canary_requests
        if not (canary and 0 <= self.stable_bad <= self.stable_requests):
            raise ValueError("counts must satisfy 0 <= bad <= requests")


@dataclass(frozen=True, slots=True)
class Baseline:
    """Stable's long-run rate of bad requests and the interval it is known to (bad per request)."""

    p: float
    p_hi: float
    p_lo: float

    def to_dict(self) -> dict[str, float]:
        """JSON-able form, six significant digits (as `make_baseline` already rounds)."""
        return {"p": self.p, "pHi": self.p_hi, "pLo": self.p_lo}

    @classmethod
    def from_dict(cls, data: dict[str, float]) -> Baseline:
        """Inverse of `to_dict`; raises KeyError when a field is missing."""
        return cls(p=data["p"], p_hi=data["pHi"], p_lo=data["pLo"])


@dataclass(frozen=True, slots=True)
class Target:
    """A limit `q` on the share of bad requests (0 < q < 1), and stable's baseline where one is known.

    Raises ValueError when q is outside its range.
    """

    q: float
    baseline: Baseline | None = None

    def __post_init__(self) -> None:
        if not 0 < self.q < 1:
            raise ValueError("the limit q must lie between 0 and 1")


def make_baseline(sums: Sequence[tuple[int, int]]) -> Baseline | None:
    """Baseline from consecutive (usually 24 hourly) sums (requests, bad) of stable at full weight (§2.1).

    The spread comes from successive differences, so that a daily cycle does not count as noise.  Sums without
    requests are left out.  None when there are fewer than 8 sums, or so few bad requests that the interval is
    wider than half the rate: then nothing protects against shared load.  The caller sees to it that the sums
    span 24 hours.
    """
    counted = [(requests, bad) for requests, bad in sums if requests > 0]
    if len(counted) < MIN_BASELINE_SUMS:
        return None
    total, bad_total = sum(n for n, _ in counted), sum(k for _, k in counted)
    p = bad_total / total
    residuals = [k - p * n for n, k in counted]
    steps = sum((b - a) ** 2 for a, b in pairwise(residuals))
    variance = len(counted) * steps / (2 * (len(counted) - 1))
    half = BASELINE_STANDARD_ERRORS * max(math.sqrt(variance), math.sqrt(bad_total + 1)) / total
    if half > p / 2:
        return None
    return Baseline(p=significant(p), p_hi=significant(p + half), p_lo=significant(p - half))


def significant(value: float, digits: int = 6) -> float:
    """`value` rounded to `digits` significant digits.

    States are kept rounded, so that a round trip through JSON changes no decision.
    """
    return float(f"{value:.{digits}g}")
