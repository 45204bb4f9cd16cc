"""The table of before and after: one arm's figures over a span, beside the targets. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.cost import Cost
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.core.evidence import limit_of
from changeover.core.figures import number
from changeover.core.observed import Figures

Row = dict[str, str]
ALWAYS = ("50", "99")  # percentiles that are shown whether an objective is about them or not
RATE = "requests"


def rows_of(figures: Figures, spec: MigrationSpec, prices: Cost) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(value, target, met) by (figure, unit), in the order of the table; a figure that is not known is left empty."""
    counts, usage = figures.counts, figures.usage
    rate = counts.requests / figures.seconds
    rows: dict[tuple[str, str], tuple[str, str, str]] = {(RATE, "/s"): (number(rate, 4), "", "")}
    for name, value, target, met in _latencies(figures, spec):
        rows[name, "ms"] = (value, target, met)
    share = counts.errors / counts.requests if counts.requests else math.nan
    errors = next((o for o in spec.objectives if o.errors is not None), None)
    rows["errors", "%"] = (
        _shown(100 * share), errors.errors.max_percent if errors is not None and errors.errors is not None else "",
        _met(share, limit_of(errors) if errors is not None else None),
    )  # fmt: skip
    cpu = next((o.cpu.max_percent for o in spec.objectives if o.cpu is not None), None)
    used = usage.cpu_cores / figures.cores if usage is not None and figures.cores else math.nan
    rows["cpu", "%"] = (
        _shown(100 * used),
        "" if cpu is None else str(cpu),
        _met(used, None if cpu is None else cpu / 100),
    )
    a_request = usage.cpu_cores / rate if usage is not None and rate else math.nan
    rows["cpuPerRequest", "us"] = (_shown(1e6 * a_request), "", "")
    cost = math.nan
    if usage is not None and rate:
        hour = usage.cpu_cores * float(prices.cpu_hour)
        hour += usage.memory_peak_bytes / 2**30 * float(prices.memory_gib_hour)
        cost = hour * (1e6 / rate / 3600)  # as core/figures.py has it for a benchmark
    rows["costPerMillion", prices.currency] = (_shown(cost), "", "")
    return rows


def _latencies(figures: Figures, spec: MigrationSpec) -> Iterator[tuple[str, str, str, str]]:
    """Name, value in ms, target and met: the percentiles of the objectives, and those that are always shown."""
    counts = figures.counts
    judged = {f"p{o.latency.percentile}": o for o in spec.objectives if o.latency is not None}
    for name in dict.fromkeys(("p50", *judged, "p99")):
        objective = judged.get(name)
        key = objective.name if objective is not None else name
        value = _shown(1000 * counts.shown.get(key, math.nan))
        if objective is None or objective.latency is None:
            yield name, value, "", ""
            continue
        slow = counts.slow.get(key, math.nan) / counts.requests if counts.requests else math.nan
        # By the histogram's exact bucket: the percentile itself is interpolated, and only shown.
        yield name, value, f"{1000 * duration_seconds(objective.latency.max):g}", _met(slow, limit_of(objective))


def _met(value: float, limit: float | None) -> str:
    if limit is None or math.isnan(value):
        return ""
    return "Yes" if value <= limit else "No"


def _shown(value: float) -> str:
    return "" if math.isnan(value) else number(value, 4)


def table(
    before: Sequence[Mapping[str, Any]], after: Figures | None, spec: MigrationSpec, prices: Cost
) -> list[dict[str, Any]]:
    """The rows of status: those before as they were stored, with what is known after."""
    known = {row["figure"]: row.get("before", "") for row in before}
    if after is None:
        return [dict(row) for row in before]
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
