"""A Prometheus on loopback that tells of a fake world's traffic, and can be made to fail in many ways."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from changeover.adapters.metrics.prometheus import PrometheusSource, SourceSettings
from changeover.testing.builders import NAMESPACE
from changeover.testing.clock import START
from changeover.testing.world import SCRAPE_SECONDS, World

from tests.unit.loopback import Handler, Server, serving

BEFORE = START - timedelta(hours=1)  # the counters' zero
RATE = 1000  # requests a second through the route
SLOW, FAILED = 0.001, 0.0001  # shares of them
CORES = 0.1  # of each pod
TIMEOUT_SECONDS = 10.0  # a busy machine is slow now and then
IMPATIENT_SECONDS = 0.15  # with a server that never answers

Series = dict[str, Any]
Answer = Callable[["Handler"], None]
Share = Callable[[str, datetime, datetime], float | None]


def vector(*values: str) -> bytes:
    """The answer to an instant query: one series a value."""
    result = [{"metric": {"n": str(n)}, "value": [0, value]} for n, value in enumerate(values)]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


class Scripted(Server):
    """``distort`` changes the true series before they are told; ``answer`` replaces the whole answer.

    ``share`` is the mean share of the traffic that a Service got in a span, ``pods`` names all pods, ``failed`` is the
    share of requests that a Service fails, where it is not FAILED.
    """

    def __init__(self, share: Share, pods: Callable[[], list[str]], namespace: str = NAMESPACE) -> None:
        super().__init__()
        self.namespace = namespace
        self.before = BEFORE
        self.stopped = threading.Event()
        self.distort: Callable[[list[Series], float], list[Series]] = lambda series, at: series
        self.share = share
        self.pods = pods
        self.failed: dict[str, float] = {}
        self.skew = 0.0  # seconds by which its clock is ahead
        self.answer: Answer = self.tell
        self.timeout = TIMEOUT_SECONDS  # of the source
        self.own_query = ""  # of an objective of type Query
        self.own_answer = vector("12")
        self.own_asked = 0
        self.services = ("new", "old")  # that it has counters of

    def tell(self, handler: Handler) -> None:
        asked = parse_qs(urlsplit(handler.path).query)
        query, at = asked["query"][0], float(asked["time"][0])
        if query == self.own_query:
            self.own_asked += 1
            handler.send(self.own_answer)
            return
        series = self.distort(self._series(query, at), at)
        body = {"status": "success", "data": {"resultType": "matrix", "result": series}}
        handler.send(json.dumps(body).encode())

    def source(self) -> PrometheusSource:
        url = f"http://127.0.0.1:{self.server_port}"
        return PrometheusSource(SourceSettings("default", url, self.timeout, SCRAPE_SECONDS))

    def _series(self, query: str, at: float) -> list[Series]:
        lookback = float(query.rsplit("[", 1)[1].removesuffix("s]"))
        times = [t for t in range(int(at - lookback), int(at) + 1) if t % SCRAPE_SECONDS == 0 and t > at - lookback]
        if "container_cpu" in query:
            names = query.replace("\\", "")  # the names are escaped in it
            return [one for pod in self.pods() if pod in names for one in self._usage(pod, times)]
        asked = [service for service in self.services if f"svc-{self.namespace}-{service}-" in query]
        return [one for service in asked for one in self._counters(service, times)]

    def _counters(self, service: str, times: list[int]) -> list[Series]:
        known = [(t, self._requests(service, t - self.skew)) for t in times]
        counted = [(t, n) for t, n in known if n is not None]
        if not counted:
            return []
        labels = {"service": f"{self.namespace}-{service}-80@kubernetesgateway", "instance": "gateway-1"}
        failed = self.failed.get(service, FAILED)
        parts = (("200", "+Inf", 1 - failed), ("200", "0.05", 1 - failed - SLOW), ("500", "+Inf", failed))
        return [
            {"metric": {**labels, "code": code, "le": le}, "values": [[t, f"{round(n * part)}"] for t, n in counted]}
            for code, le, part in parts
        ] + [
            {
                "metric": {**labels, "code": "500", "le": "0.05"},
                "values": [[t, f"{round(n * failed)}"] for t, n in counted],
            }
        ]

    def _requests(self, service: str, at: float) -> float | None:
        """Requests that the service was sent since the counters' zero."""
        moment = datetime.fromtimestamp(at, UTC)
        share = self.share(service, self.before, moment)
        return None if share is None else RATE * share * (moment - self.before).total_seconds()

    def _usage(self, pod: str, times: list[int]) -> list[Series]:
        labels = {"namespace": self.namespace, "pod": pod, "container": "web"}
        values = {
            "container_cpu_usage_seconds_total": lambda t: CORES * (t - self.before.timestamp()),
            "container_memory_working_set_bytes": lambda t: 64.0 * 2**20,
        }
        return [
            {"metric": {**labels, "__name__": name}, "values": [[t, f"{of(t)}"] for t in times]}
            for name, of in values.items()
        ]


class OfWorld(Scripted):
    """Of a fake world."""

    def __init__(self, world: World) -> None:
        super().__init__(world.splits.share, lambda: [pod["metadata"]["name"] for pod in world.cluster.all("Pod")])
        self.world = world


@contextmanager
def scripted(world: World) -> Iterator[OfWorld]:
    with serving(OfWorld(world)) as server:
        try:
            yield server
        finally:
            server.stopped.set()
