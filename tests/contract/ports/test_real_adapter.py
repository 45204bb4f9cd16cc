"""What only the real adapter meets: nobody listens, nobody is allowed, and the manifests that we really write."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from changeover.adapters.cluster import KubernetesCluster, path_of
from changeover.core.errors import Unavailable
from changeover.core.plan import Ref
from kubernetes.aio.client import ApiClient

from tests.apiserver.harness import ApiServer
from tests.contract.ports.conftest import Site, SystemClock, configuration

GOLDEN = sorted((Path(__file__).resolve().parents[2] / "golden" / "manifests").glob("*.yaml"))

pytestmark = pytest.mark.apiserver


@pytest.mark.parametrize("text", [path.read_text() for path in GOLDEN], ids=[path.stem for path in GOLDEN])
async def test_the_api_server_takes_every_golden_manifest(real: Site, text: str) -> None:
    for manifest in yaml.safe_load_all(text):
        manifest["metadata"]["namespace"] = real.namespace
        made = await real.cluster.apply(manifest)
        assert made["metadata"]["uid"]
        again = await real.cluster.apply(manifest)
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_nobody_listens(api_server: ApiServer) -> None:
    async with ApiClient(configuration=configuration(api_server, "https://127.0.0.1:1")) as connection:
        with pytest.raises(Unavailable):
            await KubernetesCluster(connection, SystemClock(), "tests").get(Ref("ConfigMap", "default", "x"))


async def test_a_wrong_token_is_unavailable_and_not_absent(api_server: ApiServer) -> None:
    wrong = configuration(api_server)
    wrong.api_key = {"BearerToken": "wrong"}
    async with ApiClient(configuration=wrong) as connection:
        with pytest.raises(Unavailable, match="401"):
            await KubernetesCluster(connection, SystemClock(), "tests").get(Ref("ConfigMap", "default", "x"))


def test_names_in_paths_are_quoted() -> None:
    assert path_of("ConfigMap", "a/b", "c?d") == "/api/v1/namespaces/a%2Fb/configmaps/c%3Fd"
    assert path_of("Node", "ignored", "n1") == "/api/v1/nodes/n1"
    assert path_of("CanaryMigration", "", "") == "/apis/changeover.dev/v1alpha1/canarymigrations"
    with pytest.raises(KeyError):
        path_of("Ingress", "a", "b")
