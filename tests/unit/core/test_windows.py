"""When a weight may rise: by the wall clock of a zone, over the hours that it leaves out and repeats."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from changeover.api.reasons import Reason
from changeover.api.v1alpha1.windows import Windows
from changeover.core.migration import decide
from changeover.core.migration_state import TICK_SECONDS
from changeover.core.plan import SetSplit
from changeover.core.verbs import decide as decide_asked
from changeover.core.windows import closed, next_opening
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.seen import NOW, blocks, mark, owner, route, seen, workload
from tests.unit.core.test_forecast import told
from tests.unit.core.test_migration_ladder import BAD, LONG_ROLLING, NO_WEIGHT, one_step
from tests.unit.core.test_verbs import ADVANCES, MANUAL, asking

BERLIN = ZoneInfo("Europe/Berlin")
WORK = ["0 9-17 * * 1-5"]


def windows(*allowed: str, frozen: tuple[str, ...] = (), zone: str = "Europe/Berlin") -> Windows:
    return Windows.model_validate({"allowed": list(allowed), "frozen": list(frozen), "timeZone": zone})


def at(text: str, fold: int = 0) -> datetime:
    """An instant by Berlin's clock."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-30T08:59", "2026-11-30T09:00"),
        ("2026-11-30T09:00", "2026-11-30T09:00"),
        ("2026-11-30T17:59", "2026-11-30T17:59"),
        ("2026-11-30T18:00", "2026-12-01T09:00"),
        ("2026-12-04T18:00", "2026-12-07T09:00"),  # Friday evening
    ],
)
def test_a_window_opens_by_the_clock_of_its_zone(now: str, opens: str) -> None:
    assert next_opening(windows(*WORK), at(now)) == at(opens)


def test_seconds_belong_to_their_minute() -> None:
    late, early = at("2026-11-30T17:59:59"), at("2026-11-30T08:59:59")
    assert next_opening(windows(*WORK), late) == late and not closed(windows(*WORK), late)
    assert closed(windows(*WORK), early) and next_opening(windows(*WORK), early) == at("2026-11-30T09:00")


def test_without_windows_it_is_always_open() -> None:
    assert next_opening(Windows(), NOW) == NOW and closed(Windows(), NOW) == ""


def test_the_message_says_why_and_when_in_the_zone_that_is_named() -> None:
    assert closed(windows(*WORK), at("2026-12-04T18:00")) == (
        "the window is closed, in none of the allowed windows; it opens Mon 2026-12-07 09:00 CET (Europe/Berlin)"
    )
    frozen = windows(*WORK, frozen=("2026-12-20/2027-01-06",))
    assert closed(frozen, at("2026-12-21T10:00")) == (
        "the window is closed, frozen by '2026-12-20/2027-01-06'; it opens Thu 2027-01-07 09:00 CET (Europe/Berlin)"
    )


def test_a_freeze_wins_over_what_is_allowed() -> None:
    fridays = windows(*WORK, frozen=("* * * * FRI",))
    assert closed(fridays, at("2026-12-04T10:00")).startswith("the window is closed, frozen by '* * * * FRI'")
    assert next_opening(fridays, at("2026-12-03T18:00")) == at("2026-12-07T09:00")
    always = windows(frozen=("2026-12-31T18:00/2027-01-02T08:00",))
    assert next_opening(always, at("2026-12-31T17:59")) == at("2026-12-31T17:59")
    assert next_opening(always, at("2026-12-31T18:00")) == at("2027-01-02T08:00")


def test_a_freeze_of_a_lifetime_is_told_as_such() -> None:
    endless = windows(frozen=("2026-01-01/9999-12-31",))
    assert next_opening(endless, at("2026-06-01T00:00")) is None
    assert "no time of the next ten years" in closed(endless, at("2026-06-01T00:00"))


def test_an_hour_that_the_clock_leaves_out_is_in_no_window() -> None:
    """On 2026-03-29 Berlin's clock goes from 02:00 to 03:00."""
    two = windows("0 2 * * *")
    assert next_opening(two, at("2026-03-28T03:00")) == at("2026-03-30T02:00")
    before, after = datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert closed(two, before) and closed(two, after)
    assert next_opening(windows("0 2-3 * * *"), before) == after


