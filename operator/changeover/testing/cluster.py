"""An API server in memory: the semantics that a reconcile can notice, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from changeover.core.conditions import timestamp
from changeover.core.errors import Conflict, Unavailable
from changeover.core.plan import Manifest, Ref, identity
from changeover.ports import Clock, Event
from changeover.testing.objects import apply_fields, carries, copied, merge_patch, refuse_broken, with_defaults

_WITHOUT_GENERATION = frozenset({"ConfigMap", "Node", "Service"})
_API_VERSIONS = {
    "ConfigMap": "v1", "Node": "v1", "Pod": "v1", "Secret": "v1", "Service": "v1",
    "Deployment": "apps/v1", "Job": "batch/v1", "Lease": "coordination.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1", "CanaryMigration": "changeover.dev/v1alpha1",
    "FrameworkBenchmark": "changeover.dev/v1alpha1",
}  # fmt: skip

Watcher = Callable[[Manifest | None, Manifest | None], None]
Fault = Callable[[str, str, str], None]


def ref_of(manifest: Manifest) -> Ref:
    """Which object a manifest describes."""
    metadata = manifest["metadata"]
    return Ref(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


class FakeCluster:
    """The port ``Cluster``.

    ``watchers`` see every change (before, after); ``fault`` is asked before every call (verb, kind, name), may raise.
    Pods go gracefully: deleting one marks it, and ``remove`` ends it, as a kubelet would.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.events: list[tuple[Ref, Event]] = []
        self.logs: dict[tuple[str, str], str] = {}
        self.watchers: list[Watcher] = []
        self.fault: Fault = lambda verb, kind, name: None
        self.writes = 0
        self._objects: dict[Ref, Manifest] = {}
        self._owned: dict[tuple[Ref, str], Manifest] = {}
        self._counter = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> FakeCluster:
        """A cluster of its own on the same objects: what is stored is never changed, only replaced."""
        memo |= {id(found): found for found in (*self._objects.values(), *self._owned.values())}
        twin = copy.copy(self)
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    # What the operator calls

    async def get(self, ref: Ref) -> Manifest | None:
        """The object; None when there is none."""
        self.fault("get", ref.kind, ref.name)
        return copied(self._objects.get(ref))

    async def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        """The objects that carry all of these labels, by name."""
        self.fault("list", kind, "")
        return [
            copied(found)
            for ref, found in sorted(self._objects.items())
            if ref.kind == kind and namespace in ("", ref.namespace) and carries(found, labels)
        ]

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply with one field manager; Conflict when the object is another than it says."""
        ref = ref_of(manifest)
        self.fault("apply", ref.kind, ref.name)
        before, sent = self._objects.get(ref), copied(manifest)
        named = {key: sent["metadata"].pop(key) for key in ("uid", "resourceVersion") if key in sent["metadata"]}
        is_another = "uid" in named if before is None else not named.items() <= identity(before).items()
        if is_another:
            raise Conflict(f"{ref.kind} {ref.namespace}/{ref.name} was changed meanwhile")
        after = apply_fields(before, sent, self._owned.get((ref, "")))
        stored = self._store(ref, after)
        self._owned[ref, ""] = sent
        return copied(stored)

    async def create(self, manifest: Manifest) -> Manifest:
        """As somebody's first write; Conflict when there is one of its name."""
        ref = ref_of(manifest)
        self.fault("create", ref.kind, ref.name)
        if ref in self._objects:
            raise Conflict(f"{ref.kind} {ref.namespace}/{ref.name} already exists")
        return copied(self._store(ref, copied(manifest)))

    async def merge(self, ref: Ref, patch: Manifest) -> None:
        """JSON merge patch; Conflict when the object is gone, or has another version than the patch says."""
        self.fault("merge", ref.kind, ref.name)
        before = self._objects.get(ref)
        if before is None:
            raise Conflict(f"{ref.kind} {ref.namespace}/{ref.name} is gone")
        version = (patch.get("metadata") or {}).get("resourceVersion", before["metadata"]["resourceVersion"])
        if version != before["metadata"]["resourceVersion"]:
            raise Conflict(f"{ref.kind} {ref.namespace}/{ref.name} was changed meanwhile")
        self._store(ref, merge_patch(before, copied(patch)))

    async def delete(self, read: Manifest) -> None:
        """Delete with its dependants; gone already is as good, Conflict when it is another by now."""
        ref = ref_of(read)
        self.fault("delete", ref.kind, ref.name)
        if ref in self._objects and identity(self._objects[ref]) != identity(read):
            raise Conflict(f"{ref.kind} {ref.namespace}/{ref.name} was changed meanwhile")
        self.writes += 1
        self._delete(ref)

    async def apply_status(self, ref: Ref, status: Mapping[str, Any], version: str = "") -> None:
        """Server-side apply on the status subresource."""
        self.fault("apply_status", ref.kind, ref.name)
        before = self._objects.get(ref)
        if before is None:
            return
        if version and version != before["metadata"]["resourceVersion"]:
            raise Conflict(f"{ref.kind} {ref.namespace}/{ref.name} was changed meanwhile")
        sent = copied(dict(status))
        merged = apply_fields(before.get("status"), sent, self._owned.get((ref, "status")))
        self._store(ref, {**before, "status": merged})
        self._owned[ref, "status"] = sent

    async def emit(self, regarding: Manifest, event: Event) -> None:
        """Post an event about an object."""
        self.fault("emit", "Event", event.reason)
        self.events.append((ref_of(regarding), event))

    async def log(self, namespace: str, pod: str) -> str:
        """The whole log of a pod."""
        self.fault("log", "Pod", pod)
        if (namespace, pod) not in self.logs:
            raise Unavailable(f"pod {namespace}/{pod} has no log any more")
        return self.logs[namespace, pod]

    # What a test or a scripted controller calls

    def peek(self, ref: Ref) -> Manifest | None:
        """The object as stored, without a fault; not to be changed."""
        return self._objects.get(ref)

    def all(self, kind: str) -> Iterator[Manifest]:
        """All objects of a kind as stored, by name; not to be changed."""
        return iter([found for ref, found in sorted(self._objects.items()) if ref.kind == kind])

    def put(self, manifest: Manifest) -> Manifest:
        """Create or replace an object as somebody else, whatever was there."""
        ref = ref_of(manifest)
        before = self._objects.get(ref)
        kept = {key: before["metadata"][key] for key in ("uid", "creationTimestamp", "generation")} if before else {}
        metadata = {**manifest["metadata"], **kept}
        return self._store(ref, {**copied(manifest), "metadata": metadata})

    def patch(self, ref: Ref, patch: Manifest) -> Manifest:
        """Merge a patch as somebody else."""
        return self._store(ref, merge_patch(self._objects[ref], copied(patch)))

    def discard(self, ref: Ref) -> None:
        """Delete as somebody else: with finalizers and garbage collection."""
        self._delete(ref)

    def remove(self, ref: Ref) -> None:
        """End an object at once, whatever holds it, with its dependants."""
        gone = self._objects.pop(ref, None)
        if gone is None:
            return
        for key in [key for key in self._owned if key[0] == ref]:
            del self._owned[key]
        self._tell(gone, None)
        uid = gone["metadata"]["uid"]
        for other in [r for r, found in self._objects.items() if _is_owned_by(found, uid)]:
            self._delete(other)

    def _delete(self, ref: Ref) -> None:
        found = self._objects.get(ref)
        if found is None:
            return
        if not found["metadata"].get("finalizers") and ref.kind != "Pod":
            self.remove(ref)
        elif "deletionTimestamp" not in found["metadata"]:
            marked = {**found["metadata"], "deletionTimestamp": timestamp(self.clock.now())}
            if "generation" in marked:
                marked["generation"] += 1  # as a real API server does
            self._store(ref, {**found, "metadata": marked}, bump=False)

    def _store(self, ref: Ref, wanted: Manifest, bump: bool = True) -> Manifest:
        before = self._objects.get(ref)
        after = with_defaults({"apiVersion": _API_VERSIONS[ref.kind], **wanted, "kind": ref.kind})
        refuse_broken(after, before)
        if ref.kind == "ConfigMap" and after.get("data"):
            after["data"] = dict(sorted(after["data"].items()))  # as an API server gives it back
        metadata = dict(after["metadata"])
        if before is None:
            metadata |= self._born(ref)
        elif bump and after.get("spec") != before.get("spec") and "generation" in metadata:
            metadata["generation"] = before["metadata"]["generation"] + 1
        after["metadata"] = metadata
        self.writes += 1
        if before == after:
            return before
        self._counter += 1
        metadata["resourceVersion"] = str(self._counter)
        self._objects[ref] = after
        self._tell(before, after)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and ref.kind != "Pod":
            self.remove(ref)
        return after

    def _born(self, ref: Ref) -> Manifest:
        self._counter += 1
        created = {"uid": f"uid-{self._counter}", "creationTimestamp": timestamp(self.clock.now())}
        return created if ref.kind in _WITHOUT_GENERATION else {**created, "generation": 1}

    def _tell(self, before: Manifest | None, after: Manifest | None) -> None:
        for watcher in self.watchers:
            watcher(before, after)


def _is_owned_by(found: Manifest, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in found["metadata"].get("ownerReferences") or [])
