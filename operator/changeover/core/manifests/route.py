"""The HTTPRoute of a migration: one rule with two weighted backends, and the mark beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changeover.core import names
from changeover.core.manifests.common import labels_of
from changeover.core.plan import Manifest


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


def make_route(shape: RouteShape, canary_percent: int, mark: Mapping[str, Any]) -> Manifest:
    """The route at a weight. Weights always sum to 100; the mark is in the same object, hence in the same write."""
    if not 0 <= canary_percent <= 100:
        raise ValueError(f"a weight of {canary_percent} % is outside 0 to 100")
    spec: dict[str, Any] = {
        "parentRefs": [
            {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": name}
            for namespace, name in shape.parents
        ],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [
                    _backend(shape.stable, 100 - canary_percent),
                    _backend(shape.canary, canary_percent),
                ],
            }
        ],
    }
    if shape.hostnames:
        spec["hostnames"] = list(shape.hostnames)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": shape.name,
            "namespace": shape.namespace,
            "labels": labels_of(migration=shape.migration),
            "annotations": {names.ANNOTATION_MARK: mark_text(mark)},
        },
        "spec": spec,
    }


def mark_text(mark: Mapping[str, Any]) -> str:
    """The mark as an annotation holds it."""
    return json.dumps(dict(mark), sort_keys=True, separators=(",", ":"))


def _backend(arm: Arm, weight: int) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": arm.service, "port": arm.port, "weight": weight}
