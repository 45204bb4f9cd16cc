"""Tables that others published, to be held against the measurement."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import CandidateName, Model, Rule, described, refuse_doubles, unique_by

AMOUNT = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"
Amount = Annotated[str, Field(pattern=AMOUNT, max_length=32)]
AmountOrEmpty = Annotated[str, Field(pattern=r"^([0-9]{1,12}(\.[0-9]{1,6})?)?$", max_length=32)]


class ClaimedValue(Model):
    """One row of a published table. What it says besides its speed is checked as our own runs are."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.requestsPerSecond.matches('[1-9]')",
            message="requestsPerSecond must be above 0; leave out a row without a figure",
        ),
        Rule(
            rule="self.failed <= self.requests",
            message="failed must not exceed requests; give the number of all requests beside it",
        ),
    )
    candidate: CandidateName = described("Candidate that it speaks of. Example: tokio.")
    requests_per_second: Amount = described("Requests per second, as published. Example: '340130.92'.")
    mean_latency_millis: AmountOrEmpty = described(
        "Mean latency in milliseconds, as published; with it Little's law is tried. Default: empty (not told). "
        "Example: '1.22'.",
        default="",
    )
    requests: Annotated[int, Field(ge=0, le=10**12)] = described(
        "Requests in all, as published. Default: 0 (not told). Example: 1000000.", default=0
    )
    failed: Annotated[int, Field(ge=0, le=10**12)] = described(
        "Failed requests among them, as published. Default: 0. Example: 811908.", default=0
    )
    connect_errors: Annotated[int, Field(ge=0, le=10**6)] = described(
        "Connect errors, as published; wrk never uses such a connection again. Default: 0. Example: 337.", default=0
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if float(self.requests_per_second) <= 0:
            raise ValueError(self.cel[0].message)
        if self.failed > self.requests:
            raise ValueError(self.cel[1].message)
        return self


class Claim(Model):
    """A published table that is to be reproduced in one scenario."""

    source: Annotated[str, Field(min_length=1, max_length=256)] = described(
        "Where it was published. Example: 'ltpp-docs 45ae7ef, wrk -c360 -d60s'."
    )
    scenario: CandidateName = described("Scenario that measures the same. Example: keep-alive.")
    connections: Annotated[int, Field(ge=0, le=100000)] = described(
        "Connections that it was measured with. Default: 0 (as many as the scenario has). Example: 360.", default=0
    )
    values: Annotated[list[ClaimedValue], Field(min_length=2, max_length=32)] = described(
        "Its rows, 2 to 32. Example: [{candidate: tokio, requestsPerSecond: '340130.92'}, "
        "{candidate: gin, requestsPerSecond: '242570.16'}].",
        json_schema_extra=unique_by("candidate"),
    )

    @model_validator(mode="after")
    def _rows_once(self) -> Self:
        refuse_doubles(self.values, lambda v: v.candidate, "candidate")
        return self


Claims = Annotated[list[Claim], Field(max_length=8)]


def claims_field() -> Any:
    """Tables to be reproduced, told apart by where they were published and what they measured."""
    return described(
        "Published tables to be reproduced, at most 8: each pair of rows is Confirmed, Contradicted or Undecidable in "
        "status.claims. Default: none. Example: [{source: a blog, scenario: keep-alive, values: [{candidate: tokio, "
        "requestsPerSecond: '340130'}, {candidate: gin, requestsPerSecond: '242570'}]}].",
        default=[],
        json_schema_extra=unique_by("source", "scenario"),
    )
