"""Read the world of one benchmark. Reads only; what cannot be read is Unreadable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from changeover.api.v1alpha1 import BenchmarkSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core import names, record_store
from changeover.core.audit import RunRecord
from changeover.core.benchmark import SeenBenchmark
from changeover.core.conditions import parse_timestamp
from changeover.core.errors import InvalidSpec, Unavailable
from changeover.core.first_runs import pinned_node
from changeover.core.manifests.common import is_left_behind, owner_reference
from changeover.core.manifests.template import copied_pod
from changeover.core.names import digest
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning, NoData, Owner, Unreadable, Usage, Workload
from changeover.core.plan import Manifest, Ref
from changeover.core.queries import fill
from changeover.ports import Dependencies, LoadRun
from changeover.reconcilers.sources import why_unknown
from changeover.reconcilers.workloads import orphaned, parse_workload

MOST_TOLD = 128  # characters of what a node says of itself
SCRAPES_IN_A_WINDOW = 2  # CPU is the difference of two samples inside it
T = TypeVar("T")
# What may change without making the runs so far worthless. Conformance may not: runs without checks know no class, and
# to call their candidates conforming would be a guess.
_NOT_MEASURED: dict[str, bool | set[str]] = {
    "suspend": True,
    "ranking": True,
    "objectives": True,
    "metrics": {"source"},
    "cost": True,
    "claims": True,
    "clean_up": True,
    "ttl_after_finished": True,
    "schedule": {"rounds", "deadline", "cool_down", "stop_when_decided", "cross_check"},
}


def fingerprint_of(spec: BenchmarkSpec, retry: str = "", templates: Mapping[str, Manifest] | None = None) -> str:
    """Stands for all that a run depends on: another spec, another template or another retry is another set of runs.

    Defaults are left out, so that an operator whose spec has one field more does not measure everything anew.
    """
    measured = spec.model_dump(exclude=_NOT_MEASURED, exclude_defaults=True)
    for part in ("schedule", "metrics"):
        if not measured.get(part):  # empty when it differs from the default only in what is not measured
            measured.pop(part, None)
    if any(scenario.ramp for scenario in spec.scenarios):
        measured["objectives"] = spec.objectives.model_dump()  # a ramp ends where they break
    return digest([measured, retry, templates] if retry or templates else measured)


async def readable(reading: Awaitable[T]) -> T | Unreadable:
    """The value, or Unreadable when what was asked did not answer."""
    try:
        return await reading
    except Unavailable as error:
        return Unreadable(str(error))


async def observe(owner: Owner, spec: BenchmarkSpec, deps: Dependencies) -> SeenBenchmark:
    """Everything that a benchmark's decision depends on, at one instant."""
    templates = await _templates(owner, spec, deps)
    fingerprint = fingerprint_of(spec, owner.retry, templates if isinstance(templates, Mapping) else None)
    # Without its template nobody knows which runs these are.
    kept = templates if isinstance(templates, Unreadable) else await readable(_kept(owner, fingerprint, deps))
    records = _records(kept)
    workloads = await readable(_workloads(owner, deps))
    loads = await readable(_loads(owner, deps))
    dates = [r["at"] for r in records.values()] if isinstance(records, Mapping) else []
    usages = await _usages(owner, spec, workloads, loads, deps)
    return SeenBenchmark(
        now=deps.clock.now(),
        owner=owner,
        spec=spec,
        fingerprint=fingerprint,
        loader_image=deps.loader_image,
        scrape_seconds=deps.scrape_seconds.get(spec.metrics.source, 0.0),
        refused=_why_not_measured(spec, deps) or _why_not_copied(spec, templates),
        records=records,
        started=_created(kept),
        last_record=max((parse_timestamp(d) for d in dates), default=None),
        workloads=workloads,
        loads=loads,
        usage=usages[0] if usages else None,
        step_usages=usages[1:],
        environment=await _environment(records, deps),
        templates=templates,
        places=() if isinstance(kept, Unreadable) else tuple(map(record_store.place_of, kept)),
    )


