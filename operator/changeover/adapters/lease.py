"""Who leads? A Lease of the cluster's: one process works, the others wait for it to end or to fall silent.

As client-go's leader election: who waits measures, by its own clock, how long the Lease has not changed. Who leads
stops a second before anybody may take over, and is asked before each of its writes, so that a process that was stopped
and goes on later writes nothing. What is on its way already meets ``core.fence``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from changeover.core.errors import ChangeoverError, Conflict, Unavailable
from changeover.core.plan import Manifest, Ref
from changeover.ports import Cluster

log = logging.getLogger(__name__)
RENEW_SECONDS = 1.0
FOLLOW_SECONDS = 0.4  # between two looks of who waits
ASK_SECONDS = 2.0  # for one look
MARGIN_SECONDS = 1.0  # between the last write of who leads and the first of who takes over
_API = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}


class NotLeading(Unavailable):
    """Somebody else leads, or may by now."""


def monotonic() -> float:
    """Seconds that go on while the machine sleeps or the process is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Terms:
    """Which Lease, who we are, and for how many whole seconds it holds.

    ``identity`` is pod/process: a pod has one process at a time, so what another of our pod held is free.
    """

    ref: Ref
    identity: str
    seconds: int


class Lease:
    """Our part in it. ``led`` is set while we lead; ``term`` counts the changes of leader."""

    def __init__(self, cluster: Cluster, terms: Terms, now: Callable[[], float] = monotonic) -> None:
        self.led = asyncio.Event()
        self.term = 0
        self._cluster, self._terms, self._now = cluster, terms, now
        self._until = 0.0  # by our clock
        self._seen: tuple[Any, ...] | None = None
        self._seen_at = 0.0
        self._latest_term = 0  # that was ever seen

    @property
    def leading(self) -> bool:
        """Whether nobody else can lead at this moment."""
        return self._now() < self._until

    def check(self) -> None:
        """Before a write. Raises NotLeading."""
        if not self.leading:
            raise NotLeading(f"{self._terms.identity} does not lead any more")

    async def run(self) -> None:
        """Try to lead, and to go on leading, until cancelled."""
        while True:
            try:
                # Not wait_for: up to Python 3.11 it may swallow a cancellation, and the operator would not end.
                async with asyncio.timeout(ASK_SECONDS):
                    await self.look()
            except (ChangeoverError, TimeoutError) as error:
                log.warning(
                    "Lease %s/%s cannot be read or written, and without it no weight moves; may the account get, "
                    "create and patch it? %s: %s",
                    self._terms.ref.namespace, self._terms.ref.name, type(error).__name__, error,
                )  # fmt: skip
            self._tell()
            await asyncio.sleep(RENEW_SECONDS if self.leading else FOLLOW_SECONDS)

    async def look(self) -> None:
        """Renew it, take it when it is free, or see who has it. Raises Unavailable."""
        asked = self._now()
        found = await self._cluster.get(self._terms.ref)
        spec = _spec(found)
        self._latest_term = max(self._latest_term, int(spec.get("leaseTransitions") or 0))
        if not (self._is_mine(spec) or self._is_free(spec)):
            self._until = 0.0
            return
        try:
            term = await self._take(found)
        except Conflict:
            return  # somebody was faster; the next look shows who
        self.term, self._until = term, asked + self._terms.seconds - MARGIN_SECONDS

    async def release(self) -> None:
        """Let go, so that who waits need not wait for its end. To be called when all work has ended."""
        was_leading, self._until = self.leading, 0.0
        self.led.clear()
        if not was_leading:
            return
        with contextlib.suppress(ChangeoverError, TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                found = await self._cluster.get(self._terms.ref)
                if found is not None and self._is_mine(_spec(found)):
                    await self._write(found, {"holderIdentity": ""})

    def _tell(self) -> None:
        if self.leading and not self.led.is_set():
            log.info("%s leads, term %d", self._terms.identity, self.term)
            self.led.set()
        elif not self.leading and self.led.is_set():
            log.warning("%s does not lead any more", self._terms.identity)
            self.led.clear()

    def _is_mine(self, spec: Manifest) -> bool:
        """Also one that somebody deleted or emptied under us: nobody else takes that at once."""
        return bool(spec.get("holderIdentity") == self._terms.identity) or (self.leading and not spec.get("renewTime"))

    def _is_free(self, spec: Manifest) -> bool:
        """Let go, silent for its time, another process's of our pod, or not there when we looked for the first time."""
        holder, pod = str(spec.get("holderIdentity") or ""), self._terms.identity.split("/")[0]
        seen, never = (holder, spec.get("renewTime"), spec.get("leaseTransitions")), self._seen is None
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._now()
        if self._now() - self._seen_at >= float(spec.get("leaseDurationSeconds") or self._terms.seconds):
            return True  # silent
        if not spec.get("renewTime"):  # who let go leaves it; without it, it was deleted or emptied under who leads
            return never
        return not holder or (bool(pod) and holder.split("/")[0] == pod)

    async def _take(self, found: Manifest | None) -> int:
        """Make, take or renew it; the term."""
        term = self._next_term(_spec(found))
        spec = {**self._renewed(), "leaseTransitions": term}
        if term != self.term:
            spec["acquireTime"] = _now()
        if found is not None:
            await self._write(found, spec)
            return term
        metadata = {"name": self._terms.ref.name, "namespace": self._terms.ref.namespace}
        made = await self._cluster.apply({**_API, "metadata": metadata, "spec": spec})
        if made["spec"].get("holderIdentity") != self._terms.identity:
            raise Conflict("somebody else made it")
        return term

    def _next_term(self, spec: Manifest) -> int:
        """Renewing it, and making anew what was deleted under us, is no change of leader."""
        if spec.get("holderIdentity") == self._terms.identity:
            return max(1, self._latest_term)
        return self.term if self._is_mine(spec) else self._latest_term + 1

    def _renewed(self) -> dict[str, Any]:
        seconds = self._terms.seconds
        return {"holderIdentity": self._terms.identity, "leaseDurationSeconds": seconds, "renewTime": _now()}

    async def _write(self, found: Manifest, spec: dict[str, Any]) -> None:
        """For the very version that was read: of two that take it at once, one is refused."""
        version = found["metadata"]["resourceVersion"]
        await self._cluster.merge(self._terms.ref, {"metadata": {"resourceVersion": version}, "spec": spec})


def _spec(found: Manifest | None) -> Manifest:
    """Of a Lease: empty where there is none, and where somebody emptied it."""
    return (found or {}).get("spec") or {}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
