"""The operator's Prometheus, asked through the API server's proxy where it is a Service of the cluster."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from changeover.cli.kubectl import Kubectl, KubectlFailed

Body = dict[str, Any]
_LABELS = "--selector=app.kubernetes.io/name=changeover"


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
    """The operator's Deployment, and its configuration; None and nothing where they are not. Raises KubectlFailed."""
    import yaml

    found = kubectl.run("get", "deployments,configmaps", "--all-namespaces", _LABELS, "--output=json")
    items: list[Body] = json.loads(found)["items"]
    deployment = next((one for one in items if one["kind"] == "Deployment"), None)
    texts = [text for one in items if one["kind"] == "ConfigMap" for text in (one.get("data") or {}).values()]
    return deployment, next((yaml.safe_load(text) for text in texts if "metricSources" in text), {})


def ask(kubectl: Kubectl, path: str, query: str, **parameters: str) -> list[Body]:
    """The result of an instant query, or of a range with start, end and step. Raises KubectlFailed."""
    kind = "query_range" if "step" in parameters else "query"
    address = f"{path}/api/v1/{kind}?{urlencode({'query': query, **parameters})}"
    try:
        result: list[Body] = json.loads(kubectl.run("get", "--raw", address))["data"]["result"]
    except (ValueError, KeyError, TypeError) as error:
        raise KubectlFailed(f"Prometheus answered nonsense: {error!r}") from error
    return result
