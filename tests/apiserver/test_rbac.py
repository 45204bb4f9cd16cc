"""The operator's service account may do what the operator does, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from changeover.adapters.cluster import _RESOURCES, KubernetesCluster
from changeover.adapters.lease import Lease, Terms
from changeover.core.errors import Unavailable
from changeover.core.manifests.common import owner_reference
from changeover.core.observed import Owner
from changeover.core.plan import Manifest, Ref
from changeover.ports import Event
from kubernetes.aio.client import ApiClient, Configuration

from tests.apiserver.chart import NAMESPACE, only, render
from tests.apiserver.conftest import CRDS, GROUP_PATH
from tests.apiserver.harness import ApiServer, Client
from tests.apiserver.test_chart import path_of
from tests.cluster.layout import cluster_from_environment
from tests.cluster.shell import wait_until
from tests.cluster.tools import gateway_api_crds

OURS, APPS, BATCH = "changeover.dev", "apps", "batch"
GATEWAY, EVENTS = "gateway.networking.k8s.io", "events.k8s.io"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
# What the operator does. A line more here needs a reason in charts/changeover/templates/_helpers.tpl.
USES = {
    (OURS, "frameworkbenchmarks"): "get list watch delete",
    (OURS, "canarymigrations"): "get list watch patch",
    (OURS, "frameworkbenchmarks/status"): "patch",
    (OURS, "canarymigrations/status"): "patch",
    (APPS, "deployments"): "get list create patch delete",
    ("", "services"): "get create patch delete",
    ("", "configmaps"): "get create patch delete",
    ("", "pods"): "list",
    ("", "pods/log"): "get",
    (BATCH, "jobs"): "get list create patch delete",
    (GATEWAY, "httproutes"): "get create patch",
    (EVENTS, "events"): "create",
    ("", "nodes"): "get",
}
EXPECTED = {(group, name, verb) for (group, name), verbs in USES.items() for verb in verbs.split()}
RBAC_KINDS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
Right = tuple[str, str, str]
Account = tuple[str, str]  # namespace, name
NOBODY: Account = (NAMESPACE, "nobody")  # an account that was given nothing


@pytest.fixture(scope="module")
def routes(client: Client) -> None:
    install_routes(client)


def install_routes(client: Client) -> None:
    """The Gateway API's HTTPRoute, as the local cluster has it."""
    for document in yaml.safe_load_all(gateway_api_crds(cluster_from_environment()).read_text()):
        if document and document["metadata"]["name"] == f"httproutes.{GATEWAY}":
            client.create(CRDS, document)
    wait_until("HTTPRoute", lambda: client.get(f"/apis/{GATEWAY}/v1/httproutes").ok, seconds=20, every=0.05)


@pytest.fixture(scope="module")
def everywhere(client: Client) -> Account:
    return install(client, {})


@pytest.fixture(scope="module")
def in_shop(client: Client) -> Account:
    return install(client, {"watchNamespaces": ["shop"], "fullnameOverride": "changeover-of-shop"})


def install(client: Client, values: dict[str, Any]) -> Account:
    """Create the chart's account, roles and bindings; the account."""
    for namespace in (NAMESPACE, "shop", "lab"):
        client.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    documents = [document for document in render(values) if document["kind"] in RBAC_KINDS]
    for document in documents:
        answer = client.create(path_of(client, document), document)
        assert answer.ok, answer.message
    return NAMESPACE, only(documents, "ServiceAccount")["metadata"]["name"]


def resources(client: Client) -> Iterator[tuple[str, str]]:
    """Group and name of everything that the API server serves, subresources too."""
    versions = [("", "/api/v1")]
    for group in client.get("/apis").body["groups"]:
        versions.append((group["name"], f"/apis/{group['preferredVersion']['groupVersion']}"))
    for group_name, path in versions:
        for found in client.get(path).body["resources"]:
            yield group_name, found["name"]
    yield from ((OURS, f"{plural}/finalizers") for plural in ("frameworkbenchmarks", "canarymigrations"))


def rights(client: Client, account: Account, namespace: str) -> set[Right]:
    """Everything that an account may do in a namespace, by asking for each right there is."""
    found = set()
    for (group, name), verb in itertools.product(set(resources(client)), VERBS):
        if may(client, account, (group, name, verb), namespace):
            found.add((group, name, verb))
    return found


def may(client: Client, account: Account, right: Right, namespace: str, named: str = "") -> bool:
    group, kind, verb = right
    resource, _, subresource = kind.partition("/")
    user = f"system:serviceaccount:{account[0]}:{account[1]}"
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}", "system:authenticated"]
    attributes = {
        "group": group, "resource": resource, "subresource": subresource, "verb": verb, "namespace": namespace,
        "name": named,
    }  # fmt: skip
    review = {"spec": {"user": user, "groups": groups, "resourceAttributes": attributes}}
    answer = client.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert answer.ok, answer.message
    return bool(answer.body["status"]["allowed"])


