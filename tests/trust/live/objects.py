"""A real API server with the surface of ``FakeCluster``: the same scripted controllers play kubelet, Jobs and gateway.

They read a mirror, and write as administrator. What a real API server wants beyond a fake one (bindings, subresources,
complete statuses, a garbage collector, which here nobody else plays) is added on the way.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from changeover.core.conditions import timestamp
from changeover.core.plan import Manifest, Ref
from changeover.testing.builders import NAMESPACE

from tests.apiserver.harness import Answer, Client
from tests.trust.live.hurried import HurriedClock
from tests.trust.live.mirror import API_VERSIONS, COLLECTIONS, Mirror

NODES = "/api/v1/nodes"


class RealObjects:
    """The objects of one namespace, which scripts know as the builders' own."""

    def __init__(self, mirror: Mirror, client: Client, namespace: str, clock: HurriedClock) -> None:
        self.watchers: list[Callable[[Manifest | None, Manifest | None], None]] = []
        self.logs: dict[tuple[str, str], str] = {}
        self._mirror, self._client, self.namespace, self._clock = mirror, client, namespace, clock
        self._born: dict[str, str] = {}
        self.collected_from = 0.0  # monotonic seconds: until then the garbage collector is late

    def all(self, kind: str) -> Iterator[Manifest]:
        """All objects of a kind, by name."""
        return iter([self._known(found) for found in self._mirror.all(kind, self.namespace)])

    def peek(self, ref: Ref) -> Manifest | None:
        """The object; None when there is none."""
        found = self._mirror.get(ref.kind, self.namespace, ref.name)
        return None if found is None else self._known(found)

    def fresh(self, ref: Ref) -> Manifest | None:
        """The object as the API server has it at this moment."""
        answer = self._client.get(self._path(ref.kind, ref.name))
        return (
            None
            if not answer.ok
            else self._known({"apiVersion": API_VERSIONS[ref.kind], "kind": ref.kind, **answer.body})
        )

    def put(self, manifest: Manifest) -> None:
        """Create an object."""
        if manifest["kind"] == "Node":
            self._client.create(NODES, manifest)
            return
        body = copy.deepcopy({"apiVersion": API_VERSIONS[manifest["kind"]], **manifest})
        body["metadata"].pop("namespace", None)
        for reference in body["metadata"].get("ownerReferences", []):
            reference.setdefault("apiVersion", API_VERSIONS[reference["kind"]])
        status = body.pop("status", None)
        _checked(self._client.create(self._path(manifest["kind"]), body), allowed=(409,))
        if status is not None:
            self.patch(Ref(manifest["kind"], NAMESPACE, manifest["metadata"]["name"]), {"status": status})

    def patch(self, ref: Ref, patch: Manifest) -> None:
        """Merge a patch; status goes to its subresource, the node of a pod by a binding."""
        found = self._mirror.get(ref.kind, self.namespace, ref.name) or {"spec": {}}
        rest, status = dict(patch), patch.get("status")
        rest.pop("status", None)
        if ref.kind == "Pod":
            self._bind(ref.name, found, rest.pop("spec", {}).get("nodeName"))
        if rest and not _says(found, rest):
            _checked(self._client.merge(self._path(ref.kind, ref.name), rest), allowed=(404, 409))
        if status is None:
            return
        if _says(found, {"status": status}):
            return
        status = COMPLETED[ref.kind](status, found) if ref.kind in COMPLETED else status
        if not _says(found, {"status": status}):
            path = self._path(ref.kind, ref.name) + "/status"
            _checked(
                self._client.merge(path, {"status": status}),
                allowed=(404, 409, 422) if ref.kind == "Job" else (404, 409),
            )

    def discard(self, ref: Ref) -> None:
        """Delete as somebody else; a pod goes at once, since no kubelet ends it."""
        body = {"gracePeriodSeconds": 0} if ref.kind == "Pod" else {"propagationPolicy": "Background"}
        self._client.request("DELETE", self._path(ref.kind, ref.name), body)

    remove = discard

    def collect(self) -> None:
        """As the garbage collector: what belongs to an object that is gone goes, too."""
        if time.monotonic() < self.collected_from:
            return
        everything = [found for kind in COLLECTIONS for found in self._mirror.all(kind, self.namespace)]
        alive = {found["metadata"]["uid"] for found in everything}
        for found in everything:
            owners = found["metadata"].get("ownerReferences") or []
            # The mirror of another kind may lag behind: ask before anything is destroyed.
            if owners and not any(owner["uid"] in alive or self._lives(owner) for owner in owners):
                self.discard(Ref(found["kind"], NAMESPACE, found["metadata"]["name"]))

    def _lives(self, owner: Manifest) -> bool:
        answer = self._client.get(self._path(owner["kind"], owner["name"]))
        return answer.ok and answer.body["metadata"]["uid"] == owner["uid"]

    def _bind(self, name: str, pod: Manifest, node: str | None) -> None:
        if node is None or pod["spec"].get("nodeName"):
            return
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"kind": "Node", "name": node},
        }
        _checked(self._client.create(self._path("Pod", name) + "/binding", binding), allowed=(404, 409))

    def _known(self, found: Manifest) -> Manifest:
        """In the scripts' namespace, created when we first saw it."""
        metadata = dict(found["metadata"])
        born = self._born.setdefault(metadata["uid"], timestamp(self._clock.now()))
        return {**found, "metadata": {**metadata, "namespace": NAMESPACE, "creationTimestamp": born}}

    def _path(self, kind: str, name: str = "") -> str:
        prefix, _, plural = COLLECTIONS[kind].rpartition("/")
        return f"{prefix}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")


def _checked(answer: Answer, allowed: tuple[int, ...] = ()) -> None:
    """404 and 409 are the fate of who writes what somebody else deletes or changes at the same time."""
    assert answer.ok or answer.status in allowed, answer.message


def _says(found: Any, wanted: Any) -> bool:
    """Whether an object holds already what a patch asks for."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_says(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_says, found, wanted))
    return bool(found == wanted)


def _of_pod(status: Manifest, pod: Manifest) -> Manifest:
    """Complete container statuses."""
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
    [container] = pod["spec"]["containers"]
    began = {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}
    more = {"name": container["name"], "image": container["image"], "ready": ready, "state": began}
    return {**status, "containerStatuses": [{**more, **one} for one in status["containerStatuses"]]}


def _of_route(status: Manifest, route: Manifest) -> Manifest:
    """With the gateway's name, and dates."""
    more = {"message": "", "lastTransitionTime": _now()}
    parents = [
        {
            "controllerName": "tests.changeover.dev/gateway",
            **parent,
            "conditions": [{**more, **one} for one in parent["conditions"]],
        }
        for parent in status["parents"]
    ]
    return {"parents": parents}


def _of_job(status: Manifest, job: Manifest) -> Manifest:
    """With everything that the API server wants of a Job that has ended."""
    now = _now()
    [condition] = status["conditions"]
    complete = condition["type"] == "Complete"
    before = {**condition, "type": "SuccessCriteriaMet" if complete else "FailureTarget"}
    dated = [{**one, "reason": "Tests", "lastProbeTime": now} for one in (before, condition)]
    counted = {"succeeded": job["spec"].get("completions", 1), "completionTime": now} if complete else {"failed": 1}
    return {"startTime": now, "conditions": dated, **counted}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


COMPLETED = {"Pod": _of_pod, "Job": _of_job, "HTTPRoute": _of_route}
