"""Is what the operator made of a resource harmless? Each check gives words for what is wrong; none is good."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from changeover.core.manifests.common import CONTROL_PLANE
from changeover.core.plan import Manifest, Ref
from changeover.loader.settings import parse_settings

from tests.trust.tenant.stand import GATEWAY_URL, LOADER, Watched

POD_FIELDS = frozenset({
    "affinity", "automountServiceAccountToken", "containers", "enableServiceLinks", "initContainers", "nodeSelector",
    "restartPolicy", "securityContext", "terminationGracePeriodSeconds", "tolerations", "volumes",
})  # fmt: skip
CONTAINER_FIELDS = frozenset({
    "args", "command", "env", "image", "name", "ports", "readinessProbe", "resources", "securityContext",
    "volumeMounts",
})  # fmt: skip
DEFAULTED = frozenset({"imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy"})  # of a template
SECURITY_FIELDS = frozenset({"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"})
POD_SECURITY_FIELDS = frozenset({"runAsNonRoot", "seccompProfile", "sysctls"})
SYSCTLS = [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}]
MADE = frozenset({"ConfigMap", "Deployment", "HTTPRoute", "Job", "Service"})


@dataclass(frozen=True)
class Outcome:
    """What happened: every write, the status at the end, others' objects before and after, and refused pods."""

    owner: Ref
    writes: Watched
    status: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    refused_pods: list[str]
    sent: int

    def pods(self) -> Iterator[tuple[Manifest, Manifest]]:
        """Each pod template that was applied, with the object that holds it."""
        for made in self.writes.applied:
            if made["kind"] in ("Deployment", "Job"):
                yield made, made["spec"]["template"]["spec"]

    def message(self) -> str:
        """All that its status says."""
        return json.dumps(self.status, ensure_ascii=False)


Check = Callable[[Outcome], str]


def faults(outcome: Outcome) -> list[str]:
    """All that is not harmless."""
    found = [f"Pod Security: {message}" for message in outcome.refused_pods]
    found += [f"{key} was changed" for key, value in outcome.before.items() if outcome.after.get(key) != value]
    found += list(_writes(outcome))
    if outcome.sent:
        found.append("something was sent outside")
    for made, pod in outcome.pods():
        found += [f"{made['kind']} {made['metadata']['name']}: {why}" for why in _pod(made, pod)]
    if not outcome.status.get("conditions"):
        found.append("no condition says what came of it")
    return found


def _writes(outcome: Outcome) -> Iterator[str]:
    """Only in its namespace, and only what the operator makes."""
    for made in outcome.writes.applied:
        metadata = made["metadata"]
        if made["kind"] not in MADE or metadata["namespace"] != outcome.owner.namespace:
            yield f"{made['kind']} {metadata} was applied"
        if {one["kind"] for one in metadata.get("ownerReferences", [])} - {outcome.owner.kind, "ConfigMap"}:
            yield f"{made['kind']} {metadata['name']} is owned by {metadata['ownerReferences']}"
        if made["kind"] == "HTTPRoute":
            yield from _route(made)
    for verb, ref, body in outcome.writes.changed:
        own_spec = verb == "merge" and ref == outcome.owner and set(body) != {"metadata"}
        if own_spec or ref.namespace != outcome.owner.namespace:
            yield f"{verb} of {ref} with {body}"


def _route(made: Manifest) -> Iterator[str]:
    backends = [backend for rule in made["spec"].get("rules", []) for backend in rule["backendRefs"]]
    if any("namespace" in backend or not 0 <= backend["weight"] <= 100 for backend in backends):
        yield f"HTTPRoute {made['metadata']['name']} goes elsewhere: {backends}"


def _pod(made: Manifest, pod: Manifest) -> Iterator[str]:
    if extra := set(pod) - POD_FIELDS:
        yield f"has {sorted(extra)}"
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a token"
    if extra := set(pod["securityContext"]) - POD_SECURITY_FIELDS:
        yield f"has a security context with {sorted(extra)}"
    if pod["securityContext"].get("sysctls", SYSCTLS) != SYSCTLS:
        yield "sets sysctls"
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        yield from _container(container)
    yield from _volumes(pod)
    if made["kind"] == "Job":
        yield from _load(made, pod)
    yield from _placed(pod)


def _container(container: Manifest) -> Iterator[str]:
    if extra := set(container) - CONTAINER_FIELDS - DEFAULTED:
        yield f"container has {sorted(extra)}"
    security = container["securityContext"]
    if set(security) - SECURITY_FIELDS or security["allowPrivilegeEscalation"] or "add" in security["capabilities"]:
        yield f"container has {security}"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "container has a hostPort"
    for variable in container.get("env", []):
        named = variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name", "")
        if "valueFrom" in variable and named != "db":  # that of the copied Deployment
            yield f"container reads {variable}"


def _volumes(pod: Manifest) -> Iterator[str]:
    for volume in pod.get("volumes", []):
        sources = set(volume) - {"name"}
        if sources != {"emptyDir"} and volume.get("secret", {}).get("secretName") != "db":
            yield f"mounts {volume}"


def _placed(pod: Manifest) -> Iterator[str]:
    """What tolerates the control plane's taint is kept off its nodes."""
    tolerates = any(t.get("key", "") in ("", *CONTROL_PLANE) for t in pod.get("tolerations", []))
    required = pod.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.get("nodeSelectorTerms", [])
    kept_off = terms and all(
        {e["key"] for e in term.get("matchExpressions", []) if e["operator"] == "DoesNotExist"} == set(CONTROL_PLANE)
        for term in terms
    )
    if tolerates and not kept_off:
        yield "may run on the control plane"


def _load(made: Manifest, pod: Manifest) -> Iterator[str]:
    """The loader's own parser reads what was meant: our image, our target, no flag that a value smuggled in."""
    (container,) = pod["containers"]
    if container["image"] != LOADER:
        yield f"runs {container['image']}"
    arguments = [word.replace("$$", "$") for word in container["args"] if word != "--instance=$(JOB_COMPLETION_INDEX)"]
    if any("$(" in word.replace("$$", "") for word in container["args"] if not word.startswith("--instance=")):
        yield f"has an expansion: {container['args']}"
    flags = [word.partition("=")[0] for word in arguments if not word.startswith("--header=")]
    if len(flags) != len(set(flags)):
        yield f"has a flag twice: {flags}"
    host = urlsplit(parse_settings(arguments).url).hostname
    service = f".{made['metadata']['namespace']}.svc"
    if host != urlsplit(GATEWAY_URL).hostname and not (str(host).endswith(service) and str(host).count(".") == 2):
        yield f"goes to {host}"


def says(words: str) -> Check:
    """Status names why it was refused."""
    return lambda outcome: "" if words in outcome.message() else f"status does not say {words!r}: {outcome.message()}"


def made(kind: str) -> Check:
    """It came so far that an object of this kind was made: otherwise the row would say nothing."""
    return lambda outcome: (
        "" if any(one["kind"] == kind for one in outcome.writes.applied) else f"no {kind} was made: {outcome.message()}"
    )


def makes_no(kind: str) -> Check:
    """No object of this kind is made at all."""
    return lambda outcome: f"a {kind} was made" if any(one["kind"] == kind for one in outcome.writes.applied) else ""


def nothing_of(word: str) -> Check:
    """What was smuggled in appears in nothing that is made."""
    return lambda outcome: f"{word} is in what was made" if word in json.dumps(outcome.writes.applied) else ""
