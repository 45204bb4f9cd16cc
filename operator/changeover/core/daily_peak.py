"""Has a step seen the day's busiest hour? Known from a day of the route, counted in the step's judged blocks. Pure.

The hours are those that the day was read in, each named by its beginning in minutes since midnight, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.step import Step
from changeover.core.conditions import parse_timestamp
from changeover.core.observed import Counts, Evidence

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TIE_SHARE = 0.95  # of the busiest hour's requests: then it is as busy
COVERED_SHARE = 0.9  # of one such hour's seconds must lie in judged blocks with the canary's requests
HOURS_A_DAY = 24


def wants_peak(step: Step) -> bool:
    """Whether the step's evidence must hold the busiest hour."""
    return "DailyPeak" in step.covers


def any_wants_peak(spec: MigrationSpec) -> bool:
    """Whether the busiest hour has to be known at all."""
    return any(wants_peak(step) for step in spec.steps)


def busiest(at: datetime, counted: Sequence[Counts | None]) -> tuple[int, ...]:
    """The busiest hours, by the mean of the route's requests over the days; the last of `counted` ends at `at`.

    Whoever answered: stable's own requests become fewer with the canary's weight, not with the hour.
    None when an hour of the day was counted on no day.
    """
    of_day: dict[int, list[int]] = {}
    for back, hour in enumerate(reversed(counted)):
        if hour is not None:
            of_day.setdefault(back % HOURS_A_DAY, []).append(hour.requests)
    if len(of_day) < HOURS_A_DAY:
        return ()  # it may be the one that was not counted
    means = {back: sum(requests) / len(requests) for back, requests in of_day.items()}
    most = max(means.values())
    if most <= 0:
        return ()
    minute = at.astimezone(UTC).hour * 60 + at.astimezone(UTC).minute
    return tuple(sorted((minute - 60 * (back + 1)) % 1440 for back, mean in means.items() if mean >= TIE_SHARE * most))


@dataclass(frozen=True)
class Coverage:
    """How much of one busiest hour lies in the step's blocks: of the best, and of the latest, which may still grow."""

    best: float = 0.0  # seconds
    hour: datetime | None = None  # beginning of the latest
    seconds: float = 0.0
    peaks: tuple[int, ...] = ()  # the hours that it is of

    def is_enough(self, peaks: Sequence[int]) -> bool:
        """Whether one of these hours was seen."""
        return self.peaks == tuple(peaks) and self.best >= COVERED_SHARE * HOUR.total_seconds()

    def add(self, block: Evidence, peaks: Sequence[int]) -> Coverage:
        """With a judged block; one without requests of the canary shows nothing of the hour."""
        if block.canary is None or block.canary.requests == 0 or not peaks:
            return self
        found = self if self.peaks == tuple(peaks) else Coverage(peaks=tuple(peaks))
        for start in sorted(_begun(block.start, peaks)):
            seconds = (min(block.end, start + HOUR) - max(block.start, start)).total_seconds()
            if seconds > 0:
                sum_ = (found.seconds if found.hour == start else 0.0) + seconds
                found = Coverage(max(found.best, sum_), start, sum_, found.peaks)
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        hour = self.hour.isoformat() if self.hour is not None else None
        return {"best": self.best, "hour": hour, "seconds": self.seconds, "peaks": list(self.peaks)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Coverage:
        """Inverse of ``to_dict``."""
        hour = parse_timestamp(data["hour"]) if data["hour"] else None
        return cls(float(data["best"]), hour, float(data["seconds"]), tuple(int(one) for one in data["peaks"]))


def _begun(around: datetime, peaks: Sequence[int]) -> list[datetime]:
    """Beginnings of busiest hours from a day before to a day after."""
    midnight = around.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [midnight + n * DAY + timedelta(minutes=minute) for minute in peaks for n in (-1, 0, 1, 2)]


def earliest(begin: datetime, peaks: Sequence[int], covered: Coverage) -> datetime | None:
    """When evidence from `begin` on may have seen a busiest hour; None when none is known."""
    if covered.is_enough(peaks):
        return begin
    missed = (1 - COVERED_SHARE) * HOUR
    is_same = covered.peaks == tuple(peaks) and covered.hour is not None and begin < covered.hour + HOUR
    going_on = [covered.hour] if is_same else []
    ends = [start + HOUR - missed for start in _begun(begin, peaks) if start >= begin - missed or start in going_on]
    return min(ends, default=None)


def told(peaks: Sequence[int]) -> str:
    """The busiest hours in words."""
    hours = [f"{m // 60:02}:{m % 60:02}-{(m // 60 + 1) % 24:02}:{m % 60:02}" for m in peaks]
    return f"{', '.join(hours[:3])}{f' and {len(hours) - 3} more' if len(hours) > 3 else ''} UTC"


def lacking(covered: Coverage, peaks: Sequence[int]) -> str:
    """What the step has still to see; empty when it has seen it."""
    if covered.is_enough(peaks):
        return ""
    minutes = f"{covered.best / 60:.0f} of {COVERED_SHARE * 60:.0f} minutes"
    return f"the step is to cover the day's busiest hour, {told(peaks)}: {minutes} are in its evidence"
