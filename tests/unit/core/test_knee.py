"""The knee of a ramp: which step stands for the run, and what is wrong when none does."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core.audit import report_reasons
from changeover.core.knee import MOST_POINTS, at_knee, curve
from changeover.core.observed import NoData, Usage
from changeover.testing.builders import a_report

from tests.unit.core.seen import a_ramp, a_step

GONE = NoData("no sample")


STEPS = (a_step(100), a_step(200), a_step(400), a_step(800, "p99 80.0 ms"))
USAGES = (Usage(0.1, 1e6, 7), Usage(0.2, 2e6, 7), Usage(0.4, 3e6, 7), Usage(0.8, 4e6, 7))


def test_without_a_limit_of_cpu_the_knee_is_the_loaders() -> None:
    ramp = a_ramp(*STEPS)
    found = at_knee(ramp, USAGES, None)
    assert (found.report["knee"], found.report["requestsPerSecond"], found.usage) == (400, 400, USAGES[2])
    assert found.report["histogram"] == ramp["histogram"]
    assert report_reasons(found.report) == []


def test_the_last_rate_within_the_limit_of_cpu_stands_for_the_run() -> None:
    found = at_knee(a_ramp(*STEPS), USAGES, 0.25)
    report = found.report
    assert (report["knee"], report["rate"], report["requestsPerSecond"], found.usage) == (200, 200, 200, USAGES[1])
    assert (report["latency"]["p99"], report["windowStart"], report["requests"]) == (0.002, 200, 1600)
    assert report["histogram"] == []  # that of the step at 400
    assert [point["held"] for point in report["curve"]] == [True, True, False, False]
    assert report["curve"][2]["why"] == "CPU 0.4 cores > 0.25"
    assert report["curve"][1] == {
        "rate": 200, "achieved": 200, "p99": 0.002, "cpuCores": 0.2, "held": True, "why": None,
    }  # fmt: skip


def test_cpu_that_breaks_bounds_the_knee_although_the_loader_saw_no_end() -> None:
    ramp = a_ramp(*STEPS[:3], is_bounded=False)
    assert [text.split(":")[0] for text in report_reasons(at_knee(ramp, USAGES[:3], None).report)] == ["KneeNotReached"]
    assert report_reasons(at_knee(ramp, USAGES[:3], 0.25).report) == []


def test_cpu_that_breaks_below_the_knee_does_not_bound_it() -> None:
    """The first step used more while the candidate still compiled; the last one held, so the knee was not reached."""
    usages = (Usage(0.5, 1e6, 7), *USAGES[1:3])
    ramp = a_ramp(*STEPS[:3], is_bounded=False)
    found = at_knee(ramp, usages, 0.45).report
    assert (found["knee"], [point["held"] for point in found["curve"]]) == (400, [False, True, True])
    assert report_reasons(found) == ["KneeNotReached: 2 of 3 steps held, up to 400/s"]
    busy = a_ramp(*STEPS[:3], a_step(800, "the generator used 0.90 of its core"), is_bounded=False)
    (reason,) = report_reasons(at_knee(busy, (*usages, USAGES[3]), 0.45).report)
    assert reason.startswith("LoadGeneratorSaturated: above the last good rate, 400/s")


def test_a_step_whose_cpu_is_not_known_is_not_said_to_have_kept_it() -> None:
    usages = (*USAGES[:2], GONE, USAGES[3])
    assert at_knee(a_ramp(*STEPS), usages, 0.25).usage is GONE
    assert at_knee(a_ramp(*STEPS), usages, None).usage is GONE  # that of the knee itself
    assert at_knee(a_ramp(*STEPS), (*USAGES[:3], GONE), 0.25).usage == USAGES[1]  # above the knee nobody asks
    assert at_knee(a_ramp(*STEPS), (GONE, *USAGES[1:]), 0.25).usage == USAGES[1]  # nor below it, where less is needed


def test_no_step_within_the_objectives_is_no_knee() -> None:
    found = at_knee(a_ramp(*STEPS), USAGES, 0.05)
    assert found.report["knee"] is None
    assert report_reasons(found.report) == ["NoKnee: the first step, 100/s, did not hold: CPU 0.1 cores > 0.05"]


def with_errors(rate: float, why: str | None = None) -> dict[str, Any]:
    """A step of which three in a hundred requests failed."""
    errors = {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 30}
    return a_step(rate, why, requests=1000, succeeded=970, errors=errors)


def test_a_knee_may_have_as_many_errors_as_the_objective_allows() -> None:
    ramp = a_ramp(a_step(100), with_errors(200), a_step(400, "30.00% of the requests failed"))
    found = at_knee(ramp, USAGES[:3], None).report
    assert (found["knee"], found["succeeded"], report_reasons(found)) == (200, 970, [])


def test_a_first_step_that_did_not_hold_has_its_errors() -> None:
    found = at_knee(a_ramp(with_errors(100, "3.00% of the requests failed")), USAGES[:1], None).report
    assert [text.split(":")[0] for text in report_reasons(found)] == ["Errors", "NoKnee"]


def test_a_generator_at_its_end_is_not_the_candidates_knee() -> None:
    ramp = a_ramp(*STEPS[:3], a_step(800, "the generator used 0.90 of its core"), is_bounded=False)
    (reason,) = report_reasons(at_knee(ramp, USAGES, None).report)
    assert reason.startswith("LoadGeneratorSaturated: above the last good rate, 400/s: the generator used 0.90")


def test_a_first_step_that_the_generator_broke_is_not_the_candidates_lack_of_a_knee() -> None:
    """A ramp's own share of errors may be less than the 1 % from which any run lacks ports."""
    why = "the generator lacked ports or files for 5 requests; 0.50% of the requests failed"
    lacked = {"Cannot assign requested address (os error 99)": 5}
    errors = {"connect": 5, "read": 0, "write": 0, "timeout": 0, "status": 0}
    first = a_step(100, why, requests=995, succeeded=995, errors=errors, errorMessages=lacked)
    (reason,) = report_reasons(at_knee(a_ramp(first, is_bounded=False), USAGES[:1], None).report)
    assert reason == f"LoadGeneratorSaturated: at the first step, 100/s: {why}"


def test_a_curve_has_the_median_of_the_runs_at_each_rate() -> None:
    runs = [at_knee(a_ramp(*STEPS), USAGES, limit).report["curve"] for limit in (None, 0.25)]
    runs.append([{**point, "p99": None, "cpuCores": 10 * point["cpuCores"]} for point in runs[0]])
    points = curve(runs)
    assert [(point["rate"], point["runs"], point["held"]) for point in points] == [
        (100, 3, 3), (200, 3, 3), (400, 3, 2), (800, 3, 0),
    ]  # fmt: skip
    assert (points[2]["p99"], points[2]["cpuCores"]) == (0.004, 0.4)


def test_a_curve_of_many_rates_keeps_those_of_most_runs() -> None:
    grid = [{"rate": float(rate), "held": True, "p99": None, "cpuCores": None} for rate in (10, 1000)]
    rare = [{"rate": 100.0 + index, "held": True, "p99": None, "cpuCores": None} for index in range(MOST_POINTS)]
    points = curve([[*grid, *rare], grid])
    assert len(points) == MOST_POINTS
    assert {10.0, 1000.0} <= {point["rate"] for point in points}


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_another_kind_of_run_has_no_knee_to_miss(kind: str) -> None:
    assert report_reasons(a_report(mode=kind)) == []
