"""What an API server holds, kept in memory by watches of our own: those who play kubelet and gateway look there.

One watch a kind for all namespaces, so that many stages side by side cost no more requests than one.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.apiserver.harness import ApiServer

COLLECTIONS = {
    "CanaryMigration": "/apis/changeover.dev/v1alpha1/canarymigrations",
    "ConfigMap": "/api/v1/configmaps",
    "Deployment": "/apis/apps/v1/deployments",
    "FrameworkBenchmark": "/apis/changeover.dev/v1alpha1/frameworkbenchmarks",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1/httproutes",
    "Job": "/apis/batch/v1/jobs",
    "Pod": "/api/v1/pods",
    "Service": "/api/v1/services",
}
API_VERSIONS = {
    kind: path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0] for kind, path in COLLECTIONS.items()
}
NOT_OURS = frozenset({"kube-root-ca.crt"})
FOREVER = 10**6
Object = dict[str, Any]


class Stopped(Exception):
    """Nobody holds the mirror up to date any more: what looks at it is to end."""


class Mirror:
    """The objects of these kinds by namespace. To look may raise Stopped."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self._changed = threading.Condition()
        self._objects: dict[tuple[str, str], dict[str, Object]] = {}
        self._changes: Counter[str] = Counter()  # by namespace
        self._stopped = False

    def all(self, kind: str, namespace: str) -> list[Object]:
        """The objects of a kind in a namespace, by name; not to be changed."""
        with self._looked_at():
            found = self._objects.get((kind, namespace), {})
            return [found[name] for name in sorted(found) if name not in NOT_OURS]

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object; None when there is none. Not to be changed."""
        with self._looked_at():
            return self._objects.get((kind, namespace), {}).get(name)

    def await_change(self, namespace: str, since: int, seconds: float) -> int:
        """How many changes a namespace has seen, as soon as there are more than ``since``, or after so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes[namespace] > since or self._stopped, seconds)
            return self._changes[namespace]

    def follow(self, kind: str) -> None:
        """Hold one kind up to date until stopped."""
        path = COLLECTIONS[kind]
        while not self._stopped:
            with self.server.client() as client:
                listed = client.get(path).body
            with self._changed:  # in one: who looks must not find nothing between
                for key in [key for key in self._objects if key[0] == kind]:
                    del self._objects[key]
                for item in listed["items"]:
                    self._take("ADDED", kind, item)
            with contextlib.suppress(OSError, ValueError):
                self._watch(kind, f"{path}?watch=true&resourceVersion={listed['metadata']['resourceVersion']}")

    def stop(self) -> None:
        """The threads end when their watches are answered next, or with the process; what still looks, at once."""
        self._stopped = True

    @contextlib.contextmanager
    def _looked_at(self) -> Iterator[None]:
        with self._changed:
            if self._stopped:
                raise Stopped
            yield

    def _watch(self, kind: str, path: str) -> None:
        for line in self.server.lines(path):
            if self._stopped:
                return
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            self._take(event["type"], kind, event["object"])

    def _take(self, what: str, kind: str, item: Object) -> None:
        metadata = item["metadata"]
        with self._changed:
            known = self._objects.setdefault((kind, metadata["namespace"]), {})
            if what == "DELETED":
                known.pop(metadata["name"], None)
            else:
                known[metadata["name"]] = {"apiVersion": API_VERSIONS[kind], "kind": kind, **item}
            self._changes[metadata["namespace"]] += 1
            self._changed.notify_all()


@contextlib.contextmanager
def mirroring(server: ApiServer) -> Iterator[Mirror]:
    """A mirror that is kept up to date for as long as the block lasts."""
    mirror = Mirror(server)
    for kind in COLLECTIONS:
        threading.Thread(target=mirror.follow, args=(kind,), daemon=True).start()
    try:
        yield mirror
    finally:
        mirror.stop()
