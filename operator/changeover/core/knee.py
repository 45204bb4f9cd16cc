"""The knee of a ramp: the highest rate at which latency, errors and CPU are kept, and the curve that leads to it.

The loader judges latency and errors of each step while it drives them; CPU is known only afterwards, from the counters
over each step's window. A run's record describes the step at the knee as if that one window were the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from changeover.core.observed import NoData, Unreadable, Usage

MOST_POINTS = 32  # of a curve: the rates of the bisections differ from round to round

StepUsage = Usage | NoData | Unreadable


@dataclass(frozen=True)
class AtKnee:
    """The report as of the step at the knee, with every step in short as ``curve``, and what that step used."""

    report: dict[str, Any]
    usage: StepUsage


def at_knee(report: Mapping[str, Any], usages: Sequence[StepUsage], cores_allowed: float | None) -> AtKnee:
    """The highest step that held and used no more than so many cores (None: CPU is no objective).

    A step whose CPU is not known cannot be said to have kept it: when it would be the knee, the run's usage is what
    was missing. When no step is left, the report is that of the first one, with ``knee`` null.
    """
    judged = [_judged(step, usage, cores_allowed) for step, usage in zip(report["steps"], usages, strict=True)]
    held = [index for index, step in enumerate(judged) if step["held"]]
    chosen = max(held, key=lambda index: float(judged[index]["rate"]), default=0)
    content = {**report, **{key: judged[chosen][key] for key in judged[chosen] if key in report}}
    content |= {
        "knee": judged[chosen]["rate"] if held else None,
        "kneeBounded": _is_bounded(report, judged, float(judged[chosen]["rate"]) if held else 0.0),
        "steps": judged,
        "curve": [_short(step, usage) for step, usage in zip(judged, usages, strict=True)],
    }
    if report.get("knee") != content["knee"]:
        content["histogram"] = []  # the loader's belongs to another step
    return AtKnee(content, usages[chosen])


def _judged(step: Mapping[str, Any], usage: StepUsage, cores_allowed: float | None) -> dict[str, Any]:
    over = isinstance(usage, Usage) and cores_allowed is not None and usage.cpu_cores > cores_allowed
    if not over:
        return dict(step)
    assert isinstance(usage, Usage)
    why = f"CPU {usage.cpu_cores:.3g} cores > {cores_allowed:.3g}"
    return {**step, "held": False, "why": "; ".join(filter(None, [step["why"], why]))}


def _is_bounded(report: Mapping[str, Any], judged: Sequence[Mapping[str, Any]], knee: float) -> bool:
    """Whether the candidate itself broke at the lowest rate above the knee; by CPU it did, whatever the loader saw."""
    both = zip(judged, report["steps"], strict=True)
    above = [(float(mine["rate"]), bool(step["held"])) for mine, step in both if _is_beyond(mine, knee)]
    if not above:
        return False
    _, by_cpu = min(above)
    return by_cpu or bool(report["kneeBounded"])


def _is_beyond(step: Mapping[str, Any], knee: float) -> bool:
    """One that broke below the knee says nothing: the candidate held more."""
    return not step["held"] and float(step["rate"]) > knee


def _short(step: Mapping[str, Any], usage: StepUsage) -> dict[str, Any]:
    """What the record keeps of a step."""
    latency = step["latency"]
    return {
        "rate": step["rate"],
        "achieved": step["achieved"],
        "p99": latency["p99"] if latency else None,
        "cpuCores": usage.cpu_cores if isinstance(usage, Usage) else None,
        "held": step["held"],
        "why": step["why"],
    }


def knee_reasons(report: Mapping[str, Any]) -> Iterator[str]:
    """Why a ramp did not find the knee; nothing for another kind of run."""
    steps = report.get("steps")
    if not steps:
        return
    if report["knee"] is None:
        first = f"{steps[0]['rate']:g}/s"
        if report["kneeBounded"]:
            yield f"NoKnee: the first step, {first}, did not hold: {steps[0]['why']}"
        else:
            yield f"LoadGeneratorSaturated: at the first step, {first}: {steps[0]['why']}"
    elif not report["kneeBounded"]:
        above = (s for s in steps if _is_beyond(s, report["knee"]))
        broke = min(above, key=lambda s: float(s["rate"]), default=None)
        if broke is None:
            held = sum(1 for s in steps if s["held"])
            yield f"KneeNotReached: {held} of {len(steps)} steps held, up to {report['knee']:g}/s"
        else:
            yield f"LoadGeneratorSaturated: above the last good rate, {report['knee']:g}/s: {broke['why']}"


def curve(runs: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One point a rate, ascending, over the valid runs of a candidate: how often it held, median p99 and CPU.

    Each run is its steps as ``curve`` of its report has them. Seconds and cores; None where no run knows.
    """
    by_rate: dict[float, list[Mapping[str, Any]]] = {}
    for steps in runs:
        for step in steps:
            by_rate.setdefault(float(step["rate"]), []).append(step)
    # The rates of most runs first: they are the grid that all share.
    kept = sorted(by_rate, key=lambda rate: (-len(by_rate[rate]), rate))[:MOST_POINTS]
    return [
        {
            "rate": rate,
            "runs": len(by_rate[rate]),
            "held": sum(1 for step in by_rate[rate] if step["held"]),
            "p99": _median(step["p99"] for step in by_rate[rate]),
            "cpuCores": _median(step["cpuCores"] for step in by_rate[rate]),
        }
        for rate in sorted(kept)
    ]


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
