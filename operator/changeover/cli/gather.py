"""Fetch a resource and what belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from changeover.cli.kubectl import Kubectl, NotThere
from changeover.cli.target import MIGRATION, Target
from changeover.core import names

Body = dict[str, Any]


@dataclass(frozen=True)
class Gathered:
    """The resource, and what of it was found; `missing` names what should be there and is not."""

    body: Body
    routes: Sequence[Body] = ()
    deployments: Sequence[Body] = ()
    jobs: Sequence[Body] = ()
    pods: Sequence[Body] = ()
    missing: Sequence[str] = field(default=())


def fetch(kubectl: Kubectl, target: Target, *flags: str) -> Body:
    """The resource. Raises KubectlFailed, NotThere when there is none."""
    found = kubectl.get(target.kind, target.name, *flags)
    if found is None:
        raise NotThere(f'{target.kind}s.changeover.dev "{target.name}" not found')
    return found


def gather(kubectl: Kubectl, target: Target, wide: bool = False) -> Gathered:
    """The resource with its route, Deployments and Jobs; `wide` with their pods. Raises KubectlFailed."""
    body = fetch(kubectl, target)
    if target.kind != MIGRATION:
        own = {names.LABEL_BENCHMARK: target.name}
        pods = kubectl.items("pods", own) if wide else []
        return Gathered(body, (), kubectl.items("deployments", own), kubectl.items("jobs", own), pods)
    spec, missing = body["spec"], list[str]()
    routes, deployments = list[Body](), list[Body]()
    for kind, name in _parts(body):
        found = kubectl.get(kind, name)
        if found is None:
            missing.append(f"{kind} {name}")
        else:
            (routes if kind == "httproute" else deployments).append(found)
    if spec.get("match"):
        testers = kubectl.get("httproute", names.testers_route(target.name))
        routes += [testers] if testers else []
    pods = kubectl.items("pods") if wide else []
    jobs = kubectl.items("jobs", {names.LABEL_MIGRATION: target.name})
    return Gathered(body, routes, deployments, jobs, pods, missing)


def _parts(body: Body) -> list[tuple[str, str]]:
    """Kind and name of what a migration speaks of."""
    spec = body["spec"]
    workload = spec["canary"].get("workload")
    canary = workload["workload"]["name"] if workload else names.canary_workload(body["metadata"]["name"])
    route = spec["traffic"]["gatewayAPI"]["route"]["name"]
    return [("httproute", route), ("deployment", spec["stable"]["workload"]["name"]), ("deployment", canary)]
