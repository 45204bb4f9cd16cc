"""The error rates of a migration's decision, and what it is held against."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import Duration, Model, Rule, described, duration_seconds


class BaselineChoice(Model):
    """A day of stable, against which a shared load is told from a bad canary."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.window) >= duration('24h') && duration(self.window) <= duration('168h')",
            message="window must lie between 24h and 168h; a shorter one does not hold a daily cycle",
        ),
    )
    window: Duration = described("How far back stable is looked at. Default: 24h. Example: 168h.", default="24h")
    policy: Literal["UseWhenPresent", "Require", "None"] = described(
        "UseWhenPresent (without a day of stable's counters it goes on, and status says that a daily cycle of load is "
        "not guarded against), Require (no weight before they are there) or None. Default: UseWhenPresent.",
        default="UseWhenPresent",
    )

    @model_validator(mode="after")
    def _a_day_at_least(self) -> Self:
        day, week = 86_400, 604_800
        if not day <= duration_seconds(self.window) <= week:
            raise ValueError(self.cel[0].message)
        return self


class DecisionDesign(Model):
    """The error rates of the decision and the length of a block of evidence."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.block) >= duration('5s') && duration(self.block) <= duration('10m')",
            message="block must lie between 5s and 10m",
        ),
        Rule(
            rule="duration(self.maxBlind) >= duration(self.block)",
            message="maxBlind must be at least one block; raise maxBlind or shorten block",
        ),
    )
    false_advance_percent: Annotated[int, Field(ge=1, le=20)] = described(
        "Accepted chance to advance a canary that misses its target, percent a step. Default: 1.", default=1
    )
    false_rollback_percent: Annotated[int, Field(ge=1, le=20)] = described(
        "Accepted chance to roll a good canary back, percent a migration. Default: 1.", default=1
    )
    block: Duration = described(
        "Length of one block of evidence; below 20s it is for demonstrations: noise that lasts minutes is not guarded "
        "against. Default: 1m. Example: 5s.",
        default="1m",
    )
    max_blind: Duration = described("Roll back after so long without fresh evidence. Default: 5m.", default="5m")
    baseline: BaselineChoice = described(
        "A day of stable's counters, against which a shared load is told from a bad canary. Default: the last 24h, "
        "when they are there.",
        default=BaselineChoice(),
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not 5 <= duration_seconds(self.block) <= 600:
            raise ValueError(self.cel[0].message)
        if duration_seconds(self.max_blind) < duration_seconds(self.block):
            raise ValueError(self.cel[1].message)
        return self
