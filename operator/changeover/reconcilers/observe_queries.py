"""Read what a migration's own queries give at an instant. What may not be asked, or is not answered, is Unreadable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core.guards import Reading, guarded
from changeover.core.observed import Unreadable
from changeover.core.queries import fill_for_migration
from changeover.ports import Dependencies, MetricSource, SplitTarget
from changeover.reconcilers.observe_benchmark import readable


@dataclass(frozen=True)
class Questions:
    """Queries by the name of their objective, as they are asked."""

    source: MetricSource
    queries: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""  # why they may not be asked

    async def read(self, at: datetime) -> dict[str, Reading]:
        """Each query's value at an instant."""
        if self.refused:
            return {name: Unreadable(self.refused) for name in self.queries}
        return {name: await self._read(query, at) for name, query in self.queries.items()}

    async def _read(self, query: str, at: datetime) -> Reading:
        found: Reading = await readable(self.source.value(query, at))
        return found


def questions(spec: MigrationSpec, target: SplitTarget, pods: Sequence[str], workload: str) -> dict[str, str]:
    """The queries with their placeholders filled in; `pods` and `workload` are the canary's."""
    names = names_in(spec, target, workload)
    asked = {
        objective.name: objective.query.prom_ql for objective, _, _ in guarded(spec) if objective.query is not None
    }
    return {name: fill_for_migration(query, names, pods) for name, query in asked.items()}


def names_in(spec: MigrationSpec, target: SplitTarget, workload: str) -> dict[str, str]:
    """What placeholders stand for, but for the pods; `workload` is the canary's."""
    return {
        "namespace": target.namespace,
        "window": f"{round(duration_seconds(spec.decision.block))}s",
        "canaryService": target.canary.service,
        "stableService": target.stable.service,
        "canaryWorkload": workload,
        "stableWorkload": spec.stable.workload.name,
    }


def refusal(spec: MigrationSpec, deps: Dependencies) -> str:
    """Why the operator's configuration does not let these queries be asked; empty when it does, or there are none."""
    source = spec.metrics.source
    if source in deps.open_sources or not any(True for _ in guarded(spec)):
        return ""
    return (
        f"spec.objectives: metric source {source!r} takes no queries of resources; leave out those of type Query, or "
        "set metricSources[].allowQueries in the operator's configuration"
    )