def test_an_hour_that_the_clock_repeats_is_open_both_times() -> None:
    """On 2026-10-25 Berlin's clock goes from 03:00 back to 02:00, at 01:00 UTC."""
    two, half = windows("0 2 * * *"), windows("30-59 2 * * *")
    first, second = datetime(2026, 10, 25, 0, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    assert next_opening(two, first - timedelta(hours=1)) == first
    assert [closed(two, second + timedelta(minutes=m)) for m in (-1, 0, 59)] == ["", "", ""]
    assert closed(two, second + timedelta(minutes=60))
    assert next_opening(half, second) == second + timedelta(minutes=30)
    twice = windows("10-10 2 * * *", "50-50 2 * * *")
    assert next_opening(twice, first + timedelta(minutes=30)) == first + timedelta(minutes=50)
    assert next_opening(twice, first + timedelta(minutes=51)) == second + timedelta(minutes=10)
    assert "02:30 CET" in closed(half, second) and "02:30 CEST" in closed(half, first)


def test_a_repeated_hour_is_frozen_both_times() -> None:
    frozen = windows(frozen=("0 2 * * *",))
    first = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    assert next_opening(frozen, first) == first + timedelta(hours=2)


def test_zones_are_known_where_the_system_has_none() -> None:
    """As in a slim image: they come with the package tzdata."""
    known = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[])
    try:
        berlin = ZoneInfo.no_cache("Europe/Berlin")
    finally:
        zoneinfo.reset_tzpath(to=known)
    assert at("2026-07-01T12:00").astimezone(berlin).hour == 12


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata"])
HOURS = st.sampled_from(["*", "0-59", "15-44"])
TERMS = st.sampled_from(["*", "2", "1-3", "0,23", "*/7"])
DAYS = st.sampled_from(["* * *", "* * 0", "* * MON-FRI", "25,29 * *", "* 3-4,10 *"])
EXPRESSIONS = st.builds("{} {} {}".format, HOURS, TERMS, DAYS)
SPANS = st.sampled_from(["2026-03-28/2026-03-29", "2026-10-25T02:15/2026-10-25T02:45", "2026-04-04/2026-04-06"])
CHANGES = st.sampled_from([datetime(2026, 3, 28, 20), datetime(2026, 10, 24, 20), datetime(2026, 4, 4, 10)])


@settings(max_examples=8, derandomize=True, database=None, deadline=None)
@given(st.lists(EXPRESSIONS, max_size=2), st.lists(EXPRESSIONS | SPANS, max_size=2), ZONES, CHANGES,
       st.integers(0, 1440))  # fmt: skip
def test_the_next_opening_is_the_first_open_minute(
    allowed: list[str], frozen: list[str], zone: str, change: datetime, offset: int
) -> None:
    """Against a walk from minute to minute, over the changes of the clock."""
    found = Windows.model_validate({"allowed": allowed, "frozen": frozen, "timeZone": zone})
    now = change.replace(tzinfo=UTC) + timedelta(minutes=offset)
    walk = (now + timedelta(minutes=n) for n in range(1440))
    first = next((minute for minute in walk if not closed(found, minute)), None)
    opening = next_opening(found, now)
    assert opening == first if first is not None else opening is None or opening >= now + timedelta(days=1)


CLOSED = {"windows": {"allowed": ["0 9-11 * * *"]}}  # NOW is noon, UTC
OPEN = {"windows": {"allowed": ["0 12 * * *"]}}


def weight_written(**changes: Any) -> tuple[Reason, int | None, str]:
    step = decide(seen(**changes))
    written = next((a.canary_percent for a in step.actions if isinstance(a, SetSplit)), None)
    return step.reason, written, step.message


def test_no_weight_rises_while_the_window_is_closed() -> None:
    reason, weight, message = weight_written(**ADVANCES, spec=CLOSED)
    assert (reason, weight) == (Reason.WAITING_FOR_WINDOW, None)
    assert decide(seen(**ADVANCES, spec=CLOSED)).recheck_after == TICK_SECONDS
    assert message.startswith("step 2/3 waits: the window is closed, in none of the allowed windows; it opens Wed 2030")
    assert weight_written(**NO_WEIGHT, spec=CLOSED)[:2] == (Reason.WAITING_FOR_WINDOW, None)


def test_a_weight_rises_while_it_is_open() -> None:
    assert weight_written(**ADVANCES, spec=OPEN)[:2] == (Reason.STEPPED, 50)
    assert weight_written(**NO_WEIGHT, spec=OPEN)[:2] == (Reason.STEPPED, 10)


