"""The local cluster, the operator installed on it by its chart, and what to print when a test fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import yaml

from tests.demo import acts
from tests.demo.kube import ROOT, CommandFailed, Kube, local

NAMESPACE = "demo"  # the demonstration's: both serve one host name through one gateway, and must not stand side by side


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the cluster."""
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def kube() -> Kube:
    """The local cluster of `make cluster`, never another: these tests delete things."""
    return local(NAMESPACE)


@pytest.fixture(scope="session")
def began() -> str:
    """When these tests began, as the API server's audit log would have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture(scope="session")
def operator(kube: Kube, began: str) -> Iterator[Kube]:
    """The operator, installed as a user does, and an empty namespace."""
    acts.install(kube)
    acts.make_namespace(kube)
    acts.clear(kube)
    yield kube
    acts.clear(kube)


@pytest.fixture(scope="module")
def open_operator(operator: Kube) -> Iterator[Kube]:
    """The operator with a metric source that takes the queries of resources, and a host that may be told."""
    values = yaml.safe_load((ROOT / "charts/changeover/values.yaml").read_text())
    sources = [{**source, "allowQueries": True} for source in values["metricSources"]]
    told = {"allowedHosts": [f"http://receiver.{NAMESPACE}.svc:8080"], "secretNames": ["hooks"]}
    values = {"metricSources": sources, "notifications": told}
    acts.install(
        operator, *(word for key, value in values.items() for word in ("--set-json", f"{key}={json.dumps(value)}"))
    )
    yield operator
    acts.install(operator)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """On a failure add what one would look at first."""
    report = yield
    if report.when == "call" and report.failed and "operator" in getattr(item, "fixturenames", ()):
        report.sections.append(("cluster", diagnostics(item.funcargs["operator"])))
    return report


def diagnostics(kube: Kube) -> str:
    """Resources, events and the operator's log."""
    commands = (
        ("kubectl", "-n", NAMESPACE, "get", "fb,cmig,httproute,deploy,pods,jobs", "-o", "wide"),
        ("kubectl", "-n", NAMESPACE, "describe", "fb,cmig"),
        ("kubectl", "-n", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp"),
        ("kubectl", "-n", acts.OPERATOR_NAMESPACE, "logs", "deployment/changeover", "--tail=80"),
    )
    parts = []
    for command in commands:
        try:
            parts.append(f"$ {' '.join(command)}\n{kube.run(*command)[-6000:]}")
        except CommandFailed as failure:
            parts.append(str(failure))
    return "\n".join(parts)
