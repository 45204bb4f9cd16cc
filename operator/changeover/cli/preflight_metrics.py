"""Has Prometheus what a migration is judged by, and as the operator takes it to be? Asked through the API server."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import Any

from changeover.adapters.metrics.counters import bucket_for
from changeover.adapters.metrics.traefik import BUCKETS, quoted
from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.prometheus import ask, proxied, scrape_seconds, service_label
from changeover.cli.verdict import BAD, OK, WARNING, Check
from changeover.config import SERVICE_LABEL

Body = dict[str, Any]
GATEWAYS_OWN, CPU = "traefik_config_last_reload_success", "container_cpu_usage_seconds_total"
NEEDED = {
    BUCKETS: "run Traefik with --metrics.prometheus.addServicesLabels and let Prometheus scrape it",
    CPU: "let Prometheus scrape the kubelets' /metrics/cadvisor",
}
METRIC_SOURCE = "metric source"  # how what a check is about begins
RENAMED = "exported_service"  # by the Prometheus operator, without honorLabels
TOO_SLOW, MUCH_FASTER = 1.2, 0.8  # of the configured interval


@dataclass(frozen=True)
class Asked:
    """A metric source that can be asked, and for whom: stable's pods are there before the canary's."""

    kubectl: Kubectl
    source: Body
    spec: MigrationSpec
    namespace: str

    @property
    def what(self) -> str:
        """What a check is about."""
        return f"{METRIC_SOURCE} {self.source['name']}"

    def __call__(self, query: str) -> list[Body]:
        """The result of an instant query. Raises KubectlFailed."""
        return ask(self.kubectl, proxied(self.source["url"]), query)


def metrics(asked: Asked) -> Iterator[Check]:
    """One check after another; what cannot be asked is a warning."""
    yield from (_series(asked, series, mend) for series, mend in NEEDED.items())
    looks: list[Callable[[Asked], Iterator[Check]]] = [_label, _buckets, _gateway_is_scraped, _kubelets_are_scraped]
    for look in looks:
        try:
            yield from look(asked)
        except KubectlFailed as failure:
            yield Check(WARNING, asked.what, f"could not be asked: {str(failure)[:120]}")


def _series(asked: Asked, series: str, mend: str) -> Check:
    """Whether Prometheus has a series. A gateway that nobody has asked yet counts nothing, but tells of itself."""
    named = f"{asked.what}: {series}"
    try:
        found = asked(f"count({series})")
        if found:
            return Check(OK, named, f"{found[0]['value'][1]} series")
        if series == BUCKETS and asked(f"count({GATEWAYS_OWN})"):
            return Check(WARNING, named, "has no series yet; they come with the first request")
    except KubectlFailed as failure:
        return Check(WARNING, named, f"could not be asked: {str(failure)[:120]}")
    return Check(BAD, named, f"has no series; {mend}")


def _label(asked: Asked) -> Iterator[Check]:
    """Whether backends have their names where they are looked for; nothing to say before the first request."""

    def names_backends(label: str) -> bool:
        return bool(asked(f'count({BUCKETS}{{{label}=~".+@kubernetesgateway"}})'))

    said, what = service_label(asked.source), f"{asked.what}: serviceLabel"
    if names_backends(said):
        yield Check(OK, what, f"{said} names the gateway's backends")
        return
    real = next((label for label in (SERVICE_LABEL, RENAMED) if label != said and names_backends(label)), None)
    if real is not None:
        mend = f"set metricSources[].serviceLabel: {real}"
        mend += ", or honorLabels: true in the ServiceMonitor" if real == RENAMED else ""
        yield Check(BAD, what, f"is {said}, and {real} names the backends, so none is ever found; {mend}")


def _buckets(asked: Asked) -> Iterator[Check]:
    """Whether the gateway's histogram can tell what a latency objective asks; nothing to say before it counts."""
    found = asked(f"group by (le) ({BUCKETS})")
    bounds = sorted({float(one["metric"]["le"]) for one in found if "le" in one.get("metric", {})} - {math.inf})
    if not bounds:
        return
    for objective in asked.spec.objectives:
        if objective.latency is not None:
            yield _bucket(objective.name, bounds, duration_seconds(objective.latency.max))


def _bucket(objective: str, bounds: list[float], wanted: float) -> Check:
    what, nearest = f"objective {objective}: {_ms(wanted)}", bucket_for(bounds, wanted)
    mend = f"--metrics.prometheus.buckets={','.join(f'{bound:g}' for bound in sorted({*bounds, wanted}))}"
    if nearest is None:
        never = f"no histogram bucket at or under {_ms(wanted)}, so there is never evidence"
        return Check(BAD, what, f"{never}; run Traefik with {mend}")
    if nearest < wanted * (1 - 1e-9):
        stricter = f"judged at {_ms(nearest)}, the next lower bucket, which is stricter"
        return Check(WARNING, what, f"{stricter}; for the exact one run Traefik with {mend}")
    return Check(OK, what, "the histogram has this bucket")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:g} ms"


def _gateway_is_scraped(asked: Asked) -> Iterator[Check]:
    """Whether the gateway's samples are as fresh as the operator wants them."""
    what, said = f"{asked.what}: scrapes of the gateway", scrape_seconds(asked.source)
    real = _interval(asked(f"{GATEWAYS_OWN}[10m]"))
    if real is None:
        yield Check(WARNING, what, "how often is not known yet: fewer than three in the last ten minutes")
    elif real > TOO_SLOW * said:
        slower = f"a sample every {real:.3g} s, and scrapeIntervalSeconds says {said:g}: fresh ones count as stale"
        yield Check(BAD, what, f"{slower}; set it to {math.ceil(real - 0.25)} in the chart's values")
    elif real < MUCH_FASTER * said:
        yield Check(OK, what, f"every {real:.3g} s; scrapeIntervalSeconds says {said:g}, so evidence waits for longer")
    else:
        yield Check(OK, what, f"every {real:.3g} s, as scrapeIntervalSeconds says")


def _kubelets_are_scraped(asked: Asked) -> Iterator[Check]:
    """Whether CPU is known as often, where it is judged; a warning only, since a kubelet has a pace of its own."""
    if all(objective.cpu is None for objective in asked.spec.objectives):
        return
    what, said = f"{asked.what}: CPU of stable", scrape_seconds(asked.source)
    inside = f"namespace={quoted(asked.namespace)}," if asked.namespace else ""
    pods = quoted(f"{asked.spec.stable.workload.name}-.*")
    real = _interval(asked(f"{CPU}{{{inside}pod=~{pods}}}[10m]"))
    if real is None:
        yield Check(WARNING, what, "how often is not known yet: fewer than three samples in the last ten minutes")
    elif real > TOO_SLOW * said:
        late = f"a sample every {real:.3g} s, and scrapeIntervalSeconds says {said:g}"
        yield Check(WARNING, what, f"{late}; a block needs two of them, so let it last {math.ceil(2 * real)} s or more")
    else:
        yield Check(OK, what, f"a sample every {real:.3g} s")


def _interval(series: list[Body]) -> float | None:
    """Seconds between two samples, by the series that has most of them; None for fewer than three.

    Of two gaps the shorter: the longer may be a scrape that failed.
    """
    longest: list[Any] = max((one.get("values", []) for one in series), key=len, default=[])
    gaps = [float(after[0]) - float(before[0]) for before, after in pairwise(longest)]
    return median_low(gaps) if len(gaps) >= 2 else None
