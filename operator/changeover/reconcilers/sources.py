"""The metric source that a spec names. For a migration, one that is not configured is one that does not answer.

A mistyped name must not switch the rollback off: without evidence the canary goes back, as when a Prometheus is down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from changeover.api.v1alpha1 import MigrationSpec
from changeover.core.errors import Unavailable
from changeover.core.observed import Counts, NoData, Peak, Usage
from changeover.ports import DAY, CountQuery, Dependencies, MetricSource

SCRAPE_SECONDS = 15.0  # of a source that is not known, where none is


class Source(NamedTuple):
    """A metric source and how often it scrapes, seconds; why there is none of its name, or nothing."""

    port: MetricSource
    scrape_seconds: float
    unknown: str = ""


def source_of(spec: MigrationSpec, deps: Dependencies) -> Source:
    """What the spec names, or what stands for it."""
    name = spec.metrics.source
    unknown = why_unknown(name, deps)
    if unknown:
        return Source(_NoSource(unknown), max(deps.scrape_seconds.values(), default=SCRAPE_SECONDS), unknown)
    return Source(deps.sources[name], deps.scrape_seconds[name])


def why_unknown(name: str, deps: Dependencies) -> str:
    """That the operator's configuration has no such source, and which it has; empty when it has it."""
    if name in deps.sources:
        return ""
    known = ", ".join(sorted(deps.sources)) or "none"
    return f"spec.metrics.source: {name!r} is not configured; known sources: {known}"


@dataclass(frozen=True)
class _NoSource:
    """The port ``MetricSource`` without anything behind it."""

    why: str

    async def counts(self, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        raise Unavailable(self.why)

    async def usage(self, namespace: str, pods: Sequence[str], start: datetime, end: datetime) -> Usage | NoData:
        raise Unavailable(self.why)

    async def peak(self, queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        raise Unavailable(self.why)

    async def value(self, query: str, at: datetime) -> float | NoData:
        raise Unavailable(self.why)
