"""What all our manifests share: labels, owners, and a security context that a resource cannot choose."""

from __future__ import annotations

from typing import Any

from changeover.api.v1alpha1.candidate import NodeChoice
from changeover.core import names
from changeover.core.observed import Owner
from changeover.core.plan import Manifest

# Restricted Pod Security; nothing in a resource may widen it.
POD_SECURITY: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
SCRATCH_VOLUME = {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}
SCRATCH_MOUNT = {"name": "tmp", "mountPath": "/tmp"}


def owner_reference(owner: Owner) -> Manifest:
    """The reference that lets the garbage collector remove what we made when its owner goes."""
    return {
        "apiVersion": "changeover.dev/v1alpha1",
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": False,  # the owner never waits for its children
    }


def is_left_behind(found: Manifest, owner: Manifest) -> bool:
    """Whether it belongs to a namesake of this owner (a reference) that was deleted: it is yet to be collected."""
    alike = {key: owner[key] for key in ("kind", "name")}
    references = found["metadata"].get("ownerReferences") or []
    uids = {one.get("uid") for one in references if alike.items() <= one.items()}
    return bool(uids) and owner["uid"] not in uids


def labels_of(**more: str) -> dict[str, str]:
    """Our labels; keyword names are those of ``changeover.core.names`` without the prefix."""
    own = {getattr(names, f"LABEL_{key.upper()}"): value for key, value in more.items()}
    return {names.LABEL_MANAGED_BY: names.FIELD_MANAGER, **own}


def placement(choice: NodeChoice, pinned_node: str = "") -> dict[str, Any]:
    """Node selector, tolerations and node affinity of a pod spec.

    Pods that tolerate the control plane's taint are kept off its nodes all the same: who may run a benchmark may not
    thereby run pods beside the API server. Where nothing is tolerated the taint itself does that.
    """
    tolerations = [
        {"operator": t.operator, "effect": t.effect}
        | ({"key": t.key} if t.key else {})
        | ({"value": t.value} if t.operator == "Equal" else {})
        for t in choice.tolerations
    ]
    placed: dict[str, Any] = {"nodeSelector": dict(choice.node_selector), "tolerations": tolerations}
    term: dict[str, Any] = {}
    if any(t.key in ("", *CONTROL_PLANE) for t in choice.tolerations):
        term["matchExpressions"] = [{"key": key, "operator": "DoesNotExist"} for key in CONTROL_PLANE]
    if pinned_node:
        term["matchFields"] = [{"key": "metadata.name", "operator": "In", "values": [pinned_node]}]
    if term:
        required = {"nodeSelectorTerms": [term]}
        placed["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return placed
