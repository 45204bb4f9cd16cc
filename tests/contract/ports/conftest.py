"""Each port twice: the fake that ships with it, and the real thing (marker apiserver)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from changeover.adapters.cluster import KubernetesCluster, path_of
from changeover.core.plan import Manifest, Ref
from changeover.ports import Cluster
from changeover.testing.clock import FakeClock
from changeover.testing.cluster import FakeCluster
from kubernetes.aio.client import ApiClient, Configuration

from tests.apiserver.harness import ApiServer
from tests.cluster.layout import cluster_from_environment
from tests.cluster.shell import wait_until
from tests.cluster.tools import gateway_api_crds

REPOSITORY = Path(__file__).resolve().parents[3]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KINDS = ("FrameworkBenchmark", "CanaryMigration", "HTTPRoute")


@dataclass
class Site:
    """A cluster under test, and what else a test must be able to do to it."""

    cluster: Cluster
    namespace: str
    set_status: Callable[[Ref, dict[str, Any]], Awaitable[None]]
    name: str


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        with running.client() as client:
            documents = [path.read_text() for path in sorted((REPOSITORY / "crds").glob("*.yaml"))]
            documents.append(gateway_api_crds(cluster_from_environment()).read_text())
            for text in documents:
                for crd in filter(None, yaml.safe_load_all(text)):
                    if crd["kind"] == "CustomResourceDefinition":
                        answer = client.create(CRDS, crd)
                        assert answer.ok, answer.message
            wait_until("kinds", lambda: all(client.get(path_of(k, "")).ok for k in KINDS), seconds=30, every=0.05)
        yield running


@pytest.fixture
async def real(api_server: ApiServer, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """The real adapter, in a namespace of its own."""
    namespace = f"t{abs(hash(request.node.nodeid)) % 10**10}"
    with api_server.client() as client:
        assert client.create("/api/v1/namespaces", {"metadata": {"name": namespace}}).ok
    connection = ApiClient(configuration=configuration(api_server))

    async def set_status(ref: Ref, status: dict[str, Any]) -> None:
        with api_server.client() as client:
            answer = client.merge(path_of(ref.kind, ref.namespace, ref.name, "status"), {"status": status})
            assert answer.ok, answer.message

    yield Site(KubernetesCluster(connection, SystemClock(), "tests"), namespace, set_status, "real")
    await connection.close()


def configuration(server: ApiServer, host: str = "") -> Configuration:
    return Configuration(
        host=host or server.url,
        api_key={"BearerToken": server.token},
        api_key_prefix={"BearerToken": "Bearer"},
        ssl_ca_cert=str(server.certificates),
    )


@pytest.fixture
def fake() -> Site:
    cluster = FakeCluster(FakeClock())

    async def set_status(ref: Ref, status: dict[str, Any]) -> None:
        cluster.patch(ref, {"status": status})

    return Site(cluster, "shop", set_status, "fake")


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.apiserver)])
def site(request: pytest.FixtureRequest) -> Site:
    found: Site = request.getfixturevalue(request.param)
    return found


def in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
