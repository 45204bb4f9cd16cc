"""Scripted metric sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from changeover.core.errors import Unavailable
from changeover.core.observed import Counts, NoData, Peak, Usage
from changeover.ports import DAY, CountQuery


@dataclass(frozen=True)
class Behaviour:
    """How a backend behaves under the requests that reach it.

    slow_share, error_share   of its requests
    cores_per_pod             CPU of each of its pods
    """

    slow_share: float = 0.001
    error_share: float = 0.0
    cores_per_pod: float = 0.1


class FakeMetrics:
    """The port ``MetricSource``: requests follow from how much of the traffic an arm got in the span.

    ``share(service, start, end)`` is the mean share of the traffic, None for a backend of which nothing is known.
    ``more(start, end)`` is the mean rate of further requests to the route, besides the constant one.
    ``mode`` is good, none (NoData) or unreadable (raises Unavailable). ``values`` are what whole queries give.
    """

    def __init__(self, share: Callable[[str, datetime, datetime], float | None], rate: float = 100.0) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.rate = rate
        self.mode = "good"
        self.values: dict[str, float] = {}
        self.cores: Callable[[str], float | None] = lambda pod: Behaviour().cores_per_pod
        self.more: Callable[[datetime, datetime], float] = lambda start, end: 0.0
        self._share = share

    async def counts(self, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        """Counts in proportion to share, rate and length of the span."""
        self._check()
        share = self._share(query.backend.service, start, end)
        if query.together and query.beside is not None:
            beside = self._share(query.beside.service, start, end)
            share = beside if share is None else share + (beside or 0.0)
        if self.mode == "none" or share is None:
            return NoData("no series")
        seconds = (end - start).total_seconds()
        requests = round((self.rate + self.more(start, end)) * seconds * share)
        behaviour = self.behaviours.get(query.backend.service, Behaviour())
        slow = round(requests * behaviour.slow_share)
        return Counts(
            requests=requests,
            errors=round(requests * behaviour.error_share),
            slow=dict.fromkeys(query.bounds, slow),
            shown={name: min(bound.seconds, 0.05) / 2 for name, bound in query.bounds.items()},
        )

    async def usage(self, namespace: str, pods: Sequence[str], start: datetime, end: datetime) -> Usage | NoData:
        """The pods' CPU, constant."""
        self._check()
        used = [self.cores(pod) for pod in pods]
        known = [cores for cores in used if cores is not None]
        if self.mode == "none" or not pods or len(known) < len(used):
            return NoData("fewer than two CPU samples inside the window")
        return Usage(sum(known), 64 * 2.0**20 * len(pods), (end - start).total_seconds())

    async def peak(self, queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        """The constant rate; NoData when no backend ever had traffic."""
        self._check()
        known = any(self._share(query.backend.service, at - timedelta(minutes=1), at) for query in queries)
        if not known or self.mode == "none":
            return NoData("the query gave no sample")
        return Peak(float(self.rate), at, 60.0)

    async def value(self, query: str, at: datetime) -> float | NoData:
        """What a query gives, constant."""
        self._check()
        if self.mode == "none" or query not in self.values:
            return NoData("the query gave no sample")
        return self.values[query]

    def _check(self) -> None:
        if self.mode == "unreadable":
            raise Unavailable("metric source default: timed out")
