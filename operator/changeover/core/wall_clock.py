"""Which minutes of the wall clock does a cron-like expression, or an interval of dates, name? Pure.

It names a set of minutes, unlike cron's, which name instants at which something starts. See docs/decisions/0015.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache

HOW = "write `minute hour day-of-month month day-of-week`, like '0 9-17 * * 1-5': 09:00 to 17:59 from Monday to Friday"
_TERM = re.compile(r"(?:\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<every>[1-9][0-9]?))?")
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = {name: n for n, name in enumerate(_MONTH_NAMES, start=1)}
_WEEKDAYS = {name: n for n, name in enumerate(_WEEKDAY_NAMES)}
_MINUTE_OF_DAY = timedelta(minutes=1)
WHOLE_DAY = (1 << 24 * 60) - 1  # a set of minutes is a number: the bit n is the minute n since midnight


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[tuple[str, int], ...] = ()

    def number(self, text: str) -> int:
        known = dict(self.names).get(text.upper())
        value = known if known is not None else int(text) if text.isdecimal() and len(text) <= 2 else -1
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.name} {text!r} does not lie between {self.low} and {self.high}; {HOW}")
        return value

    def parse(self, text: str) -> frozenset[int]:
        return frozenset(value for term in text.split(",") for value in self._term(term))

    def _term(self, text: str) -> range:
        found = _TERM.fullmatch(text)
        if found is None:
            raise ValueError(f"{self.name} {text!r} is not understood; {HOW}")
        if found["low"] is None:
            return range(self.low, self.high + 1, int(found["every"] or 1))
        low = self.number(found["low"])
        if found["high"] is None and found["every"] is not None:
            raise ValueError(f"{self.name} {text!r}: a step needs a range; write {low}-{self.high}/{found['every']}")
        high = self.number(found["high"]) if found["high"] is not None else low
        if high == 0 < low and self is _WEEKDAY:
            high = 7  # FRI-SUN
        if high < low:
            raise ValueError(f"{self.name} {text!r} runs backwards; write two: {low}-{self.high},{self.low}-{high}")
        return range(low, high + 1, int(found["every"] or 1))


_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, tuple(_MONTHS.items()))
_WEEKDAY = _Field("day of week", 0, 7, tuple(_WEEKDAYS.items()))
_MINUTE = _Field("minute", 0, 59)


@dataclass(frozen=True)
class Minutes:
    """The minutes that an expression names: those of a day, and the days."""

    text: str
    of_day: int  # a set, see WHOLE_DAY
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday

    def on(self, day: date) -> int:
        """The minutes of this day."""
        is_named = day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays
        return self.of_day if is_named else 0


@dataclass(frozen=True)
class Span:
    """From a wall clock time until another, which is no more in it."""

    text: str
    start: datetime
    end: datetime

    def on(self, day: date) -> int:
        """The minutes of this day, which begin in it."""
        if not self.start.date() <= day <= self.end.date():
            return 0
        midnight = datetime.combine(day, time())
        first, end = (min(max(-((midnight - one) // _MINUTE_OF_DAY), 0), 24 * 60) for one in (self.start, self.end))
        return (1 << end) - (1 << first)


@lru_cache(maxsize=1024)
def parse_minutes(text: str) -> Minutes:
    """What an expression names; ValueError says what is wrong and how to mend it."""
    parts = text.split()
    if len(parts) != 5:
        raise ValueError(f"{text!r} has {len(parts)} fields and not five; {HOW}")
    minute, hour, day, month, weekday = parts
    if day != "*" and weekday != "*":
        raise ValueError(
            f"{text!r} names days of the month and of the week, of which cron takes either; make one of them * and, "
            "where both are meant, write two entries"
        )
    minutes = sum(1 << m for m in _minutes(minute))
    of_day = sum(minutes << 60 * h for h in _HOUR.parse(hour))
    weekdays = frozenset(n % 7 for n in _WEEKDAY.parse(weekday))
    return Minutes(text, of_day, _DAY.parse(day), _MONTH.parse(month), weekdays)


def _minutes(text: str) -> frozenset[int]:
    """The minutes of an hour. Nobody means a window of one minute: 0 is the whole hour, and another is refused."""
    if text in ("0", "*"):
        return frozenset(range(60))
    if re.fullmatch(r"[0-9]+-[0-9]+", text) is None:
        raise ValueError(
            f"minute {text!r} is no stretch of time; write 0 or * for the whole hour, or a range, like 30-59; {HOW}"
        )
    return _MINUTE.parse(text)


@lru_cache(maxsize=1024)
def parse_span(text: str) -> Span:
    """What an ISO 8601 interval names: two dates, of which the last belongs to it, or two times of the wall clock."""
    start, _, end = text.partition("/")
    try:
        first, last = (datetime.fromisoformat(one) for one in (start, end))
    except ValueError:
        raise ValueError(
            f"{text!r} is no interval; write two dates or times, like 2026-12-20/2027-01-06 or "
            "2026-12-20T18:00/2027-01-06T08:00"
        ) from None
    if len(end) == len("2027-01-06"):
        last = datetime.combine(min(last.date(), date.max - timedelta(days=1)) + timedelta(days=1), time())
    if last <= first:
        raise ValueError(f"{text!r} ends before it begins; swap the two")
    return Span(text, first, last)


def ever_opens(allowed: tuple[Minutes, ...], frozen: tuple[Minutes, ...]) -> bool:
    """Whether some minute of some year is allowed, or nothing is said of allowed, and not frozen year by year."""
    opened, closing = set(allowed or (parse_minutes("* * * * *"),)), set(frozen)
    return any(minutes_on(day, opened) & ~minutes_on(day, closing) for day in _each_date_on_each_weekday())


@lru_cache(maxsize=1)
def _each_date_on_each_weekday() -> tuple[date, ...]:
    """Once each: no expression tells more days apart, and 28 years have them all."""
    days = (date(2001, 1, 1) + timedelta(days=n) for n in range(28 * 366))
    return tuple({(day.month, day.day, day.weekday()): day for day in days}.values())


def minutes_on(day: date, named: Iterable[Minutes | Span]) -> int:
    """The minutes of a day that any of these names."""
    found = 0
    for one in named:
        found |= one.on(day)
    return found
