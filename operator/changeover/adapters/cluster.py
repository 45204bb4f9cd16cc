"""Kubernetes over HTTP, raw: JSON in, JSON out, server-side apply with one field manager.

The official client's typed models cost 8 times the CPU of raw JSON (docs/decisions/0003), so only its connection and
authentication are used. Every call has a timeout; nothing is tried again here, since the next pass is the retry.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client import ApiClient

from changeover.api.v1alpha1 import GROUP, VERSION
from changeover.core.conditions import timestamp
from changeover.core.errors import Conflict, InvalidSpec, Unavailable
from changeover.core.names import FIELD_MANAGER
from changeover.core.plan import Manifest, Ref, identity
from changeover.ports import Clock, Event

TIMEOUT_SECONDS = 10.0
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_UNDECLARED = "field not declared in schema"
_CLUSTER_SCOPED = {"Node"}
_RESOURCES = {
    "CanaryMigration": (f"apis/{GROUP}/{VERSION}", "canarymigrations"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "Event": ("apis/events.k8s.io/v1", "events"),
    "FrameworkBenchmark": (f"apis/{GROUP}/{VERSION}", "frameworkbenchmarks"),
    "HTTPRoute": ("apis/gateway.networking.k8s.io/v1", "httproutes"),
    "Job": ("apis/batch/v1", "jobs"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "Node": ("api/v1", "nodes"),
    "Pod": ("api/v1", "pods"),
    "Secret": ("api/v1", "secrets"),  # those that notifications name, where the chart allows it
    "Service": ("api/v1", "services"),
}


def path_of(kind: str, namespace: str, name: str = "", subresource: str = "") -> str:
    """URL path of a collection, an object or its subresource. Raises KeyError for a kind that we never touch."""
    prefix, plural = _RESOURCES[kind]
    scope = f"namespaces/{quote(namespace, safe='')}/" if namespace and kind not in _CLUSTER_SCOPED else ""
    parts = [plural, *(quote(part, safe="") for part in (name, subresource) if part)]
    return f"/{prefix}/{scope}{'/'.join(parts)}"


class KubernetesCluster:
    """The port ``Cluster`` on a real API server."""

    def __init__(
        self, client: ApiClient, clock: Clock, instance: str, may_write: Callable[[], None] = lambda: None
    ) -> None:
        """``may_write`` is called before each write, and raises what speaks against it."""
        self._client = client
        self._may_write = may_write
        self._clock = clock
        self._instance = instance  # names this process in events

    async def get(self, ref: Ref) -> Manifest | None:
        """The object; None when there is none."""
        status, body = await self._call("GET", path_of(ref.kind, ref.namespace, ref.name))
        return None if status == 404 else _object(body)

    async def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        """The objects that carry all of these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        query = {"labelSelector": selector} if selector else {}
        status, body = await self._call("GET", path_of(kind, namespace), query=query)
        if status == 404:
            raise Unavailable(f"the API server does not know {kind}; is its CRD installed?")
        items: list[Manifest] = _object(body)["items"]
        prefix = _RESOURCES[kind][0]
        api_version = prefix.removeprefix("apis/").removeprefix("api/")
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply: creates or updates, and drops what we no longer say."""
        metadata = manifest["metadata"]
        path = path_of(manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        _, body = await self._call("PATCH", path, query=query, body=manifest, content_type=_APPLY)
        return _object(body)

    async def create(self, manifest: Manifest) -> Manifest:
        """POST, which the API server refuses when there is one of its name."""
        path = path_of(manifest["kind"], manifest["metadata"]["namespace"])
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        status, body = await self._call("POST", path, query=query, body=manifest)
        if status == 404:
            raise Unavailable(f"there is no {path} on the API server: {_message(body)}")
        return _object(body)

    async def merge(self, ref: Ref, patch: Manifest) -> None:
        """JSON merge patch."""
        path = path_of(ref.kind, ref.namespace, ref.name)
        status, _ = await self._call(
            "PATCH", path, query={"fieldManager": FIELD_MANAGER}, body=patch, content_type=_MERGE
        )
        if status == 404:
            raise Conflict(f"{ref.kind} {ref.namespace}/{ref.name} is gone")

    async def delete(self, read: Manifest) -> None:
        """Delete with its dependants in the background."""
        metadata = read["metadata"]
        body = {"propagationPolicy": "Background", "preconditions": identity(read)}
        await self._call("DELETE", path_of(read["kind"], metadata["namespace"], metadata["name"]), body=body)

    async def apply_status(self, ref: Ref, status: Mapping[str, Any], version: str = "") -> None:
        """Replace our status by server-side apply on the status subresource."""
        metadata = {"name": ref.name, "namespace": ref.namespace}
        manifest = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": ref.kind,
            "metadata": {**metadata, "resourceVersion": version} if version else metadata,
            "status": dict(status),
        }
        path = path_of(ref.kind, ref.namespace, ref.name, "status")
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        # 404: deleted since it was read; there is nobody left to tell.
        await self._call("PATCH", path, query=query, body=manifest, content_type=_APPLY)

    async def emit(self, regarding: Manifest, event: Event) -> None:
        """Post an events.k8s.io/v1 Event."""
        metadata = regarding["metadata"]
        now = self._clock.now()
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": metadata["namespace"]},
            "eventTime": timestamp(now)[:-1] + f".{now.microsecond:06d}Z",
            "reportingController": GROUP,
            "reportingInstance": self._instance,
            "type": "Warning" if event.warning else "Normal",
            "reason": event.reason,
            "action": event.action,
            "note": event.message[:1024],
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        }
        await self._call("POST", path_of("Event", metadata["namespace"]), body=body)

    async def log(self, namespace: str, pod: str) -> str:
        """The whole log of a pod that has one container."""
        status, body = await self._call("GET", path_of("Pod", namespace, pod, "log"))
        if status == 404:
            raise Unavailable(f"pod {namespace}/{pod} has no log any more")
        return body.decode(errors="replace")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, bytes]:
        """One request; 404 is an answer, everything else beyond 2xx an error of ours."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        url = f"{self._client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        if method != "GET":
            self._may_write()
        try:
            await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            response = await self._client.call_api(
                method, url, header_params=headers, body=body, _request_timeout=TIMEOUT_SECONDS
            )
            content: bytes = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{method} {path}: {type(error).__name__}: {error}") from error
        return _checked(method, path, response.status, content)


def _checked(method: str, path: str, status: int, content: bytes) -> tuple[int, bytes]:
    if 200 <= status < 300 or status == 404:
        return status, content
    message = _message(content)
    if status == 409:
        raise Conflict(f"{method} {path}: {message}")
    # An API server answers 500 to an apply with a field that the schema lacks, as after an update without its CRDs.
    # What is only read cannot be refused for what somebody wrote: it is asked again, and nothing waits for a change.
    if (method != "GET" and status in (400, 422)) or _UNDECLARED in message:
        raise InvalidSpec(f"the API server refuses {path}: {message}")
    raise Unavailable(f"{method} {path}: {status} {message}")


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode(errors="replace")


def _object(content: bytes) -> Manifest:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise Unavailable(f"the API server answered no JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unavailable("the API server answered no object")
    return value
