"""A ramp: open-loop steps at rising constant rates until an objective breaks, then bisection. Pure.

The knee is the highest rate that held. Rates are requests a second over all connections, latencies seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from changeover.loader.report import is_known, lacked, lost, with_all

ACHIEVED_SHARE = 0.95
"""Of the offered rate; below it the step measured another rate than its own."""

GENERATOR_CORES = 0.70
"""Beyond it the generator may be what is slow (core.audit has the same limit): the step says nothing of the target."""

STEP_FIELDS = (
    "requests", "succeeded", "errors", "errorMessages", "requestsPerSecond", "durationSeconds", "windowStart",
    "windowEnd", "unsent", "latency", "latencyRefused", "littleRatio", "connectionsOpened", "connectionsAlive",
    "generatorCPU", "generatorThrottling",
)  # fmt: skip
"""Of the report, that every step has of its own: with them any step can stand for the run."""


@dataclass(frozen=True)
class Plan:
    """What is tried, and the objectives that a step must keep."""

    start: float
    factor: float
    max_steps: int
    percentile: str
    max_latency: float | None
    max_error_share: float
    bisections: int


@dataclass(frozen=True)
class Step:
    """One rate with its verdict; `blames_generator` when nothing but the generator's own limit broke it."""

    rate: float
    problems: tuple[str, ...]
    blames_generator: bool = False

    @property
    def held(self) -> bool:
        return not self.problems


def next_rate(plan: Plan, steps: Sequence[Step]) -> float | None:
    """The rate of the next step; None when the ramp is over.

    Up by the factor until a step breaks or max_steps are done; then as many halvings of the gap between the
    last good and the first bad rate as were asked for. A first step that breaks leaves no gap to halve.
    """
    if not steps:
        return plan.start
    broke = next((index for index, step in enumerate(steps) if not step.held), None)
    if broke is None:
        return steps[-1].rate * plan.factor if len(steps) < plan.max_steps else None
    good, halved = knee(steps), len(steps) - broke - 1
    if good is None or halved >= plan.bisections:
        return None
    return (good + min(step.rate for step in steps if not step.held)) / 2


def knee(steps: Sequence[Step]) -> float | None:
    """The highest rate that held; None when the first step broke."""
    return max((step.rate for step in steps if step.held), default=None)


def is_bounded(steps: Sequence[Step]) -> bool:
    """Whether the target broke at the lowest rate above the knee; otherwise the knee is a lower bound only."""
    lowest = min((step for step in steps if not step.held), key=lambda step: step.rate, default=None)
    return lowest is not None and not lowest.blames_generator


def judge(plan: Plan, rate: float, report: Mapping[str, Any]) -> Step:
    """The verdict on one step from its report (version 1, open loop)."""
    problems = _problems(plan, rate, report)
    own = [*_own_problems(plan, rate, report), *(_throttling(report) if problems else [])]
    # A generator at its end is late with its own requests, so whatever else broke may be its doing.
    return Step(rate, (*own, *problems), blames_generator=bool(own))


def _problems(plan: Plan, rate: float, report: Mapping[str, Any]) -> list[str]:
    return [*_rate_problems(rate, report), *_error_problems(plan, report), *_latency_problems(plan, report)]


def _own_problems(plan: Plan, rate: float, report: Mapping[str, Any]) -> list[str]:
    """The generator's own limits that the step came to."""
    cores, without = report["generatorCPU"]["cores"], lacked(report)
    problems = [f"the generator used {cores:.2f} of its core"] if cores > GENERATOR_CORES else []
    is_much = without > plan.max_error_share * (without + report["requests"])
    if is_much or (without and _problems(plan, rate, report) and not _problems(plan, rate, with_all(report))):
        problems.append(f"the generator lacked ports or files for {without} requests")
    return problems


def _throttling(report: Mapping[str, Any]) -> list[str]:
    """Of a step that broke: what holds while the generator is throttled holds without it all the more."""
    periods = (report["generatorThrottling"] or {}).get("periods") or 0
    return [f"the generator was throttled in {periods} periods"] if periods else []


def achieved(report: Mapping[str, Any]) -> float:
    """Answers a second, whatever their status."""
    return float(report["requests"] / report["durationSeconds"])


def as_json(step: Step, report: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of the report's `steps`."""
    return {
        "rate": step.rate,
        "achieved": achieved(report),
        **{name: report[name] for name in STEP_FIELDS},
        "held": step.held,
        "why": "; ".join(step.problems) or None,
    }


def _rate_problems(rate: float, report: Mapping[str, Any]) -> list[str]:
    share = achieved(report) / rate
    return [f"achieved {share:.1%} of the offered rate"] if share < ACHIEVED_SHARE else []


def _error_problems(plan: Plan, report: Mapping[str, Any]) -> list[str]:
    failed = sum(report["errors"].values())
    share = failed / max(1, failed + report["succeeded"])
    return [f"{share:.2%} of the requests failed"] if share > plan.max_error_share else []


def _latency_problems(plan: Plan, report: Mapping[str, Any]) -> list[str]:
    if plan.max_latency is None:
        return []
    latency = report["latency"]
    if latency is None:
        return [f"no latency: {report['latencyRefused']}"]
    problems = []
    if not is_known(report, plan.percentile):
        problems.append(f"{lost(report)} requests were not sent or not answered, so {plan.percentile} is not known")
    if latency[plan.percentile] > plan.max_latency:
        problems.append(f"{plan.percentile} {latency[plan.percentile] * 1000:.1f} ms")
    return problems