def _why_not_measured(spec: BenchmarkSpec, deps: Dependencies) -> str:
    """That the operator's configuration has no such source, or one that looks too seldom; empty when it has."""
    source, window = spec.metrics.source, duration_seconds(spec.schedule.measure)
    unknown = why_unknown(source, deps)
    if unknown:
        return unknown
    if spec.metrics.queries and source not in deps.open_sources:
        return (
            f"spec.metrics.queries: metric source {source!r} takes no queries of resources; leave them out, or set "
            "metricSources[].allowQueries in the operator's configuration"
        )
    scrape = deps.scrape_seconds[source]
    if window < SCRAPES_IN_A_WINDOW * scrape:
        return (
            f"spec.schedule.measure: {spec.schedule.measure} is too short for CPU to be read, as metric source "
            f"{source!r} is scraped every {scrape:g} s; ask for at least {SCRAPES_IN_A_WINDOW * scrape:g}s"
        )
    return ""


async def _kept(owner: Owner, fingerprint: str, deps: Dependencies) -> list[Manifest]:
    """The ConfigMaps of the runs' records in their order; only behind a full one there may be another."""
    found: list[Manifest] = []
    while not found or record_store.place_of(found[-1]).is_full:
        name = record_store.name_of(owner, fingerprint, len(found) + 1)
        config_map = await deps.cluster.get(Ref("ConfigMap", owner.namespace, name))
        if config_map is None:
            break
        found.append(config_map)
    _refuse_what_is_left(found[:1], owner)  # the others belong to the first, and go with it
    return found


def _refuse_what_is_left(found: Sequence[Manifest], owner: Owner) -> None:
    """Unavailable while something is there of a benchmark of this name that was deleted.

    The garbage collector may be seconds late. Until then its records would be taken for those of this one, if it has
    the same spec, and its pods would go while they are measured.
    """
    for one in found:
        if is_left_behind(one, owner_reference(owner)):
            raise Unavailable(
                f"{one['kind']} {one['metadata']['name']} is of a {owner.kind} of this name that was deleted, and is "
                "waited for until the garbage collector has removed it; if it stays, delete it"
            )


def _records(kept: Sequence[Manifest] | Unreadable) -> Mapping[str, RunRecord] | Unreadable | None:
    if isinstance(kept, Unreadable):
        return kept
    records: dict[str, RunRecord] = {}
    for config_map in kept:
        try:
            records |= {key: record_store.parse_record(text) for key, text in (config_map.get("data") or {}).items()}
        except (ValueError, RecursionError) as error:
            return Unreadable(f"ConfigMap {config_map['metadata']['name']} holds what is no record of a run: {error}")
    return records if kept else None


async def _templates(owner: Owner, spec: BenchmarkSpec, deps: Dependencies) -> Mapping[str, Manifest] | Unreadable:
    """The pod templates that candidates are copies of; a Deployment that is missing may come yet."""
    found = {}
    for candidate in spec.candidates:
        if candidate.template_from is None:
            continue
        name = candidate.template_from.deployment_ref.name
        deployment = await readable(deps.cluster.get(Ref("Deployment", owner.namespace, name)))
        if isinstance(deployment, Unreadable):
            return deployment
        if deployment is None:
            return Unreadable(f"candidate {candidate.name}: templateFrom names Deployment {name}, which does not exist")
        found[candidate.name] = deployment["spec"]["template"]
    return found


def _why_not_copied(spec: BenchmarkSpec, templates: Mapping[str, Manifest] | Unreadable) -> str:
    """That a template cannot be copied, which is refused before anything runs; empty when all can."""
    known = {} if isinstance(templates, Unreadable) else templates
    try:
        for candidate in spec.candidates:
            if candidate.name in known:
                copied_pod(candidate, known[candidate.name])
    except InvalidSpec as refusal:
        return str(refusal)
    return ""


def _created(kept: Sequence[Manifest] | Unreadable) -> datetime | None:
    """When the first of them was made: the benchmark's start."""
    if isinstance(kept, Unreadable) or not kept:
        return None
    return parse_timestamp(kept[0]["metadata"]["creationTimestamp"])


