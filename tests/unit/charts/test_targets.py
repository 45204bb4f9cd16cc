"""What the demo's Prometheus is told to scrape: every kubelet, and the pods that ask for it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parents[3] / "charts/demo/files/targets.py"
SPEC = importlib.util.spec_from_file_location("targets", PATH)
assert SPEC is not None and SPEC.loader is not None
targets = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(targets)


def a_pod(address: str = "10.1.0.5", **asks: str) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "shop", "annotations": {f"prometheus.io/{k}": v for k, v in asks.items()}}
    return {"metadata": metadata, "spec": {"nodeName": "one"}, "status": {"podIP": address}}


def test_a_kubelet_of_every_node_by_its_internal_address() -> None:
    addresses = [{"type": "Hostname", "address": "one"}, {"type": "InternalIP", "address": "10.0.0.1"}]
    node = {"metadata": {"name": "one", "labels": {"changeover.dev/role": "load"}}, "status": {"addresses": addresses}}
    assert list(targets.nodes([node, {"metadata": {"name": "two"}, "status": {}}])) == [
        {"targets": ["10.0.0.1:10250"], "labels": {"node": "one", "role": "load"}}
    ]


def test_a_pod_that_asks_for_it_and_no_other() -> None:
    asked = a_pod(scrape="true", port="9100", path="/m")
    others = [
        a_pod(scrape="true"),
        a_pod(port="9100"),
        a_pod("", scrape="true", port="1"),
        a_pod(scrape="false", port="1"),
    ]
    bare = {"metadata": {"name": "q", "namespace": "shop"}, "spec": {}, "status": {}}
    assert list(targets.pods([asked, *others, bare])) == [
        {
            "targets": ["10.1.0.5:9100"],
            "labels": {"namespace": "shop", "pod": "p", "node": "one", "__metrics_path__": "/m"},
        }
    ]
