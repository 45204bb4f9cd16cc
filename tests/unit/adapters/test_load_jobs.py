"""How a load run stands, from its Job and its pod's log."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from changeover.adapters.load.jobs import READABLE_WITHIN, JobLoadDriver, parse_report
from changeover.core.conditions import timestamp
from changeover.core.errors import Unavailable
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning
from changeover.ports import LoadRun
from changeover.testing.builders import a_report
from changeover.testing.clock import START, FakeClock
from changeover.testing.cluster import FakeCluster

RUN = LoadRun("load-1", "shop")
GOOD = json.dumps(a_report())


def test_the_report_is_the_last_of_its_kind_in_the_log() -> None:
    old = json.dumps(a_report(requestsPerSecond=1.0))
    found = parse_report(f"starting\n{old}\n{GOOD}\nbye {{\n", "Complete")
    assert found == LoadReport(a_report())


@pytest.mark.parametrize(
    ("log", "why"),
    [
        pytest.param("", "the log is empty", id="an empty log"),
        pytest.param("Traceback\nValueError: x\n", "last line: ValueError: x", id="a traceback"),
        pytest.param('{"version":1,"failed":"connection refused"}', "connection refused", id="the loader's own word"),
        pytest.param('{"version":2}', "no report", id="another version"),
        pytest.param('{"version":1', "no report", id="half a line"),
        pytest.param('{"version":1,"mode":"closed"}', "lacks windowStart", id="fields are missing"),
        pytest.param("{}", "no report", id="an empty object"),
    ],
)
def test_no_report_says_why(log: str, why: str) -> None:
    found = parse_report(log, "Complete")
    assert isinstance(found, LoadFailed) and why in found.reason


def job(condition: str = "", ago: timedelta = timedelta(0), **metadata: Any) -> dict[str, Any]:
    """One that ended so, that long ago."""
    why = {"reason": "BackoffLimitExceeded", "message": "m", "lastTransitionTime": timestamp(START - ago)}
    conditions = [{"type": condition, "status": "True", **why}]
    return {
        "kind": "Job",
        "metadata": {"name": "load-1", "namespace": "shop", **metadata},
        "spec": {"template": {}},
        "status": {"conditions": conditions if condition else []},
    }


def pod(name: str = "load-1-x", index: int = 0) -> dict[str, Any]:
    labels = {"batch.kubernetes.io/job-name": "load-1"}
    place = {"batch.kubernetes.io/job-completion-index": str(index)}
    metadata = {"name": name, "namespace": "shop", "labels": labels, "annotations": place}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "node-1"}}


async def result(*objects: dict[str, Any], log: str | None = None) -> Any:
    cluster = FakeCluster(FakeClock())
    for one in objects:
        cluster.put(one)
    if log is not None:
        cluster.logs["shop", "load-1-x"] = log
    return await JobLoadDriver(cluster, cluster.clock).result(RUN)


async def test_no_job_is_no_run_and_neither_is_one_that_is_going_away() -> None:
    assert await result() is None
    going = job("Complete", finalizers=["x/y"], deletionTimestamp="2030-01-01T00:00:00Z")
    assert await result(going, pod(), log=GOOD) is None


async def test_a_job_without_an_end_is_running_whatever_its_log_says() -> None:
    assert await result(job(), pod(), log=GOOD) == LoadRunning()
    assert await result(job("SuccessCriteriaMet"), pod(), log=GOOD) == LoadRunning()


async def test_a_complete_job_reports() -> None:
    assert await result(job("Complete"), pod(), log=GOOD) == LoadReport({**a_report(), "node": "node-1"})


async def test_a_failed_job_gives_the_loaders_reason_or_its_own() -> None:
    said = await result(job("Failed"), pod(), log='{"version":1,"failed":"refused"}')
    assert said == LoadFailed("refused")
    assert await result(job("Failed"), pod()) == LoadFailed("BackoffLimitExceeded: m")
    gone = await result(job("Failed"))
    assert isinstance(gone, LoadFailed) and "pod is gone" in gone.reason


async def test_a_log_that_does_not_come_is_asked_for_again_when_there_is_a_report() -> None:
    for ago in (timedelta(0), READABLE_WITHIN):
        with pytest.raises(Unavailable):
            await result(job("Complete", ago), pod())


async def test_a_log_that_does_not_come_for_minutes_is_a_run_without_a_report() -> None:
    """As on a node that is lost: it keeps its pods for ever, and nobody can read their logs."""
    found = await result(job("Complete", READABLE_WITHIN + timedelta(seconds=1)), pod())
    assert found == LoadFailed("its report cannot be read: pod shop/load-1-x has no log any more")
    undated = job("Complete")
    undated["status"]["conditions"][0]["lastTransitionTime"] = None
    assert await result(undated, pod()) == found


async def test_a_log_that_comes_late_is_read_all_the_same() -> None:
    found = await result(job("Complete", timedelta(hours=1)), pod(), log=GOOD)
    assert isinstance(found, LoadReport)


def a_pods_report(p99: float, **more: Any) -> dict[str, Any]:
    """One of two open-loop pods, 1,000 requests of which 20 took the p99."""
    microseconds = int(p99 * 1e6)
    whole = {
        "target": "http://10.0.0.7:8080/", "keepAlive": True, "rate": 100.0, "unsent": 0, "cpus": 4, "bytesReceived": 1,
        "windowUncertaintySeconds": 0.0, "connectionsOpened": 10, "connectionsAlive": 10, "errorMessages": {},
        "latencyRefused": None, "histogramKind": "rounded", "histogramMergeable": True,
        "generatorThrottling": {"periods": 0, "seconds": 0.0}, "histogram": [[1000, 980], [microseconds, 20]],
    }  # fmt: skip
    base = a_report(125.0, mode="open", connections=10, **whole)
    return {**base, "requests": 1000, "latency": {**base["latency"], "p99": p99, "mean": 0.001, "max": p99}, **more}


async def pods_result(*logs: str, ended: str = "Complete", completions: int = 2) -> Any:
    cluster = FakeCluster(FakeClock())
    cluster.put({**job(ended), "spec": {"template": {}, "completions": completions}})
    for index, log in reversed(list(enumerate(logs))):
        cluster.put(pod(f"load-1-{index}-x", index))
        cluster.logs["shop", f"load-1-{index}-x"] = log
    return await JobLoadDriver(cluster, cluster.clock).result(RUN)


async def test_several_pods_are_one_run() -> None:
    found = await pods_result(json.dumps(a_pods_report(0.020)), json.dumps(a_pods_report(0.020)))
    assert isinstance(found, LoadReport)
    assert (found.content["pods"], found.content["connections"], found.content["requests"]) == (2, 20, 2000)
    assert (found.content["latency"]["p99"], found.content["apart"]) == (0.020, [])


async def test_a_pod_that_stands_apart_is_told_by_its_index() -> None:
    found = await pods_result(json.dumps(a_pods_report(0.020)), json.dumps(a_pods_report(0.200)))
    assert isinstance(found, LoadReport)
    assert [text.split(" has ")[0] for text in found.content["apart"]] == ["PodApart: pod 1"]


async def test_pods_that_were_not_one_run_have_no_report() -> None:
    found = await pods_result(
        json.dumps(a_pods_report(0.020)), json.dumps(a_pods_report(0.020, rate=1.0, mode="closed"))
    )
    assert isinstance(found, LoadFailed) and "cannot be added: mode differs" in found.reason


async def test_a_pod_that_is_gone_is_missed() -> None:
    found = await pods_result(json.dumps(a_pods_report(0.020)))
    assert found == LoadFailed("1 load pods are there where 2 reported; Complete")


async def test_the_pod_that_says_why_speaks_for_all() -> None:
    refused = '{"version":1,"failed":"TargetUnreachable","message":"refused"}'
    found = await pods_result("loader: warming up", refused, ended="Failed")
    assert found == LoadFailed("TargetUnreachable: refused")
