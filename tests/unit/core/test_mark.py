"""The mark reads back what it wrote, and anything else is no mark."""

from __future__ import annotations

import json
from typing import Any

import pytest
from changeover.core.mark import MESSAGE_LENGTH, REASON_LENGTH, Mark

from tests.unit.core.seen import mark


def test_a_mark_survives_json_to_the_microsecond() -> None:
    told = mark(since=mark().since.replace(microsecond=123456))
    assert Mark.parse(json.loads(json.dumps(told.to_dict()))) == told


@pytest.mark.parametrize(
    "broken",
    [
        None, {}, [], {"phase": "Flying"}, {**mark().to_dict(), "phase": "Flying"}, {**mark().to_dict(), "step": "x"},
        {**mark().to_dict(), "since": "yesterday"}, {**mark().to_dict(), "since": None},
        {**mark().to_dict(), "weight": 101}, {**mark().to_dict(), "step": -1},
        {k: v for k, v in mark().to_dict().items() if k != "generation"},
    ],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_no_mark(broken: Any) -> None:
    assert Mark.parse(broken) is None


def test_a_long_message_is_cut_to_what_an_annotation_should_hold() -> None:
    assert len(mark(message="x" * 5000).to_dict()["message"]) == MESSAGE_LENGTH


@pytest.mark.parametrize("reason", [["x"] * 3000, {"a": "x" * 3000}, "x" * 3000], ids=["list", "object", "text"])
def test_a_reason_that_somebody_else_wrote_is_one_that_status_takes(reason: Any) -> None:
    untold = [{"at": "2030-01-01T12:00:00Z", "from": 0, "to": 10, "reason": reason, "message": reason}]
    told = Mark.parse({**mark().to_dict(), "reason": reason, "message": reason, "untold": untold})
    assert told is not None
    assert {len(one.reason) for one in (told, *told.untold)} == {REASON_LENGTH}
    assert {len(one.message) for one in (told, *told.untold)} == {MESSAGE_LENGTH}


def test_a_time_without_a_zone_is_utc() -> None:
    told = Mark.parse({**mark().to_dict(), "since": "2030-01-01T11:30:00"})
    assert told is not None and told.since == mark().since
