"""The day's busiest hour: which it is, and whether a step has seen it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.api.v1alpha1.step import Step as StepSpec
from changeover.core.daily_peak import HOUR, Coverage, busiest, earliest, lacking, told
from changeover.core.day import ASK_AGAIN, Day, is_due, kept_peaks, make_day, peaks_key_of
from changeover.core.evidence import Split, StepEvidence, fold
from changeover.core.migration import decide
from changeover.core.migration_status import summarise
from changeover.core.observed import Counts, Evidence
from changeover.core.plan import SetSplit
from changeover.core.verbs import decide as decide_asked
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.core.seen import NOW, SCRAPE, blocks, counts, kept, mark, migration_spec, owner, seen
from tests.unit.core.test_forecast import told as forecast_told
from tests.unit.core.test_migration_ladder import NO_WEIGHT
from tests.unit.core.test_verbs import asking

AT = datetime(2030, 1, 1, 12, 20, tzinfo=UTC)  # the hours run from :20 to :20
MINUTE = timedelta(minutes=1)
COVERING = {"weightPercent": 10, "minDuration": "2m", "maxDuration": "48h", "covers": ["DailyPeak"]}
SPEC = {"steps": [COVERING, {"weightPercent": 100, "minDuration": "2m"}]}
NOON = 12 * 60


def hour(requests: int) -> Counts:
    return Counts(requests, requests // 100, {"latency": requests // 100}, {})


def hours(**of: int) -> list[Counts | None]:
    """24 hours that end at AT, oldest first; `h2=500` is the one that ended two hours before AT."""
    return [hour(of.get(f"h{back}", 100)) for back in range(23, -1, -1)]


def test_the_busiest_hour_is_the_one_with_most_requests() -> None:
    assert busiest(AT, hours(h2=500)) == (9 * 60 + 20,)
    assert busiest(AT, hours(h0=500)) == (11 * 60 + 20,)
    assert busiest(AT, hours(h23=500)) == (NOON + 20,)
    assert told(busiest(AT, hours(h2=500))) == "09:20-10:20 UTC"


def test_hours_within_five_percent_are_as_busy() -> None:
    assert busiest(AT, hours(h2=1000, h3=950, h4=949)) == (8 * 60 + 20, 9 * 60 + 20)
    assert len(busiest(AT, hours())) == 24
    assert told(busiest(AT, hours())) == "00:20-01:20, 01:20-02:20, 02:20-03:20 and 21 more UTC"


def test_over_a_week_the_mean_of_the_days_counts() -> None:
    week = [*hours(h2=900), *hours(h2=900), *hours(h5=1000)]
    assert busiest(AT, week) == (9 * 60 + 20,)


def test_an_hour_that_was_never_counted_may_be_the_busiest() -> None:
    lacking_one = [None, *hours(h2=500)[1:]]
    assert busiest(AT, lacking_one) == ()
    assert busiest(AT, [*hours(h2=500), *lacking_one]) == (9 * 60 + 20,)
    assert busiest(AT, [hour(0)] * 24) == busiest(AT, [None] * 24) == ()


def block(start: datetime, length: timedelta = MINUTE, requests: int = 600) -> Evidence:
    return Evidence(start, start + length, counts(requests), counts(5400), 0.2)


def covered(begin: datetime, number: int, peaks: tuple[int, ...], length: timedelta = MINUTE) -> Coverage:
    found = Coverage()
    for n in range(number):
        found = found.add(block(begin + n * length, length), peaks)
    return found


@pytest.mark.parametrize(
    ("begin", "minutes", "is_enough"),
    [
        ("12:00", 54, True),
        ("12:00", 53, False),
        ("12:06", 54, True),
        ("12:07", 60, False),
        ("10:00", 180, True),
        ("13:00", 600, False),
        ("12:30", 24 * 60, False),  # half an hour today and half an hour tomorrow are no hour
        ("12:30", 25 * 60, True),
    ],
)
def test_ninety_percent_of_one_such_hour_is_enough(begin: str, minutes: int, is_enough: bool) -> None:
    start = datetime.fromisoformat(f"2030-01-01T{begin}:00+00:00")
    assert covered(start, minutes, (NOON,)).is_enough((NOON,)) is is_enough


def test_an_hour_may_lie_across_midnight_and_across_blocks() -> None:
    peaks, length = (23 * 60 + 30,), timedelta(minutes=7)
    found = covered(datetime(2030, 1, 1, 23, 25, tzinfo=UTC), 10, peaks, length)
    assert found.best == HOUR.total_seconds() and found.is_enough(peaks)


def test_a_block_without_requests_of_the_canary_shows_nothing() -> None:
    start = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
    silent = replace(block(start), canary=None)
    assert Coverage().add(silent, (NOON,)) == Coverage().add(block(start, requests=0), (NOON,)) == Coverage()
    assert Coverage().add(block(start), ()) == Coverage()


def test_what_was_seen_of_another_hour_counts_no_more_when_the_day_is_read_anew() -> None:
    found = covered(datetime(2030, 1, 1, 12, 0, tzinfo=UTC), 60, (NOON,))
    assert found.is_enough((NOON,)) and not found.is_enough((13 * 60,))
    assert found.add(block(datetime(2030, 1, 1, 13, 0, tzinfo=UTC)), (13 * 60,)).best == 60


@given(st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True), st.integers(0, 1439), st.integers(1, 3000))
def test_it_is_as_if_each_minute_was_ticked_off(of_day: list[int], begin: int, minutes: int) -> None:
    """Against a list of minutes, each hour of each day by itself."""
    peaks = tuple(60 * h for h in of_day)
    start = datetime(2030, 1, 1, tzinfo=UTC) + begin * MINUTE
    ticks: dict[tuple[int, int], int] = {}
    for at in (start + n * MINUTE for n in range(minutes)):
        if at.hour in of_day:
            ticks[at.day, at.hour] = ticks.get((at.day, at.hour), 0) + 1
    assert covered(start, minutes, peaks).best == 60 * max(ticks.values(), default=0)


def test_it_is_kept_over_a_restart_and_small() -> None:
    peaks = tuple(range(20, 1440, 60))
    evidence = fold(kept(0), migration_spec(**SPEC), blocks(20), Split(10, 1.0, peaks=peaks))
    assert evidence.covered.best > 0 and StepEvidence.parse(evidence.to_text(), mark().since) == replace(
        evidence, last=None
    )
    assert len(json.dumps(evidence.covered.to_dict())) < 300
    assert "covered" not in kept(20).to_text()


def test_a_block_whose_split_is_off_covers_nothing() -> None:
    off = tuple(replace(one, stable=counts(600)) for one in blocks(20))
    assert fold(kept(0), migration_spec(**SPEC), off, Split(10, 1.0, peaks=(NOON - 30,))).covered == Coverage()


def a_day(peaks: tuple[int, ...] = (11 * 60 + 30,), why: str = "") -> Day:
    return Day(NOW, "key", 24, {}, why, peaks)


def enough(peaks: tuple[int, ...], seconds: float) -> StepEvidence:
    return replace(kept(20), covered=Coverage(seconds, mark().since, seconds, peaks))


def test_a_step_is_not_left_before_its_evidence_holds_the_busiest_hour() -> None:
    day = a_day()
    early = decide(seen(SPEC, evidence=enough(day.peaks, 1800), blocks=(), day=day))
    assert (early.reason, early.actions) == (Reason.WAITING_FOR_DAILY_PEAK, ())
    assert early.message.endswith(
        "the step is to cover the day's busiest hour, 11:30-12:30 UTC: 30 of 54 minutes are in its evidence"
    )
    late = decide(seen(SPEC, evidence=enough(day.peaks, 3240), blocks=(), day=day))
    assert late.reason is Reason.STEPPED


def test_the_last_step_is_not_left_either() -> None:
    spec, day = {"steps": [COVERING]}, a_day()
    early = decide(seen(spec, evidence=enough(day.peaks, 3239), blocks=(), day=day))
    assert (early.reason, early.outcome) == (Reason.WAITING_FOR_DAILY_PEAK, None)
    assert decide(seen(spec, evidence=enough(day.peaks, 3240), blocks=(), day=day)).reason is Reason.PROMOTED


def test_blocks_of_this_pass_count() -> None:
    """Thirty minutes of blocks begin at 11:30:10; with what was there before, they are enough."""
    day = a_day()
    start = StepEvidence.start(mark().since, SCRAPE)
    before = replace(start, covered=Coverage(0, start.since, 1900, day.peaks))
    step = decide(seen(SPEC, evidence=before, blocks=blocks(29), day=day))
    assert step.weighing is not None and step.weighing.evidence.covered.best == 1900 + 29 * 60
    assert step.reason is Reason.STEPPED


FAST = {"name": "fast", "type": "Latency", "latency": {"percentile": "95", "max": "20ms"}}
EDITS: dict[str, dict[str, Any]] = {
    "another bound": {"objectives": [{**FAST, "name": "latency"}]},
    "another objective": {"objectives": [*migration_spec().model_dump(by_alias=True)["objectives"], FAST]},
    "longer blocks": {"decision": {"block": "2m"}},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_the_hour_is_to_be_seen_by_what_is_asked_for_now(edit: dict[str, Any]) -> None:
    """The rush was counted by what the spec asked for then: at night eight good blocks of the new are no peak."""
    peaks = a_day().peaks
    after = fold(enough(peaks, 3600), migration_spec(**SPEC, **edit), (), Split(10, 1.0, 2, peaks=peaks))
    assert lacking(after.covered, peaks)
    same = fold(enough(peaks, 3600), migration_spec(**SPEC), (), Split(10, 1.0, 2, peaks=peaks))
    fewer = {"objectives": migration_spec().model_dump(by_alias=True)["objectives"][:1]}
    without = fold(enough(peaks, 3600), migration_spec(**SPEC, **fewer), (), Split(10, 1.0, 2, peaks=peaks))
    assert [lacking(one.covered, peaks) for one in (same, without)] == ["", ""]


CPU = {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}}
QUERY = {"name": "queue", "type": "Query", "query": {"promQL": "queue", "max": "200"}}
SHORTER = {**QUERY, "query": {"promQL": "queue", "max": "100"}}


@pytest.mark.parametrize(
    ("asked", "now"),
    [
        ([FAST], [FAST, CPU]),
        ([FAST], [FAST, QUERY]),
        ([FAST, QUERY], [FAST, SHORTER]),
        ([CPU], [CPU, FAST]),
        ([CPU, QUERY], [CPU, QUERY, FAST]),
    ],
    ids=["CPU", "a query", "another bound of a query", "latency beside CPU", "latency beside a query"],
)
def test_of_an_objective_more_nothing_of_the_hour_was_seen(asked: list[Any], now: list[Any]) -> None:
    peaks = a_day().peaks
    of, read = Split(10, 1.0, 2, peaks=peaks), tuple(replace(one, readings={"queue": 1.0}) for one in blocks(3))
    start = StepEvidence.start(mark().since, SCRAPE)
    evidence = replace(
        fold(start, migration_spec(**SPEC, objectives=asked), read, of), covered=enough(peaks, 3600).covered
    )
    kept_on = fold(evidence, migration_spec(**SPEC, objectives=asked), (), of)
    after = fold(evidence, migration_spec(**SPEC, objectives=now), (), of)
    assert (lacking(kept_on.covered, peaks), bool(lacking(after.covered, peaks))) == ("", True)
    earlier = fold(replace(evidence, counted={}, block=0.0), migration_spec(**SPEC, objectives=asked), (), of)
    assert lacking(earlier.covered, peaks) == "", "an upgrade takes nothing away"


UNKNOWN: list[tuple[str, Day | None, str]] = [
    ("not read", None, "stable's day was not read yet"),
    (
        "too few hours",
        a_day((), "of stable's last 24 hours too few are in the metric source"),
        "of stable's last 24 hours too few are in",
    ),
    ("an hour is missing", a_day(()), "an hour of the day was counted on no day; a longer spec.decision.baseline"),
]


@pytest.mark.parametrize(
    "changes", [NO_WEIGHT, {"evidence": enough((), 3600), "blocks": ()}], ids=["no weight", "on it"]
)
@pytest.mark.parametrize(("day", "says"), [case[1:] for case in UNKNOWN], ids=[case[0] for case in UNKNOWN])
def test_while_it_is_not_known_no_weight_rises(day: Day | None, says: str, changes: dict[str, Any]) -> None:
    step = decide(seen(**changes, spec=SPEC, day=day))
    assert step.reason is Reason.WAITING_FOR_DAILY_PEAK and not any(isinstance(a, SetSplit) for a in step.actions)
    assert f"the day's busiest hour, which is not known: {says}" in step.message


def test_once_no_step_is_left_that_covers_it_nothing_waits_for_it() -> None:
    plain = {"minDuration": "2m"}
    on_it = {"steps": [COVERING, {"weightPercent": 50, **plain}]}
    assert decide(seen(on_it, evidence=kept(20), blocks=(), day=None)).reason is Reason.WAITING_FOR_DAILY_PEAK
    coming = {"steps": [{"weightPercent": 10, **plain}, {**COVERING, "weightPercent": 50}]}
    assert decide(seen(coming, evidence=kept(20), blocks=(), day=None)).reason is Reason.WAITING_FOR_DAILY_PEAK
    assert decide(seen(coming, evidence=kept(20), blocks=(), day=a_day())).reason is Reason.STEPPED
    over = {"steps": [{**COVERING, "weightPercent": 5}, *({"weightPercent": weight, **plain} for weight in (10, 50))]}
    assert decide(seen(over, evidence=kept(20), blocks=(), day=None)).reason is Reason.STEPPED


def test_a_person_may_promote_without_it() -> None:
    day = a_day()
    step = decide_asked(
        asking("promote", changes={"spec": SPEC, "evidence": enough(day.peaks, 0), "blocks": (), "day": day})
    )
    assert step.reason is Reason.PROMOTED_BY_HAND


def test_the_day_is_read_again_while_the_busiest_hour_is_not_known() -> None:
    spec = migration_spec(**SPEC)
    assert not is_due(a_day(), spec, NOW + ASK_AGAIN)
    assert is_due(a_day(()), spec, NOW + ASK_AGAIN) and not is_due(a_day(()), spec, NOW + ASK_AGAIN - MINUTE)
    assert not is_due(a_day(()), migration_spec(), NOW + ASK_AGAIN)
    cpu = [{"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}}]
    assert is_due(None, migration_spec(**SPEC, objectives=cpu), NOW)


def test_the_day_remembers_it() -> None:
    found = replace(make_day(AT, "key", migration_spec(**SPEC), hours()), peaks=(9 * 60 + 20,), peaks_key="whose")
    assert found.to_status()["busiest"] == "09:20-10:20 UTC"
    assert Day.parse(found.to_status(), "key") == found
    old = found.to_status()
    old["statistics"] = json.dumps({k: v for k, v in json.loads(old["statistics"]).items() if k != "peaks"})
    of_before = Day.parse(old, "key")
    assert of_before is not None and of_before.peaks == ()


def test_it_is_kept_when_the_baseline_is_of_another_bound_and_not_when_it_is_of_something_else() -> None:
    status = replace(a_day(), peaks_key="whose").to_status()
    assert kept_peaks(status, "whose") == a_day().peaks
    assert kept_peaks(status, "another's") == kept_peaks(None, "whose") == kept_peaks({}, "whose") == ()
    assert kept_peaks({"statistics": '{"peaks": [720]}'}, "") == (), "by a release that counted stable alone"
    bound = [{"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": "40ms"}}]
    spec, week = migration_spec(**SPEC), migration_spec(**SPEC, decision={"baseline": {"window": "168h"}})
    assert peaks_key_of("arms", spec) == peaks_key_of("arms", migration_spec(**SPEC, objectives=bound))
    assert len({peaks_key_of("arms", spec), peaks_key_of("others", spec), peaks_key_of("arms", week)}) == 3


def test_what_can_never_be_covered_is_refused() -> None:
    with pytest.raises(ValidationError, match="a step that covers DailyPeak may have to wait a day for it; set maxDur"):
        StepSpec.model_validate({**COVERING, "maxDuration": "23h59m"})
    assert StepSpec.model_validate({"weightPercent": 10, "covers": ["DailyPeak"]}).max_duration == "24h"
    with pytest.raises(ValidationError, match="covers needs a day of stable; set decision"):
        migration_spec(**SPEC, decision={"baseline": {"policy": "None"}})


def test_the_earliest_end_of_a_busiest_hour() -> None:
    noon = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
    assert earliest(noon - 3 * HOUR, (NOON,), Coverage()) == noon + 54 * MINUTE
    assert earliest(noon + 6 * MINUTE, (NOON,), Coverage()) == noon + 54 * MINUTE
    assert earliest(noon + 7 * MINUTE, (NOON,), Coverage()) == noon + timedelta(days=1, minutes=54)
    begun = covered(noon, 30, (NOON,))
    assert earliest(noon + 30 * MINUTE, (NOON,), begun) == noon + 54 * MINUTE
    done = covered(noon, 60, (NOON,))
    assert earliest(noon + 3 * HOUR, (NOON,), done) == noon + 3 * HOUR
    assert earliest(noon, (), Coverage()) is None
    assert lacking(done, (NOON,)) == ""


def test_the_forecast_waits_for_the_busiest_hour() -> None:
    """The mark is of 11:30; the busiest hour begins at 20:00, and each of two steps is to see one."""
    spec = {"steps": [COVERING, {**COVERING, "weightPercent": 100}]}
    found = forecast_told(**spec, peaks=(20 * 60,))
    assert found is not None
    assert found.step_end == datetime(2030, 1, 1, 20, 54, tzinfo=UTC)
    assert found.end == found.latest_end == datetime(2030, 1, 2, 20, 54, tzinfo=UTC)
    assert forecast_told(**spec) is None
    assert forecast_told(steps=[{"weightPercent": 10}, COVERING | {"weightPercent": 100}]) is None


def test_status_tells_the_forecast_with_the_busiest_hour() -> None:
    world = seen(SPEC, day=a_day((20 * 60,)), owner=owner())
    fields = summarise(world, decide(world), None)[3]
    assert (
        fields["forecast"]["stepEnd"] == "2030-01-01T20:54:00Z" and fields["baseline"]["busiest"] == "20:00-21:00 UTC"
    )
