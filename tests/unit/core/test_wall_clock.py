"""What a window's expression names, and what is said of one that names nothing."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import pytest
from changeover.api.v1alpha1.windows import Windows
from changeover.core.wall_clock import parse_minutes, parse_span
from changeover.core.windows import closed, next_opening, wrong
from changeover.testing.clock import START
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

MONDAY, SATURDAY, SUNDAY = date(2026, 11, 30), date(2026, 12, 5), date(2026, 12, 6)


def listed(minutes: int) -> list[int]:
    return [n for n in range(24 * 60) if minutes >> n & 1]


def spoken(text: str, day: date = MONDAY) -> list[str]:
    """The stretches of a day that an expression names, ends included."""
    minutes = listed(parse_minutes(text).on(day))
    starts = [m for m in minutes if m - 1 not in minutes]
    ends = [m for m in minutes if m + 1 not in minutes]
    return [f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in zip(starts, ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "stretches"),
    [
        ("0 9-17 * * 1-5", ["09:00-17:59"]),
        ("* 9-17 * * 1-5", ["09:00-17:59"]),
        ("0-59 9-17 * * MON-FRI", ["09:00-17:59"]),
        ("30-59 9 * * mon", ["09:30-09:59"]),
        ("0-14 9,11 * * *", ["09:00-09:14", "11:00-11:14"]),
        ("0 */12 * * *", ["00:00-00:59", "12:00-12:59"]),
        ("0 8-16/4 * * *", ["08:00-08:59", "12:00-12:59", "16:00-16:59"]),
        ("0 22-23,0-5 * * *", ["00:00-05:59", "22:00-23:59"]),
        ("0  9 30 NOV *", ["09:00-09:59"]),
        ("0 9 1-29 * *", []),
        ("0 9 * 1-10 *", []),
        ("0 9 * * 2-5", []),
    ],
)
def test_an_expression_names_stretches_of_the_day(text: str, stretches: list[str]) -> None:
    assert spoken(text) == stretches


@pytest.mark.parametrize("weekday", ["0", "7", "SUN", "FRI-SUN", "5-7", "0-0"])
def test_sunday_has_two_numbers_and_may_end_a_week(weekday: str) -> None:
    assert spoken(f"0 9 * * {weekday}", SUNDAY) == ["09:00-09:59"]
    assert spoken(f"0 9 * * {weekday}", MONDAY) == []
    assert bool(spoken(f"0 9 * * {weekday}", SATURDAY)) == ("-7" in weekday or "FRI" in weekday)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 9-17 * *", "4 fields and not five"),
        ("0 9-17 * * 1-5 2030", "6 fields and not five"),
        ("30 9 * * *", "minute '30' is no stretch of time; write 0 or \\* for the whole hour, or a range"),
        ("*/15 9 * * *", "is no stretch of time"),
        ("0,30 9 * * *", "is no stretch of time"),
        ("0-60 9 * * *", "minute '60' does not lie between 0 and 59"),
        ("0 24 * * *", "hour '24' does not lie between 0 and 23"),
        ("0 9 0 * *", "day of month '0' does not lie between 1 and 31"),
        ("0 9 * 13 *", "month '13' does not lie between 1 and 12"),
        ("0 9 * * 8", "day of week '8' does not lie between 0 and 7"),
        ("0 9 * * MOON", "day of week 'MOON' does not lie"),
        ("0 9 L * *", "day of month 'L' does not lie"),
        ("0 22-6 * * *", "hour '22-6' runs backwards; write two: 22-23,0-6"),
        ("0 9 * * SAT-MON", "day of week 'SAT-MON' runs backwards; write two: 6-7,0-1"),
        ("0 8/4 * * *", "hour '8/4': a step needs a range; write 8-23/4"),
        ("0 8-9-10 * * *", "hour '8-9-10' is not understood"),
        ("0 8, * * *", "hour '' is not understood"),
        ("0 9 1-7 * 1", "names days of the month and of the week, of which cron takes either"),
    ],
)
def test_what_is_wrong_is_named_with_its_mend(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_minutes(text)


def test_an_interval_of_dates_holds_its_last_day_and_one_of_times_not_its_last_minute() -> None:
    dates, times = parse_span("2026-12-20/2027-01-06"), parse_span("2026-12-31T18:00/2027-01-02T08:00")
    assert (dates.start, dates.end) == (datetime(2026, 12, 20), datetime(2027, 1, 7))
    assert (times.start, times.end) == (datetime(2026, 12, 31, 18), datetime(2027, 1, 2, 8))
    one_day = parse_span("2026-12-24/2026-12-24")
    assert (one_day.start, one_day.end) == (datetime(2026, 12, 24), datetime(2026, 12, 25))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"allowed": ["0 9 * * *", "0 9-17 * * 1-9"]}, r"allowed\[1\]: day of week '9'"),
    ({"frozen": ["0 24 * * *"]}, r"frozen\[0\]: hour '24'"),
    ({"frozen": ["2027-01-06/2026-12-20"]}, r"frozen\[0\]: .* ends before it begins; swap the two"),
    ({"frozen": ["2026-12-20T08:00/2026-12-20T08:00"]}, "ends before it begins"),
    ({"frozen": ["2026-02-30/2026-03-01"]}, "is no interval; write two dates or times"),
    ({"timeZone": "Europe/Berlim"}, "timeZone: 'Europe/Berlim' is not known; take an IANA name"),
    ({"timeZone": "Europe"}, "timeZone: 'Europe' is not known"),
    ({"timeZone": "Europe//Berlin"}, "is not known"),
    ({"allowed": ["0 9 31 2,4 *"]}, "allowed: no minute of any year is allowed and not frozen"),
    ({"allowed": ["0 9 * * 1"], "frozen": ["0 9 1-31 * *"]}, "no minute of any year"),
    ({"frozen": ["* * * * *"]}, "no minute of any year"),
]


@pytest.mark.parametrize(("windows", "says"), WRONG)
def test_windows_that_cannot_be_meant_open_at_no_time_and_say_how_to_mend_them(
    windows: dict[str, Any], says: str
) -> None:
    found = Windows.model_validate(windows)
    assert re.match("spec.windows.*" + says, wrong(found))
    assert closed(found, START) == wrong(found) and next_opening(found, START) is None


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"frozen": ["2026-12-20"]}, "match pattern"),
    ({"allowed": ["2026-12-20/2027-01-06"]}, "match pattern"),
    ({"allowed": ["@daily"]}, "match pattern"),
    ({"allowed": ["30 9 * * *"]}, "match pattern"),
    ({"allowed": ["0 9 * *"]}, "match pattern"),
    ({"timeZone": "../etc/passwd"}, "match pattern"),
    ({"timeZone": "Europe/../../etc/passwd"}, "match pattern"),
    ({"allowed": ["0 9 * * *", "0 9 1-7 * 1"]}, "allowed: day of month and day of week must not both be given"),
    ({"frozen": ["0 9 */2 * 1"]}, "frozen: day of month and day of week must not both be given"),
]


@pytest.mark.parametrize(("windows", "says"), REFUSED)
def test_shapes_that_the_api_server_refuses_too(windows: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Windows.model_validate(windows)


def test_what_opens_once_in_four_years_is_taken() -> None:
    assert wrong(Windows.model_validate({"allowed": ["0 9 29 2 *"], "frozen": ["0 9 * * 0-5"]})) == ""


def test_by_default_nothing_is_closed() -> None:
    assert Windows() == Windows.model_validate({}) and not Windows().allowed and not Windows().frozen


NUMBER = {"hour": (0, 23), "month": (1, 12), "weekday": (0, 6)}


@st.composite
def fields(draw: st.DrawFn, name: str) -> tuple[str, set[int]]:
    """A field as text, and what it names by a definition of its own."""
    low, high = NUMBER[name]
    chosen = draw(st.sets(st.integers(low, high), min_size=1, max_size=5))
    first, last = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
    step = draw(st.integers(1, 9))
    terms = [*map(str, chosen), f"{first}-{last}/{step}"]
    named = chosen | {n for n in range(first, last + 1) if (n - first) % step == 0}
    return ",".join(draw(st.permutations(terms))), named


@given(fields("hour"), fields("month"), fields("weekday"), st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_a_minute_is_named_exactly_when_each_of_its_parts_is(
    hour: tuple[str, set[int]], month: tuple[str, set[int]], weekday: tuple[str, set[int]], day: date
) -> None:
    named = parse_minutes(f"0 {hour[0]} * {month[0]} {weekday[0]}").on(day)
    is_day = day.month in month[1] and (day.weekday() + 1) % 7 in weekday[1]
    assert set(listed(named)) == ({60 * h + m for h in hour[1] for m in range(60)} if is_day else set())


@given(st.text(max_size=40))
def test_whatever_is_written_is_understood_or_refused(text: str) -> None:
    try:
        assert parse_minutes(text).of_day
    except ValueError as error:
        assert str(error)
