"""The table of before and after: one arm's figures over a span, beside the targets. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.cost import Cost
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.objective import Objective
from changeover.core.figures import cost_of_a_million, number
from changeover.core.observed import Figures

ROUNDING = 1e-9  # of a percentage
ALWAYS = ("50", "99")  # percentiles that are shown whether an objective is about them or not


def shown_as(percentile: str) -> str:
    """Key of a percentile that is always shown; no objective can be called so."""
    return f"shown/{percentile}"


def rows_of(figures: Figures, spec: MigrationSpec, prices: Cost) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(value, target, met) by (figure, unit), in the order of the table; a figure that is not known is left empty.

    Of several objectives about one figure the strictest is the target.
    """
    counts, usage = figures.counts, figures.usage
    rate = counts.requests / figures.seconds
    rows: dict[tuple[str, str], tuple[str, str, str]] = {("requests", "/s"): (number(rate, 4), "", "")}
    for name, value, target, met in _latencies(figures, spec):
        rows[name, "ms"] = (value, target, met)
    share = 100 * counts.errors / counts.requests if counts.requests else math.nan
    few = _strictest([o.errors.max_percent for o in spec.objectives if o.errors is not None])
    rows["errors", "%"] = (_shown(share), few, _met(share, few))
    used = 100 * usage.cpu_cores / figures.cores if usage is not None and figures.cores else math.nan
    low = _strictest([str(o.cpu.max_percent) for o in spec.objectives if o.cpu is not None])
    rows["cpu", "%"] = (_shown(used), low, _met(used, low))
    a_request = usage.cpu_cores / rate if usage is not None and rate else math.nan
    rows["cpuPerRequest", "us"] = (_shown(1e6 * a_request), "", "")
    cost = math.nan
    if usage is not None and rate:
        cost = cost_of_a_million(usage.cpu_cores, usage.memory_peak_bytes, rate, prices)
    rows["costPerMillion", prices.currency] = (_shown(cost), "", "")
    return rows


def _latencies(figures: Figures, spec: MigrationSpec) -> Iterator[tuple[str, str, str, str]]:
    """Name, value in ms, target and met: the percentiles of the objectives, and those that are always shown."""
    counts = figures.counts
    judged = {percentile: _fastest(spec, percentile) for percentile in _percentiles(spec)}
    first, last = ALWAYS
    for percentile in dict.fromkeys((first, *judged, last)):
        objective = judged.get(percentile)
        key = shown_as(percentile) if objective is None else objective.name
        name, value = f"p{percentile}", _shown(1000 * counts.shown.get(key, math.nan))
        if objective is None or objective.latency is None:
            yield name, value, "", ""
            continue
        slow = 100 * counts.slow.get(key, math.nan) / counts.requests if counts.requests else math.nan
        # By the histogram's exact bucket: the percentile itself is interpolated, and only shown.
        met = _met(slow, str(100 - float(percentile)))
        yield name, value, f"{1000 * duration_seconds(objective.latency.max):g}", met


def _percentiles(spec: MigrationSpec) -> list[str]:
    return [o.latency.percentile for o in spec.objectives if o.latency is not None]


def _fastest(spec: MigrationSpec, percentile: str) -> Objective:
    """The objective about this percentile that asks for the most."""
    about = [
        (duration_seconds(o.latency.max), o)
        for o in spec.objectives
        if o.latency is not None and o.latency.percentile == percentile
    ]
    return min(about, key=lambda pair: pair[0])[1]


def _strictest(limits: Sequence[str]) -> str:
    """The smallest of these decimal strings; empty when there is none."""
    return min(limits, key=float, default="")


def _met(percent: float, limit: str) -> str:
    """Yes or No; empty when it is not asked, or not known."""
    if not limit or math.isnan(percent):
        return ""
    return "Yes" if percent <= float(limit) + ROUNDING else "No"


def _shown(value: float) -> str:
    return "" if math.isnan(value) else number(value, 4)


def table(
    before: Sequence[Mapping[str, Any]], after: Figures, spec: MigrationSpec, prices: Cost
) -> list[dict[str, Any]]:
    """The rows of status: those before as they were stored, with what is known after."""
    known = {row["figure"]: row.get("before", "") for row in before}
    return [
        {"figure": figure, "unit": unit, "before": known.get(figure, ""), "after": value, "target": target, "met": met}
        for (figure, unit), (value, target, met) in rows_of(after, spec, prices).items()
    ]


def as_before(figures: Figures, spec: MigrationSpec, prices: Cost) -> list[dict[str, Any]]:
    """The rows of status with the figures before; whether they met the targets is no question yet."""
    return [
        {"figure": figure, "unit": unit, "before": value, "target": target}
        for (figure, unit), (value, target, _) in rows_of(figures, spec, prices).items()
    ]


def verdict(rows: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Whether every target was met, and the table in one line: what was missed first, then what was met."""
    judged = sorted((row for row in rows if row.get("target")), key=lambda row: row["met"] != "No")
    told = [f"{r['figure']} {_of(r, 'before')} -> {_of(r, 'after')}, target {r['target']} {r['unit']}" for r in judged]
    return all(row["met"] == "Yes" for row in judged), "; ".join(told)


def _of(row: Mapping[str, Any], when: str) -> str:
    return f"{row[when]} {row['unit']}" if row.get(when) else "unknown"
