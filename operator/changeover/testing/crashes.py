"""A process that dies at its k-th write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from changeover.core.plan import Manifest, Ref
from changeover.ports import Cluster, Event


class Crash(BaseException):
    """The process is gone: nothing may handle this but the test."""


class CrashingCluster:
    """The port ``Cluster`` around another one; counts what changes anything, and dies before or after the k-th."""

    def __init__(self, inner: Cluster, at: int | None = None, after: bool = False) -> None:
        self.calls = 0
        self._inner = inner
        self._at = at
        self._after = after

    async def get(self, ref: Ref) -> Manifest | None:
        """Read through."""
        return await self._inner.get(ref)

    async def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        """Read through."""
        return await self._inner.list(kind, namespace, labels)

    async def log(self, namespace: str, pod: str) -> str:
        """Read through."""
        return await self._inner.log(namespace, pod)

    async def apply(self, manifest: Manifest) -> Manifest:
        """Counted."""
        self._before()
        result = await self._inner.apply(manifest)
        self._done()
        return result

    async def create(self, manifest: Manifest) -> Manifest:
        """Counted."""
        self._before()
        result = await self._inner.create(manifest)
        self._done()
        return result

    async def merge(self, ref: Ref, patch: Manifest) -> None:
        """Counted."""
        self._before()
        await self._inner.merge(ref, patch)
        self._done()

    async def delete(self, read: Manifest) -> None:
        """Counted."""
        self._before()
        await self._inner.delete(read)
        self._done()

    async def apply_status(self, ref: Ref, status: Mapping[str, Any], version: str = "") -> None:
        """Counted."""
        self._before()
        await self._inner.apply_status(ref, status, version)
        self._done()

    async def emit(self, regarding: Manifest, event: Event) -> None:
        """Counted."""
        self._before()
        await self._inner.emit(regarding, event)
        self._done()

    def _before(self) -> None:
        if self.calls == self._at and not self._after:
            raise Crash(f"before write {self.calls}")

    def _done(self) -> None:
        self.calls += 1
        if self.calls - 1 == self._at and self._after:
            raise Crash(f"after write {self._at}")
