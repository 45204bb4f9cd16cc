"""The pod of a candidate that is a copy of a Deployment's: what is taken over, what is not, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from changeover.api.v1alpha1.candidate import Candidate
from changeover.core.errors import InvalidSpec
from changeover.core.manifests.common import CONTAINER_SECURITY, POD_SECURITY

TAKEN = ("containers", "initContainers", "volumes", "imagePullSecrets", "dnsConfig", "runtimeClassName")
"""Fields of the pod that are copied. Service account, host access, node names and priority are not among them: a
benchmark may not give a pod more than the namespace's own default gives it."""

IDS = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups")
"""Of a security context only who the process is. Root is left out: Pod Security would refuse the pod, of which nobody
hears; so the kubelet says of an image that runs as root that runAsNonRoot forbids it."""

FORBIDDEN_VOLUMES = frozenset({"hostPath"})
FORBIDDEN_IN_CONTAINERS = ("volumeDevices", "lifecycle")


def copied_pod(candidate: Candidate, template: Mapping[str, Any]) -> dict[str, Any]:
    """Pod spec from a Deployment's pod template, under our security context and with the candidate's env and resources.

    The first container is the backend; the probe is the candidate's. Raises InvalidSpec naming what cannot be copied.
    """
    source = template["spec"]
    for volume in source.get("volumes") or []:
        if FORBIDDEN_VOLUMES & set(volume):
            raise InvalidSpec(
                f"candidate {candidate.name}: its template mounts the host's files (volume {volume['name']}); "
                "a benchmark may not; measure a copy without that volume"
            )
    pod: dict[str, Any] = {key: source[key] for key in TAKEN if source.get(key)}
    pod["securityContext"] = {**POD_SECURITY, **_ids(source)}
    for kind in ("containers", "initContainers"):
        if kind in pod:
            pod[kind] = [_harmless(container) for container in pod[kind]]
    backend, *sidecars = pod["containers"]
    pod["containers"] = [_backend(candidate, backend), *sidecars]
    return pod


def _harmless(container: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in container.items() if key not in FORBIDDEN_IN_CONTAINERS}
    ports = [{k: v for k, v in port.items() if k != "hostPort"} for port in container.get("ports") or []]
    # Unlike our examples, a user's program may need to write to its root file system.
    security = {**CONTAINER_SECURITY, "readOnlyRootFilesystem": False, **_ids(container)}
    return {**kept, "securityContext": security} | ({"ports": ports} if ports else {})


def _ids(source: Mapping[str, Any]) -> dict[str, Any]:
    given = source.get("securityContext") or {}
    return {key: value for key, value in given.items() if key in IDS and (key, value) != ("runAsUser", 0)}


def _backend(candidate: Candidate, container: dict[str, Any]) -> dict[str, Any]:
    """The first container as it is, but for what the candidate says itself."""
    env = {variable["name"]: variable for variable in container.get("env") or []}
    # Taken literally: the kubelet would put the value of another variable, which may be a Secret's, in for $(NAME).
    own_env = {variable.name: variable.value.replace("$", "$$") for variable in candidate.env}
    env |= {name: {"name": name, "value": value} for name, value in own_env.items()}
    path = candidate.readiness_path
    probe = {"httpGet": {"path": path, "port": candidate.port}, "periodSeconds": 1, "timeoutSeconds": 2}
    own = candidate.resources.model_dump(exclude_none=True)
    resources = own if own["requests"] or own["limits"] else container.get("resources") or {}
    left_out = ("livenessProbe", "startupProbe")  # a probe that kills would end a run
    kept = {key: value for key, value in container.items() if key not in left_out}
    return {**kept, "env": list(env.values()), "readinessProbe": probe, "resources": resources}
