"""A Prometheus as the port ``MetricSource``, fenced: it may hang, drip, redirect, lie or be down; we stay responsive.

prometheus-api-client is synchronous, has no timeout by default, tries again for as long as a server asks, follows
redirects, and reads bodies of any size. Here it runs in a bounded pool, behind a session that is guarded; what it
raises becomes Unavailable. Answers are judged in that pool, too: one of some MiB would stop the event loop for seconds.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from changeover.adapters.metrics import counters
from changeover.adapters.metrics.breaker import Breaker
from changeover.adapters.metrics.guarded import GuardedSession
from changeover.adapters.metrics.traefik import BUCKETS, quoted, traefik_service
from changeover.core.errors import Unavailable
from changeover.core.observed import Counts, NoData, Peak, Usage
from changeover.ports import DAY, CountQuery

MAX_THREADS = 8
LONG_SECONDS = 900.0  # a span that reaches back further is another kind of question

_RANDOM = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes makes the random ends of names of
_OF_A_REPLICA_SET = re.compile(rf"(.+-[{_RANDOM}]+)-[{_RANDOM}]{{5}}")

T = TypeVar("T")
Ask = Callable[[str, float], Any]  # PromQL and seconds since the epoch -> the result of an instant query as JSON
_NO_ANSWER = (requests.RequestException, PrometheusApiClientException, TimeoutError, OSError)
_NONSENSE = (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class SourceSettings:
    """A named metric source of the operator's configuration."""

    name: str
    url: str
    timeout_seconds: float
    scrape_seconds: float
    service_label: str = "service"  # the label that names the backend in the gateway's series