@pytest.mark.usefixtures("routes")
def test_it_may_do_what_it_does_and_nothing_else(client: Client, everywhere: Account) -> None:
    free = rights(client, NOBODY, "default")
    assert rights(client, everywhere, "default") - free == EXPECTED


@pytest.mark.usefixtures("routes")
def test_with_named_namespaces_it_may_do_so_only_there(client: Client, in_shop: Account) -> None:
    node = {right for right in EXPECTED if right[1] == "nodes"}
    assert rights(client, in_shop, "shop") - rights(client, NOBODY, "shop") == EXPECTED
    assert rights(client, in_shop, "lab") - rights(client, NOBODY, "lab") == node


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("list", "canarymigrations.changeover.dev", "yes"),
        ("patch", "canarymigrations.changeover.dev/status", "yes"),
        ("create", "deployments.apps", "yes"),
        ("get", "pods/log", "yes"),
        ("get", "nodes", "yes"),
        ("get", "secrets", "no"),
        ("list", "secrets", "no"),
        ("watch", "secrets", "no"),
        ("delete", "nodes", "no"),
        ("patch", "deployments.apps/scale", "no"),
        ("update", "deployments.apps/scale", "no"),
        ("create", "pods", "no"),
        ("create", "pods/exec", "no"),
        ("delete", "canarymigrations.changeover.dev", "no"),
        ("patch", "frameworkbenchmarks.changeover.dev", "no"),
        ("create", "serviceaccounts/token", "no"),
        ("bind", "clusterroles.rbac.authorization.k8s.io", "no"),
        ("escalate", "clusterroles.rbac.authorization.k8s.io", "no"),
        ("impersonate", "users", "no"),
        ("*", "*", "no"),
    ],
)
def test_kubectl_says_so_too(server: ApiServer, everywhere: Account, verb: str, resource: str, allowed: str) -> None:
    name, _, subresource = resource.partition("/")
    words = [verb, name, *([f"--subresource={subresource}"] if subresource else []), "--namespace=default"]
    done = server.kubectl("auth", "can-i", *words, f"--as=system:serviceaccount:{':'.join(everywhere)}")
    assert done.stdout.strip() == allowed, done.stderr


def test_no_role_has_a_wildcard_or_names_secrets_unless_told_to() -> None:
    for values in ({}, {"watchNamespaces": ["shop"]}):
        for document in render(values):
            for rule in document.get("rules", []) if document["kind"].endswith("Role") else []:
                words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
                assert not words & {"*", "secrets"}, rule


def test_every_kind_that_the_operator_reaches_has_a_right() -> None:
    groups = {
        (prefix.split("/")[1] if prefix.startswith("apis/") else "", name) for prefix, name in _RESOURCES.values()
    }
    # Secrets and the Lease only by their names: see below.
    assert groups - {("", "secrets"), ("coordination.k8s.io", "leases")} == {
        right for right in USES if "/" not in right[1]
    }


@pytest.mark.usefixtures("routes")
def test_secrets_are_read_by_the_names_that_the_chart_is_given(client: Client) -> None:
    values = {"notifications": {"secretNames": ["hooks"]}, "fullnameOverride": "changeover-that-tells"}
    account = install(client, values)
    user = f"system:serviceaccount:{account[0]}:{account[1]}"

    def may_get(name: str, verb: str = "get") -> bool:
        attributes = {"resource": "secrets", "verb": verb, "namespace": "shop", "name": name}
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        return bool(
            client.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review).body["status"]["allowed"]
        )

    assert may_get("hooks")
    assert not any((may_get("others"), may_get(""), may_get("hooks", "list"), may_get("hooks", "patch")))


async def test_it_holds_its_own_lease_and_no_other(cluster: KubernetesCluster, client: Client) -> None:
    def terms(name: str) -> Terms:
        return Terms(Ref("Lease", NAMESPACE, name), "pod/process", 4)

    mine = Lease(cluster, terms("changeover"))
    await mine.look()
    assert mine.leading and mine.term == 1
    await mine.look()
    await mine.release()
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/changeover"
    assert client.get(path).body["spec"]["holderIdentity"] == ""
    client.delete(path)
    with pytest.raises(Unavailable, match=r"403.*forbidden"):
        await Lease(cluster, terms("other")).look()


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def cluster(server: ApiServer, client: Client, everywhere: Account) -> AsyncIterator[KubernetesCluster]:
    """The operator's own adapter, with the token of its service account."""
    path = f"/api/v1/namespaces/{everywhere[0]}/serviceaccounts/{everywhere[1]}/token"
    token = client.create(path, {"spec": {"expirationSeconds": 600}}).body["status"]["token"]
    configuration = Configuration(host=server.url, api_key={"BearerToken": f"Bearer {token}"})
    configuration.ssl_ca_cert = str(server.certificates)
    api = ApiClient(configuration=configuration)
    yield KubernetesCluster(api, Clock(), "test")
    await api.close()


