"""What counts in a benchmark: what a winner must keep, and by what the candidates are ranked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from changeover.api.v1alpha1.base import Duration, Model, Percent, described


class MaxLatency(Model):
    """A bound on one percentile of latency."""

    percentile: Literal["50", "90", "99", "99.9"] = described("Percentile. Default: '99'.", default="99")
    max: Duration = described("Bound. Example: 50ms.")


class BenchmarkObjectives(Model):
    """What a candidate must keep to be a winner; a candidate that misses one is ranked, but cannot win."""

    max_latency: MaxLatency | None = described(
        "Latency in the ranking's scenario. Default: none. Example: {percentile: '99', max: 50ms}.",
        default=None,
    )
    max_error_percent: Percent | None = described(
        "Failed requests, percent. Default: none. Example: '0.1'.", default=None
    )
    max_cpu_percent: Annotated[int, Field(ge=1, le=100)] | None = described(
        "CPU used, percent of the limit (of the request where no limit is set). Default: none. Example: 40.",
        default=None,
        alias="maxCPUPercent",
    )


class RankingChoice(Model):
    """What the ranking is made by."""

    by: Literal["Throughput", "Latency", "CPUPerRequest", "Cost"] = described(
        "Throughput (requests per second, more is better), Latency (p99, less is better), CPUPerRequest "
        "(core-seconds per request, less is better) or Cost (of a million requests at the prices of spec.cost, less is "
        "better). Default: Throughput.",
        default="Throughput",
    )
    scenario: Annotated[str, Field(max_length=30)] = described(
        "Scenario whose results are ranked. Default: empty (the first). Example: keep-alive.", default=""
    )
    confidence_percent: Annotated[int, Field(ge=80, le=99)] = described(
        "Confidence of intervals and of the order, percent. Default: 95.", default=95
    )
