"""What stable was like over a day: its long-run rate of bad requests, by which blocks of shared load are judged (§2.1).

A day's cycle of load makes both arms worse at noon; without a day of stable the rule cannot tell that from a bad
canary, nor a bad canary at night from a good one. It is read once a migration, hour by hour, and kept in status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.core import names
from changeover.core.conditions import UNREADABLE_JSON, parse_stored, timestamp
from changeover.core.daily_peak import any_wants_peak, told
from changeover.core.design import MIN_BASELINE_SUMS, Baseline, make_baseline
from changeover.core.evidence import bad_requests, limit_of
from changeover.core.observed import Counts

HOUR = timedelta(hours=1)
LEAST_HOURS_SHARE = 0.8  # of the window's hours that must be counted; a gateway that was restarted costs one
ASK_AGAIN = timedelta(minutes=10)  # where a day is required and not there yet
ASK_AGAIN_SOON = timedelta(minutes=1)  # where the metric source did not answer
_UNREAD = "the metric source did not tell"


@dataclass(frozen=True)
class Day:
    """A reading: when, of what (`key`), how many hours were counted, and stable's baseline of each target.

    `why` says why there is none at all; a target with too few bad requests to know its rate is only absent.
    """

    at: datetime
    key: str
    hours: int = 0
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    why: str = ""
    peaks: tuple[int, ...] = ()  # the route's busiest hours: their beginnings, minutes since midnight, UTC
    peaks_key: str = ""  # what they are of; empty when an earlier release read them
    peaks_unread: str = ""  # what the metric source said when it was asked for them and did not answer

    def to_status(self) -> dict[str, Any]:
        """As status keeps it."""
        targets = {name: baseline.to_dict() for name, baseline in self.baselines.items()}
        content = {"key": self.key, "targets": targets, "why": self.why, "peaks": list(self.peaks)}
        content |= {"peaksKey": self.peaks_key, **({"peaksUnread": self.peaks_unread} if self.peaks_unread else {})}
        return {
            "at": timestamp(self.at),
            "hours": self.hours,
            "message": self.message[:1024],
            "busiest": told(self.peaks) if self.peaks else "",
            "statistics": json.dumps(content, separators=(",", ":"), sort_keys=True),
        }

    @property
    def message(self) -> str:
        """In words."""
        if self.why:
            return f"a daily cycle of load is not guarded against: {self.why}"
        known = ", ".join(sorted(self.baselines)) or "no target (too few bad requests to know their rate)"
        return f"from {self.hours} hours of stable: {known}"

    @property
    def is_unread(self) -> bool:
        """Whether nothing is known because nothing was answered."""
        return self.why.startswith(_UNREAD)

    @property
    def why_no_peak(self) -> str:
        """Why the busiest hour is not known."""
        uncounted = "an hour of the day was counted on no day; a longer spec.decision.baseline.window may hold it"
        return self.why or (f"{_UNREAD}: {self.peaks_unread}" if self.peaks_unread else uncounted)

    @classmethod
    def parse(cls, status: Mapping[str, Any] | None, key: str) -> Day | None:
        """Inverse of ``to_status``; None when it is of something else, or not readable."""
        kept = status or {}
        try:
            content = json.loads(kept["statistics"])
            if content["key"] != key:
                return None
            baselines = {name: Baseline.from_dict(one) for name, one in content["targets"].items()}
            return cls(parse_stored(kept["at"]), key, int(kept["hours"]), baselines, str(content["why"]),
                       _peaks(content), str(content.get("peaksKey", "")),
                       str(content.get("peaksUnread", "")))  # fmt: skip
        except UNREADABLE_JSON:
            return None


def _peaks(content: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(one) for one in content.get("peaks", ()))


def kept_peaks(status: Mapping[str, Any] | None, peaks_key: str) -> tuple[int, ...]:
    """The busiest hours that status has, also where its baselines are of another bound; empty when of something else.

    Read anew they would be other hours, by the minute of the reading, and one may hold half of the rush.
    """
    try:
        content = json.loads((status or {})["statistics"])
        return _peaks(content) if content["peaksKey"] == peaks_key else ()
    except UNREADABLE_JSON:
        return ()


def key_of(arms: str, spec: MigrationSpec) -> str:
    """Stands for what a reading is of: another stable, another bound or another window is another one."""
    bounds = {
        o.name: o.latency.model_dump() if o.latency is not None else None
        for o in spec.objectives
        if limit_of(o) is not None
    }
    return names.digest([arms, bounds, spec.decision.baseline.window])


def peaks_key_of(arms: str, spec: MigrationSpec) -> str:
    """Stands for what the busiest hours are of: no bound changes who asked when."""
    return names.digest([arms, spec.decision.baseline.window])


def hours_of(spec: MigrationSpec) -> int:
    """Whole hours of the window."""
    return int(duration_seconds(spec.decision.baseline.window) // HOUR.total_seconds())


def make_day(at: datetime, key: str, spec: MigrationSpec, counted: Sequence[Counts | None], alone: bool = False) -> Day:
    """The baselines from the hours' counts of stable, oldest first; None for an hour that could not be counted.

    An hour without requests is one of the day only when stable was `alone`, so that nobody can have asked the canary.
    """
    wanted, known = hours_of(spec), [hour for hour in counted if hour is not None and (alone or hour.requests > 0)]
    if len(known) < LEAST_HOURS_SHARE * wanted:
        return Day(at, key, why=f"of stable's last {wanted} hours too few are in the metric source")
    asked = sum(1 for hour in known if hour.requests > 0)
    if asked < MIN_BASELINE_SUMS:
        why = f"stable had requests in {asked} of its last {wanted} hours, and {MIN_BASELINE_SUMS} are needed"
        return Day(at, key, why=why)
    found = {}
    for objective in (o for o in spec.objectives if limit_of(o) is not None):
        sums = [(hour.requests, bad) for hour in known if (bad := bad_requests(hour, objective)) is not None]
        baseline = make_baseline(sums)
        if baseline is not None:
            found[objective.name] = baseline
    return Day(at, key, len(known), found)


def was_alone(history: Sequence[Mapping[str, Any]], spec: MigrationSpec, now: datetime) -> bool:
    """Whether no canary of this migration had weight within the window that ends now; `history` as status has it."""
    begin = now - timedelta(seconds=duration_seconds(spec.decision.baseline.window))
    has_none = not history or history[-1]["to"] == 0
    return has_none and all(parse_stored(one["at"]) <= begin for one in history if one["from"] or one["to"])


def unread_day(at: datetime, key: str, reason: str) -> Day:
    """That the metric source did not answer, which is said, and asked again later: hours are large answers."""
    return Day(at, key, why=f"{_UNREAD}: {reason}")


def is_due(day: Day | None, spec: MigrationSpec, now: datetime) -> bool:
    """Whether it is to be read: once; again and again where it is required and was not there, or was not answered."""
    policy = spec.decision.baseline.policy
    is_used = any_wants_peak(spec) or any(limit_of(o) is not None for o in spec.objectives)
    if policy == "None" or not (is_used or policy == "Require"):
        return False
    if day is None:
        return True
    if day.is_unread or (day.peaks_unread and any_wants_peak(spec)):
        return now - day.at >= ASK_AGAIN_SOON
    lacking = (bool(day.why) and policy == "Require") or (not day.peaks and any_wants_peak(spec))
    return lacking and now - day.at >= ASK_AGAIN
