"""One block with a burst of bad requests, calm before and after: how long does a good canary wait?

For comparison the least that any rule would have to wait that takes such bursts for what they may be: if a canary at
its limit had nothing but bursts of this size, one or none in so many blocks would be as unlikely as ``alpha``.
"""

from __future__ import annotations

import math

from changeover.core.sequential import Block, Design, Target, TargetState, Verdict, judge, update

AT_BLOCK = 5
HORIZON = 2000
Q, REQUESTS = 0.01, 1000


def blocks_until_advance(size: float, calm: float, design: Design) -> int | None:
    """Blocks until the rule advances; ``size`` and ``calm`` are bad requests over those that the limit allows.

    None when it rolls back, or waits beyond the horizon.
    """
    target, state = Target(Q), TargetState.start()
    for number in range(1, HORIZON + 1):
        bad = round(Q * REQUESTS * (max(size, calm) if number == AT_BLOCK else calm))
        state = update(state, Block(REQUESTS, min(REQUESTS, bad)), target, design)
        verdict = judge({"t": state}, {"t": target}, design).verdict
        if verdict is not Verdict.HOLD:
            return number if verdict is Verdict.ADVANCE else None
    return None


def least_blocks(size: float, alpha: float) -> int:
    """Blocks after which at most one burst is as unlikely as ``alpha``, where bursts alone make up the limit.

    Bursts are Poisson with mean blocks / size; solves e^-m (1 + m) = alpha for m.
    """
    low, high = 0.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.exp(-middle) * (1 + middle) > alpha else (low, middle)
    return math.ceil(high * size)
