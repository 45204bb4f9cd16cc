"""Is the canary's CPU under its limit now?  And the schedule of looks that both CPU gates share (§6).

A share is CPU used over CPU allowed, per pod and block (1 = all of the limit).  The gate without projection is
here; the projection to a higher load is in `projection`.  Shares of neighbouring blocks are alike, so the variance
of their mean comes from batch means, inflated for correlation up to `CapacityDesign.phi`; and because the gate is
looked at more than once, each look has its part of alpha.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from changeover.core.design import DEMONSTRATION_SECONDS, MAX_DEMONSTRATION_PHI, REFERENCE_BLOCK_SECONDS, significant
from changeover.core.dispersion import MERGED_BATCHES, batch_means_factor
from changeover.core.sequential import TargetVerdict
from changeover.core.studentt import t_quantile

LEAST_VARIATION = 0.02
"""Relative standard deviation per block that is assumed at least: a few equal blocks are no proof of constancy."""

RECENT_DECAY = 0.8
"""Weight that the recent share keeps from one block to the next."""


@dataclass(frozen=True, slots=True)
class CapacityDesign:
    """When the CPU gates look, and how wide their bounds are; the defaults are those of the projection (§6).

    first_look, growth, looks   blocks before the first look, factor to the next one, and how many there are
    alpha                       accepted probability of a pass above the limit, over all looks
    phi                         correlation from block to block that is guarded against
    widening                    factor on every variance (the first version without it failed its own test)
    reach                       how far beyond the highest load seen a projection may go

    Raises ValueError when a parameter is outside its range.
    """

    first_look: int = 24
    growth: float = 1.5
    looks: int = 8
    alpha: float = 0.01
    phi: float = 0.7
    widening: float = 1.5
    reach: float = 2.0

    def __post_init__(self) -> None:
        if self.first_look < 4 or self.looks < 1 or self.growth <= 1 or self.reach < 1 or self.widening <= 0:
            raise ValueError("need first_look >= 4, looks >= 1, growth > 1, reach >= 1 and widening > 0")
        if not 0 < self.alpha < 1 or not 0 <= self.phi < 1:
            raise ValueError("alpha must lie in (0, 1) and phi in [0, 1)")

    @property
    def level(self) -> float:
        """Probability of error that one look may spend."""
        return self.alpha / self.looks

    def schedule(self) -> tuple[int, ...]:
        """Blocks after which the gate is looked at."""
        return tuple(round(self.first_look * self.growth**look) for look in range(self.looks))

    def next_look(self, blocks: int) -> int | None:
        """The first look after `blocks` blocks; None when all are used."""
        return next((look for look in self.schedule() if look > blocks), None)

    def for_block(self, block_seconds: float) -> CapacityDesign:
        """This design, stated per minute, for blocks of `block_seconds` seconds (see `Design.for_block`)."""
        phi = self.phi ** (block_seconds / REFERENCE_BLOCK_SECONDS)
        return replace(self, phi=min(phi, MAX_DEMONSTRATION_PHI) if block_seconds < DEMONSTRATION_SECONDS else phi)


PROJECTED = CapacityDesign()
"""Looks of the gate that projects to a higher load: at blocks 24, 36, 54, ..."""

PLAIN = CapacityDesign(first_look=4, looks=12, widening=1.25)
"""Looks of the gate on the share as it is: at blocks 4, 6, 9, 14, ... 346."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look saw: mean share, its standard error (correlation included) and degrees of freedom."""

    blocks: int
    mean: float
    error: float
    df: int

    def bounds(self, design: CapacityDesign) -> tuple[float, float]:
        """Lower and upper bound of the mean, each wrong with probability `design.level` at most."""
        half = t_quantile(1 - design.level, self.df) * self.error
        return max(0.0, self.mean - half), self.mean + half


