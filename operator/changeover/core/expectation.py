"""How long a step will take, to be told before it starts (§3)."""

from __future__ import annotations

from dataclasses import dataclass

from changeover.core.design import Design
from changeover.core.target_state import mixture_log_evidence

LONGEST_EXPECTATION = 100_000
"""Blocks beyond which `expected_blocks` says 'never'."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Blocks until an advance: the formula's value (median to optimistic), and twice that."""

    low: int
    high: int


def expected_blocks(
    requests_per_block: float,
    q: float,
    design: Design,
    *,
    assumed_ratio: float = 0.5,
    long_run_cv2: float = 0.0,
) -> Expectation | None:
    """Blocks until a step advances when the canary's rate is `assumed_ratio` times the limit `q` (§3).

    `long_run_cv2` is stable's own long-run squared coefficient of variation per block (0 = calm).  The low
    end is a median-to-optimistic figure, up to 36 % too short below 300 requests a block.  None when it would
    never advance.
    """
    if requests_per_block <= 0 or assumed_ratio >= 1 or assumed_ratio < 0:
        return None

    def suffices(blocks: int) -> bool:
        events = requests_per_block * q
        prior = design.long_run_cv2
        shrunk = (3 * prior + 1.6 * blocks * long_run_cv2) / (3 + blocks)
        dispersion = 1 + events * max(shrunk, prior * (1 - blocks / design.floor_blocks))
        expected_bad = blocks * events
        evidence = mixture_log_evidence(expected_bad * assumed_ratio, expected_bad, dispersion)
        return evidence >= design.needed_log_evidence

    high = design.min_blocks
    while not suffices(high):
        high *= 2
        if high > LONGEST_EXPECTATION:
            return None
    low = max(design.min_blocks, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return Expectation(low=low, high=2 * low)
