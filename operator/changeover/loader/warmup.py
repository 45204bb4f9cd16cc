"""When is a target warm? Its warm-up is driven in slices, and goes on while these still rise. Pure.

A compiler that is still at work, a cache or a pool that fills: the slices rise, and what is measured then is the
beginning and not the backend. So a warm-up lasts at least as long as was asked for, and up to three times that while
the last slice is better than the one before. Was it clearly better to the end, and is the measured window clearly
better still, then the target was not steady.

Each slice opens its connections anew, which costs a slow target a tenth or so of a short slice: so slices are held
against slices, none is shorter than two seconds, and a window that is but a little better proves nothing.

What rises is the rate in a closed loop. In an open loop the rate is given: there it is one over the median latency,
which wanders more, so that more is asked of a rise. Several loaders that begin together have no slices: a warm-up of
another length in each of them would tear their windows apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from changeover.loader.report import Measurement
from changeover.loader.settings import CLOSED, Settings

SHORTEST = 2  # seconds of a slice
SLICES = 2  # the fewest that can be judged
PARTS = 4  # of what was asked for; a long warm-up has longer slices
LONGEST = 3  # times the seconds that were asked for
RISE_OF_RATE, RISE_OF_SPEED = 1.1, 1.2  # by which a slice is better than the one before: go on
CLEARLY = 2  # times as much of a rise at the end is no accident: not steady

Figures = Sequence[float]


@dataclass(frozen=True)
class Plan:
    """Whole seconds: how long a slice is, how long the warm-up lasts at least and at the most; and what a rise is."""

    slice: int
    least: int
    most: int
    rise: float


def plan(settings: Settings) -> Plan:
    """The slices of a warm-up; one single slice where there is no room for two, or where others begin with us."""
    least, rise = settings.warm_up_seconds, RISE_OF_RATE if settings.mode == CLOSED else RISE_OF_SPEED
    together = settings.start_at is not None
    if together or least < SHORTEST:
        return Plan(least, least, least, rise)
    return Plan(max(SHORTEST, least // PARTS), least, LONGEST * least, rise)


def figure(settings: Settings, measured: Measurement) -> float:
    """What is to rise no more: requests a second, or one over the median latency (1/s); 0 without an answer."""
    if settings.mode == CLOSED:
        return measured.requests / measured.duration
    return 1 / measured.latency.p50 if measured.latency and measured.latency.p50 else 0.0


def goes_on(of: Plan, figures: Figures) -> bool:
    """Whether another slice is to be driven."""
    elapsed = len(figures) * of.slice
    if elapsed < of.least:
        return True
    if of.slice == 0 or elapsed + of.slice > of.most:
        return False
    return len(figures) < SLICES or figures[-1] > of.rise * figures[-2]


def as_json(of: Plan, figures: Figures, measured: float | None = None) -> dict[str, Any]:
    """The report's ``warmUp``; `measured` is the window's own figure, None when it is of another load."""
    steady = None
    if measured is not None and len(figures) >= SLICES:
        clear = 1 + CLEARLY * (of.rise - 1)
        steady = not (figures[-1] > clear * figures[-2] and measured > clear * figures[-1])
    return {"seconds": len(figures) * of.slice, "slices": list(figures), "measured": measured, "steady": steady}
