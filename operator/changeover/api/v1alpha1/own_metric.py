"""Where a benchmark reads CPU and memory, and which further metrics it shows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import Model, Name, Rule, described, refuse_doubles, unique_by

PLACEHOLDERS = ("{{ .namespace }}", "{{ .podRegex }}", "{{ .window }}")


class OwnMetric(Model):
    """A metric of the user's own, read once a run."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!self.query" + "".join(f".replace('{known}', '')" for known in PLACEHOLDERS) + ".contains('{{')",
            message=f"query holds a placeholder that is not known; take one of {', '.join(PLACEHOLDERS)}",
        ),
    )
    name: Name = described("Name in status.results[].metrics. Example: rss.")
    query: Annotated[str, Field(min_length=1, max_length=1024)] = described(
        "PromQL that gives one number, evaluated at the end of each measured window. {{ .namespace }} is the "
        "candidate's namespace, {{ .podRegex }} a regular expression of its pods' names, {{ .window }} the length of "
        'the window. Example: \'sum(container_memory_rss{namespace="{{ .namespace }}",pod=~"{{ .podRegex }}"})\'.'
    )
    unit: Annotated[str, Field(max_length=32)] = described(
        "Unit of the number, shown beside it. Default: empty (none). Example: bytes.", default=""
    )

    @model_validator(mode="after")
    def _known_placeholders(self) -> Self:
        rest = self.query
        for placeholder in PLACEHOLDERS:
            rest = rest.replace(placeholder, "")
        if "{{" in rest:
            raise ValueError(self.cel[0].message)
        return self


class MetricsChoice(Model):
    """Where CPU and memory are read, and what else is."""

    source: Name = described(
        "Name of a metric source in the operator's configuration; an address is never taken from a resource. "
        "Default: default.",
        default="default",
    )
    queries: Annotated[list[OwnMetric], Field(max_length=8)] = described(
        "Metrics of your own, at most 8, shown beside the results and ranked by nothing. Only a source with "
        "allowQueries in the operator's configuration takes them. Default: none. Example: [{name: rss, query: '…', "
        "unit: bytes}].",
        default=[],
        json_schema_extra=unique_by("name"),
    )

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        refuse_doubles(self.queries, lambda q: q.name, "query")
        return self
