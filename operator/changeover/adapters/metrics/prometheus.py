"""A Prometheus as the port ``MetricSource``, fenced: it may hang, drip, redirect, lie or be down; we stay responsive.

prometheus-api-client is synchronous, has no timeout by default, tries again for as long as a server asks, follows
redirects, and reads bodies of any size. Here it runs in a bounded pool, with a timeout, no second try, no redirect, and
a cap on the body; what it raises becomes Unavailable.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from changeover.adapters.metrics import counters
from changeover.adapters.metrics.traefik import quoted, traefik_service
from changeover.core.errors import Unavailable
from changeover.core.observed import Counts, NoData, Peak, Usage
from changeover.ports import DAY, CountQuery

MAX_BODY_BYTES = 8 * 2**20
MAX_THREADS = 8
_CHUNK = 64 * 2**10

T = TypeVar("T")
Ask = Callable[[str, float], Any]  # PromQL and seconds since the epoch -> the result of an instant query as JSON


@dataclass(frozen=True)
class SourceSettings:
    """A named metric source of the operator's configuration."""

    name: str
    url: str
    timeout_seconds: float
    scrape_seconds: float


class GuardedSession(requests.Session):
    """A session that follows no redirect, and reads no more than a cap in no more than a time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.trust_env = False  # no proxy or .netrc of the pod's environment
        self._seconds = seconds

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """One request, its body read up to the cap. A server that drips outlives timeouts, which are per read."""
        deadline = time.monotonic() + self._seconds
        kwargs.update(stream=True, allow_redirects=False)
        response = super().request(*args, **kwargs)
        body = bytearray()
        while chunk := _read_some(response):
            body += chunk
            if len(body) > MAX_BODY_BYTES or time.monotonic() > deadline:
                response.close()
                raise requests.RequestException(f"the answer is larger than {MAX_BODY_BYTES} bytes, or too slow")
        response._content = bytes(body)
        return response


def _read_some(response: requests.Response) -> bytes:
    """What has arrived of the body, decoded; empty at its end."""
    try:
        return bytes(response.raw.read1(_CHUNK, decode_content=True))
    except urllib3.exceptions.HTTPError as error:
        raise requests.RequestException(f"the body broke off: {error}") from error


class PrometheusSource:
    """The port ``MetricSource`` on one Prometheus and the series of cAdvisor and Traefik.

    ``ask`` stands in for the connection to the settings' address, for who has to go another way to it.
    """

    def __init__(self, settings: SourceSettings, ask: Ask | None = None) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix=f"prometheus-{settings.name}")
        self._asked = ask or directly(settings)

    async def counts(self, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        """Exact counter differences of one backend over the span, from Traefik's histogram a service."""
        span = self._span(start, end)
        name = traefik_service(query)
        both = name if query.beside is None else f"{name}|{traefik_service(replace(query, backend=query.beside))}"
        series = await self._range(f"traefik_service_request_duration_seconds_bucket{{service=~{quoted(both)}}}", span)
        own = [one for one in series if re.fullmatch(name, str(one["metric"].get("service", "")))]
        return self._sensible(lambda: counters.counts(own, span, query.bounds, series))

    async def usage(self, namespace: str, pods: Sequence[str], start: datetime, end: datetime) -> Usage | NoData:
        """CPU and memory of pods from the samples inside the span, from cAdvisor."""
        span = self._span(start, end)
        names = quoted(
            "container_cpu_usage_seconds_total|container_memory_working_set_bytes|container_cpu_cfs(_throttled)?_periods_total"
        )
        chosen = quoted("|".join(re.escape(pod) for pod in pods))
        selector = f"{{__name__=~{names},namespace={quoted(namespace)},pod=~{chosen}}}"
        series = await self._range(selector, span)
        return self._sensible(lambda: counters.usage(series, span, pods))

    async def peak(self, queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        """Highest rate of requests to these backends together, a minute's mean, in the time before."""
        names = quoted("|".join(traefik_service(query) for query in queries))
        # rate() needs two samples, and one scrape may be missing.
        minute = max(60.0, 4 * self._settings.scrape_seconds)
        requests_ = f'traefik_service_request_duration_seconds_bucket{{service=~{names},le="+Inf"}}'
        span = f"{max(120.0, lookback.total_seconds()):.0f}s"
        result = await self._ask(f"sum(rate({requests_}[{minute:.0f}s]))[{span}:1m]", at.timestamp())
        series = checked(result, self._settings.name)
        return self._sensible(lambda: highest(series, minute))

    async def value(self, query: str, at: datetime) -> float | NoData:
        """The one number that a PromQL expression gives at an instant; NoData when it gives none, or several."""
        result = await self._ask(query, at.timestamp())
        return self._sensible(lambda: one_number(result))

    def _sensible(self, judge: Callable[[], T]) -> T:
        """What the samples say; a sample of another shape is as good as no answer."""
        try:
            return judge()
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise Unavailable(f"metric source {self._settings.name} answered nonsense: {error!r}") from error

    def _span(self, start: datetime, end: datetime) -> counters.Span:
        return counters.Span(start.timestamp(), end.timestamp(), self._settings.scrape_seconds)

    async def _range(self, selector: str, span: counters.Span) -> list[counters.Series]:
        """Raw samples of a range selector that ends at the span's end."""
        result = await self._ask(f"{selector}[{span.lookback:.0f}s]", span.end)
        return checked(result, self._settings.name)

    async def _ask(self, query: str, at: float) -> Any:
        """The result of an instant query as JSON, its shape not yet looked at."""
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._pool, lambda: self._asked(query, at))
        try:
            return await asyncio.wait_for(call, 2 * self._settings.timeout_seconds)
        except (requests.RequestException, PrometheusApiClientException, TimeoutError, OSError) as error:
            why = f"{type(error).__name__}: {str(error)[:200]}"
            raise Unavailable(f"metric source {self._settings.name}: {why}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unavailable(f"metric source {self._settings.name} answered nonsense: {error!r}") from error


def directly(settings: SourceSettings) -> Ask:
    """Over HTTP, behind the fence."""
    # Shorter than what ``_ask`` waits, so that no thread is left behind.
    session = GuardedSession(1.5 * settings.timeout_seconds)
    client = PrometheusConnect(
        url=settings.url, session=session, retry=Retry(total=0), timeout=settings.timeout_seconds
    )
    return lambda query, at: client.custom_query(query, params={"time": f"{at:.3f}"})


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


def checked(result: Any, source: str) -> list[counters.Series]:
    """The series of an answer, or Unavailable when it has another shape."""
    if not (isinstance(result, list) and all(_is_series(one) for one in result)):
        raise Unavailable(f"metric source {source} answered no series")
    return list(result)


def _is_series(one: Any) -> bool:
    shaped = isinstance(one, dict) and isinstance(one.get("metric"), dict) and isinstance(one.get("values"), list)
    return shaped and all(isinstance(sample, list) and len(sample) == 2 for sample in one["values"])
