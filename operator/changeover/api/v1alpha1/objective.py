"""What the canary of a migration must keep: latency, errors, CPU, and numbers of the user's own."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import Duration, Model, Name, Percent, Rule, described

MIGRATION_PLACEHOLDERS = tuple(
    f"{{{{ .{name} }}}}"
    for name in (
        "namespace", "podRegex", "window", "canaryService", "stableService", "canaryWorkload", "stableWorkload",
    )
)  # fmt: skip
# No two opening braces but those of a placeholder.
KNOWN_PLACEHOLDERS = re.compile(
    r"^([^{]|[{][^{]|" + "|".join(name.replace("{{", "[{][{]").replace(".", "[.]") for name in MIGRATION_PLACEHOLDERS)
    + ")*[{]?$"
)  # fmt: skip


class LatencyObjective(Model):
    """A percentile of the canary's latency, seen at the gateway, must stay at or under a bound."""

    percentile: Literal["50", "90", "95", "98", "99", "99.9"] = described("Percentile. Default: '99'.", default="99")
    max: Duration = described("Bound. Example: 50ms.")


class ErrorsObjective(Model):
    """The share of the canary's requests answered 5xx must stay at or under a bound."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="self.maxPercent.matches('[1-9]')", message="maxPercent must be above 0; the least is 0.0001"),
    )
    max_percent: Percent = described("Bound, percent. Example: '0.1'.")

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


class QueryObjective(Model):
    """A number of the user's own must stay at or under a bound: a guard, not evidence."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule=f"self.promQL.matches(r'{KNOWN_PLACEHOLDERS.pattern}')",
            message=f"promQL holds a placeholder that is not known; take one of {', '.join(MIGRATION_PLACEHOLDERS)}",
        ),
    )
    prom_ql: Annotated[str, Field(min_length=1, max_length=1024)] = described(
        "PromQL that gives one number. Asked at the end of each block and at each look: above the bound holds the "
        "weight, at the end of three blocks (none at or under it between) rolls back; without a value the weight is "
        "held, and not rolled back. Placeholders: {{ .namespace }}, {{ .podRegex }} (of the canary's pods), "
        "{{ .window }} (a block), and the names {{ .canaryService }}, {{ .stableService }}, {{ .canaryWorkload }}, "
        "{{ .stableWorkload }}. Only a source with allowQueries in the operator's configuration takes it. Example: "
        '\'max(queue_length{namespace="{{ .namespace }}",pod=~"{{ .podRegex }}"})\'.',
        alias="promQL",
    )
    max: Annotated[str, Field(pattern=r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$", max_length=26)] = described(
        "Bound, a decimal number. Example: '100'."
    )
    unit: Annotated[str, Field(max_length=32)] = described(
        "Unit of the number, shown beside it. Default: empty (none). Example: jobs.", default=""
    )

    @model_validator(mode="after")
    def _known_placeholders(self) -> Self:
        if KNOWN_PLACEHOLDERS.search(self.prom_ql) is None:
            raise ValueError(self.cel[0].message)
        return self


class Objective(Model):
    """One target that the canary must keep at every step."""

    union: ClassVar[tuple[str, ...]] = ("latency", "errors", "cpu", "query")
    name: Name = described("Name of the objective, unique here. Example: latency.")
    type: Literal["Latency", "Errors", "CPU", "Query"] = described("Kind of objective.")
    latency: LatencyObjective | None = described(
        "For type Latency. Example: {percentile: '99', max: 50ms}.", default=None
    )
    errors: ErrorsObjective | None = described("For type Errors. Example: {maxPercent: '0.1'}.", default=None)
    cpu: CPUObjective | None = described("For type CPU. Example: {maxPercent: 40}.", default=None)
    query: QueryObjective | None = described(
        "For type Query. Example: {promQL: 'max(queue_length)', max: '100'}.", default=None
    )
