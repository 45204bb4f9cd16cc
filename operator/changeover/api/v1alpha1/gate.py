"""A question that is put to a program of yours before the traffic moves on."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from changeover.api.v1alpha1.base import Duration, Model, Name, Rule, described, duration_seconds
from changeover.api.v1alpha1.notify import SecretRef


class Gate(Model):
    """One gate."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.timeout) >= duration('100ms') && duration(self.timeout) <= duration('5s')",
            message="timeout must lie between 100ms and 5s; the next look at the canary waits for it",
        ),
    )
    name: Name = described("Name of the gate. Example: change-board.")
    at: Literal["BeforeStep", "BeforePromotion"] = described(
        "BeforeStep (before each weight) or BeforePromotion (at the end of the last step)."
    )
    secret_ref: SecretRef = described(
        "Secret with the keys url and signingKey, as for a Webhook of spec.notify. Example: {name: shop-hooks}."
    )
    timeout: Duration = described("Time to answer; none in time is no yes. Default: 3s.", default="3s")
    on_failure: Literal["Hold", "Rollback"] = described(
        "When it answers with a status other than 2xx: Hold (the weight stays, it is asked again) or Rollback. One "
        "that does not answer holds in any case. Default: Hold.",
        default="Hold",
    )

    @model_validator(mode="after")
    def _answers_soon(self) -> Self:
        if not 0.1 <= duration_seconds(self.timeout) <= 5:
            raise ValueError(self.cel[0].message)
        return self
