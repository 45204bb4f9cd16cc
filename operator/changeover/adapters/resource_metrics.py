"""What stands in the status of our resources, as metrics: made when Prometheus asks, so that a pass costs nothing."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from changeover.core.plan import Ref

log = logging.getLogger(__name__)

Status = Mapping[str, Any]
Sample = tuple[str, list[str], float]  # family, labels, value
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

    def keep(self, refs: Set[Ref], namespace: str = "") -> None:
        """Forget all others, of a namespace or of all: a pass may have shown once more what went while it ran."""
        for ref in set(self._statuses) - refs:
            if namespace in ("", ref.namespace):
                self._statuses.pop(ref, None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families, of a moment; without a sample while another process leads."""
        families = _families()
        for ref, status in list(self._statuses.items()) if self._leading() else ():
            for family, labels, value in _told(ref, status):
                families[family].add_metric([str(label) for label in labels], value)
        yield from families.values()


def _told(ref: Ref, status: Status) -> list[Sample]:
    """What one resource says; nothing of one that is not understood, since the others are to be seen all the same."""
    try:
        return [*_state(ref, status), *(_migration if ref.kind == "CanaryMigration" else _benchmark)(ref, status)]
    except Exception:
        log.exception("the status of %s %s/%s gives no metrics", ref.kind, ref.namespace, ref.name)
        return []


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


def _state(ref: Ref, status: Status) -> Iterator[Sample]:
    yield "state", [ref.kind, ref.namespace, ref.name, *state_of(status)], 1.0


def _migration(ref: Ref, status: Status) -> Iterator[Sample]:
    whose, traffic = [ref.namespace, ref.name], status.get("traffic") or {}
    for of, value in (("asked", traffic.get("desiredPercent")), ("measured", traffic.get("measuredPercent"))):
        yield from _figure("weight", [*whose, of], value)
    yield from _figure("step", whose, (status.get("step") or {}).get("index", 0))
    for view in status.get("objectives") or []:
        for of in ("stable", "canary", "target"):
            yield from _figure("objective", [*whose, view["name"], view["unit"], of], view.get(of))


def _benchmark(ref: Ref, status: Status) -> Iterator[Sample]:
    progress = status.get("progress") or {}
    for of in ("done", "planned"):
        yield from _figure("runs", [ref.namespace, ref.name, of], progress.get(of))


def _figure(family: str, labels: list[str], value: Any) -> Iterator[Sample]:
    """A sample, where the figure is known: what is empty, or somebody's other text, is no number, and never 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return
    if math.isfinite(number):
        yield family, labels, number
