"""What was seen of the world. What could not be read is Unreadable(reason): never absent, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Unreadable:
    """Something that exists or not, we could not tell; the reason says why."""

    reason: str


@dataclass(frozen=True)
class Owner:
    """The resource that is reconciled: identity, and what its status says."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    deleting: bool
    finalizers: tuple[str, ...]
    status: Mapping[str, Any]
    retry: str = ""  # the token of the last retry that was asked for
    requests: Mapping[str, str] = field(default_factory=dict)  # token by verb of all that is asked for
    version: str = ""  # its resourceVersion


@dataclass(frozen=True)
class Pod:
    """One pod: enough to know whether it works, where, and what it runs."""

    name: str
    ready: bool
    deleting: bool
    node: str
    image_id: str
    restarts: int
    waiting: str  # why its container does not run, in the kubelet's words; empty when it runs
    ended: datetime | None = None  # when one of its containers ended last; None when none ever did
    why_ended: str = ""  # in the kubelet's words, with the exit code
    build: str = ""  # stands for the pod template that it was made from; empty: not known
    started: datetime | None = None  # when the kubelet took it; None: not known


@dataclass(frozen=True)
class Workload:
    """A Deployment with its pods."""

    name: str
    labels: Mapping[str, str]
    created: datetime
    deleting: bool
    replicas: int
    pods: tuple[Pod, ...]
    cpu_limit: float | None  # cores a pod: the limit, else the request, else None
    measured_as: str = ""  # its annotation, which stands for the benchmark's candidate that it was made from

    @property
    def ready(self) -> int:
        """Pods that are ready and not going away."""
        return sum(1 for pod in self.pods if pod.ready and not pod.deleting)

    @property
    def builds(self) -> frozenset[str]:
        """The pod templates that the pods which stay were made from: more than one while they are replaced."""
        return frozenset(pod.build for pod in self.pods if pod.build and not pod.deleting)

    def complete_from(self, now: datetime) -> datetime | None:
        """Since when all pods that stay are there: not before now, when one waits for a node. None: not known."""
        started = [pod.started for pod in self.pods if not pod.deleting]
        known = [at for at in started if at is not None]
        return None if not known else max(known) if len(known) == len(started) else now

    @property
    def restarts(self) -> int:
        """How often the containers of its pods were started again, in all."""
        return sum(pod.restarts for pod in self.pods if not pod.deleting)


@dataclass(frozen=True)
class NoData:
    """The source answered: there is nothing, or nothing fresh enough."""

    reason: str


@dataclass(frozen=True)
class Usage:
    """CPU and memory of pods over a window, from counters inside it, and what the user's own queries said of it."""

    cpu_cores: float  # mean over the span
    memory_peak_bytes: float
    span_seconds: float  # between the first and the last sample inside the window
    throttled_share: float | None = None  # of its scheduling periods; None without a CPU limit or without the counters
    readings: Mapping[str, float | NoData | Unreadable] = field(default_factory=dict)
    others: int = 0  # further pods of the same ReplicaSets that were there in the window: gone by now, not counted here

    @property
    def is_complete(self) -> bool:
        """Whether every query has had a value."""
        return all(isinstance(reading, float) for reading in self.readings.values())


@dataclass(frozen=True)
class Route:
    """A route as read back."""

    ours: bool  # made by, or handed over to, this migration
    canary_percent: int | None  # None when its rules are not the two backends that we write
    mark: Mapping[str, Any] | None
    accepted: bool  # the gateway has taken this very generation
    why_not: str  # the gateway's words when it has not
    migration: str = ""  # the migration that its label names
    changed_by: str = ""  # the field manager that wrote its spec last, when it was not us
    unfit: str = ""  # why the rules of an adopted route cannot carry our weights, and the mend
    gateways: tuple[str, ...] = ()  # namespace/name of those that it attaches to
    hostnames: tuple[str, ...] = ()
    version: str = ""  # the API server's, of the very object that was read
    as_asked: bool = True  # Gateways, hostnames and matches are those of the spec; of an adopted route none are asked
    backends: tuple[tuple[str, int], ...] = ()  # Service and port of all that its rules send to, each once


@dataclass(frozen=True)
class Counts:
    """Requests of one arm over a span: exact differences of counters."""

    requests: int
    errors: int
    slow: Mapping[str, int]  # requests over the bound, for each latency objective by name
    shown: Mapping[str, float]  # the objective's percentile in seconds, interpolated: to be shown, never to decide


@dataclass(frozen=True)
class Evidence:
    """Both arms over one span of absolute time; None for an arm that has no usable counters."""

    start: datetime
    end: datetime
    canary: Counts | None
    stable: Counts | None
    canary_cores: float | None  # CPU of the canary's pods, cores
    # What the user's own queries gave at the span's end, by objective.
    readings: Mapping[str, float | NoData | Unreadable] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """One arm over a span, for the table of before and after; `cores` is what its pods may use together."""

    seconds: float
    counts: Counts
    usage: Usage | None
    cores: float | None


@dataclass(frozen=True)
class Peak:
    """The highest rate of requests that was seen, requests/s, and the end of the span that it is the mean of."""

    rate: float
    at: datetime
    seconds: float


@dataclass(frozen=True)
class GateAnswer:
    """What a gate said, to what, and when; Passed, Refused or Silent, and why not Passed."""

    name: str
    about: str
    state: str
    at: datetime
    message: str


@dataclass(frozen=True)
class LoadReport:
    """What a load run reported: the loader's JSON, version 1 (see ``changeover.loader``)."""

    content: Mapping[str, Any]
    pod: str = ""  # of the candidate, that was there when the load began; empty when that is not known


@dataclass(frozen=True)
class LoadRunning:
    """The load Job has not ended."""


@dataclass(frozen=True)
class LoadFailed:
    """The load Job ended without a report."""

    reason: str