@dataclass(frozen=True, slots=True)
class CPUShare:
    """Shares of one step in batches of `size` blocks, the latest look, and how many blocks in a row had no share."""

    blocks: int = 0
    total: float = 0.0
    size: int = 1
    full: tuple[float, ...] = ()
    open_blocks: int = 0
    open_total: float = 0.0
    recent: float = 0.0
    unseen: int = 0
    look: Look | None = None

    @classmethod
    def start(cls) -> CPUShare:
        """Before the first block of a step."""
        return cls()

    @property
    def mean(self) -> float | None:
        """Mean share; None before any block."""
        return self.total / self.blocks if self.blocks else None

    def add(self, share: float, design: CapacityDesign = PLAIN) -> CPUShare:
        """With one more block.  Raises ValueError when the share is negative or not finite."""
        if not math.isfinite(share) or share < 0:
            raise ValueError("a share of CPU must be finite and not negative")
        recent = share if self.blocks == 0 else RECENT_DECAY * self.recent + (1 - RECENT_DECAY) * share
        grown = replace(
            self,
            blocks=self.blocks + 1,
            total=significant(self.total + share, 9),
            open_blocks=self.open_blocks + 1,
            open_total=significant(self.open_total + share),
            recent=significant(recent),
            unseen=0,
        )
        filled = _fill(grown)
        return replace(filled, look=_look(filled, design)) if filled.blocks in design.schedule() else filled

    def blind(self) -> CPUShare:
        """With one more block of which the CPU is not known."""
        return replace(self, unseen=self.unseen + 1)

    def now(self, design: CapacityDesign = PLAIN) -> tuple[float, float] | None:
        """Mean share and its upper bound at this block, to be shown; None before two batches.

        The bound is meant for one glance: whoever decides from it at every block looks more often than alpha allows.
        """
        return None if len(self.full) < 2 else (_look(self, design).mean, _look(self, design).bounds(design)[1])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; nothing is lost, because `add` keeps the numbers rounded."""
        look = self.look
        return {
            "blocks": [self.blocks, self.total],
            "size": self.size,
            "full": list(self.full),
            "open": [self.open_blocks, self.open_total],
            "recent": self.recent,
            "unseen": self.unseen,
            "look": [look.blocks, look.mean, look.error, look.df] if look else [],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CPUShare:
        """Inverse of `to_dict`; raises KeyError, TypeError or ValueError on another shape."""
        blocks, total = data["blocks"]
        open_blocks, open_total = data["open"]
        look = None
        if data["look"]:
            at, mean, error, df = data["look"]
            look = Look(int(at), float(mean), float(error), int(df))
            if look.df < 1:
                raise ValueError(f"a look with {look.df} degrees of freedom")
        return cls(
            blocks=int(blocks),
            total=float(total),
            size=int(data["size"]),
            full=tuple(float(one) for one in data["full"]),
            open_blocks=int(open_blocks),
            open_total=float(open_total),
            recent=float(data["recent"]),
            unseen=int(data["unseen"]),
            look=look,
        )


def judge_share(share: CPUShare, limit: float, design: CapacityDesign = PLAIN) -> tuple[TargetVerdict, str]:
    """Whether the mean share is under `limit` (1 = all of it), and why.

    Passing: the upper bound at the latest look is under the limit, and so is the recent share.  Failing: the lower
    bound and the recent share are over it.  Undecided for ever is possible: a share at the limit.
    """
    if share.mean is None or share.unseen > 0:
        return TargetVerdict.NO_DATA, "the CPU of the canary's pods is not known"
    shown = f"CPU {share.mean:.1%} of the limit, target {limit:.0%}"
    upcoming = design.next_look(share.blocks)
    wait = f"next look at block {upcoming}" if upcoming else "all looks are used"
    if share.look is None:
        return TargetVerdict.UNDECIDED, f"{shown}; {share.blocks} blocks, {wait}"
    low, high = share.look.bounds(design)
    shown += f"; between {low:.1%} and {high:.1%} at block {share.look.blocks}"
    if high < limit and share.recent < limit:
        return TargetVerdict.PASSING, shown
    if low > limit and share.recent > limit:
        return TargetVerdict.FAILING, shown
    return TargetVerdict.UNDECIDED, f"{shown}, {share.recent:.1%} lately; {wait}"


def _fill(share: CPUShare) -> CPUShare:
    """Close the open batch when it is full; merge neighbours when there are sixteen."""
    if share.open_blocks < share.size:
        return share
    full, size = (*share.full, share.open_total), share.size
    if len(full) == 2 * MERGED_BATCHES:
        pairs = zip(full[::2], full[1::2], strict=True)
        full, size = tuple(significant(one + two) for one, two in pairs), 2 * size
    return replace(share, full=full, size=size, open_blocks=0, open_total=0.0)


def _look(share: CPUShare, design: CapacityDesign) -> Look:
    """Mean and standard error from complete batches: widening x kappa(B) x variance of batch means / batches (§6)."""
    means = [total / share.size for total in share.full]
    count, mean = len(means), share.total / share.blocks
    centre = math.fsum(means) / count
    seen = sum((one - centre) ** 2 for one in means) / (count - 1)
    variance = max(seen, (LEAST_VARIATION * mean) ** 2 / share.size)
    error = math.sqrt(design.widening * batch_means_factor(share.size, design.phi) * variance / count)
    return Look(share.blocks, significant(mean), significant(error), count - 1)
