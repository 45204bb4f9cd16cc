"""Deployments and pods as the decisions want them: parsed from raw objects, read through the port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from changeover.api.v1alpha1.base import quantity_value
from changeover.core import names
from changeover.core.conditions import UNREADABLE_JSON, parse_stored, parse_timestamp
from changeover.core.errors import Unavailable
from changeover.core.manifests.candidate import BACKEND
from changeover.core.observed import Owner, Pod, Unreadable, Workload
from changeover.core.plan import Manifest, Ref
from changeover.core.requests import parse_requests
from changeover.core.selector import matches, refusal
from changeover.core.stored import known_status
from changeover.ports import Cluster


def parse_owner(body: Manifest) -> Owner:
    """Identity and status of the resource that is reconciled."""
    metadata = body["metadata"]
    return Owner(
        kind=body["kind"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        deleting=bool(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        status=known_status(body["kind"], body.get("status")),
        retry=(metadata.get("annotations") or {}).get(names.ANNOTATION_RETRY, ""),
        requests=parse_requests(metadata.get("annotations") or {}),
        version=metadata["resourceVersion"],
    )


def parse_pod(body: Manifest, backend: str = "") -> Pod:
    """One pod; ``backend`` names the container that is measured, as its Deployment's template does."""
    status = body.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
    ended, why_ended = _end(containers)
    return Pod(
        name=body["metadata"]["name"],
        ready=ready,
        deleting=bool(body["metadata"].get("deletionTimestamp")),
        node=body["spec"].get("nodeName", ""),
        image_id=_of_backend(body["spec"], containers, backend).get("imageID", ""),
        restarts=sum(c.get("restartCount", 0) for c in containers),
        waiting=_waiting(status, containers),
        ended=ended,
        why_ended=why_ended,
        started=_started(status),
        build=(body["metadata"].get("labels") or {}).get("pod-template-hash", ""),
    )


def _of_backend(spec: Mapping[str, Any], statuses: Sequence[Mapping[str, Any]], backend: str) -> Mapping[str, Any]:
    """The status of the container that is measured; the kubelet sorts them by name, so it need not be the first.

    Nor is it the first of the pod, before which a webhook may put its proxy: the template says which it is. Where that
    is gone, it is ``backend`` in a pod of our own making, and else the first.
    """
    named = [container["name"] for container in spec.get("containers") or []]
    own = backend or (BACKEND if BACKEND in named else next(iter(named), ""))
    return next((status for status in statuses if status.get("name") == own), {})


def _started(status: Mapping[str, Any]) -> datetime | None:
    try:
        return parse_stored(status["startTime"])
    except UNREADABLE_JSON:
        return None


def _end(containers: Sequence[Mapping[str, Any]]) -> tuple[datetime | None, str]:
    """When a container ended last, and why; whether it runs again by now or not."""
    ends = [
        end
        for container in containers
        for state in ("state", "lastState")
        if (end := (container.get(state) or {}).get("terminated")) and end.get("finishedAt")
    ]
    if not ends:
        return None, ""
    last = max(ends, key=lambda end: parse_timestamp(end["finishedAt"]))
    return parse_timestamp(last["finishedAt"]), f"{last.get('reason', 'Error')}, exit code {last.get('exitCode', '?')}"


def _waiting(status: Mapping[str, Any], containers: Sequence[Mapping[str, Any]]) -> str:
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") != "ContainerCreating":
            return f"{waiting.get('reason', '')}: {waiting.get('message', '')}".rstrip(": ")
    unscheduled = (c for c in status.get("conditions") or [] if c["type"] == "PodScheduled" and c["status"] == "False")
    return next((f"{c.get('reason', '')}: {c.get('message', '')}" for c in unscheduled), "")


def parse_workload(deployment: Manifest, pods: Sequence[Manifest]) -> Workload:
    """A Deployment with its pods."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    return Workload(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        created=parse_timestamp(metadata["creationTimestamp"]),
        deleting=bool(metadata.get("deletionTimestamp")),
        replicas=spec.get("replicas", 1),
        pods=tuple(parse_pod(pod, spec["template"]["spec"]["containers"][0].get("name", "")) for pod in pods),
        cpu_limit=cpu_limit(spec["template"]["spec"]),
        measured_as=(metadata.get("annotations") or {}).get(names.ANNOTATION_MEASURED_AS, ""),
    )


def orphaned(name: str, pods: Sequence[Manifest], now: datetime) -> Workload:
    """Pods whose Deployment is gone: they only have to go too."""
    labels = pods[0]["metadata"].get("labels") or {}
    return Workload(name, labels, now, True, 0, tuple(parse_pod(pod) for pod in pods), None)


def cpu_limit(pod_spec: Mapping[str, Any]) -> float | None:
    """Cores that a pod may use: the sum of its containers' limits, else requests; None when one has neither."""
    total = 0.0
    for container in pod_spec["containers"]:
        resources = container.get("resources") or {}
        amount = (resources.get("limits") or {}).get("cpu") or (resources.get("requests") or {}).get("cpu")
        if amount is None:
            return None
        total += quantity_value(str(amount))
    return total or None


def pod_names(workload: Workload | Unreadable | None) -> list[str]:
    """The pods that stay; none when the workload is not known."""
    return [pod.name for pod in workload.pods if not pod.deleting] if isinstance(workload, Workload) else []


async def read_workload(cluster: Cluster, namespace: str, name: str) -> Workload | None:
    """A Deployment and the pods that its selector finds; None when there is no such Deployment. Raises Unavailable."""
    deployment = await cluster.get(Ref("Deployment", namespace, name))
    if deployment is None:
        return None
    selector = deployment["spec"]["selector"]
    if why := refusal(selector):
        raise Unavailable(f"which pods are Deployment {namespace}/{name}'s? {why}")
    pods = await cluster.list("Pod", namespace, selector.get("matchLabels") or {})
    own = [pod for pod in pods if matches(selector, pod["metadata"].get("labels") or {})]
    alive = [pod for pod in own if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    return parse_workload(deployment, alive)
