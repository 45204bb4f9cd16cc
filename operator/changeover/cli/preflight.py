"""Is all there that a migration needs? Asked of the cluster before it is applied, or while it stands still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.backend import Backend, ServicePort
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.lint import of_migration
from changeover.cli.preflight_metrics import Asked, metrics
from changeover.cli.prometheus import operator_config, proxied, serves
from changeover.cli.verdict import BAD, OK, WARNING, Check

Body = dict[str, Any]
GATEWAY_API = "httproutes.gateway.networking.k8s.io"


def preflight(kubectl: Kubectl, body: Body) -> Iterator[Check]:
    """One check after another; what cannot be asked is a warning, and never taken for well."""
    spec, namespace = MigrationSpec.model_validate(body["spec"]), body["metadata"].get("namespace", "")
    here = Kubectl(namespace or kubectl.namespace, kubectl.context, kubectl.kubeconfig)
    yield from _crds(here)
    for what, is_error in of_migration(spec):
        yield Check(BAD if is_error else WARNING, "the spec", what.removeprefix("spec."))
    yield from _permissions(here)
    operator = _operator(here)
    yield _operator_runs(operator, here.namespace)
    yield from _arms(here, spec)
    yield from _gateways(here, spec)
    yield from _route(here, spec, body["metadata"]["name"])
    yield from _prometheus(here, operator, spec)
    if spec.load is not None or spec.acceptance is not None:
        yield _own_load(here, operator, spec)


def _crds(kubectl: Kubectl) -> Iterator[Check]:
    for name in ("canarymigrations.changeover.dev", GATEWAY_API):
        mend = "install the chart" if "changeover" in name else "install the Gateway API's standard CRDs"
        yield _there(kubectl, "customresourcedefinition", name, f"CRD {name}", mend)


def _there(kubectl: Kubectl, kind: str, name: str, what: str, mend: str) -> Check:
    try:
        found = kubectl.get(kind, name)
    except KubectlFailed as failure:
        return Check(WARNING, what, f"could not be asked: {failure}")
    return Check(OK, what, "is there") if found is not None else Check(BAD, what, f"is not there; {mend}")


def _permissions(kubectl: Kubectl) -> Iterator[Check]:
    for verb, kind in (("create", "canarymigrations.changeover.dev"), ("patch", "canarymigrations.changeover.dev")):
        try:
            kubectl.run("auth", "can-i", verb, kind, "--quiet")
            yield Check(OK, f"you may {verb} {kind}", "yes")
        except KubectlFailed:
            yield Check(BAD, f"you may {verb} {kind}", "no; ask who runs the cluster for the role")


@dataclass(frozen=True)
class Operator:
    """The operator's Deployment and configuration, as far as they may be seen."""

    deployment: Body | None
    config: Body
    why: str = ""


def _operator(kubectl: Kubectl) -> Operator:
    try:
        return Operator(*operator_config(kubectl))
    except KubectlFailed as failure:
        return Operator(None, {}, str(failure))


def _operator_runs(operator: Operator, namespace: str) -> Check:
    what = "the operator"
    if operator.why:
        return Check(WARNING, what, f"could not be asked for: {operator.why}")
    if operator.deployment is None:
        return Check(BAD, what, "is not installed; helm install changeover charts/changeover")
    served = ", ".join(operator.config.get("watchNamespaces") or [])
    if not serves(operator.config, namespace):
        return Check(BAD, what, f"serves {served} only; add {namespace} to the chart's watchNamespaces")
    if served and not namespace:
        return Check(WARNING, what, f"serves {served} only; say by --namespace where the migration is to be")
    ready = operator.deployment.get("status", {}).get("readyReplicas", 0)
    where = operator.deployment["metadata"]["namespace"]
    mend = "" if ready else f"; kubectl -n {where} logs deployment/{operator.deployment['metadata']['name']}"
    return Check(OK if ready else BAD, what, f"{ready} ready in {where}{mend}")


