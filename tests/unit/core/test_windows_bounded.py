"""What windows cost the event loop, by count; and that the quick way finds the same minutes as a plain one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from changeover.api.v1alpha1.windows import Windows, is_span
from changeover.core import wall_clock, windows
from changeover.core.wall_clock import Minutes, Span, ever_opens, parse_minutes, parse_span
from changeover.core.windows import Calendar, next_opening

MINUTE, DAY, TEN_YEARS = timedelta(minutes=1), timedelta(days=1), 3660
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
EACH_DAY = 366 * 7  # each date on each weekday
FOR_GOOD = "2026-01-01/2099-01-01"


def minutes(*texts: str) -> tuple[Minutes, ...]:
    return tuple(map(parse_minutes, texts))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often sets of minutes are asked for, and days and instants looked at; nothing is kept from before."""
    found: Counter[str] = Counter()
    for kind, name in ((Minutes, "on"), (Calendar, "open_on"), (Calendar, "why_closed")):
        monkeypatch.setattr(kind, name, counted(found, name, getattr(kind, name)))
    for module in (wall_clock, windows):
        for kept in (one for one in vars(module).values() if hasattr(one, "cache_clear")):
            kept.cache_clear()
    return found


def counted(found: Counter[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any) -> Any:
        found[name] += 1
        return real(*given)

    return call


def asked_for(minutes_long: int, **spec: list[str]) -> datetime | None:
    """The last answer of many looks, one a minute."""
    found = Windows.model_validate(spec)
    return [next_opening(found, NOON + n * MINUTE) for n in range(minutes_long)][-1]


def test_that_nothing_ever_opens_is_told_by_each_day_once(calls: Counter[str]) -> None:
    every = tuple(f"* * * 1-{n % 12 + 1} *" if n % 2 else f"* {n % 24}-23 * * *" for n in range(47))
    assert not ever_opens(minutes(*every[:16]), minutes("* * * * *", *every[16:]))
    assert EACH_DAY <= calls["on"] <= EACH_DAY * 48


def test_doubled_entries_are_judged_once(calls: Counter[str]) -> None:
    assert not ever_opens(minutes(*["* * * * *"] * 16), minutes(*["* * * * *"] * 32))
    assert calls["on"] == EACH_DAY * 2


def test_frozen_for_good_asks_no_expression(calls: Counter[str]) -> None:
    assert asked_for(1, allowed=["0-58 * * * *", "* * * * *"], frozen=[FOR_GOOD]) is None
    assert calls["on"] <= 2 + 1  # whether it ever opens


@pytest.mark.parametrize(
    "spec", [{"frozen": [FOR_GOOD]}, {"allowed": ["0 9 29 2 *"], "frozen": ["* * * * 0-5"]}], ids=["for good", "2048"]
)
def test_ten_years_are_looked_through_once_a_day(calls: Counter[str], spec: dict[str, list[str]]) -> None:
    assert asked_for(60, **spec) is None
    assert calls["open_on"] <= TEN_YEARS + 2 * 60


def test_intervals_that_close_a_day_together_leave_no_instant_to_try(calls: Counter[str]) -> None:
    days = [NOON.date() + n * DAY for n in range(33)]
    chain = [f"{first}T12:00/{last}T12:00" for first, last in pairwise(days)]
    assert asked_for(1, frozen=chain) == NOON + 32 * DAY
    assert calls["why_closed"] <= 2


# The same by the plain way of before: sets, day by day, in which no instant is spared.


@cache
def plain_of_day(of_day: int) -> frozenset[int]:
    return frozenset(n for n in range(24 * 60) if of_day >> n & 1)


def plain_on(day: date, named: tuple[Minutes, ...]) -> frozenset[int]:
    named_today = (one for one in named if day.month in one.months and day.day in one.days
                   and day.isoweekday() % 7 in one.weekdays)  # fmt: skip
    return frozenset().union(*(plain_of_day(one.of_day) for one in named_today))


def plain_ever_opens(allowed: tuple[Minutes, ...], frozen: tuple[Minutes, ...]) -> bool:
    days = (date(2001, 1, 1) + n * DAY for n in range(28 * 366))
    return any(plain_on(day, allowed) - plain_on(day, frozen) for day in days)


def plain_is_open(spec: Windows, zone: ZoneInfo, instant: datetime) -> bool:
    wall = instant.astimezone(zone).replace(tzinfo=None)
    minute, spans = 60 * wall.hour + wall.minute, [parse_span(one) for one in spec.frozen if is_span(one)]
    frozen = minutes(*(one for one in spec.frozen if not is_span(one)))
    is_frozen = minute in plain_on(wall.date(), frozen) or any(one.start <= wall < one.end for one in spans)
    return not is_frozen and (not spec.allowed or minute in plain_on(wall.date(), minutes(*spec.allowed)))


HOURS = ("* *", "0 2", "0 1-3", "30-59 2", "15-44 */5", "* 0,23", "* 12-23", "* 0-11")
DAYS = ("* * *", "29 2 *", "* 3,10 *", "* * 0", "* * 1-5", "* * FRI-SUN", "1-28 * *", "29-31 * *", "30,31 2,4 *")


def expressions(chance: Random, most: int) -> list[str]:
    return [f"{chance.choice(HOURS)} {chance.choice(DAYS)}" for _ in range(chance.randint(0, most))]


def test_whether_it_ever_opens_is_told_as_by_the_plain_way() -> None:
    chance, told = Random(20260101), Counter[bool]()
    for _ in range(12):
        allowed = minutes(*expressions(chance, 2), f"* 2 {chance.choice(DAYS)}")
        frozen = minutes(*expressions(chance, 4), *chance.choices(("* 0-11 * * *", "* * * * 0-4"), k=2))
        told[ever_opens(allowed, frozen)] += 1
        assert ever_opens(allowed, frozen) == plain_ever_opens(allowed, frozen), (allowed, frozen)
    assert min(told[True], told[False]) >= 2


CHANGES = {
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "America/Havana": ["2026-03-08", "2026-11-01"],
    "America/St_Johns": ["2009-03-08", "2009-10-31"],  # back to the day before, at a minute past midnight
}


def interval(chance: Random, day: date) -> str:
    start = datetime.combine(day, time()) + chance.randint(-1440, 1440) * MINUTE
    return f"{start:%Y-%m-%dT%H:%M}/{start + chance.randint(1, 2880) * MINUTE:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, days in CHANGES.items() for day in days])
def test_the_next_opening_is_told_as_by_the_plain_way(zone: str, day: str) -> None:
    """Each minute from a day and a half before a change of the clock until a day and a half after it, in any order."""
    chance = Random(f"{zone} {day}")
    around = datetime.combine(date.fromisoformat(day), time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)
    walk = [around + n * MINUTE for n in range(-2160, 2161)]
    for _ in range(2):
        frozen = [*expressions(chance, 1), *(interval(chance, around.date()) for _ in range(chance.randint(0, 3)))]
        spec = Windows.model_validate({"allowed": expressions(chance, 2), "frozen": frozen, "timeZone": zone})
        opened = [one for one in walk if plain_is_open(spec, ZoneInfo(zone), one)]
        for now in chance.sample(walk, 12):
            first, found = next((one for one in opened if one >= now), None), next_opening(spec, now)
            assert found == first or (first is None and (found is None or found > walk[-1])), (spec, now)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (0, 1440, 0, 1440), (-5, 3, 0, 3), (1439, 1441, 1439, 1440), (-9, 0, 0, 0), (1440, 1450, 0, 0),
        (-2000, 5000, 0, 1440), (0.5, 2.5, 1, 3),
    ],
)  # fmt: skip
def test_an_interval_names_the_minutes_of_a_day_that_begin_in_it(
    start: float, end: float, first: int, last: int
) -> None:
    midnight = datetime(2026, 12, 24)
    found = Span("", midnight + start * MINUTE, midnight + end * MINUTE).on(midnight.date())
    assert [n for n in range(1441) if found >> n & 1] == list(range(first, last))
