"""How much the rate of bad requests wanders beyond chance: batch means that double in length (§2.4).

The dispersion is expressed as L, the long-run squared coefficient of variation of the rate per block: the
variance of a sum of K bad requests over many blocks is about K (1 + K L / blocks).  Positive correlation of
neighbouring blocks up to the design's phi is assumed until long batches show otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from changeover.core.design import Design, significant

MERGED_BATCHES = 8
"""Batches left after a merge; neighbours merge when there are twice as many."""

LEAST_BATCHES = 4
"""With fewer batches the spread is not looked at and the design's noise stands alone."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Sums over `size` consecutive blocks each.

    full      (expected, bad) of every complete batch; expected = candidate requests times shared-load factor
    blocks    blocks in the batch still being filled, with its sums `expected` and `bad`
    floor     the spread seen just before the last merge; it fades out while new batches come in
    """

    size: int = 1
    full: tuple[tuple[float, int], ...] = ()
    blocks: int = 0
    expected: float = 0.0
    bad: int = 0
    floor: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; nothing is lost, because `add` keeps the numbers rounded."""
        return {
            "size": self.size,
            "full": [[expected, bad] for expected, bad in self.full],
            "open": [self.blocks, self.expected, self.bad],
            "floor": self.floor,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Batches:
        """Inverse of `to_dict`; raises KeyError, TypeError or ValueError on another shape."""
        blocks, expected, bad = data["open"]
        return cls(
            size=int(data["size"]),
            full=tuple((float(g), int(k)) for g, k in data["full"]),
            blocks=int(blocks),
            expected=float(expected),
            bad=int(bad),
            floor=float(data["floor"]),
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """L estimated from batches in two ways, and the blocks behind it (0: too few batches)."""

    batch_means: float
    von_neumann: float
    blocks: int


def add(batches: Batches, expected: float, bad: int, design: Design) -> Batches:
    """The batches with one more block; neighbours merge when there are sixteen."""
    grown = replace(
        batches,
        blocks=batches.blocks + 1,
        expected=significant(batches.expected + expected),
        bad=batches.bad + bad,
    )
    if grown.blocks < grown.size:
        return grown
    full = (*grown.full, (grown.expected, grown.bad))
    closed = replace(grown, full=full, blocks=0, expected=0.0, bad=0)
    return _merge(closed, design) if len(full) == 2 * MERGED_BATCHES else closed


def spread(batches: Batches, design: Design, least_rate: float = 0.0) -> Spread:
    """Both estimates of L (§2.4); a spread seen before a merge is not forgotten at once.

    Where bad requests are rarer than `least_rate` (bad per expected request), their spread is taken relative to that
    rate. Relative to their own, four bad requests of 30,000 in one block would look like the wildest noise, and no
    later calm could outweigh them: L would grow with the blocks for ever (seen on the local cluster).
    """
    count = len(batches.full)
    if count < LEAST_BATCHES:
        return Spread(0.0, 0.0, 0)
    by_means, by_differences = _estimates(batches.full, batches.size, design)
    rarity = _rarity(batches, least_rate)
    kept = batches.floor * (2 * MERGED_BATCHES - count) / MERGED_BATCHES
    return Spread(rarity * max(by_means, kept), rarity * by_differences, count * batches.size)


def _rarity(batches: Batches, least_rate: float) -> float:
    """Square of the rate over the least rate that counts, at most 1: L is a variance over a squared mean."""
    expected = sum(g for g, _ in batches.full)
    if least_rate <= 0 or expected <= 0:
        return 1.0
    return min(1.0, sum(k for _, k in batches.full) / expected / least_rate) ** 2


def advance_dispersion(seen: Spread, blocks: int, design: Design) -> float:
    """L for advancing: widened, shrunk towards the design's noise, at first not below it (§2.4)."""
    prior = design.long_run_cv2
    shrunk = (3 * prior + seen.blocks * 1.6 * seen.batch_means) / (3 + seen.blocks)
    return max(shrunk, prior * (1 - blocks / design.floor_blocks))


def rollback_dispersion(seen: Spread, design: Design) -> float:
    """L for rolling back: the smaller estimate, so that a step in the rate does not hide as noise (§2.4)."""
    smaller = min(seen.batch_means, seen.von_neumann)
    return (1.5 * design.long_run_cv2 + seen.blocks * 1.25 * smaller) / (1.5 + seen.blocks)


def batch_means_factor(size: int, phi: float) -> float:
    """kappa(B): long-run variance over B times the variance of a mean of B AR(1) blocks (§2.4)."""
    tau = (1 + phi) / (1 - phi)
    return tau / (tau - 2 * phi * (1 - phi**size) / (size * (1 - phi) ** 2))


def von_neumann_factor(size: int, phi: float) -> float:
    """kappa_v(B): the same for half the squared difference of neighbouring batch means (§2.4)."""
    tau = (1 + phi) / (1 - phi)
    h = (1 - phi**size) / (1 - phi)
    return size * tau / (size * tau - 2 * phi * h / (1 - phi) - phi * h**2)


def _merge(batches: Batches, design: Design) -> Batches:
    floor, _ = _estimates(batches.full, batches.size, design)
    pairs = zip(batches.full[::2], batches.full[1::2], strict=True)
    merged = tuple((significant(g1 + g2), k1 + k2) for (g1, k1), (g2, k2) in pairs)
    return replace(batches, size=2 * batches.size, full=merged, floor=significant(floor))


def _estimates(full: Sequence[tuple[float, int]], size: int, design: Design) -> tuple[float, float]:
    """L by batch means and by successive differences, over complete batches of `size` blocks."""
    count = len(full)
    events = sum(k for _, k in full)
    expected = sum(g for g, _ in full)
    if events == 0 or expected <= 0:
        return 0.0, 0.0
    mean, theta = events / count, events / expected
    residuals = [k - theta * g for g, k in full]
    squares = sum(r * r for r in residuals) / (count - 1)
    differences = sum((b - a) ** 2 for a, b in pairwise(residuals)) / (2 * (count - 1))
    by_means = max(0.0, squares / mean - 1) / mean * size * batch_means_factor(size, design.phi)
    by_differences = max(0.0, differences / mean - 1) / mean * size * von_neumann_factor(size, design.phi)
    return by_means, by_differences
