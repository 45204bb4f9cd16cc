"""What does the operator need from outside? Protocols; each has a real adapter and a fake under one contract suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from changeover.core.manifests.route import Arm, RouteShape
from changeover.core.notices import Ahead
from changeover.core.observed import Counts, LoadFailed, LoadReport, LoadRunning, NoData, Peak, Route, Usage
from changeover.core.plan import Manifest, Ref, SetSplit

DAY = timedelta(hours=24)


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Now, in UTC."""
        ...


class Cluster(Protocol):
    """Kubernetes objects, raw. Raises Unavailable or Conflict."""

    async def get(self, ref: Ref) -> Manifest | None:
        """The object; None when there is none."""
        ...

    async def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        """The objects that carry all of these labels; an empty namespace means all that may be seen."""
        ...

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply with our field manager; returns what the API server made of it.

        Conflict when the manifest says a ``uid`` or a ``resourceVersion``, and there is another by now. What is gone is
        made anew, unless a ``uid`` is said.
        """
        ...

    async def create(self, manifest: Manifest) -> Manifest:
        """Make what is not there, which apply cannot be held to; Conflict when there is one of its name."""
        ...

    async def merge(self, ref: Ref, patch: Manifest) -> None:
        """JSON merge patch."""
        ...

    async def delete(self, read: Manifest) -> None:
        """Delete what was read, with its dependants in the background; gone already is as good.

        Conflict when it was changed, or made anew, since it was read.
        """
        ...

    async def apply_status(self, ref: Ref, status: Mapping[str, Any], version: str = "") -> None:
        """Replace our status; Conflict when the object has another version than this one by now."""
        ...

    async def emit(self, regarding: Manifest, event: Event) -> None:
        """Post an event about an object."""
        ...

    async def log(self, namespace: str, pod: str) -> str:
        """The whole log of a pod that has one container."""
        ...


@dataclass(frozen=True)
class Event:
    """One event: a reason, in words, and whether it is a warning."""

    reason: str
    message: str
    warning: bool
    action: str = "Reconcile"


@dataclass(frozen=True)
class BackendPort:
    """A Service and its port."""

    service: str
    port: int


@dataclass(frozen=True)
class SplitTarget:
    """Which route carries the traffic of which two backends."""

    namespace: str
    route: str
    migration: str
    stable: BackendPort
    canary: BackendPort
    parents: tuple[tuple[str, str], ...]  # (namespace, name) of the gateways
    hostnames: tuple[str, ...] = ()
    matches: tuple[Mapping[str, Any], ...] = ()  # as the Gateway API has them; empty: all requests
    adopted: bool = False  # the route is its users'; only two weights of it are ours


def shape_of(target: SplitTarget) -> RouteShape:
    """All of a managed route besides its weights."""
    return RouteShape(
        namespace=target.namespace,
        name=target.route,
        migration=target.migration,
        stable=Arm(target.stable.service, target.stable.port),
        canary=Arm(target.canary.service, target.canary.port),
        parents=target.parents,
        hostnames=target.hostnames,
        matches=target.matches,
    )


class TrafficRouter(Protocol):
    """A gateway's weights. Raises Unavailable or Conflict."""

    async def observe(self, target: SplitTarget) -> Route | None:
        """The route as it stands; None when there is none."""
        ...

    async def ensure(self, target: SplitTarget, wanted: SetSplit) -> None:
        """Weights and mark, in one write, of the version that was seen."""
        ...

    async def release(self, target: SplitTarget) -> None:
        """Take our marks off and leave the weights."""
        ...


@dataclass(frozen=True)
class LoadRun:
    """One run of load: what, how, where; its name is its identity."""

    name: str
    namespace: str


class LoadDriver(Protocol):
    """Load runs as Jobs."""

    async def result(self, run: LoadRun) -> LoadReport | LoadRunning | LoadFailed | None:
        """How the run stands; None when there is no such run."""
        ...


@dataclass(frozen=True)
class Bound:
    """A latency objective: at most (100 - percentile) percent of requests may take longer than so many seconds."""

    seconds: float
    percentile: float


@dataclass(frozen=True)
class CountQuery:
    """Which counters: the arm's backend as the gateway calls it, and the latency bounds that matter, by objective.

    ``beside`` is the other arm: its counters show that a gateway was there before this arm had its first request.
    ``together`` counts both as one: then what spoils the counters of either spoils the sum.
    """

    namespace: str
    route: str
    backend: BackendPort
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    beside: BackendPort | None = None
    together: bool = False


class MetricSource(Protocol):
    """A Prometheus. Raises Unavailable; a source that answers but has nothing returns NoData."""

    async def counts(self, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        """Exact counter differences over the span."""
        ...

    async def usage(self, namespace: str, pods: Sequence[str], start: datetime, end: datetime) -> Usage | NoData:
        """CPU and memory of pods from the samples inside the span."""
        ...

    async def peak(self, queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        """Highest rate of requests to these backends together, a minute's mean, in the time before."""
        ...

    async def value(self, query: str, at: datetime) -> float | NoData:
        """The one number that a PromQL expression gives at an instant."""
        ...


class Outgoing(Protocol):
    """HTTP to the outside."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        """The status of the answer. Raises InvalidSpec for an address that is not allowed, Unavailable without one."""
        ...


@dataclass(frozen=True)
class Dependencies:
    """Everything that a reconciler may touch, and the operator's own settings that it needs."""

    clock: Clock
    cluster: Cluster
    router: TrafficRouter
    load: LoadDriver
    outgoing: Outgoing
    sources: Mapping[str, MetricSource]
    scrape_seconds: Mapping[str, float]
    open_sources: frozenset[str]  # those that take the queries of resources
    loader_image: str
    gateways: Mapping[str, str] = field(default_factory=dict)  # address of a Gateway by namespace/name, for own load
    show: Callable[[Ref, Mapping[str, Any] | None], None] = lambda ref, status: None  # a status, to be seen in metrics
    term: Callable[[], int] = lambda: 0  # of leadership, under which we decide; 0 without a Lease
    ahead: dict[Ref, Ahead] = field(default_factory=dict)  # what was told, by migration, while status may not have it
