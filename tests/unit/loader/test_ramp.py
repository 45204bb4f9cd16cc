"""The ramp's arithmetic, walked on targets whose capacity is known."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.loader import ramp
from changeover.loader.ramp import Plan, Step

PLAN = Plan(start=100, factor=2, max_steps=6, percentile="p99", max_latency=0.1, max_error_share=0.01, bisections=0)


def report_of(**changes: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(ramp.STEP_FIELDS),
        "requests": 1_000,
        "succeeded": 1_000,
        "durationSeconds": 10.0,
        "errors": {"timeout": 0, "status": 0},
        "latency": {"p50": 0.001, "p90": 0.005, "p99": 0.05, "p999": 0.5},
        "latencyRefused": None,
        "generatorCPU": {"cores": 0.2},
        "unsent": 0,
        "windowStart": 1.0,
        "windowEnd": 11.0,
        **changes,
    }


def walk(plan: Plan, capacity: float) -> list[Step]:
    """All steps on a target that holds every rate up to its capacity."""
    steps: list[Step] = []
    while (rate := ramp.next_rate(plan, steps)) is not None:
        steps.append(Step(rate, () if rate <= capacity else ("too much",)))
        assert len(steps) < 50
    return steps


@pytest.mark.parametrize(
    ("capacity", "bisections", "rates", "knee"),
    [
        (450, 0, [100, 200, 400, 800], 400),
        (450, 1, [100, 200, 400, 800, 600], 400),
        (450, 2, [100, 200, 400, 800, 600, 500], 400),
        (550, 2, [100, 200, 400, 800, 600, 500], 500),
        (650, 2, [100, 200, 400, 800, 600, 700], 600),
        (50, 2, [100], None),
        (10_000, 2, [100, 200, 400, 800, 1_600, 3_200], 3_200),
    ],
)
def test_up_until_it_breaks_then_halving(
    capacity: float, bisections: int, rates: list[float], knee: float | None
) -> None:
    steps = walk(Plan(**{**vars(PLAN), "bisections": bisections}), capacity)
    assert [step.rate for step in steps] == rates
    assert ramp.knee(steps) == knee
    assert ramp.is_bounded(steps) is (capacity < 3_200)


def test_a_knee_that_the_generator_set_is_a_lower_bound() -> None:
    assert not ramp.is_bounded([Step(100, ()), Step(200, ("the generator used 0.90 of its core",), True)])
    target_first = [Step(100, ()), Step(400, ("the generator used 0.90 of its core",), True), Step(200, ("p99",))]
    assert ramp.is_bounded(target_first)


def test_a_step_that_lacked_ports_says_nothing_of_the_target() -> None:
    """Without keep-alive every port is taken for a minute: some 1,000 connections a second are all that a pod can."""
    lacked = {"Cannot assign requested address (os error 99)": 300}
    step = ramp.judge(PLAN, 100, report_of(errors={"connect": 300, "status": 0}, errorMessages=lacked))
    assert step.blames_generator
    assert step.problems[0] == "the generator lacked ports or files for 300 requests"
    few = {"Cannot assign requested address (os error 99)": 3}
    assert ramp.judge(PLAN, 100, report_of(errors={"connect": 3, "status": 0}, errorMessages=few)).held


def test_what_breaks_while_the_generator_is_throttled_may_be_its_doing() -> None:
    """A CPU limit, such as a LimitRange gives, holds it back far below the 70 % of a core that are looked at."""
    throttled = {"generatorThrottling": {"periods": 30, "seconds": 1.5}}
    slow = {"latency": {"p50": 0.001, "p90": 0.005, "p99": 0.2, "p999": 0.5}}
    step = ramp.judge(PLAN, 100, report_of(**throttled, **slow))
    assert (step.problems, step.blames_generator) == (
        ("the generator was throttled in 30 periods", "p99 200.0 ms"),
        True,
    )
    assert ramp.judge(PLAN, 100, report_of(**throttled)).held


def test_a_good_step_holds() -> None:
    assert ramp.judge(PLAN, 100, report_of()) == Step(100, ())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"latency": {"p50": 0.001, "p90": 0.005, "p99": 0.1001, "p999": 0.5}}, "p99 100.1 ms"),
        ({"latency": None, "latencyRefused": "no request was completed"}, "no latency: no request was completed"),
        ({"requests": 949, "succeeded": 949}, "achieved 94.9% of the offered rate"),
        ({"succeeded": 980, "errors": {"timeout": 0, "status": 20}}, "2.00% of the requests failed"),
        ({"unsent": 2, "errors": {"timeout": 9}}, "11 requests were not sent or not answered, so p99 is not known"),
        ({"unsent": 11}, "11 requests were not sent or not answered, so p99 is not known"),
        ({"generatorCPU": {"cores": 0.71}}, "the generator used 0.71 of its core"),
        ({"requests": 0, "succeeded": 0, "errors": {"connect": 9}}, "100.00% of the requests failed"),
    ],
)
def test_what_breaks_a_step(changes: dict[str, Any], why: str) -> None:
    step = ramp.judge(PLAN, 100, report_of(**changes))
    assert not step.held
    assert why in step.problems
    assert step.blames_generator is ("generator" in why)


def test_limits_may_be_reached() -> None:
    edge = report_of(
        requests=950,
        succeeded=950,
        errors={"timeout": 2},
        latency={"p50": 0.001, "p90": 0.005, "p99": 0.1, "p999": 0.5},
        generatorCPU={"cores": 0.70},
        unsent=3,
    )
    assert ramp.judge(PLAN, 100, edge).held


def test_another_percentile_or_none_may_be_the_objective() -> None:
    by_p999 = ramp.judge(Plan(**{**vars(PLAN), "percentile": "p999"}), 100, report_of())
    assert by_p999.problems == ("p999 500.0 ms",)
    assert ramp.judge(Plan(**{**vars(PLAN), "max_latency": None}), 100, report_of(latency=None)).held


def test_a_step_in_the_report_has_its_own_window_and_verdict() -> None:
    found = ramp.as_json(Step(100, ("a", "b")), report_of(requests=900))
    assert (found["rate"], found["achieved"], found["held"], found["why"]) == (100, 90.0, False, "a; b")
    assert (found["windowStart"], found["windowEnd"], found["unsent"]) == (1.0, 11.0, 0)
    assert ramp.as_json(Step(100, ()), report_of())["why"] is None


@pytest.mark.parametrize(
    ("plan", "without", "why"),
    [
        (PLAN, 8, "8 requests were not sent or not answered, so p99 is not known"),  # under the errors that are allowed
        ({"max_error_share": 0.1, "max_latency": None}, 60, "achieved 94.0% of the offered rate"),
    ],
)
def test_a_step_that_would_have_held_with_ports_says_nothing_of_the_target(plan: Any, without: int, why: str) -> None:
    """Fewer of them than the objective allows of errors break a step all the same."""
    chosen = plan if isinstance(plan, Plan) else Plan(**{**vars(PLAN), **plan})
    came, lacked = 1_000 - without, {"Cannot assign requested address (os error 99)": without}
    errors = {"connect": without, "status": 0}
    broke = report_of(requests=came, succeeded=came, errors=errors, errorMessages=lacked)
    step = ramp.judge(chosen, 100, broke)
    assert (step.problems, step.blames_generator) == (
        (f"the generator lacked ports or files for {without} requests", why),
        True,
    )
    slow = {"latency": {"p50": 0.001, "p90": 0.005, "p99": 0.2, "p999": 0.5}}
    few = report_of(errors={"connect": 3, "status": 0}, errorMessages={**lacked, next(iter(lacked)): 3}, **slow)
    assert not ramp.judge(PLAN, 100, few).blames_generator  # it is slow by itself
