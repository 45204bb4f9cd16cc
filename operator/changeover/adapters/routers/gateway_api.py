"""Weights through the Kubernetes Gateway API: an HTTPRoute that we make and own, or two weights of a user's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from changeover.core import adopted, names
from changeover.core.errors import Conflict, InvalidSpec
from changeover.core.manifests.route import Arm, make_bare_route, make_route, mark_text, takes
from changeover.core.observed import Route
from changeover.core.plan import Manifest, Ref, SetSplit, identity
from changeover.ports import Cluster, SplitTarget, shape_of


class GatewayAPIRouter:
    """The port ``TrafficRouter`` on HTTPRoutes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def observe(self, target: SplitTarget) -> Route | None:
        """The route as it stands; None when there is none."""
        found = await self._cluster.get(_ref(target))
        return None if found is None else parse_route(found, target)

    async def ensure(self, target: SplitTarget, wanted: SetSplit) -> None:
        """Weights and mark in one write. Raises Conflict when the route is not ours, or another than was seen."""
        found = await self._cluster.get(_ref(target))
        if found is not None and not is_ours(found, target):
            raise Conflict(f"HTTPRoute {target.route} is not ours")
        version = found["metadata"]["resourceVersion"] if found is not None else ""
        if version != wanted.version:
            raise Conflict(f"HTTPRoute {target.route} was changed since it was looked at")
        if target.adopted:
            await self._cluster.merge(_ref(target), _weights_only(found, target, wanted.canary_percent, wanted.mark))
            return
        shape = shape_of(target)
        if found is None:  # made apart, since apply cannot say "only if there is none"
            found = await self._cluster.create(make_bare_route(shape))
        route = make_route(shape, wanted.canary_percent, wanted.mark)
        # The API server compares it, too: what comes late must not undo what came meanwhile. A version alone would make
        # a route anew that is gone.
        route["metadata"] |= identity(found)
        try:
            await self._cluster.apply(route)
        except InvalidSpec:
            # Hostnames or matches that the API server refuses must hold no traffic on the canary, and no mark back.
            shown = _canary_percent(found, target)
            if shown is not None and wanted.canary_percent <= shown:
                await self._cluster.merge(
                    _ref(target), _weights_only(found, target, wanted.canary_percent, wanted.mark)
                )
            raise

    async def release(self, target: SplitTarget) -> None:
        """Take label and mark off; the weights stay, the route is its users'.

        The write names the version that was read: one that comes late would take the marks off whoever has it by then.
        """
        found = await self._cluster.get(_ref(target))
        if found is None or not is_ours(found, target):
            raise Conflict(f"HTTPRoute {target.route} is gone, or not ours any more")
        labels = {names.LABEL_MIGRATION: None} | ({} if target.adopted else {names.LABEL_MANAGED_BY: None})
        version = found["metadata"]["resourceVersion"]
        gone = {"resourceVersion": version, "labels": labels, "annotations": {names.ANNOTATION_MARK: None}}
        await self._cluster.merge(_ref(target), {"metadata": gone})


def parse_route(found: Manifest, target: SplitTarget) -> Route:
    """What an HTTPRoute says about our split."""
    accepted, why_not = _acceptance(found)
    return Route(
        ours=is_ours(found, target),
        canary_percent=_canary_percent(found, target),
        mark=_mark(found),
        accepted=accepted,
        why_not=why_not,
        migration=_migration(found),
        changed_by=_changed_by(found),
        unfit=adopted.unfit(_rules(found), *_arms(target)) if target.adopted else "",
        gateways=_gateways(found),
        hostnames=tuple(found.get("spec", {}).get("hostnames") or ()),
        version=found["metadata"].get("resourceVersion", ""),
        as_asked=target.adopted or _takes_what_is_asked(found, target),
        backends=_backends(found),
    )


def _backends(found: Manifest) -> tuple[tuple[str, int], ...]:
    """Name and port of the Services that its rules send to, each once."""
    backends = [backend for rule in _rules(found) for backend in rule.get("backendRefs") or []]
    named = [(backend.get("name"), backend.get("port")) for backend in backends]
    return tuple(dict.fromkeys((str(name), port) for name, port in named if isinstance(port, int)))


def _takes_what_is_asked(found: Manifest, target: SplitTarget) -> bool:
    asked = make_route(shape_of(target), 0, {})["spec"]
    return takes(found.get("spec", {}), target.namespace) == takes(asked, target.namespace)


def _gateways(found: Manifest) -> tuple[str, ...]:
    """namespace/name of the Gateways that a route attaches to."""
    parents = found.get("spec", {}).get("parentRefs") or []
    return tuple(f"{p.get('namespace') or found['metadata'].get('namespace', '')}/{p.get('name')}" for p in parents)


def is_ours(found: Manifest, target: SplitTarget) -> bool:
    """Whether the migration made the route, or its owner handed it over by annotation, or it is to be adopted.

    Nobody hands over what another migration has: two that write one route would fight.
    """
    handed_over = (found["metadata"].get("annotations") or {}).get(names.ANNOTATION_HAND_OVER) == target.migration
    of_whom = _migration(found)
    return of_whom == target.migration or ((handed_over or target.adopted) and not of_whom)


def _weights_only(found: Manifest | None, target: SplitTarget, percent: int, mark: Mapping[str, Any]) -> Manifest:
    """A merge patch of two weights, our label and the mark, for the very version that was read.

    A list can only be replaced whole, so without the version what its users change meanwhile would be lost.
    """
    why = "does not exist" if found is None else adopted.unfit(_rules(found), *_arms(target))
    if found is None or why:
        raise Conflict(f"HTTPRoute {target.route} cannot be adopted: {why}")
    metadata = {
        "resourceVersion": found["metadata"]["resourceVersion"],
        "labels": {names.LABEL_MIGRATION: target.migration},
        "annotations": {names.ANNOTATION_MARK: mark_text(mark)},
    }
    return {"metadata": metadata, "spec": {"rules": adopted.at_weight(_rules(found), *_arms(target), percent)}}


def _rules(found: Manifest) -> list[dict[str, Any]]:
    return found.get("spec", {}).get("rules") or []


def _arms(target: SplitTarget) -> tuple[str, Arm, Arm]:
    stable, canary = (Arm(arm.service, arm.port) for arm in (target.stable, target.canary))
    return target.namespace, stable, canary


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
    rules = _rules(found)
    if target.adopted:
        return adopted.canary_percent(rules, *_arms(target))
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
    except (ValueError, RecursionError):
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
