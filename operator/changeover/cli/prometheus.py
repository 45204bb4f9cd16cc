"""The operator's Prometheus, asked through the API server's proxy where it is a Service of the cluster."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.config import SCRAPE_INTERVAL_SECONDS, SERVICE_LABEL

if TYPE_CHECKING:
    from changeover.ports import MetricSource

Body = dict[str, Any]
CHUNK_SECONDS = 1800.0  # of raw samples that are fetched at once
REACH_SECONDS = 60.0  # spans up to a multiple of this share what was fetched
PATIENCE_SECONDS = 60.0
RAW = re.compile(r"(?P<selector>.+})\[(?P<seconds>\d+)s\]")
_LABELS = "--selector=app.kubernetes.io/name=changeover"
_INSTANCE = "app.kubernetes.io/instance"


def proxied(url: str) -> str:
    """The API server's path to a Service of the cluster, ``name.namespace.svc``; empty for any other host."""
    found = urlsplit(url)
    name, _, rest = (found.hostname or "").partition(".")
    namespace, _, kind = rest.partition(".")
    if not kind.startswith("svc"):
        return ""
    port = found.port or (443 if found.scheme == "https" else 80)
    prefix = "https:" if found.scheme == "https" else ""
    return f"/api/v1/namespaces/{namespace}/services/{prefix}{name}:{port}/proxy{found.path.rstrip('/')}"


def operator_config(kubectl: Kubectl) -> tuple[Body | None, Body]:
    """The Deployment and configuration of the operator that serves this namespace, else of the first there is.

    None and nothing where they are not. Raises KubectlFailed.
    """
    found = kubectl.run("get", "deployments,configmaps", "--all-namespaces", _LABELS, "--output=json")
    releases: dict[tuple[str, str], tuple[Body | None, Body]] = {}
    for one in json.loads(found)["items"]:
        metadata = one.get("metadata") or {}
        key = (metadata.get("namespace", ""), (metadata.get("labels") or {}).get(_INSTANCE, ""))
        deployment, config = releases.get(key, (None, {}))
        releases[key] = (
            (deployment or one, config) if one["kind"] == "Deployment" else (deployment, config or _read(one))
        )
    known = [(deployment, config) for deployment, config in releases.values() if deployment or config]
    serving = [one for one in known if one[1] and serves(one[1], kubectl.namespace)]
    return next(iter([*serving, *known]), (None, {}))


def _read(config_map: Body) -> Body:
    """The configuration in a ConfigMap of the chart's; nothing in its others."""
    import yaml

    texts = (config_map.get("data") or {}).values()
    found: Body = next((yaml.safe_load(text) for text in texts if "metricSources" in text), {})
    return found


def serves(config: Body, namespace: str) -> bool:
    """Whether an operator of this configuration looks at a namespace; of one that is not known nothing is said."""
    served = config.get("watchNamespaces") or []
    return not served or not namespace or namespace in served


def pods_of(workload: str) -> str:
    """A regular expression of the names of a Deployment's pods, and of no other's that begins with its name."""
    return f"{re.escape(workload)}-[^-]+-[^-]+"


def source_of(config: Body, name: str) -> Body | None:
    """A metric source of the operator's configuration."""
    return next((one for one in config.get("metricSources", []) if one["name"] == name), None)


def scrape_seconds(source: Body) -> float:
    """How often the operator takes it to scrape."""
    return float(source.get("scrapeIntervalSeconds", SCRAPE_INTERVAL_SECONDS))


def service_label(source: Body) -> str:
    """The label by which its series of the gateway name a backend."""
    return str(source.get("serviceLabel", SERVICE_LABEL))


def label_as_configured(kubectl: Kubectl, name: str) -> str:
    """The label of the metric source of a name; where the configuration cannot be read, the default stands."""
    try:
        _, config = operator_config(kubectl)
    except KubectlFailed:
        return SERVICE_LABEL
    return service_label(source_of(config, name) or {})


def ask(kubectl: Kubectl, path: str, query: str, **parameters: str) -> list[Body]:
    """The result of an instant query, or of a range with start, end and step. Raises KubectlFailed."""
    kind = "query_range" if "step" in parameters else "query"
    address = f"{path}/api/v1/{kind}?{urlencode({'query': query, **parameters})}"
    try:
        result: list[Body] = json.loads(kubectl.run("get", "--raw", address))["data"]["result"]
    except (ValueError, KeyError, TypeError) as error:
        raise KubectlFailed(f"Prometheus answered nonsense: {error!r}") from error
    return result


@dataclass(frozen=True)
class Series:
    """The operator's own metric source, as it reads it, through kubectl; `ask` is PromQL at seconds since the epoch."""

    source: MetricSource
    scrape_seconds: float
    ask: Callable[[str, float], list[Body]]


def series_of(kubectl: Kubectl, name: str) -> Series:
    """The metric source of a name. Raises KubectlFailed when it cannot be asked from here."""
    from changeover.adapters.metrics.prometheus import PrometheusSource, SourceSettings

    _, config = operator_config(kubectl)
    known = source_of(config, name)
    path = proxied(known["url"]) if known is not None else ""
    if known is None or not path:
        raise KubectlFailed(
            f"metric source {name!r} cannot be asked from here: no Service of the cluster, or not known"
        )
    scrape = scrape_seconds(known)
    remembered = Remembered(lambda query, at: ask(kubectl, path, query, time=f"{at:.3f}"))
    settings = SourceSettings(name, known["url"], PATIENCE_SECONDS, scrape, service_label(known))
    return Series(PrometheusSource(settings, remembered), scrape, remembered)


@dataclass
class Remembered:
    """Raw samples are asked for half an hour at a time: kubectl is slow to start, and the blocks of a span are many."""

    ask: Callable[[str, float], list[Body]]
    chunks: dict[tuple[str, float, float], list[Body]] = field(default_factory=dict)

    def __call__(self, query: str, at: float) -> list[Body]:
        """The result of an instant query."""
        raw = RAW.fullmatch(query)
        if raw is None:
            return self.ask(query, at)
        selector, seconds = raw["selector"], float(raw["seconds"])
        end = (at // CHUNK_SECONDS + 1) * CHUNK_SECONDS
        reach = math.ceil(seconds / REACH_SECONDS) * REACH_SECONDS
        key = (selector, reach, end)
        if key not in self.chunks:
            self.chunks[key] = self.ask(f"{selector}[{CHUNK_SECONDS + reach:.0f}s]", end)
        cut = [{**one, "values": [v for v in one["values"] if at - seconds <= v[0] <= at]} for one in self.chunks[key]]
        return [one for one in cut if one["values"]]
