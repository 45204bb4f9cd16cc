"""Read what stands beside the weights: own load with its figures before and after, and the testers' route."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core import acceptance, names
from changeover.core.before_after import ALWAYS, shown_as
from changeover.core.conditions import parse_timestamp
from changeover.core.history import history
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import Before, LoadState, SeenLoad
from changeover.core.observed import Figures, LoadReport, NoData, Owner, Peak, Route, Unreadable, Usage, Workload
from changeover.core.plan import Ref
from changeover.core.testers import purpose
from changeover.ports import DAY, BackendPort, Bound, CountQuery, Dependencies, LoadRun, SplitTarget
from changeover.reconcilers.observe_benchmark import readable
from changeover.reconcilers.sources import source_of
from changeover.reconcilers.workloads import pod_names

# How often the figures before are taken anew while stable has all the traffic.
LEAST_BETWEEN, MOST_BETWEEN = timedelta(seconds=10), timedelta(minutes=10)
SHORTEST_SCRAPES = 5  # of a span that figures are read from
SETTLE_SCRAPES = 2  # of the load's beginning, which are left out
LACKING_SCRAPES = (
    3  # of a span that a pod's samples may lack: some at each edge, and a kubelet's are older than the scrape
)


@dataclass(frozen=True)
class Arms:
    """A migration with both of its backends, as they were read."""

    owner: Owner
    spec: MigrationSpec
    target: SplitTarget
    route: Route | Unreadable | None
    stable: Workload | Unreadable | None
    canary: Workload | Unreadable | None


def accepts(owner: Owner, spec: MigrationSpec) -> bool:
    """Whether the acceptance is about to begin, for which the peak is to be known."""
    if spec.acceptance is None or (owner.status.get("outcome") or {}).get("result") != "Promoted":
        return False
    told = owner.status.get("acceptance") or {}
    return bool(
        told.get("state", acceptance.WAITING) == acceptance.WAITING or told.get("about") != acceptance.about(spec)
    )


def lasting(owner: Owner, now: datetime) -> timedelta:
    """How long the migration has had weight, a day at the most: the load of an earlier acceptance is no peak of it."""
    history = owner.status.get("history") or []
    return min(DAY, now - parse_timestamp(history[0]["at"])) if history else DAY


async def observe_load(arms: Arms, now: datetime, deps: Dependencies) -> SeenLoad:
    """What own load there is, and the figures that are due; nothing is asked for where the spec wants none."""
    owner, spec = arms.owner, arms.spec
    told = owner.status.get("acceptance") or {}
    of_steps: LoadState = None
    if spec.load is not None or owner.status.get("load"):
        of_steps = await _result(owner, names.route_load(owner.name, "load"), deps)
    if spec.acceptance is None and not told:
        return SeenLoad(deps.gateways, deps.loader_image, of_steps)
    of_acceptance = await _result(owner, acceptance.job_of(owner.name), deps)
    as_of = _before_is_due_as_of(arms, now)
    before = await _before(arms, as_of, deps) if as_of is not None else None
    after = None
    if told.get("state") == acceptance.RUNNING and isinstance(of_acceptance, LoadReport):
        after = await _after(arms, of_acceptance, now, deps)
    return SeenLoad(deps.gateways, deps.loader_image, of_steps, of_acceptance, before, after)


async def read_testers(owner: Owner, spec: MigrationSpec, deps: Dependencies) -> str | Unreadable | None:
    """What the testers' route that is there is for; one that somebody else made is Unreadable: not ours to touch."""
    if spec.match is None and not owner.status.get("testers"):
        return None
    found = await readable(deps.cluster.get(Ref("HTTPRoute", owner.namespace, names.testers_route(owner.name))))
    if found is None or isinstance(found, Unreadable):
        return found
    metadata = found["metadata"]
    if (metadata.get("labels") or {}).get(names.LABEL_MIGRATION) != owner.name:
        return Unreadable(f"HTTPRoute {metadata['name']} is somebody else's")
    return purpose(found)


async def _result(owner: Owner, job: str, deps: Dependencies) -> LoadState:
    return await readable(deps.load.result(LoadRun(job, owner.namespace)))


def _before_is_due_as_of(arms: Arms, now: datetime) -> datetime | None:
    """The moment as of which stable is to be read in this pass, if at all.

    While it has all the traffic: often at first, when little of it has been counted, and then now and then. Where it
    was not known when the canary got weight, as of then: the metric source still knows.
    """
    mark = Mark.parse(arms.route.mark) if isinstance(arms.route, Route) and arms.route.ours else None
    if arms.spec.acceptance is None or mark is None:
        return None
    told = arms.owner.status.get("acceptance") or {}
    moment: datetime | None = None
    if mark.phase is Phase.PREPARING:
        moment = now
    elif mark.phase is Phase.STEPPING and not told.get("table"):
        moment = _first_weight(arms.owner, mark)
    read = told.get("beforeReadAt")
    wait = min(MOST_BETWEEN, max(LEAST_BETWEEN, (now - mark.since) / 2))
    return moment if read is None or now - parse_timestamp(read) > wait else None