class PrometheusSource:
    """The port ``MetricSource`` on one Prometheus and the series of cAdvisor and Traefik.

    ``ask`` stands in for the connection to the settings' address, for who has to go another way to it.
    """

    def __init__(self, settings: SourceSettings, ask: Ask | None = None) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix=f"prometheus-{settings.name}")
        # A question of one kind that always takes too long must not keep the others from being asked.
        self._breakers: defaultdict[str, Breaker] = defaultdict(lambda: Breaker(settings.timeout_seconds))
        self._session = GuardedSession(1.5 * settings.timeout_seconds)  # less than what ``_ask`` waits: no thread stays
        self._asked = ask or directly(settings, self._session)

    async def counts(self, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        """Exact counter differences of one backend, or both, over the span, from Traefik's histogram a service."""
        span = self._span(start, end)
        name = traefik_service(query)
        both = name if query.beside is None else f"{name}|{traefik_service(replace(query, backend=query.beside))}"
        label = self._settings.service_label
        selector = f"{BUCKETS}{{{label}=~{quoted(both)}}}"

        def judged(series: list[counters.Series]) -> Counts | NoData:
            named = [_under_its_own_name(one, label) for one in series]
            counted = both if query.together else name
            own = [one for one in named if re.fullmatch(counted, str(one["metric"].get("service", "")))]
            return counters.counts(own, span, query.bounds, named)

        return await self._range(selector, span, judged)

    async def usage(self, namespace: str, pods: Sequence[str], start: datetime, end: datetime) -> Usage | NoData:
        """CPU and memory of pods from the samples inside the span, from cAdvisor; their siblings are looked at, too."""
        span = self._span(start, end)
        names = quoted(
            "container_cpu_usage_seconds_total|container_memory_working_set_bytes|container_cpu_cfs(_throttled)?_periods_total"
        )
        chosen = quoted("|".join([*map(re.escape, pods), *siblings(pods)]))
        selector = f"{{__name__=~{names},namespace={quoted(namespace)},pod=~{chosen}}}"
        return await self._range(selector, span, lambda series: counters.usage(series, span, pods))

    async def peak(self, queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        """Highest rate of requests to these backends together, a minute's mean, in the time before."""
        names = quoted("|".join(traefik_service(query) for query in queries))
        # rate() needs two samples, and one scrape may be missing.
        minute = max(60.0, 4 * self._settings.scrape_seconds)
        requests_ = f'{BUCKETS}{{{self._settings.service_label}=~{names},le="+Inf"}}'
        span = f"{max(120.0, lookback.total_seconds()):.0f}s"
        asked = f"sum(rate({requests_}[{minute:.0f}s]))[{span}:1m]"
        return await self._ask("peak", asked, at.timestamp(), lambda result: highest(checked(result), minute))

    async def value(self, query: str, at: datetime) -> float | NoData:
        """The one number that a PromQL expression gives at an instant; NoData when it gives none, or several."""
        return await self._ask("value", query, at.timestamp(), one_number)

    def _span(self, start: datetime, end: datetime) -> counters.Span:
        return counters.Span(start.timestamp(), end.timestamp(), self._settings.scrape_seconds)

    async def _range(self, selector: str, span: counters.Span, judge: Callable[[list[counters.Series]], T]) -> T:
        """What the raw samples of a range selector that ends at the span's end are judged to say."""
        kind = "long" if span.lookback > LONG_SECONDS else selector.partition("{")[0]
        query = f"{selector}[{span.lookback:.0f}s]"
        return await self._ask(kind, query, span.end, lambda result: judge(checked(result)))

    async def _ask(self, kind: str, query: str, at: float, judge: Callable[[Any], T]) -> T:
        """The result of an instant query, judged. A kind of question that was not answered in time rests a while."""
        loop = asyncio.get_running_loop()
        with self._breakers[kind].question():
            call = loop.run_in_executor(self._pool, self._answered, query, at, judge)
            try:
                async with asyncio.timeout(2 * self._settings.timeout_seconds):
                    return await call
            except _NO_ANSWER as error:
                why = f"{type(error).__name__}: {str(error)[:200] or 'no answer in time'}"
                raise Unavailable(f"metric source {self._settings.name}: {why}") from error
            except _NONSENSE as error:
                why = repr(error)[:200]
                raise Unavailable(f"metric source {self._settings.name} answered nonsense: {why}") from error

    def _answered(self, query: str, at: float, judge: Callable[[Any], T]) -> T:
        """In a thread of the pool."""
        try:
            return judge(self._asked(query, at))
        finally:
            self._session.done()


def directly(settings: SourceSettings, session: GuardedSession) -> Ask:
    """Over HTTP, behind the fence."""
    client = PrometheusConnect(url=settings.url, session=session, timeout=settings.timeout_seconds)
    return lambda query, at: client.custom_query(query, params={"time": f"{at:.3f}"})


def siblings(pods: Sequence[str]) -> list[str]:
    """Regular expressions of the names that the ReplicaSets of these pods give, to find those that are gone by now."""
    found = (_OF_A_REPLICA_SET.fullmatch(pod) for pod in pods)
    return [f"{re.escape(name)}-[{_RANDOM}]{{5}}" for name in sorted({one[1] for one in found if one is not None})]


def one_number(result: Any) -> float | NoData:
    """The number of a scalar ``[seconds, "value"]``, or of a vector of one series; a range is a ValueError."""
    if not result:
        return NoData("the query gave no sample")
    if isinstance(result[0], dict):
        if len(result) > 1:
            return NoData(f"the query gave {len(result)} series where one is needed; aggregate them")
        result = result[0]["value"]
    value = float(result[1])
    return value if math.isfinite(value) else NoData(f"the query gave {result[1]}")


def highest(series: Sequence[counters.Series], seconds: float) -> Peak | NoData:
    """The highest finite sample of a series, each a mean over so many seconds, and when it was."""
    samples = [(float(value), float(at)) for one in series for at, value in one["values"]]
    finite = [sample for sample in samples if math.isfinite(sample[0])]
    if not finite:
        return NoData("the query gave no sample")
    rate, at = max(finite)
    return Peak(rate, datetime.fromtimestamp(at, UTC), seconds)


def _under_its_own_name(series: counters.Series, label: str) -> counters.Series:
    """The series with the gateway's own ``service``, which on the way here became another label."""
    if label == "service":
        return series
    return {**series, "metric": {**series["metric"], "service": series["metric"].get(label, "")}}


def checked(result: Any) -> list[counters.Series]:
    """The series of an answer; a ValueError when it has another shape."""
    if not (isinstance(result, list) and all(_is_series(one) for one in result)):
        raise ValueError("no series")
    return result


def _is_series(one: Any) -> bool:
    shaped = isinstance(one, dict) and isinstance(one.get("metric"), dict) and isinstance(one.get("values"), list)
    return shaped and all(isinstance(sample, list) and len(sample) == 2 for sample in one["values"])
