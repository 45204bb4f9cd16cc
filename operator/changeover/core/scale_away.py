"""After a rollback: the canary that we made is not left running for nothing. Pure."""

from __future__ import annotations

from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.core import names
from changeover.core.conditions import parse_timestamp
from changeover.core.migration_state import SeenMigration
from changeover.core.observed import Evidence, Route, Workload
from changeover.core.plan import Action, Ref, Scale


def scale_away(seen: SeenMigration, route: Route | None, outcome: dict[str, Any]) -> tuple[tuple[Action, ...], str]:
    """What is done about the canary of an ended rollback, and what there is to say of it.

    Only a canary that we made for a benchmark's choice is touched: its owner runs every other. It goes when the weight
    is 0, no request to it is counted, and the time for long-lived connections is over.
    """
    canary = seen.canary
    if outcome["result"] != "RolledBack" or not isinstance(canary, Workload) or not _is_made_by_us(seen, canary):
        return (), ""
    if canary.replicas == 0:
        return (), f"the canary {canary.name} is scaled to 0; a retry starts it again"
    over = (seen.now - parse_timestamp(outcome["at"])).total_seconds() >= duration_seconds(seen.spec.drain.timeout)
    if not (over and _has_no_traffic(seen, route)):
        return (), ""
    return (Scale(Ref("Deployment", seen.owner.namespace, canary.name), 0),), f"the canary {canary.name} is scaled to 0"


def _is_made_by_us(seen: SeenMigration, canary: Workload) -> bool:
    return seen.spec.canary.benchmark is not None and canary.labels.get(names.LABEL_MIGRATION) == seen.owner.name


def _has_no_traffic(seen: SeenMigration, route: Route | None) -> bool:
    """Whether the gateway has taken weight 0, and the last scrapes count no request to the canary; not seen is no."""
    at_zero = route is not None and route.accepted and route.canary_percent == 0
    canary = seen.latest.canary if isinstance(seen.latest, Evidence) else None
    return at_zero and canary is not None and canary.requests == 0
