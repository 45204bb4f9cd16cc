"""How the rate of bad requests wanders: models of noise, as endless paths of factors with a long-run mean of one.

A step of a path is (traffic, canary, stable): the block's traffic relative to its mean, and each arm's rate relative
to its long-run mean.  The mean is the request-weighted one over a whole day, because that is what a limit is about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random

Step = tuple[float, float, float]
Path = Iterator[Step]
Model = Callable[[Random], Path]

BLOCKS_PER_DAY = 1440


def iid(rng: Random) -> Path:
    """Nothing but chance."""
    while True:
        yield 1.0, 1.0, 1.0


def betabin(rng: Random) -> Path:
    """Every arm and block has its own gamma factor, cv 0.5 (a beta-binomial count)."""
    while True:
        yield 1.0, rng.gammavariate(4, 0.25), rng.gammavariate(4, 0.25)


def ar(phi: float = 0.7, cv: float = 0.5, *, shared: bool) -> Model:
    """Log-rate AR(1) with lognormal factors; on both arms alike, or on the canary alone."""

    def path(rng: Random) -> Path:
        for factor in _ar_factors(rng, phi, cv):
            yield 1.0, factor, factor if shared else 1.0

    return path


def diurnal(rng: Random) -> Path:
    """Traffic 1 +- 0.5 over a day, rate like traffic squared; each arm adds its own AR(1), cv 0.2; random start."""
    canary, stable = _ar_factors(rng, 0.7, 0.2), _ar_factors(rng, 0.7, 0.2)
    start = rng.randrange(BLOCKS_PER_DAY)
    block = start
    while True:
        traffic = 1 + 0.5 * math.sin(2 * math.pi * block / BLOCKS_PER_DAY)
        rate = traffic**2 / 1.375  # request-weighted mean of traffic squared
        yield traffic, rate * next(canary), rate * next(stable)
        block += 1


def burst(*, shared: bool, stay: float = 0.5, share: float = 0.02, height: float = 10.0) -> Model:
    """A share of the blocks is `height` times as bad; a burst goes on with probability `stay`."""
    enter = share * (1 - stay) / (1 - share)
    mean = 1 + share * (height - 1)

    def path(rng: Random) -> Path:
        bursting = rng.random() < share
        while True:
            factor = (height if bursting else 1.0) / mean
            yield 1.0, factor, factor if shared else 1.0
            bursting = rng.random() < (stay if bursting else enter)

    return path


def collector(rng: Random) -> Path:
    """Garbage collection, canary only: the rate creeps up by 80 % over 15-25 blocks, then one block of full collection.

    That block is three times as bad and resets it.  Not used while the rule was tuned.
    """
    mean = (20 + 0.4 * 19 + 3) / 21  # the sum of a cycle of mean length over that length
    period = rng.randint(15, 25)
    position = rng.randrange(period)
    while True:
        if position < period:
            yield 1.0, (1 + 0.8 * position / period) / mean, 1.0
            position += 1
        else:
            yield 1.0, 3 / mean, 1.0
            period, position = rng.randint(15, 25), 0


def regimes(cv: float = 0.4, stay: float = 10.0) -> Model:
    """Lognormal regimes, canary only: a level holds for `stay` blocks on average (neighbours come and go).
    Not used while the rule was tuned."""
    sigma = math.sqrt(math.log1p(cv * cv))

    def path(rng: Random) -> Path:
        level = math.exp(rng.gauss(0, sigma) - sigma * sigma / 2)
        while True:
            yield 1.0, level, 1.0
            if rng.random() < 1 / stay:
                level = math.exp(rng.gauss(0, sigma) - sigma * sigma / 2)

    return path


def jump(model: Model, after: int, canary: float, stable: float) -> Model:
    """`model`, the arms' rates multiplied from a block of the step on (the baseline's day lies before it)."""

    def path(rng: Random) -> Path:
        for block, (traffic, own, other) in enumerate(model(rng), 1):
            late = block > BLOCKS_PER_DAY + after
            yield traffic, own * (canary if late else 1.0), other * (stable if late else 1.0)

    return path


MODELS: dict[str, Model] = {
    "iid": iid,
    "betabin": betabin,
    "ar_shared": ar(shared=True),
    "ar_cand": ar(shared=False),
    "diurnal": diurnal,
    "burst": burst(shared=True),
    "collector": collector,
    "regimes .4": regimes(),
    "ar_cand phi .9": ar(phi=0.9, shared=False),
    "ar_cand cv 1": ar(cv=1.0, shared=False),
    "burst_cand": burst(shared=False),
}
"""Name -> model.  The first six are the specification's, the next two our own, the rest beyond the design."""


def _ar_factors(rng: Random, phi: float, cv: float) -> Iterator[float]:
    sigma = math.sqrt(math.log1p(cv * cv))
    step = sigma * math.sqrt(1 - phi * phi)
    level = rng.gauss(0, sigma)
    while True:
        yield math.exp(level - sigma * sigma / 2)
        level = phi * level + rng.gauss(0, step)


def poisson(rng: Random, mean: float) -> int:
    """A Poisson count; by multiplication below 30, by transformed rejection above (Hoermann 1993, PTRS)."""
    if mean <= 0:
        return 0
    if mean < 30:
        limit, count, product = math.exp(-mean), 0, rng.random()
        while product > limit:
            count += 1
            product *= rng.random()
        return count
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = rng.random() - 0.5, rng.random()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + mean + 0.43) if us > 0 else -1
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        accepted = k * math.log(mean) - mean - math.lgamma(k + 1)
        if math.log(v * inverse_alpha / (a / (us * us) + b)) <= accepted:
            return k