ALL_THE_SAME: list[tuple[str, dict[str, Any], Reason, int | None]] = [
    ("the last step ends", {**ADVANCES, "spec": {**one_step(), **CLOSED}}, Reason.PROMOTED, None),
    ("evidence is gathered", {"spec": CLOSED}, Reason.WAITING_EVIDENCE, None),
    ("a bad canary is rolled back", {"blocks": blocks(5, BAD), "spec": CLOSED}, Reason.ROLLING_BACK, 0),
    ("a canary that is gone is rolled back", {"canary": workload(0), "spec": CLOSED}, Reason.ROLLING_BACK, 0),
    ("a foreign weight is put back", {"route": route(canary_percent=5), "spec": CLOSED}, Reason.WEIGHT_PUT_BACK, 10),
    ("a pause is told first", {**ADVANCES, "route": route(mark(paused=True)), "spec": CLOSED}, Reason.PAUSED, None),
    ("a new attempt begins at 0", {"owner": owner(generation=2), "route": route(LONG_ROLLING), "spec": CLOSED},
     Reason.ROLLED_BACK, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason", "weight"), [c[1:] for c in ALL_THE_SAME], ids=[c[0] for c in ALL_THE_SAME]
)
def test_in_a_closed_window(changes: dict[str, Any], reason: Reason, weight: int | None) -> None:
    assert weight_written(**changes)[:2] == (reason, weight)


@pytest.mark.parametrize("verb", ["approve", "promote"])
@pytest.mark.parametrize("changes", [ADVANCES, NO_WEIGHT, {}], ids=["evidence enough", "no weight", "too little"])
def test_nobody_raises_by_hand_while_it_is_closed(verb: str, changes: dict[str, Any]) -> None:
    step = decide_asked(asking(verb, changes={**changes, "spec": {**MANUAL, **CLOSED}}))
    assert step.request is not None and step.request.result == "Refused"
    assert not any(isinstance(action, SetSplit) for action in step.actions)
    if (verb, changes) != ("approve", {}):  # which has nothing to approve yet
        assert "the window is closed" in step.request.answer and "it opens Wed 2030" in step.request.answer


def test_a_person_approves_once_it_is_open_and_aborts_at_any_time() -> None:
    up = decide_asked(asking("approve", changes={**ADVANCES, "spec": {**MANUAL, **OPEN}}))
    assert (up.reason, up.mark is not None and up.mark.weight) == (Reason.STEPPED, 50)
    down = decide_asked(asking("abort", changes={**ADVANCES, "spec": {**MANUAL, **CLOSED}}))
    assert (down.reason, down.mark is not None and down.mark.weight) == (Reason.ROLLING_BACK, 0)


def test_the_forecast_waits_for_each_opening() -> None:
    """Each of three steps is decided within some minutes, and may be left on the next day at nine."""
    steps = [{"weightPercent": weight, "minDuration": "2h"} for weight in (10, 50, 100)]
    free, bound = (
        told(steps=steps),
        told(steps=steps, windows={"allowed": ["0-0 9 * * *"], "timeZone": "Europe/Berlin"}),
    )
    assert free is not None and bound is not None
    first = mark().since.astimezone(BERLIN).replace(hour=9, minute=0) + timedelta(days=1)
    assert bound.step_end == first and bound.end == first + timedelta(days=1, hours=2)
    assert bound.latest_end >= bound.end and free.end < first


def test_a_forecast_without_any_opening_is_none() -> None:
    assert told(windows={"frozen": ["2020-01-01/9999-12-31"]}) is None


def test_a_last_step_ends_whatever_the_window() -> None:
    found = told(steps=[{"weightPercent": 10, "minDuration": "2h"}], windows={"allowed": ["0 3 * * *"]})
    assert found is not None and found.end == found.step_end == mark().since + timedelta(hours=2)


def test_windows_that_cannot_be_meant_raise_nothing_and_go_on_watching() -> None:
    spec = {"windows": {"timeZone": "Europe/Berlim"}}
    step = decide(seen(**ADVANCES, spec=spec))
    assert (step.reason, step.stalled, step.actions) == (Reason.INVALID_SPEC, True, ())
    assert "spec.windows.timeZone: 'Europe/Berlim' is not known; take an IANA name" in step.message
    assert decide(seen(**NO_WEIGHT, spec=spec)).reason is Reason.INVALID_SPEC
    assert weight_written(blocks=blocks(5, BAD), spec=spec)[:2] == (Reason.ROLLING_BACK, 0)
    refused = decide_asked(asking("promote", changes={"spec": spec})).request
    assert refused is not None and "'Europe/Berlim' is not known" in refused.answer
