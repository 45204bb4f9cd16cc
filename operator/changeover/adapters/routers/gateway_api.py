"""Weights through the Kubernetes Gateway API: an HTTPRoute that we make and own (mode Managed)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from changeover.core import names
from changeover.core.errors import Conflict
from changeover.core.manifests.route import Arm, RouteShape, make_route
from changeover.core.observed import Route
from changeover.core.plan import Manifest, Ref
from changeover.ports import Cluster, SplitTarget


class GatewayAPIRouter:
    """The port ``TrafficRouter`` on HTTPRoutes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def observe(self, target: SplitTarget) -> Route | None:
        """The route as it stands; None when there is none."""
        found = await self._cluster.get(_ref(target))
        return None if found is None else parse_route(found, target)

    async def ensure(self, target: SplitTarget, canary_percent: int, mark: Mapping[str, Any]) -> None:
        """Weights and mark by one server-side apply. Raises Conflict when the route is not ours to write."""
        found = await self._cluster.get(_ref(target))
        if found is not None and not is_ours(found, target.migration):
            raise Conflict(f"HTTPRoute {target.route} is not ours")
        await self._cluster.apply(make_route(_shape(target), canary_percent, mark))

    async def release(self, target: SplitTarget) -> None:
        """Take label and mark off; the weights stay, the route is its users'."""
        gone = {
            "labels": {names.LABEL_MIGRATION: None, names.LABEL_MANAGED_BY: None},
            "annotations": {names.ANNOTATION_MARK: None},
        }
        await self._cluster.merge(_ref(target), {"metadata": gone})


def parse_route(found: Manifest, target: SplitTarget) -> Route:
    """What an HTTPRoute says about our split."""
    accepted, why_not = _acceptance(found)
    return Route(
        ours=is_ours(found, target.migration),
        canary_percent=_canary_percent(found, target),
        mark=_mark(found),
        accepted=accepted,
        why_not=why_not,
        migration=_migration(found),
        changed_by=_changed_by(found),
    )


def is_ours(found: Manifest, migration: str) -> bool:
    """Whether the migration made the route, or its owner handed it over by annotation.

    Nobody hands over what another migration has: two that write one route would fight.
    """
    handed_over = (found["metadata"].get("annotations") or {}).get(names.ANNOTATION_HAND_OVER) == migration
    return _migration(found) == migration or (handed_over and not _migration(found))


def _migration(found: Manifest) -> str:
    return str((found["metadata"].get("labels") or {}).get(names.LABEL_MIGRATION, ""))


def _changed_by(found: Manifest) -> str:
    """The field manager that wrote the spec last, as the API server noted it; empty when it is us, or not known."""
    written: list[Manifest] = [
        entry
        for entry in found["metadata"].get("managedFields") or []
        if "f:spec" in (entry.get("fieldsV1") or {}) and not entry.get("subresource")
    ]
    if not written:
        return ""
    # The times are whole seconds. Within one, it was not us: what we write is no longer theirs.
    last = max(written, key=lambda entry: (str(entry.get("time", "")), entry.get("manager") != names.FIELD_MANAGER))
    return "" if last.get("manager") == names.FIELD_MANAGER else str(last.get("manager", ""))


def _canary_percent(found: Manifest, target: SplitTarget) -> int | None:
    """Weight of the canary when the rules are exactly the two backends that we write, as percent; otherwise None."""
    rules = found.get("spec", {}).get("rules") or []
    if len(rules) != 1:
        return None
    weights = {(b.get("name"), b.get("port")): b.get("weight", 1) for b in rules[0].get("backendRefs") or []}
    arms = [(arm.service, arm.port) for arm in (target.stable, target.canary)]
    if set(weights) != set(arms) or sum(weights.values()) != 100:
        return None
    return int(weights[arms[1]])


def _mark(found: Manifest) -> Mapping[str, Any] | None:
    text = (found["metadata"].get("annotations") or {}).get(names.ANNOTATION_MARK)
    try:
        mark = json.loads(text) if text else None
    except ValueError:
        return None
    return mark if isinstance(mark, dict) else None


def _acceptance(found: Manifest) -> tuple[bool, str]:
    """Whether every gateway has taken this very generation, and in its words why not."""
    generation = found["metadata"].get("generation")
    parents = found.get("status", {}).get("parents") or []
    if not parents:
        return False, "no gateway has answered for the route yet; do spec.traffic.gatewayAPI.parentRefs name one?"
    answered = {(parent.get("parentRef") or {}).get("name") for parent in parents}
    for wanted_parent in found.get("spec", {}).get("parentRefs") or []:
        if wanted_parent.get("name") not in answered:
            return False, f"gateway {wanted_parent.get('name')} has not answered for the route yet"
    for parent in parents:
        for wanted in ("Accepted", "ResolvedRefs"):
            condition = next((c for c in parent.get("conditions") or [] if c["type"] == wanted), None)
            if condition is None or condition.get("observedGeneration", generation) != generation:
                return False, f"the gateway has not seen the latest weights yet ({wanted})"
            if condition["status"] != "True":
                return False, f"the gateway says {condition.get('reason')}: {condition.get('message', '')}"
    return True, ""


def _ref(target: SplitTarget) -> Ref:
    return Ref("HTTPRoute", target.namespace, target.route)


def _shape(target: SplitTarget) -> RouteShape:
    return RouteShape(
        namespace=target.namespace,
        name=target.route,
        migration=target.migration,
        stable=Arm(target.stable.service, target.stable.port),
        canary=Arm(target.canary.service, target.canary.port),
        parents=target.parents,
        hostnames=target.hostnames,
    )
