"""The HTTPRoutes of a migration: one rule with two weighted backends and the mark beside the weights, and testers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from changeover.core import names
from changeover.core.manifests.common import labels_of
from changeover.core.plan import Manifest

Match = Mapping[str, Any]
ALL: tuple[Match, ...] = ({"path": {"type": "PathPrefix", "value": "/"}},)


@dataclass(frozen=True)
class Arm:
    """A Service and its port."""

    service: str
    port: int


@dataclass(frozen=True)
class RouteShape:
    """All of a managed route besides its weights."""

    namespace: str
    name: str
    migration: str
    stable: Arm
    canary: Arm
    parents: tuple[tuple[str, str], ...]
    hostnames: tuple[str, ...]
    matches: tuple[Match, ...] = ()  # as the Gateway API has them; empty: all requests


def make_route(shape: RouteShape, canary_percent: int, mark: Mapping[str, Any]) -> Manifest:
    """The route at a weight. Weights always sum to 100; the mark is in the same object, hence in the same write."""
    if not 0 <= canary_percent <= 100:
        raise ValueError(f"a weight of {canary_percent} % is outside 0 to 100")
    backends = [_backend(shape.stable, 100 - canary_percent), _backend(shape.canary, canary_percent)]
    return _route(shape, shape.name, shape.matches or ALL, backends, {names.ANNOTATION_MARK: mark_text(mark)})


def make_bare_route(shape: RouteShape) -> Manifest:
    """The route before its first weight: it attaches to no gateway, so nothing follows from it."""
    return _bare(shape, shape.name)


def make_testers_route(shape: RouteShape, matches: Sequence[Match]) -> Manifest:
    """A route of its own for the testers, all to the canary: its requests have counters of their own."""
    name, backend = names.testers_route(shape.migration), _backend(shape.canary, 1)
    return _route(shape, name, matches, [backend], {})


def _route(
    shape: RouteShape, name: str, matches: Sequence[Match], backends: list[dict[str, Any]], annotations: dict[str, str]
) -> Manifest:
    spec: dict[str, Any] = {
        "parentRefs": [
            {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": parent}
            for namespace, parent in shape.parents
        ],
        # Said although there may be none: what we do not say, we could not take away from whoever adds it.
        "hostnames": list(shape.hostnames),
        "rules": [{"matches": [dict(match) for match in matches], "backendRefs": backends}],
    }
    bare = _bare(shape, name)
    return {**bare, "metadata": {**bare["metadata"], "annotations": annotations}, "spec": spec}


def _bare(shape: RouteShape, name: str) -> Manifest:
    metadata = {"name": name, "namespace": shape.namespace, "labels": labels_of(migration=shape.migration)}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": {}}


def takes(spec: Mapping[str, Any], namespace: str) -> tuple[Any, ...]:
    """Where a route takes requests, and which. What is left out has the defaults with which it would be stored."""
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace}
    parents = [{**gateway, **parent} for parent in spec.get("parentRefs") or []]
    matches = [[_whole(match) for match in rule.get("matches") or ALL] for rule in spec.get("rules") or []]
    return parents, list(spec.get("hostnames") or []), matches


def _whole(match: Match) -> dict[str, Any]:
    path = {"type": "PathPrefix", "value": "/", **(match.get("path") or {})}
    given = {key: value for key, value in match.items() if value}
    lists: dict[str, Any] = {
        key: [{"type": "Exact", **one} for one in given[key]] for key in ("headers", "queryParams") if key in given
    }
    return {**given, **lists, "path": path}


def mark_text(mark: Mapping[str, Any]) -> str:
    """The mark as an annotation holds it."""
    return json.dumps(dict(mark), sort_keys=True, separators=(",", ":"))


def _backend(arm: Arm, weight: int) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": arm.service, "port": arm.port, "weight": weight}