OWNER = Owner("FrameworkBenchmark", "default", "owner", "b1a3e7f0-0000-4000-8000-000000000001", 1, False, (), {})
METADATA = {"name": "made", "namespace": "default", "ownerReferences": [owner_reference(OWNER)]}
BLOCKING = {**METADATA, "name": "blocks", "ownerReferences": [{**owner_reference(OWNER), "blockOwnerDeletion": True}]}
POD_TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "made"}},
    "spec": {"containers": [{"name": "main", "image": "x"}], "restartPolicy": "Never"},
}
MADE: list[Manifest] = [
    {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": METADATA,
        "spec": {
            "selector": {"matchLabels": {"app": "made"}},
            "template": {**POD_TEMPLATE, "spec": {**POD_TEMPLATE["spec"], "restartPolicy": "Always"}},
        },
    },
    {"apiVersion": "v1", "kind": "Service", "metadata": METADATA, "spec": {"ports": [{"port": 80}]}},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": METADATA, "data": {"a": "b"}},
    {"apiVersion": "batch/v1", "kind": "Job", "metadata": METADATA, "spec": {"template": POD_TEMPLATE}},
    {
        "apiVersion": f"{GATEWAY}/v1", "kind": "HTTPRoute", "metadata": {"name": "made", "namespace": "default"},
        "spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80, "weight": 1}]}]},
    },
]  # fmt: skip
LISTED, DELETED = {"Deployment", "Job"}, {"Deployment", "Service", "Job", "ConfigMap"}


@pytest.mark.usefixtures("routes")
@pytest.mark.parametrize("manifest", MADE, ids=lambda manifest: manifest["kind"])
async def test_what_it_makes_it_can_make_change_read_and_remove(
    cluster: KubernetesCluster, client: Client, manifest: Manifest
) -> None:
    kind = manifest["kind"]
    ref = Ref(kind, "default", "made")
    await cluster.apply(manifest)
    await cluster.apply(manifest)
    await cluster.merge(ref, {"metadata": {"labels": {"seen": "yes"}}})
    found = await cluster.get(ref)
    assert found is not None and found["metadata"]["labels"]["seen"] == "yes"
    if kind in LISTED:
        assert [item["metadata"]["name"] for item in await cluster.list(kind, "default", {"seen": "yes"})] == ["made"]
    if kind in DELETED:
        await cluster.delete(found)
        gone = client.get(f"{path_of(client, manifest)}/made")
        assert gone.status == 404 or "deletionTimestamp" in gone.body["metadata"]


async def test_it_keeps_a_finalizer_and_reports_on_a_migration(
    cluster: KubernetesCluster, client: Client, samples: dict[str, Manifest]
) -> None:
    sample = samples["migration-minimal"]
    client.create(f"{GROUP_PATH}/namespaces/default/canarymigrations", sample)
    ref = Ref("CanaryMigration", "default", sample["metadata"]["name"])
    await cluster.merge(ref, {"metadata": {"finalizers": ["changeover.dev/release-traffic"]}})
    await cluster.apply_status(ref, {"observedGeneration": 1})
    found = await cluster.get(ref)
    assert found is not None and found["status"]["observedGeneration"] == 1
    await cluster.emit(found, Event("Stepped", "the weight was raised", warning=False))
    await cluster.merge(ref, {"metadata": {"finalizers": []}})
    client.delete(f"{GROUP_PATH}/namespaces/default/canarymigrations/{ref.name}")


def read_as(kind: str) -> Manifest:
    """An object as it might have been read."""
    return {"kind": kind, "metadata": {"namespace": "default", "name": "any", "uid": "1", "resourceVersion": "1"}}


@pytest.mark.parametrize(
    "attempt",
    [
        lambda c: c.delete(read_as("CanaryMigration")),
        lambda c: c.delete(read_as("HTTPRoute")),
        lambda c: c.merge(Ref("FrameworkBenchmark", "default", "any"), {"spec": {"suspend": True}}),
        lambda c: c.merge(Ref("Node", "", "any"), {"spec": {"unschedulable": True}}),
        # The server asks for rights on the owner, as OpenShift does; that is why our references do not block.
        lambda c: c.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": BLOCKING}),
        lambda c: c.list("Node", "", {}),
        lambda c: c.list("ConfigMap", "", {}),
    ],
)
async def test_what_it_never_does_is_forbidden(
    cluster: KubernetesCluster, attempt: Callable[[KubernetesCluster], Awaitable[Any]]
) -> None:
    with pytest.raises(Unavailable, match=r"403.*forbidden"):
        await attempt(cluster)
