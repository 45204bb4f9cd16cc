"""A run that was not measured fairly says why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from changeover.core.audit import Fixed, is_own_fault, make_record, report_reasons, void_reasons
from changeover.core.observed import LoadFailed, LoadReport, NoData, Unreadable, Usage
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.unit.core.seen import USAGE, pod, workload

FAILED = {"connect": 0, "read": 200, "write": 0, "timeout": 0, "status": 0}
NONE = dict.fromkeys(FAILED, 0)
KEPT = {"connections": 360, "keepAlive": True}
NEW = {"connections": 360, "keepAlive": False, "requests": 1000}
OPEN = {"mode": "open", "rate": 1000.0, "requestsPerSecond": 1000.0}
FEW = {"mode": "open", "rate": 20.0, "requestsPerSecond": 20.0, "requests": 300, "succeeded": 300}
ONE, TWO = "1" * 64, "2" * 64
NO_PORT = {"errors": {**NONE, "connect": 200}, "errorMessages": {"Cannot assign requested address (os error 99)": 200}}
THROTTLED = replace(USAGE, throttled_share=0.06)


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
        pytest.param({**KEPT, "connectionsAlive": 341}, USAGE, 0, ["ConnectionsLost"], id="connections were lost"),
        pytest.param({**KEPT, "connectionsAlive": 342}, USAGE, 0, [], id="one in twenty may be"),
        pytest.param({**KEPT, "connectionsAlive": None}, USAGE, 0, [], id="nobody counted the connections"),
        pytest.param({**KEPT, **FEW, "connectionsAlive": 300}, USAGE, 0, [],
                     id="fewer requests than connections open no more than they are"),
        pytest.param({**KEPT, **FEW, "mode": "ramp", "connectionsAlive": 300}, USAGE, 0, [], id="so in a ramp"),
        pytest.param({**KEPT, **FEW, "connectionsAlive": 40}, USAGE, 0, [],
                     id="a server may close after 2 s one that is asked every 18 s"),
        pytest.param({**KEPT, **FEW, "connectionsAlive": 18}, USAGE, 0, ["ConnectionsLost"],
                     id="as many as are asked within a second may not be lost"),
        pytest.param({**KEPT, **FEW, "rate": 360.0, "requestsPerSecond": 360.0, "connectionsAlive": 284}, USAGE, 0,
                     ["ConnectionsLost"], id="of few requests that are soon over one in twenty may be lost, too"),
        pytest.param({**KEPT, **FEW, "connectionsOpened": 1500, "requests": 1500}, USAGE, 0, [],
                     id="and opened anew when it is asked again"),
        pytest.param({**KEPT, **OPEN, "connectionsOpened": 722}, USAGE, 0, ["NotKeptAlive"],
                     id="but not while it is asked twice a second"),
        pytest.param({**KEPT, **FEW, "mode": "closed", "connectionsAlive": 300}, USAGE, 0, ["ConnectionsLost"],
                     id="a closed loop opens them all at once"),
        pytest.param({**KEPT, "connectionsOpened": 722}, USAGE, 0, ["NotKeptAlive"], id="connections were opened anew"),
        pytest.param({**KEPT, "connectionsOpened": 722, "requests": 72200}, USAGE, 0, [],
                     id="a server may close a connection after a hundred answers"),
        pytest.param({**NEW, "connectionsOpened": 899}, USAGE, 0, ["KeptAlive"], id="connections were used again"),
        pytest.param({**NEW, "connectionsOpened": 1000}, USAGE, 0, [], id="each request had its own connection"),
        pytest.param({**OPEN, "requestsPerSecond": 949.0}, USAGE, 0, ["RateNotReached"], id="the rate was not reached"),
        pytest.param({**OPEN, "requestsPerSecond": 500.0, "generatorCPU": {"cores": 0.8}}, USAGE, 0,
                     ["LoadGeneratorSaturated"], id="a saturated generator's rate is not the candidate's fault"),
        pytest.param({**OPEN, "requestsPerSecond": 951.0}, USAGE, 0, [], id="the rate was reached"),
        pytest.param({"generatorThrottling": {"periods": 3}}, USAGE, 0, ["LoadGeneratorSaturated"],
                     id="the generator was throttled"),
        pytest.param(NO_PORT, USAGE, 0, ["LoadGeneratorSaturated"], id="a port that the generator lacks is no error"),
        pytest.param({**NO_PORT, "errors": {**NONE, "connect": 200, "read": 200}}, USAGE, 0,
                     ["Errors", "LoadGeneratorSaturated"], id="beside it there may be errors"),
        pytest.param({**NO_PORT, "errorMessages": {"Connection refused (os error 111)": 200}}, USAGE, 0, ["Errors"],
                     id="a refused connection is one"),
        pytest.param({**NO_PORT, **OPEN, "requestsPerSecond": 800.0}, USAGE, 0, ["LoadGeneratorSaturated"],
                     id="nor is the rate that it did not reach without ports the candidate's fault"),
        pytest.param(OPEN, THROTTLED, 0, ["Throttled"], id="a constant rate against a CPU limit"),
        pytest.param({}, THROTTLED, 0, [], id="a closed loop runs at its limit on purpose"),
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


@pytest.mark.parametrize(
    "reason",
    [
        "UnexpectedResponse: status 500, expected 200",
        "NotReady: not ready within 120 s",
        "TargetUnreachable: nothing answered within 10 s",
    ],
)
def test_a_failure_that_is_the_candidates_keeps_its_name_and_its_words(reason: str) -> None:
    assert void_reasons(LoadFailed(reason), NoData("none"), None) == [reason]
    record = make_record(Run(1, "fast", "keep-alive"), LoadFailed(reason), NoData("none"), None)
    assert is_own_fault(record)


def test_a_run_on_another_node_is_not_pinned() -> None:
    where = {"usage": USAGE, "workload": workload(pods=(pod(),))}
    elsewhere = make_record(Run(2, "fast", "keep-alive"), LoadReport(a_report()), **where, fixed=Fixed("node-2"))
    assert elsewhere["void"] == ["NotPinned: it ran on node-1, the others on node-2"]
    there = make_record(Run(2, "fast", "keep-alive"), LoadReport(a_report()), **where, fixed=Fixed("node-1"))
    assert there["void"] == []


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        (f"localhost/fast@sha256:{ONE}", f"docker.io/fast@sha256:{ONE}", []),
        (f"localhost/fast@sha256:{ONE}", "", []),
        ("", f"localhost/fast@sha256:{ONE}", []),
        (f"localhost/fast@sha256:{ONE}", f"localhost/fast@sha256:{TWO}",
         [f"ImageChanged: it ran sha256:{TWO}, the runs before sha256:{ONE}"]),
    ],
    ids=["the same, named otherwise", "its pod had none yet", "the first run", "the tag was moved"],
)  # fmt: skip
def test_a_run_of_another_image_is_no_run_of_the_same_candidate(before: str, now: str, why: list[str]) -> None:
    where = {"usage": USAGE, "workload": workload(pods=(pod(image_id=now),))}
    record = make_record(Run(2, "fast", "keep-alive"), LoadReport(a_report()), **where, fixed=Fixed(image=before))
    assert (record["void"], is_own_fault(record)) == (why, False)


def test_a_refused_latency_is_remarked_and_does_not_void_the_throughput() -> None:
    report = LoadReport(a_report(latency=None, littleRatio=None, latencyRefused="too few samples"))
    record = make_record(Run(1, "fast", "keep-alive"), report, USAGE, workload())
    assert record["remarks"] == ["LatencyUnknown: too few samples"]
    assert record["void"] == []


def test_a_percentile_is_not_told_when_too_many_requests_have_no_latency() -> None:
    """What was not sent, or not answered, has waited longest; a wrong status is an answer."""
    errors = {"connect": 0, "read": 5, "write": 0, "timeout": 15, "status": 0}
    report = a_report(mode="open", requests=9_950, succeeded=9_950, unsent=30, errors=errors)
    record = make_record(Run(1, "fast", "constant"), LoadReport(report), USAGE, workload())
    known = {key for key, value in record["report"]["latency"].items() if value is not None}
    assert known == {"mean", "p50", "p90", "p99", "max"}
    assert "LatencyUnknown: 50 requests were not sent or not answered, so p999 cannot be told" in record["remarks"]
    more = make_record(Run(1, "fast", "constant"), LoadReport({**report, "unsent": 31}), USAGE, workload())
    assert more["report"]["latency"]["p99"] is None
    answered = LoadReport({**report, "unsent": 0, "errors": {**errors, "read": 0, "timeout": 0, "status": 50}})
    assert (
        None not in make_record(Run(1, "fast", "constant"), answered, USAGE, workload())["report"]["latency"].values()
    )


def test_a_pod_that_took_the_place_of_the_one_under_load_voids_the_run() -> None:
    """The one before answers to the end of its connections: the report is fair, and the CPU is another pod's."""
    given = {"usage": USAGE, "workload": workload(pods=(pod(),))}
    [there] = [one.name for one in given["workload"].pods]
    same = make_record(Run(1, "fast", "keep-alive"), LoadReport(a_report(), there), **given)
    unnamed = make_record(Run(1, "fast", "keep-alive"), LoadReport(a_report()), **given)
    other = make_record(Run(1, "fast", "keep-alive"), LoadReport(a_report(), "web-fast-1"), **given)
    assert (same["void"], unnamed["void"]) == ([], [])
    assert other["void"] == [f"CandidateGone: pod web-fast-1 was under load, and {there} is there"]


