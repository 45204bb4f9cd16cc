"""Reports of several load pods made into one, against the pooled samples."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from changeover.core.merge import Merged, MergeRefused, merge_reports
from changeover.loader import report
from changeover.loader.histogram import Buckets
from changeover.loader.report import Errors, Measurement, Surroundings, Window

SURROUNDINGS = Surroundings(1.0, 2.0, 0.3, 4, 0.25, 11, 10)
FRACTIONS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
PRECISION = 0.005


def report_of(samples: Sequence[int], **changes: Any) -> dict[str, Any]:
    """What the loader says of one pod whose requests took these microseconds."""
    buckets: Buckets = sorted(Counter(samples).items())
    measurement = Measurement(
        window=Window(100.0, 110.0, 0.002),
        duration=10.0,
        requests=len(samples),
        succeeded=len(samples) - 1,
        errors=Errors(status=1),
        bytes_received=13 * len(samples),
        latency=report.summarise(buckets),
        buckets=buckets,
        service_mean=0.02,
        error_messages={"late": 2},
    )
    context = {
        "generator": {"name": "oha", "version": "1.16.0"},
        "target": "http://10.0.0.7:8080/",
        "mode": "open",
        "connections": 10,
        "keepAlive": True,
        "rate": 100.0,
        "unsent": 3,
        "startAt": 99.0,
        "startedLateSeconds": 0.25,
        "conformance": None,
        "cpus": 4,
        "warmUp": {"seconds": 5, "slices": [100.0], "measured": 100.0, "steady": None},
        "cpuModel": "some CPU",
        "node": "",
    }
    made = json.loads(json.dumps(report.as_json(measurement, SURROUNDINGS, context)))
    return {**made, **changes}


def merged(*reports: dict[str, Any]) -> Merged:
    found = merge_reports(reports)
    assert isinstance(found, Merged), found
    return found


def refused(*reports: dict[str, Any]) -> str:
    found = merge_reports(reports)
    assert isinstance(found, MergeRefused)
    return found.reason


def draw(count: int, seed: int) -> list[int]:
    """Microseconds with a long tail, and a stall for one request in a hundred."""
    chance = random.Random(seed)
    body = [round(chance.lognormvariate(7.5, 0.8)) for _ in range(count)]
    return [value + chance.randrange(500_000) if chance.random() < 0.01 else value for value in body]


def nearest_rank(samples: list[int], fraction: float) -> float:
    return sorted(samples)[math.ceil(fraction * len(samples)) - 1] / 1e6


@pytest.mark.parametrize("parts", range(1, 17))
def test_percentiles_are_those_of_the_pooled_samples(parts: int) -> None:
    samples = draw(20_000, seed=parts)
    cuts = sorted(random.Random(-parts).sample(range(500, 19_500), parts - 1))
    pods = [samples[start:end] for start, end in zip([0, *cuts], [*cuts, 20_000], strict=True)]
    found = merged(*(report_of(pod) for pod in pods)).content
    assert found["pods"] == parts
    assert sum(count for _, count in found["histogram"]) == found["requests"] == 20_000
    for name, fraction in FRACTIONS.items():
        assert found["latency"][name] == pytest.approx(nearest_rank(samples, fraction), rel=PRECISION), name
    assert found["latency"]["max"] == max(samples) / 1e6
    assert found["latency"]["mean"] == pytest.approx(sum(samples) / 20_000 / 1e6)


def test_an_average_of_percentiles_would_be_wrong_by_far() -> None:
    """One pod in ten meets a slow path: 0.5 % of all its requests are slow, but 5 % of its own."""
    slow_pod = [1_000] * 1_900 + [400_000] * 100
    pods = [[1_000] * 2_000] * 9 + [slow_pod]
    reports = [report_of(pod) for pod in pods]
    pooled = nearest_rank([value for pod in pods for value in pod], 0.99)
    averaged = sum(found["latency"]["p99"] for found in reports) / len(reports)
    assert merged(*reports).content["latency"]["p99"] == pooled == 0.001
    assert averaged > 40 * pooled


def test_no_percentile_is_above_the_maximum() -> None:
    """1,235 µs is 1,240 in the histogram, but nothing took longer than 1,235."""
    found = merged(report_of([1_235] * 10)).content["latency"]
    assert {found[name] for name in FRACTIONS} == {0.001235}


def test_what_is_added_what_is_largest_and_what_is_recomputed() -> None:
    first = report_of([1_000] * 100, requestsPerSecond=10.0, littleRatio=0.5)
    second = report_of([1_000] * 300, requestsPerSecond=30.0, littleRatio=0.8, connections=30, startedLateSeconds=0.5)
    second["generatorCPU"] = {"userSeconds": 3.0, "systemSeconds": 1.0, "cores": 0.8}
    second["errorMessages"] = {"late": 1, "refused": 5}
    found = merged(first, second).content
    assert (found["connections"], found["rate"], found["unsent"]) == (40, 200.0, 6)
    assert (found["requests"], found["succeeded"], found["requestsPerSecond"]) == (400, 398, 40.0)
    assert (found["connectionsAlive"], found["connectionsOpened"], found["bytesReceived"]) == (20, 22, 5_200)
    assert found["errors"] == {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 2}
    assert found["errorMessages"] == {"late": 3, "refused": 5}
    assert found["generatorCPU"] == {"userSeconds": 4.0, "systemSeconds": 3.0, "cores": 0.8}
    assert found["generatorThrottling"] == {"periods": 8, "seconds": 0.5}
    assert found["littleRatio"] == pytest.approx((0.5 * 10 + 0.8 * 30) / 40)
    assert (found["startAt"], found["startedLateSeconds"]) == (99.0, 0.5)


@pytest.mark.parametrize(
    ("nodes", "cores"),
    [
        pytest.param(("a", "b"), 0.6, id="a node each: the busiest pod counts"),
        pytest.param(("a", "a"), 1.1, id="one node of one core: both together"),
        pytest.param(("", ""), 0.6, id="nobody knows where they ran"),
    ],
)
def test_pods_of_one_node_use_its_cores_together(nodes: tuple[str, str], cores: float) -> None:
    used = zip(nodes, (0.6, 0.5), strict=True)
    cpu = {"userSeconds": 1.0, "systemSeconds": 1.0}
    pods = [report_of([1_000], node=node, cpus=1, generatorCPU={**cpu, "cores": share}) for node, share in used]
    assert merged(*pods).content["generatorCPU"]["cores"] == pytest.approx(cores)


def test_a_merged_report_has_every_field_of_a_pods_report() -> None:
    one = report_of([1_000] * 100)
    found = merged(one, one).content
    assert set(found) == {*one, "pods"}
    assert json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    "name", ["rate", "unsent", "connectionsAlive", "connectionsOpened", "littleRatio", "startedLateSeconds"]
)
def test_what_one_pod_does_not_know_nobody_knows(name: str) -> None:
    assert merged(report_of([1_000]), report_of([1_000], **{name: None})).content[name] is None


def test_the_window_is_the_one_that_all_cover() -> None:
    early = report_of([1_000] * 10, windowStart=100.0, windowEnd=110.0, durationSeconds=10.0)
    late = report_of([1_000] * 10, windowStart=100.4, windowEnd=110.3, durationSeconds=9.9)
    found = merged(early, late).content
    assert (found["windowStart"], found["windowEnd"]) == (100.4, 110.0)
    assert found["durationSeconds"] == pytest.approx(9.95)


@pytest.mark.parametrize(("shift", "is_merged"), [(0.49, True), (0.51, False), (20.0, False)])
def test_a_pod_that_ran_beside_the_others_is_refused(shift: float, is_merged: bool) -> None:
    late = report_of([1_000] * 10, windowStart=100 + shift, windowEnd=110 + shift)
    found = merge_reports([report_of([1_000] * 10), late])
    assert isinstance(found, Merged) is is_merged
    assert is_merged or "of its window is common" in refused(report_of([1_000] * 10), late)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 2}, "pod 1: version 2, expected 1"),
        ({"failed": "TargetUnreachable"}, "pod 1: it failed: TargetUnreachable"),
        ({"steps": []}, "pod 1: a ramp's steps"),
        ({"histogramKind": "binned", "histogramMergeable": False}, "pod 1: its histogram (binned) cannot be added"),
        ({"mode": "closed"}, "mode differs: open and closed"),
        ({"target": "http://10.0.0.8:8080/"}, "target differs"),
        ({"keepAlive": False}, "keepAlive differs"),
        ({"generator": {"name": "wrk", "version": "4.1.0"}}, "generator differs"),
    ],
)
def test_what_cannot_be_one_run_is_refused(changes: dict[str, Any], why: str) -> None:
    assert why in refused(report_of([1_000]), report_of([1_000], **changes))


def test_nothing_is_refused() -> None:
    assert refused() == "no report"


def test_a_latency_that_one_pod_could_not_tell_is_unknown_while_the_rate_is_true() -> None:
    blind = report_of([1_000] * 10, latency=None, latencyRefused="31 requests exceeded the timeout", histogram=[])
    found = merged(report_of([1_000] * 10), blind)
    assert (found.content["latency"], found.content["histogram"]) == (None, [])
    assert found.content["latencyRefused"] == "pod 1: 31 requests exceeded the timeout"
    assert found.content["requests"] == 20
    assert found.reasons == ()


def test_a_pod_whose_tail_stands_apart_is_named() -> None:
    usual = [report_of(draw(5_000, seed)) for seed in range(3)]
    slow = report_of([2_500_000 if index % 40 == 0 else 1_000 for index in range(5_000)])
    (reason,) = merged(*usual, slow).reasons
    assert reason.startswith("PodApart: pod 3 has p99 2500.0 ms, the others ")


@pytest.mark.parametrize("seed", range(20))
def test_pods_of_one_distribution_do_not_stand_apart(seed: int) -> None:
    """Few samples each, so single p99s differ by several times."""
    reports = [report_of(draw(300, seed * 100 + pod)) for pod in range(4)]
    assert merged(*reports).reasons == ()


def test_few_slow_requests_are_no_verdict() -> None:
    quick = [1_000] * 1_000
    assert merged(report_of(quick), report_of([1_000] * 191 + [90_000] * 9)).reasons == ()
    assert merged(report_of(quick), report_of([1_000] * 190 + [90_000] * 10)).reasons != ()


def test_a_difference_that_chance_explains_is_no_verdict() -> None:
    """5 % slow requests beside 0.5 %, of 200 each, are 2.8 standard errors apart; of 2,000 each they are 8.7."""
    few = [1_000] * 199 + [90_000], [1_000] * 190 + [90_000] * 10
    assert merged(*map(report_of, few)).reasons == ()
    assert merged(*(report_of(samples * 10) for samples in few)).reasons != ()


def test_conformance_is_the_worst_that_any_pod_saw() -> None:
    def checks(head: bool | None) -> list[dict[str, Any]]:
        return [{"name": "HEAD", "passed": head, "detail": ""}, {"name": "HTTP/1.0", "passed": True, "detail": ""}]

    both = merged(report_of([1], conformance=checks(True)), report_of([1], conformance=checks(False))).content
    assert [(check["name"], check["passed"]) for check in both["conformance"]] == [("HEAD", False), ("HTTP/1.0", True)]
    one = merged(report_of([1], conformance=checks(None)), report_of([1])).content
    assert [check["passed"] for check in one["conformance"]] == [None, True]
    assert merged(report_of([1])).content["conformance"] is None
