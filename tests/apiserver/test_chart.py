"""The chart renders, says no to typos, and gives the operator what it reads."""

from __future__ import annotations

import copy
import json
import re
from itertools import pairwise
from typing import Any

import pytest
import yaml
from changeover.config import parse_config

from tests.apiserver.chart import CHART, NAMESPACE, helm, only, render
from tests.apiserver.conftest import REPOSITORY
from tests.apiserver.harness import Client

WHOLE_MAPS = {"resources", "annotations"}
WHOLE = {"requests: {cpu: 50m, memory: 128Mi}", "limits: {memory: 256Mi}"}
EVERYTHING = {
    "image": {"repository": "registry.example/changeover", "digest": f"sha256:{'a' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "loaderImage": "registry.example/loader:1",
    "metricSources": [
        {"name": "default", "url": "https://one.example"},
        {
            "name": "other",
            "url": "http://two.example:9090",
            "timeoutSeconds": 2.5,
            "scrapeIntervalSeconds": 30,
            "serviceLabel": "exported_service",
            "allowQueries": True,
        },
    ],
    "watchNamespaces": ["shop", "lab"],
    "log": {"level": "debug", "format": "text"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "infra", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "system-cluster-critical",
    "podAnnotations": {"prometheus.io/scrape": "false", "team": "edge"},
    "podLabels": {"team": "edge", "app.kubernetes.io/name": "other"},
    "serviceAccount": {"name": "mover", "annotations": {"a": "b"}},
    "networkPolicy": {
        "enabled": True,
        "scrapedFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}, {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
    },
    "global": {"anything": 1},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": EVERYTHING,
    "one namespace": {"watchNamespaces": ["shop"]},
    "without what others make": {
        "crds": {"install": False}, "rbac": {"create": False}, "serviceAccount": {"create": False, "name": "mine"},
    },
    "another name": {"fullnameOverride": "mover-of-shops"},
    "as a subchart with a condition": {"enabled": True, "global": {}},
}  # fmt: skip
TYPOS: list[dict[str, Any]] = [
    {"enabled": False},
    {"replicas": 0},
    {"replicas": "2"},
    {"log": {"levl": "info"}},
    {"log": {"level": "loud"}},
    {"metricSources": []},
    {"metricSources": [{"name": "default", "url": "prometheus:9090"}]},
    {"metricSources": [{"name": "default", "url": "http://p", "timeout": 5}]},
    {"metricSources": [{"name": "default", "url": "http://p", "timeoutSeconds": 0}]},
    {"watchNamespaces": "shop"},
    {"watchNamespaces": ["Shop"]},
    {"crds": {"instal": True}},
    {"image": {"tga": "1"}},
    {"image": {"digest": "sha256:123"}},
    {"imagePullSecrets": ["registry"]},
    {"resources": {"request": {}}},
    {"serviceAccount": {"annotations": {"a": 1}}},
    {"podLabels": {"a": True}},
    {"rbac": {"create": "yes"}},
    {"networkPolicy": {"ingress": []}},
]


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_helm_lint_finds_nothing(values: dict[str, Any]) -> None:
    done = helm("lint", "--strict", values=values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_the_api_server_takes_every_object(values: dict[str, Any], client: Client) -> None:
    documents = render(values)
    for document in documents:
        namespace = document["metadata"].get("namespace")
        if namespace:
            client.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        path = f"{path_of(client, document)}/{document['metadata']['name']}"
        answer = client.request(
            "PATCH",
            f"{path}?fieldManager=helm&force=true&dryRun=All&fieldValidation=Strict",
            document,
            {"Content-Type": "application/apply-patch+yaml"},
        )
        assert answer.ok, f"{document['kind']}: {answer.message}"


@pytest.mark.parametrize("values", TYPOS, ids=str)
def test_a_typo_in_the_values_is_refused(values: dict[str, Any]) -> None:
    done = helm("template", values=values)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def test_a_service_account_that_is_not_made_must_be_named() -> None:
    assert "serviceAccount.name is needed" in helm("template", values={"serviceAccount": {"create": False}}).stderr


def test_two_metric_sources_of_one_name_are_refused_before_the_operator_is_replaced() -> None:
    """It would not start with them, and the one before would be gone."""
    sources = [{"name": name, "url": "http://p"} for name in ("default", "other", "default")]
    done = helm("template", values={"metricSources": sources})
    assert done.returncode != 0 and "metricSources: two have the same name" in done.stderr


def test_every_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    uncommented = [
        line
        for above, line in pairwise(lines)
        if re.match(r"\s*(- )?\w+:", line) and not above.strip().startswith("#") and line.strip() not in WHOLE
    ]
    assert uncommented == []


WATCHED = ("podMonitor", "serviceMonitor", "rules", "dashboard")


def test_what_watches_the_operator_is_off_until_it_is_asked_for() -> None:
    usual = {document["kind"] for document in render({})}
    assert not usual & {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
    asked = {one: {"enabled": True, "labels": {"release": "prometheus"}} for one in WATCHED}
    made = [
        d for d in render({"monitoring": asked}) if (d["metadata"].get("labels") or {}).get("release") == "prometheus"
    ]
    by_kind = {document["kind"]: document for document in made}
    assert set(by_kind) == {"PodMonitor", "ServiceMonitor", "PrometheusRule", "ConfigMap"}
    for kind, endpoints in (("PodMonitor", "podMetricsEndpoints"), ("ServiceMonitor", "endpoints")):
        [endpoint] = by_kind[kind]["spec"][endpoints]
        assert endpoint == {"port": "http", "interval": "30s", "honorLabels": True}
    rules = yaml.safe_load((CHART / "alerts.yaml").read_text())
    assert by_kind["PrometheusRule"]["spec"] == rules, "helm takes nothing in them for its own"
    assert json.loads(by_kind["ConfigMap"]["data"]["changeover.json"])["title"] == "Changeover"


def test_a_dashboard_carries_the_label_that_grafanas_sidecar_looks_for() -> None:
    made = render({"monitoring": {"dashboard": {"enabled": True}}})
    labels = next(d for d in made if d["metadata"]["name"].endswith("-dashboard"))["metadata"]["labels"]
    assert labels["grafana_dashboard"] == "1"


def test_a_network_policy_opens_one_port_and_limits_what_is_reached_only_when_told_to() -> None:
    assert "NetworkPolicy" not in {d["kind"] for d in render({})}
    spec = only(render({"networkPolicy": {"enabled": True}}), "NetworkPolicy")["spec"]
    assert (spec["policyTypes"], spec["ingress"]) == (["Ingress"], [{"ports": [{"port": "http", "protocol": "TCP"}]}])
    asked = EVERYTHING["networkPolicy"]
    spec = only(render({"networkPolicy": asked}), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert (spec["ingress"][0]["from"], spec["egress"]) == (asked["scrapedFrom"], asked["egress"])
    labels = only(render({}), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()


GATEWAYS = {f"gateways.{name}" for name in ("namespace", "name", "url")}  # of a list that is empty by default


def test_the_schema_knows_every_value_and_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert named(values) == known(schema) - {"global", "enabled", "imagePullSecrets.name", *GATEWAYS}


def named(values: dict[str, Any], where: str = "") -> set[str]:
    """The paths of all values that the file names, free-form maps left whole."""
    found = set()
    for key, value in values.items():
        inner = value[0] if isinstance(value, list) and value else value
        found |= {where + key} | (
            named(inner, f"{where}{key}.") if isinstance(inner, dict) and key not in WHOLE_MAPS else set()
        )
    return found


def known(schema: dict[str, Any], where: str = "") -> set[str]:
    """The paths of all values that the schema names."""
    found = set()
    for key, value in schema.get("properties", {}).items():
        found |= {where + key} | (set() if key in WHOLE_MAPS else known(value.get("items", value), f"{where}{key}."))
    return found


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_the_operator_reads_the_rendered_configuration(values: dict[str, Any]) -> None:
    told = {**yaml.safe_load((CHART / "values.yaml").read_text()), **values}
    config = parse_config(only(render(values), "ConfigMap")["data"]["config.yaml"])
    sources = [source.model_dump(by_alias=True, exclude_unset=True) for source in config.metric_sources]
    assert sources == told["metricSources"]
    assert config.loader_image == told["loaderImage"]
    assert config.watch_namespaces == told["watchNamespaces"]
    assert (config.log_level, config.log_format) == (told["log"]["level"], told["log"]["format"])


def test_a_new_configuration_makes_a_new_pod() -> None:
    def checksum(values: dict[str, Any]) -> str:
        annotations = only(render(values), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["changeover.dev/config"])

    assert checksum({}) == checksum({"nodeSelector": {"a": "b"}})
    assert checksum({}) != checksum({"log": {"level": "debug"}})


def rolling(surge: int, unavailable: int) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def test_the_number_of_replicas_goes_up_and_down_again(client: Client) -> None:
    """As Helm 4 does it, by server-side apply: what the API server added for several stood in the way of one."""
    client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    stored = []
    for replicas in (1, 2, 1):
        deployment = only(render({"replicas": replicas}), "Deployment")
        answer = client.apply(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/changeover", deployment)
        assert answer.ok, f"{replicas}: {answer.message}"
        stored.append(answer.body["spec"]["strategy"])
    assert stored == [rolling(0, 1), rolling(1, 0), rolling(0, 1)]


def test_one_operator_is_replaced_and_two_stand_apart_and_are_not_drained_at_once() -> None:
    spec = only(render(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, rolling(surge=0, unavailable=1))
    assert "PodDisruptionBudget" not in {document["kind"] for document in render()}

    documents = render(yaml.safe_load((CHART / "examples/two-replicas.yaml").read_text()))
    spec = only(documents, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (2, rolling(surge=1, unavailable=0))
    [spread] = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    budget = only(documents, "PodDisruptionBudget")["spec"]
    assert budget["minAvailable"] == 1
    assert budget["selector"] == spread["labelSelector"] == spec["selector"]


def test_the_pod_holds_the_lease_of_its_release_under_its_own_name() -> None:
    documents = render()
    [container] = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    config = parse_config(only(documents, "ConfigMap")["data"]["config.yaml"])
    [role] = [one for one in documents if one["kind"] == "Role"]
    assert config.lease is not None and config.lease.namespace == role["metadata"]["namespace"] == NAMESPACE
    assert role["rules"] == [{
        "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [config.lease.name],
        "verbs": ["get", "create", "patch"],
    }]  # fmt: skip


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_the_pod_keeps_the_restricted_standard(values: dict[str, Any], client: Client) -> None:
    name = "restricted"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    template = only(render(values), "Deployment")["spec"]["template"]
    pods = f"/api/v1/namespaces/{name}/pods?dryRun=All"
    spec = {**template["spec"], "priorityClassName": ""}
    answer = client.create(pods, {"metadata": {"name": "operator"}, "spec": spec})
    assert answer.ok, answer.message
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True

    loose = copy.deepcopy(spec)
    loose["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    assert "violates PodSecurity" in client.create(pods, {"metadata": {"name": "operator"}, "spec": loose}).message


def test_the_pod_is_scraped_and_probed_on_its_named_port() -> None:
    template = only(render(), "Deployment")["spec"]["template"]
    annotations, (container,) = template["metadata"]["annotations"], template["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert {key: annotations[f"prometheus.io/{key}"] for key in ("scrape", "port", "path")} == {
        "scrape": "true", "port": "8080", "path": "/metrics",
    }  # fmt: skip
    (port,) = only(render(), "Service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8080, "http")


def test_pod_labels_cannot_break_the_selector_but_annotations_overrule_the_scrape() -> None:
    spec = only(render(EVERYTHING), "Deployment")["spec"]
    metadata = spec["template"]["metadata"]
    assert metadata["labels"].items() >= spec["selector"]["matchLabels"].items()
    assert metadata["labels"]["team"] == "edge"
    assert metadata["annotations"]["prometheus.io/scrape"] == "false"


def test_the_chart_installs_the_committed_crds_and_keeps_them() -> None:
    rendered = {d["metadata"]["name"]: d for d in render() if d["kind"] == "CustomResourceDefinition"}
    committed = [yaml.safe_load(path.read_text()) for path in (REPOSITORY / "crds").glob("*.yaml")]
    assert len(rendered) == len(committed) == 2
    for crd in committed:
        kept = {**crd["metadata"], "annotations": {"helm.sh/resource-policy": "keep"}}
        assert rendered[crd["metadata"]["name"]] == {**crd, "metadata": kept}


def test_the_crds_can_be_left_out() -> None:
    assert "CustomResourceDefinition" not in {d["kind"] for d in render({"crds": {"install": False}})}


def test_every_namespaced_object_is_in_the_release_or_a_watched_namespace() -> None:
    namespaced = {"ServiceAccount", "ConfigMap", "Service", "Deployment", "Role", "RoleBinding"}
    for document in render(EVERYTHING):
        if document["kind"] in namespaced:
            of_lease = document["metadata"]["name"].endswith("-lease")
            wanted = {"shop", "lab"} if document["kind"].startswith("Role") and not of_lease else {NAMESPACE}
            assert document["metadata"]["namespace"] in wanted, document["kind"]


PLURALS = {"CustomResourceDefinition": "customresourcedefinitions", "NetworkPolicy": "networkpolicies"}


def path_of(client: Client, document: dict[str, Any]) -> str:
    """Path of the collection that an object belongs to."""
    version, metadata = document["apiVersion"], document["metadata"]
    plural = PLURALS.get(document["kind"], f"{document['kind'].lower()}s")
    scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"/{'apis' if '/' in version else 'api'}/{version}{scope}/{plural}"