def _arms(kubectl: Kubectl, spec: MigrationSpec) -> Iterator[Check]:
    arms = [("stable", spec.stable)]
    if spec.canary.workload is not None:
        arms.append(("canary", spec.canary.workload))
    else:
        assert spec.canary.benchmark is not None
        name = spec.canary.benchmark.ref.name
        yield _there(kubectl, "frameworkbenchmark", name, f"canary: FrameworkBenchmark {name}", "apply it first")
    for arm, backend in arms:
        yield _service(kubectl, arm, backend.service)
        yield _workload(kubectl, arm, backend.workload.name, any(o.cpu is not None for o in spec.objectives))
    yield from _selections(kubectl, [backend for _, backend in arms])


def _service(kubectl: Kubectl, arm: str, asked: ServicePort) -> Check:
    what, found = f"{arm}: Service {asked.name}", kubectl.get("service", asked.name)
    if found is None:
        return Check(BAD, what, "is not there; make it")
    ports = [port["port"] for port in found["spec"].get("ports", [])]
    if asked.port not in ports:
        return Check(BAD, what, f"has no port {asked.port}, but {', '.join(map(str, ports))}")
    return Check(OK, what, f"has port {asked.port}")


def _workload(kubectl: Kubectl, arm: str, name: str, judges_cpu: bool) -> Check:
    what, found = f"{arm}: Deployment {name}", kubectl.get("deployment", name)
    if found is None:
        return Check(BAD, what, "is not there; make it")
    wanted, ready = found["spec"].get("replicas", 1), found.get("status", {}).get("readyReplicas", 0)
    if ready < max(1, wanted):
        return Check(BAD, what, f"has {ready} of {wanted} pods ready; kubectl describe deployment {name}")
    containers = found["spec"]["template"]["spec"]["containers"]
    bare = [c["name"] for c in containers if not _cpu(c.get("resources") or {})]
    if judges_cpu and bare and arm == "canary":
        return Check(
            BAD, what, f"container {bare[0]} has no CPU limit or request, of which a CPU target is a share; set one"
        )
    return Check(OK, what, f"{ready}/{wanted} ready")


def _cpu(resources: Body) -> bool:
    return any("cpu" in (resources.get(kind) or {}) for kind in ("limits", "requests"))


def _selections(kubectl: Kubectl, backends: Sequence[Backend]) -> Iterator[Check]:
    """Services that select other pods than those of their Deployment: then a weight is not what it says."""
    pods = {b.workload.name: _pod_labels(kubectl.get("deployment", b.workload.name)) for b in backends}
    for backend in backends:
        selector = ((kubectl.get("service", backend.service.name) or {}).get("spec") or {}).get("selector") or {}
        own, what = backend.workload.name, f"Service {backend.service.name}"
        chosen = {name for name, labels in pods.items() if selector and labels and selector.items() <= labels.items()}
        if selector and pods[own] and own not in chosen:
            yield Check(BAD, what, f"does not select the pods of Deployment {own}, which are judged; make the two fit")
        for other in sorted(chosen - {own}):
            yield Check(BAD, what, f"selects the pods of Deployment {other} at any weight; narrow its selector")


def _pod_labels(deployment: Body | None) -> Mapping[str, str]:
    return (((deployment or {}).get("spec") or {}).get("template") or {}).get("metadata", {}).get("labels") or {}


def _gateways(kubectl: Kubectl, spec: MigrationSpec) -> Iterator[Check]:
    gateway = spec.traffic.gateway_api
    assert gateway is not None  # the union guarantees it
    for parent in gateway.parent_refs:
        there = Kubectl(parent.namespace or kubectl.namespace, kubectl.context, kubectl.kubeconfig)
        what = f"Gateway {parent.name}"
        try:
            found = there.get("gateways.gateway.networking.k8s.io", parent.name)
        except KubectlFailed as failure:
            yield Check(WARNING, what, f"could not be asked for: {failure}")
            continue
        conditions = (found or {}).get("status", {}).get("conditions") or []
        programmed = any(c["type"] == "Programmed" and c["status"] == "True" for c in conditions)
        if found is None:
            yield Check(BAD, what, "is not there; name one in spec.traffic.gatewayAPI.parentRefs")
        else:
            yield Check(OK if programmed else BAD, what, "is programmed" if programmed else "is not programmed yet")


