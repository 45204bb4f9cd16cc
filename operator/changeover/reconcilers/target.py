"""Which route and backends a migration is about: those of its spec, or those that its route was written for.

A route under way is live. An edit that names what is not there yet, by mistake or too early, must neither be written to
it, nor leave unwatched what it does meanwhile: until the edit can be followed, the backends of before stand.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

from changeover.api.v1alpha1 import MigrationSpec
from changeover.core import names
from changeover.core.canary import canary_backend
from changeover.core.mark import Mark
from changeover.core.observed import Owner, Route, Unreadable
from changeover.core.plan import Ref
from changeover.core.testers import as_match
from changeover.ports import BackendPort, Dependencies, SplitTarget
from changeover.reconcilers.observe_benchmark import readable
from changeover.reconcilers.workloads import read_workload

BEFORE = "so the route is left as it was"


class Found(NamedTuple):
    """The target, its route as it stands, and why the spec's own backends are not followed yet; empty when they are."""

    target: SplitTarget
    route: Route | Unreadable | None
    unserved: str | Unreadable = ""


async def find_target(owner: Owner, spec: MigrationSpec, deps: Dependencies) -> Found:
    """Read the route, and whether what the spec makes of it can take its traffic."""
    asked = split_target(owner, spec)
    route = await readable(deps.router.observe(asked))
    if not isinstance(route, Route) or not route.ours or route.canary_percent is not None:
        return Found(asked, route)  # not to be written, not live yet, or for these Services already
    mark = Mark.parse(route.mark)
    if mark is None:
        is_new = bool(route.backends) and (asked.stable.service, asked.stable.port) not in route.backends
        return Found(asked, route, await _why_not_followed(asked.stable, owner, spec, deps) if is_new else "")
    if mark.arms == fingerprint_of(asked, spec):
        return Found(asked, route)  # somebody else changed its rules
    unserved = route.unfit or await _why_not_followed(asked.stable, owner, spec, deps)
    before = _as_written(route, mark, asked, spec) if unserved else None
    if before is None or await _why_unserved(before.stable, owner, deps):
        return Found(asked, route, unserved)
    return Found(before, await readable(deps.router.observe(before)), unserved)


def split_target(owner: Owner, spec: MigrationSpec) -> SplitTarget:
    """Route and backends as the spec has them."""
    gateway = spec.traffic.gateway_api
    assert gateway is not None  # the union guarantees it
    service, port = canary_backend(owner.name, spec)
    return SplitTarget(
        namespace=owner.namespace,
        route=gateway.route.name,
        migration=owner.name,
        stable=BackendPort(spec.stable.service.name, spec.stable.service.port),
        canary=BackendPort(service, port),
        parents=tuple((p.namespace or owner.namespace, p.name) for p in gateway.parent_refs),
        hostnames=tuple(gateway.hostnames),
        matches=tuple(as_match(match) for match in gateway.matches),
        adopted=gateway.mode == "Adopted",
    )


def fingerprint_of(target: SplitTarget, spec: MigrationSpec) -> str:
    """Stands for stable and canary: another fingerprint is another migration, which starts over."""
    arms: list[list[str | int]] = [[arm.service, arm.port] for arm in (target.stable, target.canary)]
    if spec.canary.benchmark is not None:
        # The Service's name is the same whichever candidate is behind it.
        arms.append([spec.canary.benchmark.ref.name, spec.canary.benchmark.candidate])
    return names.digest(arms)


def _as_written(route: Route, mark: Mark, asked: SplitTarget, spec: MigrationSpec) -> SplitTarget | None:
    """The target with those two of the route's backends that the mark stands for; None when they are not there."""
    pairs = permutations((BackendPort(*backend) for backend in route.backends), 2)
    targets = (replace(asked, stable=stable, canary=canary) for stable, canary in pairs)
    return next((target for target in targets if fingerprint_of(target, spec) == mark.arms), None)


async def _why_not_followed(
    stable: BackendPort, owner: Owner, spec: MigrationSpec, deps: Dependencies
) -> str | Unreadable:
    """Why the stable that an edit names cannot take all traffic; empty when it can: a Service, and a pod behind it."""
    unserved = await _why_unserved(stable, owner, deps)
    if unserved:
        return unserved
    name = spec.stable.workload.name
    workload = await readable(read_workload(deps.cluster, owner.namespace, name))
    if isinstance(workload, Unreadable):
        return Unreadable(f"Deployment {name} could not be read, {BEFORE}: {workload.reason}")
    if workload is None:
        return f"spec.stable: there is no Deployment {name}, {BEFORE}; make it, or name another"
    return "" if workload.ready else f"spec.stable: {name} has no ready pod, {BEFORE}"


async def _why_unserved(stable: BackendPort, owner: Owner, deps: Dependencies) -> str | Unreadable:
    """Why stable's Service cannot take all traffic; empty when it is there, with the port."""
    name = stable.service
    found = await readable(deps.cluster.get(Ref("Service", owner.namespace, name)))
    if isinstance(found, Unreadable):
        return Unreadable(f"Service {name} could not be read, {BEFORE}: {found.reason}")
    if found is None:
        return f"spec.stable: there is no Service {name}, {BEFORE}; make it, or name another"
    ports = [one["port"] for one in found["spec"].get("ports") or []]
    if not ports or stable.port in ports:  # an ExternalName has none
        return ""
    there = ", ".join(map(str, ports))
    return f"spec.stable: Service {name} has no port {stable.port}, but {there}, {BEFORE}; name one of these"
