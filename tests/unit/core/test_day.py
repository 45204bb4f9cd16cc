"""A day of stable: read once, kept, and used to tell a shared load from a bad canary."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.conditions import timestamp
from changeover.core.day import ASK_AGAIN, Day, is_due, key_of, make_day, was_alone
from changeover.core.design import Baseline
from changeover.core.migration import decide
from changeover.core.observed import Counts

from tests.unit.core.seen import NOW, blocks, counts, mark, migration_spec, route, seen

KEY = "0badcafe"
HOURS = [Counts(360_000, 360, {"latency": 1800 + 20 * (hour % 2)}, {}) for hour in range(24)]


def day(counted: list[Counts | None] | None = None, alone: bool = True, **spec: Any) -> Day:
    return make_day(NOW, KEY, migration_spec(**spec), HOURS if counted is None else counted, alone)


def test_the_rates_are_those_of_the_whole_day_with_what_the_hours_differ_by() -> None:
    found = day()
    assert (found.hours, found.why) == (24, "")
    assert found.baselines["errors"].p == pytest.approx(0.001)
    assert found.baselines["latency"].p == pytest.approx(1810 / 360_000, rel=1e-5)
    latency = found.baselines["latency"]
    assert 0.98 * latency.p < latency.p_lo < latency.p < latency.p_hi < 1.02 * latency.p


def test_a_few_hours_may_be_missing_and_more_may_not() -> None:
    assert day([None] * 4 + HOURS[4:]).hours == 20
    lacking = day([None] * 5 + HOURS[5:])
    assert (lacking.hours, dict(lacking.baselines)) == (0, {})
    assert lacking.message == (
        "a daily cycle of load is not guarded against: of stable's last 24 hours too few are in the metric source"
    )


IDLE = Counts(0, 0, {"latency": 0}, {})


def test_hours_in_which_nobody_asks_are_hours_of_the_day() -> None:
    """A shop that is closed at night: with policy Require it would wait for ever."""
    found = day([*[IDLE] * 14, *HOURS[14:]])
    assert (found.hours, found.why, set(found.baselines)) == (24, "", {"errors", "latency"})
    assert found.baselines["latency"].p == pytest.approx(1810 / 360_000, rel=1e-5)
    assert day([*[None] * 5, *[IDLE] * 5, *HOURS[10:]]).why


def test_where_the_canary_may_have_had_the_requests_an_hour_without_any_is_none() -> None:
    assert day([*[IDLE] * 5, *HOURS[5:]], alone=False).hours == 0


def change(hours_ago: float, from_: int, to: int) -> dict[str, Any]:
    return {"at": timestamp(NOW - timedelta(hours=hours_ago)), "from": from_, "to": to, "reason": "R", "message": "m"}


@pytest.mark.parametrize(
    ("history", "alone"),
    [
        ([], True),
        ([change(30, 0, 10), change(25, 10, 0)], True),
        ([change(30, 0, 10), change(23, 10, 0)], False),
        ([change(30, 0, 10)], False),
        ([change(30, 0, 10), change(25, 10, 0), change(1, 0, 0)], True),  # aborted before it had weight again
    ],
)
def test_stable_was_alone_when_no_canary_had_weight_within_the_window(history: list[Any], alone: bool) -> None:
    """A day after a rollback a bound is edited: with policy Require a shop that is closed at night waited for ever."""
    assert was_alone(history, migration_spec(), NOW) is alone
    week = {"decision": {"baseline": {"window": "168h"}}}
    assert was_alone(history, migration_spec(**week), NOW) is (not history)


def test_a_day_in_which_hardly_anybody_asked_says_nothing() -> None:
    found = day([*[IDLE] * 17, *HOURS[17:]])
    assert (found.hours, dict(found.baselines)) == (0, {})
    assert found.why == "stable had requests in 7 of its last 24 hours, and 8 are needed"


def test_a_target_with_too_few_bad_requests_has_no_rate_and_the_others_have() -> None:
    found = day([Counts(360_000, 0, {"latency": 1800}, {})] * 24)
    assert set(found.baselines) == {"latency"}
    assert found.message == "from 24 hours of stable: latency"


@pytest.mark.parametrize("found", [day(), day([None] * 24)])
def test_it_outlives_a_restart_and_belongs_to_what_it_was_read_of(found: Day) -> None:
    assert Day.parse(found.to_status(), KEY) == found
    assert Day.parse(found.to_status(), "another") is None
    assert Day.parse(None, KEY) is None


def test_another_stable_another_bound_or_another_window_is_another_reading() -> None:
    stricter = [{"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": "40ms"}}]
    week = {"decision": {"baseline": {"window": "168h"}}}
    keys = {
        key_of("arms", migration_spec()),
        key_of("others", migration_spec()),
        key_of("arms", migration_spec(objectives=stricter)),
        key_of("arms", migration_spec(**week)),
    }
    assert len(keys) == 4
    assert key_of("arms", migration_spec(suspend=True)) in keys


@pytest.mark.parametrize(
    ("policy", "kept", "due"),
    [
        ("UseWhenPresent", None, True),
        ("UseWhenPresent", day([None] * 24), False),
        ("Require", None, True),
        ("Require", day(), False),
        ("Require", day([None] * 24), False),
        ("Require", replace(day([None] * 24), at=NOW - ASK_AGAIN), True),
        ("None", None, False),
    ],
)
def test_it_is_asked_once_and_where_it_is_required_again(policy: str, kept: Day | None, due: bool) -> None:
    assert is_due(kept, migration_spec(decision={"baseline": {"policy": policy}}), NOW) is due


def test_without_a_target_of_requests_it_is_not_asked_for() -> None:
    cpu = [{"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}}]
    assert not is_due(None, migration_spec(objectives=cpu), NOW)
    # Required is that stable is known for so long: without a reading no weight would ever be set.
    assert is_due(None, migration_spec(objectives=cpu, **REQUIRED), NOW)


REQUIRED = {"decision": {"baseline": {"policy": "Require"}}}


@pytest.mark.parametrize(
    ("kept", "reason"),
    [(None, Reason.WAITING_FOR_BASELINE), (day([None] * 24), Reason.WAITING_FOR_BASELINE), (day(), Reason.STEPPED)],
)
def test_where_it_is_required_no_weight_is_set_without_it(kept: Day | None, reason: Reason) -> None:
    step = decide(seen(REQUIRED, day=kept, route=route(mark(0, 0)), blocks=()))
    assert step.reason is reason, step.message


def test_both_arms_bad_at_once_is_a_shared_incident_and_without_a_day_a_bad_canary() -> None:
    """Six times stable's usual rate on either arm."""
    usual = Baseline(0.002, 0.0021, 0.0019)
    both = tuple(replace(b, canary=counts(600, slow=9), stable=counts(5400, slow=65)) for b in blocks(12))
    known = Day(NOW, KEY, 24, {"latency": usual})
    assert decide(seen(blocks=both, day=known)).reason is Reason.SHARED_INCIDENT
    assert decide(seen(blocks=both)).reason is not Reason.SHARED_INCIDENT
