"""Load of the operator's own through a migration's route: while its steps last, and to accept what was promoted."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import Duration, Model, Rule, described, duration_seconds
from changeover.api.v1alpha1.cost import Cost


class OwnLoad(Model):
    """Open-loop load through the route while the steps last; it is counted as evidence like everybody's requests."""

    requests_per_second: Annotated[int, Field(ge=1, le=100_000)] = described(
        "Requests a second, at a constant rate, on top of the live traffic. Example: 200."
    )
    connections: Annotated[int, Field(ge=1, le=10_000)] = described(
        "Connections that they are spread over. Default: 50.", default=50
    )


class Acceptance(Model):
    """After the promotion: load at a multiple of the peak, and a table of before and after. It never rolls back."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.duration) >= duration('10s') && duration(self.duration) <= duration('1h')",
            message="acceptance.duration must be 10s to 1h; set it between them",
        ),
    )
    traffic_multiple: Annotated[int, Field(ge=1, le=10)] = described(
        "Live traffic and own load together reach so many times the peak that was seen, 1 to 10. Default: 1. "
        "Example: 3.",
        default=1,
    )
    duration: Duration = described(
        "How long the load lasts, 10s to 1h; shorter where it would be more than 3,000,000 requests. Default: 10m.",
        default="10m",
    )
    connections: Annotated[int, Field(ge=1, le=10_000)] = described(
        "Connections of the load. Default: 360.", default=360
    )
    cost: Cost = described(
        "Prices, for the cost of a million requests before and after. Default: those of a FrameworkBenchmark.",
        default=Cost(),
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not 10 <= duration_seconds(self.duration) <= 3600:
            raise ValueError(self.cel[0].message)
        return self
