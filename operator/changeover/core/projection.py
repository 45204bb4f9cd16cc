"""Will the canary's CPU be under its limit at a higher load?  A line through (load, share), with its error (§6).

x is requests per second and pod, u the CPU share per pod (1 = all of the limit).  What is bounded is the mean share at
the projected load if the line is straight; a knee beyond the loads seen is invisible, so projections that go too far
are refused, with what they would need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from changeover.core.capacity import PROJECTED, RECENT_DECAY, CapacityDesign
from changeover.core.design import significant
from changeover.core.dispersion import MERGED_BATCHES, batch_means_factor
from changeover.core.studentt import t_quantile

Sums = tuple[float, float, float, float]
"""Sums over a batch: x, u, x^2, x u."""

NOTHING: Sums = (0.0, 0.0, 0.0, 0.0)

LEAST_BATCHES = 4
"""Batches below which a look decides nothing: the line takes two of their degrees of freedom."""


class CapacityAnswer(StrEnum):
    """What the gate says."""

    PASS = "Pass"
    WAIT = "Wait"
    REFUSE = "Refuse"
    OVER = "Over"


@dataclass(frozen=True, slots=True)
class Density:
    """How dense the canary runs: its pods and the weight, to say what a refused projection needs."""

    pods: int
    weight_percent: int


@dataclass(frozen=True, slots=True)
class CapacityVerdict:
    """The gate's answer.

    estimate      projected share at the asked load (None when nothing was looked at)
    lower, upper  its bounds, each wrong with probability `CapacityDesign.level` at most at this look
    look          blocks at the latest look, 0 before any; `next_look` is None when all are used
    needed_rps    requests per second and pod that the canary must have seen, for a refusal
    """

    answer: CapacityAnswer
    why: str
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    look: int = 0
    next_look: int | None = None
    needed_rps: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A look: the line u = mean_u + slope (x - mean_x), and what its error at any load is made of.

    blocks, batches, size  blocks in all, complete batches, blocks per batch
    sxx                    sum of (x - mean_x)^2; 0 when the load never varied (then slope is 0 and unused)
    ee, ex, xx             sums over batches of E^2, E X, X^2; E sums residuals, X sums (x - mean_x) residual
    ratio                  sum over batches of (sum u - mean_u/mean_x sum x)^2
    """

    blocks: int
    batches: int
    size: int
    mean_x: float
    mean_u: float
    slope: float
    sxx: float
    ee: float
    ex: float
    xx: float
    ratio: float