def _first_weight(owner: Owner, mark: Mark) -> datetime | None:
    """When the canary got weight after it had none."""
    known = history(owner.status.get("history") or [], [mark])
    return next((parse_timestamp(one["at"]) for one in reversed(known) if one["from"] == 0 < one["to"]), None)


async def _before(arms: Arms, as_of: datetime, deps: Dependencies) -> Before | NoData | Unreadable:
    """Stable in its busiest minute of the 24 hours before; or later, where its counters or its pods do not reach back.

    Where not even a whole minute was counted, what was counted last is the peak.
    """
    _, (stable, canary) = _pairs(arms.target)
    source = source_of(arms.spec, deps)
    peak = await readable(source.port.peak([_query(arms, stable, canary)], as_of))
    if isinstance(peak, Unreadable):
        return peak
    best: Before | None = None
    why = NoData("it was not asked")
    for end, seconds in _spans(peak, as_of, source.scrape_seconds):
        found = await _figures(arms, stable=True, span=(end - timedelta(seconds=seconds), end), deps=deps)
        if isinstance(found, Unreadable):
            return found
        if isinstance(found, NoData):
            why = found
            continue
        busiest = peak if isinstance(peak, Peak) else Peak(found.counts.requests / found.seconds, end, found.seconds)
        if not busiest.rate:
            why = NoData("no requests")
        elif found.usage is not None:
            return Before(busiest, end, found)
        else:
            best = best or Before(busiest, end, found)
    return best or why


def _spans(peak: Peak | NoData, as_of: datetime, scrape: float) -> tuple[tuple[datetime, float], ...]:
    """End and seconds of what is looked at, one after the other, until the requests and the CPU are known."""
    last = (as_of, SHORTEST_SCRAPES * scrape)
    return ((peak.at, peak.seconds), (as_of, peak.seconds), last) if isinstance(peak, Peak) else (last,)


async def _after(arms: Arms, report: LoadReport, now: datetime, deps: Dependencies) -> Figures | NoData | Unreadable:
    """The canary in the window of the acceptance's load."""
    scrape = source_of(arms.spec, deps).scrape_seconds
    start, end = (datetime.fromtimestamp(float(report.content[key]), UTC) for key in ("windowStart", "windowEnd"))
    if now < end + timedelta(seconds=scrape):
        return NoData("the last scrapes are awaited")
    settled = min(start + timedelta(seconds=SETTLE_SCRAPES * scrape), start + (end - start) / 2)
    # A counter says what came between two scrapes: of a span that is no multiple of theirs the rate would be another.
    whole = max(1, math.floor((end - settled).total_seconds() / scrape)) * timedelta(seconds=scrape)
    return await _figures(arms, stable=False, span=(end - whole, end), deps=deps)


async def _figures(
    arms: Arms, stable: bool, span: tuple[datetime, datetime], deps: Dependencies
) -> Figures | NoData | Unreadable:
    """One arm over a span; its CPU is left out where it is not known: when pods came meanwhile, or are gone by now."""
    found, (start, end) = source_of(arms.spec, deps), span
    arm, other = _pairs(arms.target)[1 if stable else 0]
    counts = await readable(found.port.counts(_query(arms, arm, other), start, end))
    if isinstance(counts, NoData | Unreadable):
        return counts
    workload = arms.stable if stable else arms.canary
    pods = pod_names(workload)
    usage = await readable(found.port.usage(arms.owner.namespace, pods, start, end)) if pods else NoData("no pods")
    cores = workload.cpu_limit * len(pods) if isinstance(workload, Workload) and workload.cpu_limit else None
    seconds = (end - start).total_seconds()
    least = seconds - LACKING_SCRAPES * found.scrape_seconds
    known = usage if isinstance(usage, Usage) and usage.span_seconds >= least and not usage.others else None
    return Figures(seconds, counts, known, cores)


def _pairs(target: SplitTarget) -> tuple[tuple[BackendPort, BackendPort], tuple[BackendPort, BackendPort]]:
    """Each arm with the other one beside it: the canary, then stable."""
    return (target.canary, target.stable), (target.stable, target.canary)


def _query(arms: Arms, arm: BackendPort, other: BackendPort) -> CountQuery:
    return CountQuery(arms.target.namespace, arms.target.route, arm, _bounds(arms.spec), other)


def _bounds(spec: MigrationSpec) -> Mapping[str, Bound]:
    """What the histogram is asked for: percentiles to be shown, and the objectives to be judged."""
    shown = {shown_as(percentile): Bound(math.inf, float(percentile)) for percentile in ALWAYS}
    return {**shown, **latency_bounds(spec)}


def latency_bounds(spec: MigrationSpec) -> dict[str, Bound]:
    """What the histogram is asked for by each latency objective."""
    return {
        o.name: Bound(duration_seconds(o.latency.max), float(o.latency.percentile))
        for o in spec.objectives
        if o.latency is not None
    }
