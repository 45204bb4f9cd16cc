"""A run that was not measured fairly says why."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core.audit import make_record, void_reasons
from changeover.core.observed import LoadFailed, LoadReport, NoData, Unreadable, Usage
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.unit.core.seen import USAGE, pod, workload

FAILED = {"connect": 0, "read": 200, "write": 0, "timeout": 0, "status": 0}
NONE = dict.fromkeys(FAILED, 0)


@pytest.mark.parametrize(
    ("report", "usage", "restarts", "reasons"),
    [
        pytest.param({}, USAGE, 0, [], id="a fair run has none"),
        pytest.param({"errors": FAILED}, USAGE, 0, ["Errors"], id="more than one in a hundred failed"),
        pytest.param({"errors": {**NONE, "read": 80}}, USAGE, 0, [], id="one in a hundred may fail"),
        pytest.param({"succeeded": 0}, USAGE, 0, ["Errors"], id="nothing was answered"),
        pytest.param({"generatorCPU": {"cores": 0.71}}, USAGE, 0, ["LoadGeneratorSaturated"], id="generator was busy"),
        pytest.param({"littleRatio": 1.03}, USAGE, 0, ["LittleLaw"], id="it contradicts Little's law"),
        pytest.param({"littleRatio": 1.03, "mode": "open"}, USAGE, 0, [], id="an open loop is not under that law"),
        pytest.param({"littleRatio": None}, USAGE, 0, [], id="no ratio is no contradiction"),
        pytest.param({}, NoData("none"), 0, ["MetricsMissing"], id="no CPU"),
        pytest.param({}, Unreadable("down"), 0, ["MetricsMissing"], id="Prometheus did not answer"),
        pytest.param({}, USAGE, 2, ["CandidateRestarted"], id="the candidate restarted"),
        pytest.param({}, USAGE, None, ["CandidateGone"], id="the pod was gone"),
        pytest.param(
            {"errors": FAILED, "littleRatio": 2.0}, NoData("none"), 1,
            ["Errors", "LittleLaw", "MetricsMissing", "CandidateRestarted"], id="all at once",
        ),
    ],
)  # fmt: skip
def test_reasons(report: dict[str, Any], usage: Usage | NoData | Unreadable, restarts: Any, reasons: list[str]) -> None:
    found = void_reasons(LoadReport(a_report(**report)), usage, restarts)
    assert [text.split(":")[0] for text in found] == reasons


def test_a_failed_load_says_the_loaders_own_reason_and_nothing_else() -> None:
    assert void_reasons(LoadFailed("refused"), NoData("none"), None) == ["LoadFailed: refused"]


def test_a_refused_latency_is_remarked_and_does_not_void_the_throughput() -> None:
    report = LoadReport(a_report(latency=None, littleRatio=None, latencyRefused="too few samples"))
    record = make_record(Run(1, "fast", "keep-alive"), report, USAGE, workload())
    assert record["remarks"] == ["LatencyUnknown: too few samples"]
    assert record["void"] == []


def test_unknown_is_kept_as_null_never_as_zero() -> None:
    record = make_record(Run(1, "fast", "keep-alive"), LoadReport(a_report()), NoData("none"), None)
    assert (record["cpuCores"], record["memoryPeakBytes"], record["cpuSpanSeconds"]) == (None, None, None)
    assert (record["node"], record["imageID"]) == ("", "")
    known = make_record(Run(1, "fast", "keep-alive"), LoadReport(a_report()), USAGE, workload(pods=(pod(),)))
    assert (known["cpuCores"], known["node"]) == (USAGE.cpu_cores, "node-1")