async def _workloads(owner: Owner, deps: Dependencies) -> tuple[Workload, ...]:
    """The candidates' Deployments, and pods that outlive theirs."""
    labels = {names.LABEL_BENCHMARK: owner.name, names.LABEL_ROLE: names.ROLE_CANDIDATE}
    deployments = await deps.cluster.list("Deployment", owner.namespace, labels)
    _refuse_what_is_left(deployments, owner)
    pods = defaultdict(list)
    for pod in await deps.cluster.list("Pod", owner.namespace, labels):
        pods[_workload_of(owner, pod)].append(pod)
    alive = {d["metadata"]["name"]: parse_workload(d, pods.get(d["metadata"]["name"], [])) for d in deployments}
    left = [orphaned(name, found, deps.clock.now()) for name, found in pods.items() if name not in alive]
    return (*alive.values(), *left)


def _workload_of(owner: Owner, pod: Manifest) -> str:
    return names.candidate_workload(owner.name, pod["metadata"]["labels"].get(names.LABEL_CANDIDATE, ""))


async def _loads(owner: Owner, deps: Dependencies) -> Mapping[str, LoadReport | LoadRunning | LoadFailed]:
    """The load Jobs by run; one that is going away is left out."""
    labels = {names.LABEL_BENCHMARK: owner.name, names.LABEL_ROLE: names.ROLE_LOAD}
    jobs, found = await deps.cluster.list("Job", owner.namespace, labels), {}
    _refuse_what_is_left(jobs, owner)
    for job in jobs:
        run = job["metadata"]["labels"].get(names.LABEL_RUN)
        if run is None:
            continue  # somebody else's, with some of our labels
        result = await deps.load.result(LoadRun(job["metadata"]["name"], owner.namespace))
        if isinstance(result, LoadReport):
            loaded = (job["metadata"].get("annotations") or {}).get(names.ANNOTATION_LOADED_POD, "")
            result = replace(result, pod=loaded)
        if result is not None:
            found[run] = result
    return found


async def _usages(
    owner: Owner,
    spec: BenchmarkSpec,
    workloads: Sequence[Workload] | Unreadable,
    loads: Mapping[str, LoadReport | LoadRunning | LoadFailed] | Unreadable,
    deps: Dependencies,
) -> tuple[Usage | NoData | Unreadable, ...]:
    """CPU and memory of the candidate over the measured seconds of the run that has just ended, if one has.

    First over the run's own window, then over that of each step, if it was a ramp.
    """
    if isinstance(workloads, Unreadable) or isinstance(loads, Unreadable):
        return ()
    reports = [load.content for load in loads.values() if isinstance(load, LoadReport)]
    pods = [pod.name for workload in workloads for pod in workload.pods if not pod.deleting]
    source, found = deps.sources.get(spec.metrics.source), list[Usage | NoData | Unreadable]()
    if len(reports) != 1 or not pods or source is None:
        return ()
    for window in (reports[0], *reports[0].get("steps", ())):
        start, end = (datetime.fromtimestamp(window[key], UTC) for key in ("windowStart", "windowEnd"))
        usage = await readable(source.usage(owner.namespace, pods, start, end))
        if isinstance(usage, Usage):
            seconds = (end - start).total_seconds()
            asked = {q.name: fill(q.query, owner.namespace, pods, seconds) for q in spec.metrics.queries}
            usage = replace(usage, readings={name: await readable(source.value(q, end)) for name, q in asked.items()})
        found.append(usage)
    return tuple(found)


async def _environment(records: Mapping[str, RunRecord] | Unreadable | None, deps: Dependencies) -> Mapping[str, str]:
    """The candidates' node, once one is known; left empty when it cannot be read, since nothing is decided by it."""
    node = pinned_node(records) if isinstance(records, Mapping) else ""
    if not node:
        return {}
    body = await readable(deps.cluster.get(Ref("Node", "", node)))
    if body is None or isinstance(body, Unreadable):
        return {"node": node}
    # A virtual node may say little of itself.
    status = body.get("status") or {}
    info, capacity = status.get("nodeInfo") or {}, status.get("capacity") or {}
    told = {
        "kernel": info.get("kernelVersion", ""),
        "cores": str(capacity.get("cpu", ""))[:32],
        "kubelet": info.get("kubeletVersion", ""),
        "containerRuntime": info.get("containerRuntimeVersion", ""),
    }
    return {"node": node} | {key: str(value)[:MOST_TOLD] for key, value in told.items()}
