"""What somebody else, or an earlier release, wrote into a status counts as not there where it is malformed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from changeover.adapters.load.jobs import parse_report
from changeover.adapters.routers.gateway_api import parse_route
from changeover.core import names, record_store
from changeover.core.conditions import parse_stored
from changeover.core.evidence import StepEvidence
from changeover.core.mark import Mark
from changeover.core.observed import LoadFailed
from changeover.core.stored import known_status
from changeover.ports import BackendPort, SplitTarget

GOOD = {"observedGeneration": 3, "attempt": 2, "paused": True}
DEEP = "[" * 100_000
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "bad",
    [
        {"history": "x"}, {"gates": 1.5}, {"objectives": [None]}, {"outcome": {}}, {"step": [[]]}, {"unknown": 1},
        {"conditions": [{"type": "Ready"}]}, {"notifications": [{"at": "2026-13-45T99:99:99Z"}]},
        {"estimatedEnd": "9999-12-31T23:59:59Z"}, {"history": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_malformed_field_is_left_out_and_the_others_are_kept(bad: dict[str, Any]) -> None:
    assert known_status("CanaryMigration", {**GOOD, **bad}) == GOOD


@pytest.mark.parametrize("status", [None, "x", [], 7])
def test_a_status_that_is_none_is_empty(status: Any) -> None:
    assert known_status("FrameworkBenchmark", status) == {}


def test_endless_brackets_and_infinite_numbers_are_no_mark() -> None:
    metadata = {"name": "shop", "namespace": "shop", "annotations": {names.ANNOTATION_MARK: DEEP}}
    arm = BackendPort("old", 80)
    assert parse_route({"metadata": metadata}, SplitTarget("shop", "shop", "shop", arm, arm, ())).mark is None
    assert Mark.parse({"phase": "Stepping", "step": float("inf")}) is None
    assert StepEvidence.parse(DEEP, NOW) is None
    assert StepEvidence.parse(json.dumps({"since": "9999-12-31T23:59:59Z"}), NOW) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "x"])
def test_a_year_with_which_nothing_can_be_reckoned_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=text[:4]):
        parse_stored(text)


@pytest.mark.parametrize("text", ["{}", "NaN", "[]", "", '{"at": "x"}', DEEP])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        record_store.parse_record(text)


def test_a_log_that_is_no_report_is_a_failure() -> None:
    assert isinstance(parse_report("{" + DEEP, "Complete"), LoadFailed)
