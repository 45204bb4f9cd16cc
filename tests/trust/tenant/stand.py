"""Where attacks are tried: a namespace with Pod Security `restricted`, bystanders in it, a tenant, and the operator.

The tenant may do everything with our two kinds, and nothing else. The operator is its reconcilers in this process, with
the rights of the chart's service account. No controller runs: pods are made here, from what the operator applied.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from changeover.adapters.cluster import KubernetesCluster
from changeover.adapters.load.jobs import JobLoadDriver
from changeover.adapters.routers.gateway_api import GatewayAPIRouter
from changeover.core import names
from changeover.core.plan import Manifest, Ref
from changeover.ports import Dependencies, Event
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.cluster import ref_of
from changeover.testing.metrics import FakeMetrics
from changeover.testing.outgoing import FakeOutgoing
from kubernetes.aio.client import ApiClient, Configuration

from tests.apiserver.chart import NAMESPACE as HOME
from tests.apiserver.chart import only, render
from tests.apiserver.harness import Answer, ApiServer, Client
from tests.apiserver.test_chart import path_of
from tests.apiserver.test_rbac import RBAC_KINDS, install_routes
from tests.trust.tenant.bystanders import GATEWAY, OURS, RANKED, VICTIM, bystanders

REFUSALS = "refusals"  # where nothing is that anybody could harm
LOADER = "localhost/changeover-loader:1"
GATEWAY_URL = "http://traefik.gateway.svc"
PASSES = 5
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
PLURALS = {"FrameworkBenchmark": "frameworkbenchmarks", "CanaryMigration": "canarymigrations"}
RECONCILE = {"FrameworkBenchmark": reconcile_benchmark, "CanaryMigration": reconcile_migration}
WATCHED = ("/apis/apps/v1|deployments", "/api/v1|services", "/api/v1|configmaps", "/api/v1|secrets",
           f"{GATEWAY}|httproutes", "/apis/batch/v1|jobs")  # fmt: skip


class Clock:
    """Real time, but for what was skipped."""

    def __init__(self) -> None:
        self.skipped = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skipped


class Watched:
    """The port ``Cluster`` on the operator's own adapter; every write is kept, whether it was taken or not."""

    def __init__(self, inner: KubernetesCluster) -> None:
        self._inner = inner
        self.applied: list[Manifest] = []
        self.changed: list[tuple[str, Ref, Any]] = []

    async def get(self, ref: Ref) -> Manifest | None:
        return await self._inner.get(ref)

    async def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        return await self._inner.list(kind, namespace, labels)

    async def apply(self, manifest: Manifest) -> Manifest:
        self.applied.append(manifest)
        return await self._inner.apply(manifest)

    async def create(self, manifest: Manifest) -> Manifest:
        self.applied.append(manifest)
        return await self._inner.create(manifest)

    async def merge(self, ref: Ref, patch: Manifest) -> None:
        self.changed.append(("merge", ref, patch))
        await self._inner.merge(ref, patch)

    async def delete(self, read: Manifest) -> None:
        self.changed.append(("delete", ref_of(read), None))
        await self._inner.delete(read)

    async def apply_status(self, ref: Ref, status: Mapping[str, Any], version: str = "") -> None:
        self.changed.append(("status", ref, status))
        await self._inner.apply_status(ref, status, version)

    async def emit(self, regarding: Manifest, event: Event) -> None:
        await self._inner.emit(regarding, event)

    async def log(self, namespace: str, pod: str) -> str:
        return await self._inner.log(namespace, pod)


@dataclass
class Grounds:
    """The API server with an administrator, a tenant's connection and the operator's token."""

    server: ApiServer
    admin: Client
    tenant: Client
    operator_token: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def namespace(self) -> str:
        """A fresh one with bystanders, in which the tenant has its rights."""
        name = f"tenant-{next(self.numbers)}"
        must(self.admin.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": RESTRICTED}}))
        self.let_in(name)
        for path, body in bystanders(name):
            must(self.admin.create(path, body))
        for pod in ("old", "new"):
            must(self.admin.merge(f"/api/v1/namespaces/{name}/pods/{pod}/status", {"status": READY}))
        must(self.admin.merge(f"{OURS}/namespaces/{name}/frameworkbenchmarks/published/status", {"status": RANKED}))
        return name

    def let_in(self, namespace: str) -> None:
        """Give the tenant its rights."""
        binding = {
            "metadata": {"name": "tenant"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "only-ours"},
            "subjects": [{"kind": "ServiceAccount", "name": "mallory", "namespace": VICTIM}],
        }
        must(self.admin.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding))

    def submit(self, kind: str, body: Manifest, namespace: str, validation: str = "Strict") -> Answer:
        """Create one of our objects as the tenant."""
        path = f"{OURS}/namespaces/{namespace}/{PLURALS[kind]}?fieldValidation={validation}"
        return self.tenant.create(path, body)

    def snapshot(self, namespace: str) -> dict[str, Any]:
        """What others have, in this namespace and in the victim's."""
        found: dict[str, Any] = {}
        for where, watched in itertools.product((namespace, VICTIM), WATCHED):
            prefix, plural = watched.split("|")
            for item in self.admin.get(f"{prefix}/namespaces/{where}/{plural}").body["items"]:
                found[f"{where}/{plural}/{item['metadata']['name']}"] = _aspect(item)
        return found


def _aspect(item: dict[str, Any]) -> dict[str, Any]:
    metadata = {k: v for k, v in item["metadata"].items() if k not in ("managedFields", "resourceVersion")}
    return {**{k: v for k, v in item.items() if k != "status"}, "metadata": metadata}


