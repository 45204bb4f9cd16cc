"""Does the canary's CPU stay under its limit? The mean share of the step with a bound that respects correlation.

A share is CPU used over CPU allowed (limit x replicas) in one block. Shares of neighbouring blocks are alike, so their
mean is less certain than independent ones would make it: the variance is inflated by (1 + phi)/(1 - phi), the factor of a
long mean under AR(1) correlation, with the phi that the decision rule assumes (§2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MIN_BLOCKS = 4
PHI = 0.7
INFLATION = (1 + PHI) / (1 - PHI)
LEAST_VARIATION = 0.05  # relative; four equal blocks are no proof of constancy
T_VALUE = 3.0  # about one-sided 99 % with the few degrees of freedom that correlated blocks leave


@dataclass(frozen=True)
class CPUShare:
    """Sums of the shares seen in a step, and how many blocks in a row had none."""

    blocks: int = 0
    total: float = 0.0
    squares: float = 0.0
    last: float = 0.0
    unseen: int = 0

    @classmethod
    def start(cls) -> CPUShare:
        """Before the first block of a step."""
        return cls()

    def add(self, share: float) -> CPUShare:
        """With one more block. Sums keep ten significant digits, so that a round trip through JSON changes nothing."""
        return CPUShare(
            self.blocks + 1, _kept(self.total + share), _kept(self.squares + share * share), _kept(share), 0
        )

    def blind(self) -> CPUShare:
        """With one more block of which the CPU is unknown."""
        return replace(self, unseen=self.unseen + 1)

    @property
    def mean(self) -> float | None:
        """Mean share; None before any block."""
        return self.total / self.blocks if self.blocks else None

    @property
    def margin(self) -> float:
        """Half width of the bound around the mean."""
        if self.blocks == 0:
            return math.inf
        mean = self.total / self.blocks
        spread = max(0.0, self.squares / self.blocks - mean * mean) * self.blocks / max(1, self.blocks - 1)
        deviation = max(math.sqrt(spread), LEAST_VARIATION * mean)
        return T_VALUE * deviation * math.sqrt(INFLATION / self.blocks)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"n": self.blocks, "s": self.total, "q": self.squares, "l": self.last, "u": self.unseen}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CPUShare:
        """Inverse of ``to_dict``; raises KeyError, TypeError or ValueError on another shape."""
        return cls(int(data["n"]), float(data["s"]), float(data["q"]), float(data["l"]), int(data["u"]))


def judge_share(share: CPUShare, limit: float) -> tuple[str, str]:
    """Verdict (Passing, Failing, Undecided, NoData) and why. Passing needs the upper bound under the limit, Failing the
    lower bound and the latest block over it."""
    if share.mean is None or share.unseen > 0:
        return "NoData", "the CPU of the canary's pods is not known; have they a CPU limit, and are they scraped?"
    low, high = max(0.0, share.mean - share.margin), share.mean + share.margin
    why = f"CPU {share.mean:.1%} of the limit, between {low:.1%} and {high:.1%}, target {limit:.0%}"
    if share.blocks < MIN_BLOCKS:
        return "Undecided", f"{why}; {share.blocks} of at least {MIN_BLOCKS} blocks"
    if high < limit:
        return "Passing", why
    if low > limit and share.last > limit:
        return "Failing", why
    return "Undecided", why


def _kept(value: float) -> float:
    return float(f"{value:.10g}")