def test_that_throttling_could_not_be_judged_is_said() -> None:
    unseen, told = replace(USAGE, throttled_share=None), LoadReport(a_report(mode="open"))
    record = make_record(Run(1, "fast", "constant"), told, unseen, workload())
    assert [text.split(":")[0] for text in record["remarks"]] == ["ThrottlingUnknown"] and record["void"] == []
    seen = replace(USAGE, throttled_share=0.0)
    assert make_record(Run(1, "fast", "constant"), told, seen, workload())["remarks"] == []
    closed = make_record(Run(1, "fast", "keep-alive"), LoadReport(a_report()), unseen, workload())
    assert closed["remarks"] == [], "the figure of a closed loop is no latency at a rate"


def test_unknown_is_kept_as_null_never_as_zero() -> None:
    record = make_record(Run(1, "fast", "keep-alive"), LoadReport(a_report()), NoData("none"), None)
    assert (record["cpuCores"], record["memoryPeakBytes"], record["cpuSpanSeconds"]) == (None, None, None)
    assert (record["node"], record["imageID"]) == ("", "")
    known = make_record(Run(1, "fast", "keep-alive"), LoadReport(a_report()), USAGE, workload(pods=(pod(),)))
    assert (known["cpuCores"], known["node"]) == (USAGE.cpu_cores, "node-1")


@pytest.mark.parametrize(("mode", "without", "reasons"), [("open", 80, 1), ("open", 40, 0), ("closed", 80, 0)])
def test_a_tail_that_is_not_known_for_want_of_ports_is_the_generators_doing(
    mode: str, without: int, reasons: int
) -> None:
    """At a constant rate it is what is measured: the candidate missed its latency, and could not win, unmeasured."""
    lacked = {"Cannot assign requested address (os error 99)": without}
    errors = {**NONE, "connect": without}
    report = a_report(1_000, mode=mode, requests=10_000, succeeded=10_000, errors=errors, errorMessages=lacked)
    found = report_reasons(report)
    assert [text.split(":")[0] for text in found] == ["LoadGeneratorSaturated"] * reasons
