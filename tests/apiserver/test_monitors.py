"""The chart's monitors and alerts fit the Prometheus operator's own schemas, as a real API server reads them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.apiserver.chart import only, render
from tests.apiserver.conftest import CRDS
from tests.apiserver.harness import Client
from tests.cluster.shell import wait_until
from tests.cluster.tools import pinned_module

MODULE = "github.com/prometheus-operator/prometheus-operator"
GROUP = "/apis/monitoring.coreos.com/v1"
KINDS = {"PodMonitor": "podmonitors", "ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}
STRICT = "?dryRun=All&fieldValidation=Strict"


@pytest.fixture(scope="module")
def documents(client: Client) -> list[dict[str, Any]]:
    """The chart with everything that watches, on an API server that knows the kinds."""
    folder = pinned_module("prometheus-operator", MODULE) / "example" / "prometheus-operator-crd"
    for plural in KINDS.values():
        crd = yaml.safe_load((folder / f"monitoring.coreos.com_{plural}.yaml").read_text())
        answer = client.create(CRDS, crd)
        assert answer.ok, answer.message
    paths = [f"{GROUP}/{plural}" for plural in KINDS.values()]
    wait_until("the monitors' kinds", lambda: all(client.get(path).ok for path in paths), seconds=20, every=0.1)
    labels = {"enabled": True, "labels": {"release": "prometheus"}}
    return render({"monitoring": {"podMonitor": labels, "serviceMonitor": labels, "rules": labels}})


@pytest.mark.parametrize("kind", KINDS)
def test_an_api_server_takes_it_and_no_field_is_unknown(
    documents: list[dict[str, Any]], client: Client, kind: str
) -> None:
    body = only(documents, kind)
    path = f"{GROUP}/namespaces/default/{KINDS[kind]}{STRICT}"
    made = {**body, "metadata": {**body["metadata"], "namespace": "default"}}
    answer = client.create(path, made)
    assert answer.ok, answer.message
    typo = client.create(path, {**made, "spec": {**made["spec"], "no-such-field": 1}})
    assert not typo.ok and "no-such-field" in typo.message
