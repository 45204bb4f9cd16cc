"""What stands in the status of our resources, as metrics: made when Prometheus asks, so that a pass costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from changeover.core.plan import Ref

Status = Mapping[str, Any]
WORKING, DONE, FAILED = "working", "done", "failed"


class ResourceMetrics(Collector):
    """The latest status of each resource; what was deleted is forgotten.

    While another process leads, what we said last is old: whoever leads tells it.
    """

    def __init__(self, leading: Callable[[], bool]) -> None:
        self._leading = leading
        self._statuses: dict[Ref, Status] = {}

    def show(self, ref: Ref, status: Status | None) -> None:
        """Keep what status says now; None: the resource is gone."""
        if status is None:
            self._statuses.pop(ref, None)
        else:
            self._statuses[ref] = status

    def keep(self, refs: Set[Ref]) -> None:
        """Forget all others: a pass that ran while its object went may have shown it once more."""
        for ref in set(self._statuses) - refs:
            self._statuses.pop(ref, None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families, of a moment; without a sample while another process leads."""
        families = _families()
        for ref, status in list(self._statuses.items()) if self._leading() else ():
            _state(families["state"], ref, status)
            if ref.kind == "CanaryMigration":
                _migration(families, ref, status)
            else:
                _benchmark(families, ref, status)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    whose = ["namespace", "name"]
    return {
        "state": GaugeMetricFamily(
            "changeover_resource_state",
            "1 for the state that a resource is in: working, done (promoted, published) or failed (it needs a person).",
            labels=["kind", *whose, "state", "reason"],
        ),
        "weight": GaugeMetricFamily(
            "changeover_migration_weight_percent",
            "Share of the traffic for the canary, percent: asked for, and measured at the gateway.",
            labels=[*whose, "of"],
        ),
        "step": GaugeMetricFamily(
            "changeover_migration_step", "Step that a migration stands on, from 1; 0 before the first.", labels=whose
        ),
        "objective": GaugeMetricFamily(
            "changeover_migration_objective",
            "Figures of an objective in this step: of stable and canary, and the target; in its unit.",
            labels=[*whose, "objective", "unit", "of"],
        ),
        "runs": GaugeMetricFamily(
            "changeover_benchmark_runs", "Runs of a benchmark: done, and planned.", labels=[*whose, "of"]
        ),
    }


def state_of(status: Status) -> tuple[str, str]:
    """State and reason, by the conditions."""
    found = {one["type"]: one for one in status.get("conditions") or []}
    ready = found.get("Ready", {})
    if found.get("Stalled", {}).get("status") == "True":
        return FAILED, str(ready.get("reason", ""))
    return (DONE if ready.get("status") == "True" else WORKING), str(ready.get("reason", ""))


def _state(family: GaugeMetricFamily, ref: Ref, status: Status) -> None:
    family.add_metric([ref.kind, ref.namespace, ref.name, *state_of(status)], 1.0)


def _migration(families: Mapping[str, GaugeMetricFamily], ref: Ref, status: Status) -> None:
    whose, traffic = [ref.namespace, ref.name], status.get("traffic") or {}
    for of, value in (("asked", traffic.get("desiredPercent")), ("measured", traffic.get("measuredPercent"))):
        _add(families["weight"], [*whose, of], value)
    _add(families["step"], whose, (status.get("step") or {}).get("index", 0))
    for view in status.get("objectives") or []:
        for of in ("stable", "canary", "target"):
            _add(families["objective"], [*whose, view["name"], view["unit"], of], view.get(of))


def _benchmark(families: Mapping[str, GaugeMetricFamily], ref: Ref, status: Status) -> None:
    progress = status.get("progress") or {}
    for of in ("done", "planned"):
        _add(families["runs"], [ref.namespace, ref.name, of], progress.get(of))


def _add(family: GaugeMetricFamily, labels: list[str], value: Any) -> None:
    """A sample, where the figure is known: what is empty is no number, and never 0."""
    if value is not None and value != "":
        family.add_metric(labels, float(value))
