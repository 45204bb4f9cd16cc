"""One step of a migration: a weight, and what it takes to leave it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import Duration, Model, Rule, described, duration_seconds


class Step(Model):
    """One weight, and what it takes to leave it."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.minDuration) <= duration(self.maxDuration)",
            message="minDuration must not exceed maxDuration; raise maxDuration or lower minDuration",
        ),
        Rule(
            rule="!has(self.covers) || size(self.covers) == 0 || duration(self.maxDuration) >= duration('24h')",
            message="a step that covers DailyPeak may have to wait a day for it; set maxDuration to 24h or more",
        ),
    )
    weight_percent: Annotated[int, Field(ge=1, le=100)] = described(
        "Share of requests that the canary gets, percent. Example: 10."
    )
    min_duration: Duration = described("Stay at least so long. Default: 10m. Example: 1h.", default="10m")
    max_duration: Duration = described(
        "After so long without a decision do what onUndecided says; never advance. Default: 24h.",
        default="24h",
    )
    on_undecided: Literal["Hold", "Rollback"] = described(
        "At maxDuration: Hold (wait for a person; the weight stays) or Rollback. Default: Hold.",
        default="Hold",
    )
    min_requests: Annotated[int, Field(ge=0, le=10**9)] = described(
        "Canary requests that the step must see at the least. Default: 0. Example: 1000.", default=0
    )
    approval: Literal["Automatic", "Manual"] = described(
        "Manual: once all else speaks for this weight, it is set when a person approves it by the annotation "
        "changeover.dev/requested-approve. Default: Automatic.",
        default="Automatic",
    )

    covers: Annotated[list[Literal["DailyPeak"]], Field(max_length=1)] = described(
        "What the step's evidence must include before the step is left. DailyPeak: 90 % of one of the day's busiest "
        "hours, which are those of the route over spec.decision.baseline.window. Default: none. Example: [DailyPeak].",
        default=[],
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if duration_seconds(self.min_duration) > duration_seconds(self.max_duration):
            raise ValueError(self.cel[0].message)
        if self.covers and duration_seconds(self.max_duration) < 86_400:
            raise ValueError(self.cel[1].message)
        return self