def must(answer: Answer) -> dict[str, Any]:
    """The body of an answer that has to be good."""
    assert answer.ok, answer.message
    return answer.body


@contextlib.contextmanager
def prepare(server: ApiServer, admin: Client) -> Iterator[Grounds]:
    """Route, rights, the victim's namespace and the two accounts."""
    install_routes(admin)
    for name in (HOME, VICTIM, REFUSALS):
        admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    documents = [d for d in render({"notifications": {"secretNames": ["hooks"]}}) if d["kind"] in RBAC_KINDS]
    for document in documents:
        must(admin.create(path_of(admin, document), document))
    for path, body in bystanders(VICTIM):
        must(admin.create(path, body))
    rule = {"apiGroups": ["changeover.dev"], "resources": list(PLURALS.values()), "verbs": ["*"]}
    role = {"metadata": {"name": "only-ours"}, "rules": [rule]}
    must(admin.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", role))
    must(admin.create(f"/api/v1/namespaces/{VICTIM}/serviceaccounts", {"metadata": {"name": "mallory"}}))
    token = _token(admin, HOME, only(documents, "ServiceAccount")["metadata"]["name"])
    with server.client(_token(admin, VICTIM, "mallory")) as tenant:
        ready = Grounds(server, admin, tenant, token)
        ready.let_in(REFUSALS)
        yield ready


def _token(admin: Client, namespace: str, account: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return str(must(admin.create(path, {"spec": {"expirationSeconds": 3600}}))["status"]["token"])


@dataclass
class Operator:
    """The reconcilers with their dependencies, all outside but the API server scripted."""

    cluster: Watched
    clock: Clock
    outgoing: FakeOutgoing
    dependencies: Dependencies


@contextlib.asynccontextmanager
async def operator(grounds: Grounds) -> AsyncIterator[Operator]:
    """A fresh one, with its service account's token."""
    configuration = Configuration(host=grounds.server.url, api_key={"BearerToken": f"Bearer {grounds.operator_token}"})
    configuration.ssl_ca_cert = str(grounds.server.certificates)
    api, clock, outgoing = ApiClient(configuration=configuration), Clock(), FakeOutgoing()
    cluster = Watched(KubernetesCluster(api, clock, "trust"))
    dependencies = Dependencies(
        clock=clock, cluster=cluster, router=GatewayAPIRouter(cluster), load=JobLoadDriver(cluster, clock),
        outgoing=outgoing,
        sources={"default": FakeMetrics(lambda service, start, end: 1.0 if service == "old" else None)},
        scrape_seconds={"default": 5.0}, open_sources=frozenset(), loader_image=LOADER,
        gateways={"gateway/public": GATEWAY_URL},
    )  # fmt: skip
    try:
        yield Operator(cluster, clock, outgoing, dependencies)
    finally:
        await api.close()


async def play(grounds: Grounds, running: Operator, ref: Ref) -> list[str]:
    """Some passes, between which pods and gateways answer; what Pod Security said to a pod that was to be made."""
    refused: list[str] = []
    for _ in range(PASSES):
        await RECONCILE[ref.kind](ref, running.dependencies)
        refused += _run_pods(grounds, ref.namespace)
        _take_routes(grounds, ref.namespace)
        running.clock.skipped += timedelta(seconds=10)
    return refused


def _run_pods(grounds: Grounds, namespace: str) -> list[str]:
    """A pod for each Deployment and Job of ours, as a controller would make it; what the API server refused."""
    refused, path = [], f"/api/v1/namespaces/{namespace}/pods"
    selector = f"?labelSelector={names.LABEL_MANAGED_BY}%3D{names.FIELD_MANAGER}"
    there = {pod["metadata"]["name"] for pod in grounds.admin.get(path).body["items"]}
    for prefix, plural in (("/apis/apps/v1", "deployments"), ("/apis/batch/v1", "jobs")):
        for owner in grounds.admin.get(f"{prefix}/namespaces/{namespace}/{plural}{selector}").body["items"]:
            name = f"{owner['metadata']['name']}-0"
            if name in there:
                continue
            template = owner["spec"]["template"]
            metadata = {"name": name, "labels": template["metadata"]["labels"]}
            answer = grounds.admin.create(path, {"metadata": metadata, "spec": template["spec"]})
            if not answer.ok:
                refused.append(answer.message)
                continue
            if plural == "deployments":
                must(grounds.admin.merge(f"{path}/{name}/status", {"status": READY}))
    return refused


READY = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
}


def _take_routes(grounds: Grounds, namespace: str) -> None:
    path = f"{GATEWAY}/namespaces/{namespace}/httproutes"
    for route in grounds.admin.get(path).body["items"]:
        generation, at = route["metadata"]["generation"], "2026-01-01T00:00:00Z"
        parents = route.get("status", {}).get("parents") or [{"conditions": [{"observedGeneration": 0}]}]
        if parents[0]["conditions"][0]["observedGeneration"] == generation:
            continue
        conditions = [
            {"type": one, "status": "True", "reason": one, "message": "", "lastTransitionTime": at,
             "observedGeneration": generation}
            for one in ("Accepted", "ResolvedRefs")
        ]  # fmt: skip
        parents = [
            {"controllerName": "trust.example/gateway", "parentRef": parent, "conditions": conditions}
            for parent in route["spec"].get("parentRefs") or []
        ]
        grounds.admin.merge(f"{path}/{route['metadata']['name']}/status", {"status": {"parents": parents}})
