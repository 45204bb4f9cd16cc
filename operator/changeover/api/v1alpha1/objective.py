"""What the canary of a migration must keep: latency, errors, CPU."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import Duration, Model, Name, Percent, Rule, described


class LatencyObjective(Model):
    """A percentile of the canary's latency, seen at the gateway, must stay at or under a bound."""

    percentile: Literal["50", "90", "95", "98", "99", "99.9"] = described("Percentile. Default: 99.", default="99")
    max: Duration = described("Bound. Example: 50ms.")


class ErrorsObjective(Model):
    """The share of the canary's requests answered 5xx must stay at or under a bound."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="self.maxPercent.matches('[1-9]')", message="maxPercent must be above 0; the least is 0.0001"),
    )
    max_percent: Percent = described("Bound, percent. Example: 0.1.")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if float(self.max_percent) <= 0:
            raise ValueError(self.cel[0].message)
        return self


class CPUObjective(Model):
    """The CPU of the canary's pods must stay under a share of their limit (without one, of their request)."""

    max_percent: Annotated[int, Field(ge=1, le=100)] = described("Bound, percent of the limit. Example: 40.")
    at_traffic_multiple: Annotated[int, Field(ge=1, le=100)] = described(
        "The bound must hold at so many times the highest traffic of the last 24 hours, all of it on the canary's "
        "pods: projected from its CPU a request, to twice the load that one of its pods has seen (or its benchmark "
        "drove) at the most; beyond, the step is held and says what it needs. Default: 1 (as it is). Example: 3.",
        default=1,
    )


class Objective(Model):
    """One target that the canary must keep at every step."""

    union: ClassVar[tuple[str, ...]] = ("latency", "errors", "cpu")
    name: Name = described("Name of the objective, unique here. Example: latency.")
    type: Literal["Latency", "Errors", "CPU"] = described("Kind of objective.")
    latency: LatencyObjective | None = described(
        "For type Latency. Example: {percentile: '99', max: 50ms}.", default=None
    )
    errors: ErrorsObjective | None = described("For type Errors. Example: {maxPercent: '0.1'}.", default=None)
    cpu: CPUObjective | None = described("For type CPU. Example: {maxPercent: 40}.", default=None)
