"""Conditions: all of them, always, in order; a transition time moves only with the status."""

from __future__ import annotations

from datetime import datetime, timedelta

from changeover.core.conditions import is_true, merge, parse_timestamp, timestamp
from changeover.core.plan import Judgement
from changeover.testing.clock import START
from hypothesis import given
from hypothesis import strategies as st

LATER = START + timedelta(minutes=1)
ORDER = ("Ready", "Finished")
YES, NO = Judgement(True, "Yes", "it is"), Judgement(False, "No", "it is not")


def test_all_conditions_are_there_from_the_first_visit() -> None:
    first = merge([], {"Ready": YES}, ORDER, 3, START)
    assert [(c["type"], c["status"], c["reason"]) for c in first] == [
        ("Ready", "True", "Yes"), ("Finished", "Unknown", "Pending"),
    ]  # fmt: skip
    assert {c["observedGeneration"] for c in first} == {3}


def test_the_transition_time_moves_only_when_the_status_changes() -> None:
    first = merge([], {"Ready": NO, "Finished": NO}, ORDER, 1, START)
    other_reason = merge(first, {"Ready": Judgement(False, "Other", "still not"), "Finished": YES}, ORDER, 2, LATER)
    ready, finished = other_reason
    assert (ready["lastTransitionTime"], ready["reason"]) == (timestamp(START), "Other")
    assert finished["lastTransitionTime"] == timestamp(LATER)


def test_a_message_is_cut_to_what_the_api_server_takes() -> None:
    [ready, _] = merge([], {"Ready": Judgement(False, "No", "the gateway says " + "x" * 32_768)}, ORDER, 1, START)
    assert len(ready["message"]) == 32_768


def test_what_is_not_judged_stays_as_it_was() -> None:
    first = merge([], {"Ready": YES}, ORDER, 1, START)
    assert merge(first, {}, ORDER, 2, LATER)[0] == first[0]


def test_unknown_types_are_dropped_and_merging_twice_changes_nothing() -> None:
    odd = [{"type": "Odd", "status": "True", "reason": "X", "message": "", "lastTransitionTime": "x"}]
    once = merge(odd, {"Ready": YES}, ORDER, 1, START)
    assert [c["type"] for c in once] == list(ORDER)
    assert merge(once, {"Ready": YES}, ORDER, 1, LATER) == once


def test_is_true_needs_the_condition_to_be_there() -> None:
    merged = merge([], {"Ready": YES, "Finished": NO}, ORDER, 1, START)
    assert [is_true(merged, name) for name in ("Ready", "Finished", "Missing")] == [True, False, False]


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(START.tzinfo)))
def test_timestamps_have_whole_seconds_and_read_back(moment: object) -> None:
    from datetime import datetime

    assert isinstance(moment, datetime)
    moment = moment.replace(year=max(1000, moment.year))
    assert parse_timestamp(timestamp(moment)) == moment.replace(microsecond=0)
