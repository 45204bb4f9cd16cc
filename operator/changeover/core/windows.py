"""May a weight rise at this minute, and if not, when may it? Decided by the wall clock of the zone that is named. Pure.

An hour that the clock leaves out in spring is in no window; one that it repeats in autumn is in it, or not, both times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TypeVar
from zoneinfo import ZoneInfo

from changeover.api.v1alpha1.windows import Windows, is_span
from changeover.core.wall_clock import WHOLE_DAY, Minutes, Span, ever_opens, minutes_on, parse_minutes, parse_span

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
Named = TypeVar("Named", Minutes, Span)
_HORIZON_DAYS = 3660  # beyond ten years nobody waits


@dataclass(frozen=True)
class Calendar:
    """Windows, understood."""

    allowed: tuple[Minutes, ...]
    frozen: tuple[Minutes, ...]
    spans: tuple[Span, ...]
    zone: ZoneInfo

    def why_closed(self, now: datetime) -> str:
        """What speaks against a rise at this instant; empty when nothing does."""
        wall = now.astimezone(self.zone).replace(tzinfo=None)
        minute = 60 * wall.hour + wall.minute
        frozen = [one.text for one in self.frozen if one.on(wall.date()) >> minute & 1]
        frozen += [one.text for one in self.spans if one.start <= wall < one.end]
        if frozen:
            return f"frozen by {frozen[0]!r}"
        is_open = not self.allowed or minutes_on(wall.date(), self.allowed) >> minute & 1
        return "" if is_open else "in none of the allowed windows"

    def open_on(self, day: date) -> int:
        """The minutes of a day's clock that are open. Intervals come first: most days without any are in one."""
        frozen = minutes_on(day, self.spans)
        if frozen == WHOLE_DAY:
            return 0
        opened = minutes_on(day, self.allowed) if self.allowed else WHOLE_DAY
        return opened & ~frozen & ~minutes_on(day, self.frozen)

    def first_on(self, day: date, after: datetime) -> datetime | None:
        """The beginning of a day's first open minute after an instant."""
        opened = self.open_on(day)
        found = (
            datetime.combine(day, time(minute // 60, minute % 60, fold=fold), tzinfo=self.zone).astimezone(UTC)
            for minute in range(opened.bit_length())
            if opened >> minute & 1
            for fold in (0, 1)
        )
        # Where the clock is set back, a later minute of the day may come earlier; where it leaves one out, it is none.
        return next((one for one in sorted(found) if one > after and not self.why_closed(one)), None)


def wrong(windows: Windows) -> str:
    """Which field says nothing that could be meant, and how to mend it; empty when all do. Then no weight rises."""
    calendar = _calendar_of(windows)
    return f"spec.windows.{calendar}" if isinstance(calendar, str) else ""


def next_opening(windows: Windows, now: datetime) -> datetime | None:
    """The first instant, now or later, at which a weight may rise; None when there is none in ten years."""
    calendar = _calendar_of(windows)
    if isinstance(calendar, str):
        return None
    found = _next_opening(calendar, now.replace(second=0, microsecond=0))
    return None if found is None else max(found, now)


def closed(windows: Windows, now: datetime) -> str:
    """Why no weight rises now, and when one may again; empty when one may."""
    calendar = _calendar_of(windows)
    if isinstance(calendar, str):
        return wrong(windows)
    why = calendar.why_closed(now)
    if not why:
        return ""
    opening = next_opening(windows, now)
    then = "it opens at no time of the next ten years"
    if opening is not None:
        then = f"it opens {opening.astimezone(calendar.zone):%a %Y-%m-%d %H:%M %Z} ({windows.time_zone})"
    return f"the window is closed, {why}; {then}"


def _calendar_of(windows: Windows) -> Calendar | str:
    return _calendar(tuple(windows.allowed), tuple(windows.frozen), windows.time_zone)


@lru_cache(maxsize=256)
def _calendar(allowed: tuple[str, ...], frozen: tuple[str, ...], name: str) -> Calendar | str:
    """Or the field that cannot be meant, and why. Kept: a migration asks every few seconds."""
    try:
        opened = tuple(_named("allowed", n, text, parse_minutes) for n, text in enumerate(allowed))
        numbered = list(enumerate(frozen))
        closing = tuple(_named("frozen", n, text, parse_minutes) for n, text in numbered if not is_span(text))
        spans = tuple(_named("frozen", n, text, parse_span) for n, text in numbered if is_span(text))
    except ValueError as error:
        return str(error)
    try:
        zone = ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return f"timeZone: {name!r} is not known; take an IANA name, like Europe/Berlin"
    if not ever_opens(opened, closing):
        return "allowed: no minute of any year is allowed and not frozen; widen allowed or narrow frozen"
    return Calendar(opened, closing, spans, zone)


def _named(field: str, number: int, text: str, parse: Callable[[str], Named]) -> Named:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{field}[{number}]: {error}") from None


@lru_cache(maxsize=1024)
def _next_opening(calendar: Calendar, begin: datetime) -> datetime | None:
    """From the beginning of a minute; kept, since it is asked for again at each look of that minute."""
    if not calendar.why_closed(begin):
        return begin
    today = begin.astimezone(calendar.zone).date()
    found = calendar.first_on(today, begin) or calendar.first_on(today + DAY, begin)
    return found or _opening_after_tomorrow(calendar, today)


@lru_cache(maxsize=1024)
def _opening_after_tomorrow(calendar: Calendar, today: date) -> datetime | None:
    """Kept for the day: ten years without any are long to look through. All of it comes after any minute of today,
    which tomorrow may not, where the clock is set back over midnight."""
    midnight = datetime.combine(today, time(), tzinfo=calendar.zone)
    openings = (calendar.first_on(today + n * DAY, midnight) for n in range(2, _HORIZON_DAYS))
    return next(filter(None, openings), None)
