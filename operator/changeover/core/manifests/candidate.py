"""A candidate backend as a Deployment and a Service: while a benchmark measures it, or as a migration's canary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from changeover.api.v1alpha1.candidate import Candidate, NodeChoice, ResourceAmounts
from changeover.core import names
from changeover.core.manifests.common import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    SCRATCH_MOUNT,
    SCRATCH_VOLUME,
    owner_reference,
    placement,
)  # fmt: skip
from changeover.core.manifests.template import copied_pod
from changeover.core.observed import Owner
from changeover.core.plan import Manifest

BACKEND = "backend"  # name of the container of a candidate that is an image; a copied pod's keep their names


@dataclass(frozen=True)
class Shape:
    """How a candidate is run: under which name and labels, how often, where, and whose it is."""

    name: str
    namespace: str
    labels: dict[str, str]
    replicas: int = 1
    nodes: NodeChoice = field(default_factory=NodeChoice)
    pinned_node: str = ""  # all rounds run on the node that the first one got
    owner: Owner | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    template: Mapping[str, Any] | None = None  # the pod template that a candidate with templateFrom is a copy of


def make_deployment(candidate: Candidate, shape: Shape) -> Manifest:
    """The Deployment of a candidate."""
    selector = {names.LABEL_CANDIDATE: candidate.name, **_identity(shape)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(shape),
        "spec": {
            "replicas": shape.replicas,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": {**shape.labels, **selector}},
                "spec": _pod(candidate, shape),
            },
        },
    }


def make_service(candidate: Candidate, shape: Shape, port: int) -> Manifest:
    """The Service in front of a candidate."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(shape),
        "spec": {
            "selector": {names.LABEL_CANDIDATE: candidate.name, **_identity(shape)},
            "ports": [{"name": "http", "port": port, "targetPort": candidate.port, "protocol": "TCP"}],
        },
    }


def _identity(shape: Shape) -> dict[str, str]:
    keys = (names.LABEL_BENCHMARK, names.LABEL_MIGRATION)
    return {key: shape.labels[key] for key in keys if key in shape.labels}


def _metadata(shape: Shape) -> Manifest:
    metadata: Manifest = {"name": shape.name, "namespace": shape.namespace, "labels": shape.labels}
    if shape.annotations:
        metadata["annotations"] = shape.annotations
    if shape.owner is not None:
        metadata["ownerReferences"] = [owner_reference(shape.owner)]
    return metadata


def _pod(candidate: Candidate, shape: Shape) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # the same environment whatever else is in the namespace
        "securityContext": POD_SECURITY,
        "terminationGracePeriodSeconds": 20,
        **placement(shape.nodes, shape.pinned_node),
        **_what_runs(candidate, shape),
    }


def _what_runs(candidate: Candidate, shape: Shape) -> dict[str, Any]:
    if candidate.template_from is None:
        return {"containers": [_container(candidate)], "volumes": [SCRATCH_VOLUME]}
    assert shape.template is not None, "a candidate with templateFrom is made from a template that was read"
    return copied_pod(candidate, shape.template)


def _container(candidate: Candidate) -> dict[str, Any]:
    probe = {"httpGet": {"path": candidate.readiness_path, "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 2}
    container: dict[str, Any] = {
        "name": BACKEND,
        "image": candidate.image,
        "env": [{"name": v.name, "value": v.value} for v in candidate.env],
        "ports": [{"name": "http", "containerPort": candidate.port, "protocol": "TCP"}],
        "readinessProbe": probe,
        "resources": {
            "requests": _amounts(candidate.resources.requests),
            "limits": _amounts(candidate.resources.limits),
        },
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [SCRATCH_MOUNT],
    }
    if candidate.command:
        container["command"] = list(candidate.command)
    if candidate.args:
        container["args"] = list(candidate.args)
    return container


def _amounts(amounts: ResourceAmounts) -> dict[str, str]:
    return {name: value for name, value in (("cpu", amounts.cpu), ("memory", amounts.memory)) if value is not None}