def _route(kubectl: Kubectl, spec: MigrationSpec, migration: str) -> Iterator[Check]:
    gateway = spec.traffic.gateway_api
    assert gateway is not None  # the union guarantees it
    name = gateway.route.name
    try:
        found = kubectl.get(GATEWAY_API, name)
    except KubectlFailed as failure:
        yield Check(WARNING, f"HTTPRoute {name}", f"could not be asked for: {failure}")
        return
    metadata = (found or {}).get("metadata", {})
    of_whom = (metadata.get("labels") or {}).get("changeover.dev/migration", "")
    handed = (metadata.get("annotations") or {}).get("changeover.dev/hand-over-to", "")
    if gateway.mode == "Adopted":
        mend = "make it with both backends, or choose mode Managed"
        yield Check(
            OK if found else BAD, f"HTTPRoute {name}", "is there, to be adopted" if found else f"is not there; {mend}"
        )
    elif found is None or migration in (of_whom, handed):
        yield Check(OK, f"HTTPRoute {name}", "is this migration's" if found else "will be made")
    elif of_whom:
        yield Check(
            BAD, f"HTTPRoute {name}", f"belongs to migration {of_whom}; delete that one, or choose another route"
        )
    else:
        how = f"kubectl annotate --overwrite httproute {name} changeover.dev/hand-over-to={migration}"
        yield Check(BAD, f"HTTPRoute {name}", f"was not made by this migration; hand it over: {how}")


def _prometheus(kubectl: Kubectl, operator: Operator, spec: MigrationSpec) -> Iterator[Check]:
    """Through the API server, where the source is a Service of the cluster; the operator itself asks it directly."""
    what = f"metric source {spec.metrics.source}"
    known = {source["name"]: source for source in operator.config.get("metricSources", [])}
    source = known.get(spec.metrics.source)
    if not known:
        yield Check(WARNING, what, "the operator's configuration may not be read, so it was not looked for")
        return
    if source is None:
        yield Check(BAD, what, f"is not configured; there are {', '.join(sorted(known))}")
        return
    yield from _queries(source, spec)
    if not proxied(source["url"]):
        yield Check(WARNING, what, f"{source['url']} is outside the cluster, so it was not asked from here")
    else:
        yield from metrics(Asked(kubectl, source, spec, kubectl.namespace))


def _queries(source: Body, spec: MigrationSpec) -> Iterator[Check]:
    """Without the administrator's word no query of a resource is asked, and no weight rises."""
    own = [objective.name for objective in spec.objectives if objective.query is not None]
    if own and not source.get("allowQueries"):
        mend = "leave it out, or set metricSources[].allowQueries in the chart's values"
        yield Check(BAD, f"objective {own[0]}", f"{source['name']} takes no queries of resources; {mend}")


def _own_load(kubectl: Kubectl, operator: Operator, spec: MigrationSpec) -> Check:
    try:
        parents = _parents(kubectl, spec)
    except KubectlFailed as failure:
        return Check(WARNING, "own load", f"the route could not be asked for: {failure}")
    known = [(one["namespace"], one["name"]) for one in operator.config.get("gateways") or []]
    reachable = [f"{where}/{name}" for where, name in known if (where, name) in parents]
    if reachable:
        return Check(OK, "own load", f"goes to {reachable[0]}")
    # Where neither file nor command names a namespace, kubectl's own is not known here.
    namesakes = [f"{where}/{name}" for where, name in known if ("", name) in parents]
    if namesakes:
        return Check(WARNING, "own load", f"goes to {namesakes[0]}, if that is the Gateway; say so by --namespace")
    return Check(BAD, "own load", "the operator knows no address of the Gateway; set gateways in the chart's values")


def _parents(kubectl: Kubectl, spec: MigrationSpec) -> set[tuple[str, str]]:
    """Namespace and name of the Gateways that the route is to have, or, adopted, has. Raises KubectlFailed."""
    gateway = spec.traffic.gateway_api
    assert gateway is not None  # the union guarantees it
    if gateway.mode != "Adopted":
        return {(parent.namespace or kubectl.namespace, parent.name) for parent in gateway.parent_refs}
    route = kubectl.get(GATEWAY_API, gateway.route.name) or {"spec": {}}
    found = route["spec"].get("parentRefs") or []
    return {(parent.get("namespace") or kubectl.namespace, parent["name"]) for parent in found}
