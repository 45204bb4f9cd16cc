"""The report's arithmetic and its JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from changeover.loader import report
from changeover.loader.histogram import BINNED, ROUNDED
from changeover.loader.report import Errors, Measurement, Surroundings, Window

SURROUNDINGS = Surroundings(0.5, 1.5, 0.2, 3, 0.25, 360, 359)
CONTEXT: dict[str, Any] = {
    "generator": {"name": "wrk", "version": "4.1.0"},
    "mode": "closed",
    "connections": 10,
    "keepAlive": True,
}


def measured(**changes: Any) -> Measurement:
    buckets = [(1_000, 90), (9_000, 10)]
    values: dict[str, Any] = {
        "window": Window(100.0, 102.0, 0.001),
        "duration": 2.0,
        "requests": 100,
        "succeeded": 95,
        "errors": Errors(status=5),
        "bytes_received": 1_300,
        "latency": report.summarise(buckets),
        "buckets": buckets,
        "service_mean": 0.0018,
    }
    return Measurement(**{**values, **changes})


@pytest.mark.parametrize(
    ("throughput", "mean", "connections", "ratio"),
    [
        (340_130.92, 0.00122, 360, 1.1527),  # the published table's first row breaks the law
        (139_412.13, 0.00258, 360, 0.9991),
        (100.0, None, 10, None),
    ],
)
def test_littles_law(throughput: float, mean: float | None, connections: int, ratio: float | None) -> None:
    found = report.little_ratio(throughput, mean, connections)
    assert found == (None if ratio is None else pytest.approx(ratio, abs=0.001))


def test_a_failed_request_is_not_speed_but_occupies_a_connection() -> None:
    found = report.as_json(measured(), SURROUNDINGS, CONTEXT)
    assert found["requestsPerSecond"] == 47.5
    assert found["littleRatio"] == pytest.approx(50 * 0.0018 / 10)


def test_what_was_awaited_after_the_window_is_no_contradiction() -> None:
    """10 connections all stall at the end of a window of 2 s, and are answered 3 s later: 5 s for 10 requests each."""
    stalled = measured(service_mean=0.5, awaited=5.0)
    assert report.as_json(stalled, SURROUNDINGS, CONTEXT)["littleRatio"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("message", "lacks"),
    [
        ("Cannot assign requested address (os error 99)", True),
        ("Address already in use (os error 98)", True),
        ("Too many open files (os error 24)", True),
        ("Connection refused (os error 111)", False),
        ("timeout", False),
    ],
)
def test_what_the_generator_lacks_is_told_from_what_the_target_does(message: str, lacks: bool) -> None:
    assert report.lacked({"errorMessages": {message: 7, "connection error": 1}}) == (7 if lacks else 0)
    assert report.lacked({}) == 0


def test_the_summary_of_a_histogram() -> None:
    found = report.summarise([(1_000, 990), (5_000, 9), (9_000, 1)])
    assert (found.p50, found.p90, found.p99, found.p999, found.max) == (0.001, 0.001, 0.001, 0.005, 0.009)
    assert found.mean == pytest.approx(0.001044)


@pytest.mark.parametrize(
    ("rate", "errors", "expected"),
    [
        (None, Errors(), None),
        (60.0, Errors(), 20),
        (60.0, Errors(status=5), 20),  # answered, so already among the requests
        (60.0, Errors(timeout=15, connect=5), 0),
        (40.0, Errors(), 0),
    ],
)
def test_unsent_is_scheduled_less_answered_less_failed(
    rate: float | None, errors: Errors, expected: int | None
) -> None:
    assert report.unsent(rate, 2, measured(errors=errors)) == expected


def test_the_json_has_every_field_of_version_1_and_no_nan() -> None:
    found = report.as_json(measured(), SURROUNDINGS, CONTEXT)
    text = json.dumps(found, allow_nan=False)
    assert found["version"] == 1
    assert set(json.loads(text)) == {
        *("version", "generator", "mode", "connections", "keepAlive"),
        *("windowStart", "windowEnd", "windowUncertaintySeconds", "durationSeconds"),
        *("requests", "succeeded", "errors", "errorMessages", "requestsPerSecond"),
        *(
            "latency",
            "latencyRefused",
            "histogramKind",
            "histogramDigits",
            "histogramMergeable",
            "histogram",
            "bytesReceived",
        ),
        *("generatorCPU", "generatorThrottling", "littleRatio", "connectionsOpened", "connectionsAlive"),
    }
    assert found["errors"] == {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 5}
    assert set(found["latency"]) == {"mean", "p50", "p90", "p99", "p999", "max"}
    assert found["histogram"] == [[1_000, 90], [9_000, 10]]
    assert found["generatorCPU"] == {"userSeconds": 0.5, "systemSeconds": 1.5, "cores": 0.2}
    assert found["generatorThrottling"] == {"periods": 3, "seconds": 0.25}


def test_a_refused_latency_is_null_and_says_why() -> None:
    refused = measured(latency=None, latency_refused="32 timeouts", buckets=[], service_mean=None)
    found = report.as_json(refused, SURROUNDINGS, CONTEXT)
    assert (found["latency"], found["histogram"], found["littleRatio"]) == (None, [], None)
    assert found["latencyRefused"] == "32 timeouts"


@pytest.mark.parametrize(
    ("kind", "histogram", "digits", "mergeable"),
    [(ROUNDED, [[1_230, 2], [50_000, 1]], 3, True), (BINNED, [[1_234, 2], [50_001, 1]], None, False)],
)
def test_the_kind_of_histogram_is_said(kind: str, histogram: list[list[int]], digits: int, mergeable: bool) -> None:
    buckets = [(1_234, 2), (50_001, 1)]
    found = report.as_json(measured(buckets=buckets, histogram_kind=kind), SURROUNDINGS, CONTEXT)
    assert found["histogram"] == histogram
    assert (found["histogramKind"], found["histogramDigits"], found["histogramMergeable"]) == (kind, digits, mergeable)