@dataclass(frozen=True, slots=True)
class LoadShare:
    """Loads and shares of one step in batches of `size` blocks, the highest load seen, and the latest look.

    `recent` are load and share of the last blocks, exponentially weighted; zeros: an earlier release did not say.
    """

    blocks: int = 0
    size: int = 1
    full: tuple[Sums, ...] = ()
    open_blocks: int = 0
    open: Sums = NOTHING
    highest: float = 0.0
    unseen: int = 0
    fit: Fit | None = None
    recent: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def start(cls) -> LoadShare:
        """Before the first block of a step."""
        return cls()

    def add(self, rps: float, share: float, design: CapacityDesign = PROJECTED) -> LoadShare:
        """With one more block: requests per second and pod, CPU share per pod.

        Raises ValueError when either is negative or not finite.
        """
        if not (math.isfinite(rps) and math.isfinite(share)) or rps < 0 or share < 0:
            raise ValueError("load and share must be finite and not negative")
        grown = replace(
            self,
            blocks=self.blocks + 1,
            open_blocks=self.open_blocks + 1,
            open=_plus(self.open, (rps, share, rps * rps, rps * share)),
            highest=max(self.highest, significant(rps)),
            unseen=0,
            recent=_lately(self.recent, (rps, share)),
        )
        filled = _fill(grown)
        looks = filled.blocks in design.schedule() and len(filled.full) >= LEAST_BATCHES
        return replace(filled, fit=_fit(filled)) if looks else filled

    def blind(self) -> LoadShare:
        """With one more block of which load or CPU is not known."""
        return replace(self, unseen=self.unseen + 1)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; nothing is lost, because `add` keeps the numbers rounded."""
        return {
            "blocks": self.blocks,
            "size": self.size,
            "full": [list(sums) for sums in self.full],
            "open": [self.open_blocks, *self.open],
            "highest": self.highest,
            "unseen": self.unseen,
            "fit": [getattr(self.fit, name) for name in Fit.__slots__] if self.fit else [],
            "recent": list(self.recent),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LoadShare:
        """Inverse of `to_dict`; raises KeyError, TypeError or ValueError on another shape."""
        open_blocks, *open_sums = data["open"]
        recent_rps, recent_share = data.get("recent", (0.0, 0.0))
        fit = None
        if data["fit"]:
            blocks, batches, size, *numbers = data["fit"]
            fit = Fit(int(blocks), int(batches), int(size), *(float(number) for number in numbers))
        return cls(
            blocks=int(data["blocks"]),
            size=int(data["size"]),
            full=tuple(_sums(one) for one in data["full"]),
            open_blocks=int(open_blocks),
            open=_sums(open_sums),
            highest=float(data["highest"]),
            unseen=int(data["unseen"]),
            fit=fit,
            recent=(float(recent_rps), float(recent_share)),
        )


def project(
    state: LoadShare,
    rps: float,
    limit: float,
    design: CapacityDesign = PROJECTED,
    density: Density | None = None,
) -> CapacityVerdict:
    """Whether the share at `rps` requests per second and pod (traffic multiple x peak) stays under `limit`.

    The upper bound is the smaller of the line's and, where the load is higher than the mean seen, the proportional one
    (CPU per request x load, valid because idle CPU is not negative); each has half of the look's alpha.  A look may be
    hours old: a pass also asks that the latest blocks project to less than the limit.
    """
    upcoming = design.next_look(state.blocks)
    if state.blocks == 0 or state.unseen > 0:
        return CapacityVerdict(CapacityAnswer.WAIT, "the canary's load or CPU is not known", next_look=upcoming)
    if rps > design.reach * state.highest:
        why = _refusal(state, rps, design, density)
        return CapacityVerdict(CapacityAnswer.REFUSE, why, next_look=upcoming, needed_rps=rps / design.reach)
    if state.fit is None:
        why = f"{state.blocks} blocks; the first look is at block {upcoming or design.first_look}"
        return CapacityVerdict(CapacityAnswer.WAIT, why, next_look=upcoming)
    estimate, lower, upper = _bounds(state.fit, rps, design)
    why = (
        f"CPU {estimate:.1%} of the limit projected to {rps:.4g} requests/s a pod, between {lower:.1%} and {upper:.1%} "
        f"at block {state.fit.blocks}, target {limit:.0%}"
    )
    lately, answer = _projected_lately(state.fit, state.recent, rps), CapacityAnswer.WAIT
    if upper < limit and lately < limit:
        answer = CapacityAnswer.PASS
    elif upper < limit:
        why += f"; by the latest blocks {lately:.1%}"
    elif lower > limit:
        answer = CapacityAnswer.OVER
    return CapacityVerdict(answer, why, estimate, lower, upper, state.fit.blocks, upcoming)


def _bounds(fit: Fit, rps: float, design: CapacityDesign) -> tuple[float, float, float]:
    """Estimate, lower and upper bound of the mean share at `rps` (§6)."""
    inflation = design.widening * batch_means_factor(fit.size, design.phi) * fit.batches
    p = 1 - design.level / 2
    error = math.sqrt(inflation / (fit.batches - 1) * fit.ratio) / (fit.blocks * fit.mean_x) if fit.mean_x > 0 else 0
    per_request = fit.mean_u / fit.mean_x if fit.mean_x > 0 else 0.0
    proportional = rps * (per_request + t_quantile(p, fit.batches - 1) * error)
    if fit.sxx <= 0:
        return rps * per_request, 0.0, proportional if rps >= fit.mean_x > 0 else math.inf
    reach = (rps - fit.mean_x) / fit.sxx
    variance = fit.ee / fit.blocks**2 + 2 * reach * fit.ex / fit.blocks + reach**2 * fit.xx
    half = t_quantile(p, fit.batches - 2) * math.sqrt(inflation / (fit.batches - 2) * max(0.0, variance))
    line = fit.mean_u + fit.slope * (rps - fit.mean_x)
    # Below the mean load the proportional line lies under the true one, so it bounds nothing.
    upper = min(line + half, proportional) if rps >= fit.mean_x > 0 else line + half
    return line, max(0.0, line - half), upper


def _projected_lately(fit: Fit, recent: tuple[float, float], rps: float) -> float:
    """The share at `rps` by the latest blocks: their own, grown as the line does, or as the load where that is less."""
    load, share = recent
    if load <= 0:
        return 0.0  # not known
    there, at_rps = (fit.mean_u + fit.slope * (at - fit.mean_x) for at in (load, rps))
    by_line = share * at_rps / there if there > 0 and fit.sxx > 0 else math.inf
    return max(share, min(by_line, share * rps / load))


def _lately(before: tuple[float, float], block: tuple[float, float]) -> tuple[float, float]:
    """Load and share with one more block, of which the first is taken as it is."""
    kept = block if before == (0.0, 0.0) else before
    load, share = (RECENT_DECAY * b + (1 - RECENT_DECAY) * now for b, now in zip(kept, block, strict=True))
    return significant(load), significant(share)


def _refusal(state: LoadShare, rps: float, design: CapacityDesign, density: Density | None) -> str:
    needed = rps / design.reach
    why = (
        f"a projection to {rps:.4g} requests/s a pod needs at least {needed:.4g} to have been seen; "
        f"the most was {state.highest:.4g}"
    )
    if density is None or state.highest <= 0:
        return why
    pods = math.floor(density.pods * state.highest / needed)
    if pods >= 1:
        return f"{why}: run at most {pods} of {density.pods} pods at weight {density.weight_percent}"
    weight = math.ceil(density.weight_percent * needed / (density.pods * state.highest))
    remedy = f"weight {weight} would do" if weight <= 100 else "no weight is enough"
    return f"{why}: even one pod sees too little at weight {density.weight_percent}; {remedy}"


def _fill(state: LoadShare) -> LoadShare:
    """Close the open batch when it is full; merge neighbours when there are sixteen."""
    if state.open_blocks < state.size:
        return state
    full, size = (*state.full, state.open), state.size
    if len(full) == 2 * MERGED_BATCHES:
        full = tuple(_plus(one, two) for one, two in zip(full[::2], full[1::2], strict=True))
        size *= 2
    return replace(state, full=full, size=size, open_blocks=0, open=NOTHING)


def _fit(state: LoadShare) -> Fit:
    """Least squares over all blocks; influence sums over complete batches, scaled to all blocks (§6)."""
    x, u, xx, xu = (math.fsum(column) for column in zip(*state.full, state.open, strict=True))
    n = state.blocks
    mean_x, mean_u = x / n, u / n
    sxx = xx - x * mean_x
    # rounding leaves a trace of spread where there is none
    varies = sxx > 1e-6 * xx
    slope = (xu - x * mean_u) / sxx if varies else 0.0
    per_request = mean_u / mean_x if mean_x > 0 else 0.0
    ee = ex = exx = ratio = 0.0
    for bx, bu, bxx, bxu in state.full:
        residual = bu - state.size * mean_u - slope * (bx - state.size * mean_x)
        # sum of (x - mean_x) (u - mean_u - slope (x - mean_x)) over the batch
        lever = bxu - mean_x * bu - mean_u * (bx - state.size * mean_x)
        lever -= slope * (bxx - 2 * mean_x * bx + state.size * mean_x**2)
        ee, ex, exx = ee + residual**2, ex + residual * lever, exx + lever**2
        ratio += (bu - per_request * bx) ** 2
    scale = n / (len(state.full) * state.size)
    numbers = (mean_x, mean_u, slope, sxx if varies else 0.0, scale * ee, scale * ex, scale * exx, scale * ratio)
    return Fit(n, len(state.full), state.size, *(significant(number) for number in numbers))


def _plus(one: Sums, two: Sums) -> Sums:
    return _sums([significant(a + b, 10) for a, b in zip(one, two, strict=True)])


def _sums(numbers: list[float]) -> Sums:
    x, u, xx, xu = (float(number) for number in numbers)
    return x, u, xx, xu
