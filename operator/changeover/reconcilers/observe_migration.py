"""Read the world of one migration. Reads only; what cannot be read is Unreadable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core import names
from changeover.core.canary import choose
from changeover.core.daily_peak import HOURS_A_DAY, any_wants_peak, busiest
from changeover.core.day import (
    HOUR,
    LEAST_HOURS_SHARE,
    Day,
    hours_of,
    is_due,
    kept_peaks,
    key_of,
    make_day,
    peaks_key_of,
    unread_day,
    was_alone,
)
from changeover.core.evidence import SETTLE_SCRAPES, StepEvidence, is_projected
from changeover.core.gates import answered
from changeover.core.mark import Mark
from changeover.core.migration_state import CanaryChoice, SeenMigration
from changeover.core.observed import Counts, Evidence, NoData, Owner, Peak, Route, Unreadable, Workload
from changeover.core.plan import Ref
from changeover.core.stored import known_status
from changeover.ports import DAY, CountQuery, Dependencies, MetricSource, SplitTarget
from changeover.reconcilers.observe_benchmark import readable
from changeover.reconcilers.observe_load import Arms, accepts, lasting, latency_bounds, observe_load, read_testers
from changeover.reconcilers.observe_queries import Questions, questions, refusal
from changeover.reconcilers.sources import source_of
from changeover.reconcilers.target import Found, fingerprint_of
from changeover.reconcilers.workloads import pod_names, read_workload

LEAST_OF_TWO_SAMPLES = timedelta(seconds=30)  # of a span; a kubelet counts its containers anew each 10 to 15 s
LEAST_SPAN = timedelta(seconds=1)  # of what is asked for; nothing is counted in no time
MAX_BLOCKS_A_PASS = 20  # after a long absence the backlog is worked off in several passes
LATEST_SCRAPES = 2.0  # the span of 'the last scrapes': it surely holds one whole scrape


async def observe(owner: Owner, spec: MigrationSpec, found: Found, deps: Dependencies) -> SeenMigration:
    """Everything that a migration's decision depends on, at one instant."""
    source, scrape, unknown = source_of(spec, deps)
    target, route = found.target, found.route
    stable = await readable(read_workload(deps.cluster, owner.namespace, spec.stable.workload.name))
    canary = await readable(read_workload(deps.cluster, owner.namespace, canary_workload(owner.name, spec)))
    now = deps.clock.now()
    evidence = _evidence(owner, route)
    asked = questions(spec, target, pod_names(canary), canary_workload(owner.name, spec))
    own = Questions(source, asked, refusal(spec, deps))
    reader = EvidenceReader(spec, target, Measured(source, scrape, own), canary)
    latest = await reader.read(_latest_start(route, now, scrape), now)
    arms = fingerprint_of(target, spec)
    day = await _day(reader, owner, route, arms, now)
    blocks, behind = await _blocks(reader, _starting_point(evidence, route, scrape), now, scrape)
    peak = await _peak(reader, owner, bool(blocks), now)
    load = await observe_load(Arms(owner, spec, target, route, stable, canary), now, deps)
    return SeenMigration(
        # A slow source must not date a weight back to before it was written: its evidence would begin too early.
        now=deps.clock.now(),
        owner=owner, spec=spec, arms=arms, stable=stable, canary=canary, route=route,
        evidence=evidence, blocks=blocks, behind=behind, latest=latest, day=day, peak=peak, load=load,
        scrape_seconds=scrape, not_understood=unknown, queries_refused=own.refused,
        choice=await _choice(owner, spec, deps),
        unserved=found.unserved,
        gates=answered(owner.status, spec),
        testers=await read_testers(owner, spec, deps),
        term=deps.term(),
    )  # fmt: skip


async def _peak(
    reader: EvidenceReader, owner: Owner, is_new_block: bool, now: datetime
) -> Peak | NoData | Unreadable | None:
    """A costly question, asked when it is due: of a day with a new block, or of the migration when it is accepted."""
    if accepts(owner, reader.spec):
        return await reader.peak(now, lasting(owner, now))
    return await reader.peak(now) if is_new_block and is_projected(reader.spec) else None


async def _day(
    reader: EvidenceReader, owner: Owner, route: Route | Unreadable | None, arms: str, now: datetime
) -> Day | None:
    """Stable over a day and the busiest hours, as status has them, or read anew where that is due."""
    key, status = key_of(arms, reader.spec), owner.status.get("baseline")
    known = Day.parse(status, key)
    outcome = owner.status.get("outcome") or {}
    ended = outcome.get("result") == "Promoted" or outcome.get("generation") == owner.generation
    if not isinstance(route, Route) or ended or not is_due(known, reader.spec, now):
        return known
    # A baseline that is there is not read again for the sake of the hours: stable may have no traffic by now.
    alone = was_alone(owner.status.get("history") or [], reader.spec, now)
    day = await reader.day(key, now, alone) if known is None or known.why else replace(known, at=now)
    if not any_wants_peak(reader.spec):
        return day
    peaks_key = peaks_key_of(arms, reader.spec)
    peaks = kept_peaks(status, peaks_key) or await reader.busiest(now)
    if isinstance(peaks, Unreadable):
        return replace(day, peaks_unread=peaks.reason[:512])
    return replace(day, peaks=peaks, peaks_key=peaks_key, peaks_unread="")


async def observe_leaving(owner: Owner, spec: MigrationSpec, found: Found, deps: Dependencies) -> SeenMigration:
    """All that a deletion depends on: the route, and who can take its traffic. No evidence, no workload holds it up."""
    return SeenMigration(
        now=deps.clock.now(),
        owner=owner,
        spec=spec,
        arms=fingerprint_of(found.target, spec),
        choice=CanaryChoice(),
        stable=None,
        canary=None,
        route=found.route,
        unserved=found.unserved,
        evidence=None,
        blocks=(),
        latest=None,
        scrape_seconds=0.0,
        term=deps.term(),
    )


def canary_workload(migration: str, spec: MigrationSpec) -> str:
    """Name of the canary's Deployment."""
    return spec.canary.workload.workload.name if spec.canary.workload is not None else names.canary_workload(migration)


async def _choice(owner: Owner, spec: MigrationSpec, deps: Dependencies) -> CanaryChoice | Unreadable:
    """The canary as the spec resolves it: there already, or what a benchmark chose."""
    if spec.canary.benchmark is None:
        return CanaryChoice()
    ref = Ref("FrameworkBenchmark", owner.namespace, spec.canary.benchmark.ref.name)
    benchmark = await readable(deps.cluster.get(ref))
    if isinstance(benchmark, Unreadable):
        return benchmark
    if benchmark is not None:
        benchmark["status"] = known_status(ref.kind, benchmark.get("status"))
    return choose(owner, spec, benchmark)


def _evidence(owner: Owner, route: Route | Unreadable | None) -> StepEvidence | None:
    """What status kept, when it belongs to the weight that the route's mark speaks of."""
    mark = Mark.parse(route.mark) if isinstance(route, Route) and route.ours else None
    kept = (owner.status.get("step") or {}).get("evidence", "")
    return StepEvidence.parse(kept, mark.since) if mark is not None and kept else None


def _latest_start(route: Route | Unreadable | None, now: datetime, scrape: float) -> datetime:
    """Where the last scrapes begin: not before the weight was set, so that its first scrape is judged at once."""
    mark = Mark.parse(route.mark) if isinstance(route, Route) and route.ours else None
    start = now - timedelta(seconds=LATEST_SCRAPES * scrape)
    if mark is None or mark.weight == 0:
        return start
    return max(start, min(mark.since, now - LEAST_SPAN))


def _starting_point(evidence: StepEvidence | None, route: Route | Unreadable | None, scrape: float) -> datetime | None:
    """Where the next block begins; None while the canary has no weight."""
    mark = Mark.parse(route.mark) if isinstance(route, Route) and route.ours else None
    if mark is None or mark.weight == 0:
        return None
    return (evidence or StepEvidence.start(mark.since, scrape)).until


async def _blocks(
    reader: EvidenceReader, start: datetime | None, now: datetime, scrape: float
) -> tuple[tuple[Evidence, ...] | Unreadable, bool]:
    """The whole blocks from the start on, and whether there are later ones still to be read.

    The last scrape inside a block must have had time to be stored.
    """
    length = timedelta(seconds=duration_seconds(reader.spec.decision.block))
    blocks: list[Evidence] = []
    ready = now - timedelta(seconds=scrape)
    while start is not None and start + length <= ready and len(blocks) < MAX_BLOCKS_A_PASS:
        block = await reader.read(start, start + length)
        if isinstance(block, Unreadable):
            # What was read before it counts; it is asked for again at the next pass. Nothing read at all is blindness.
            return (tuple(blocks), True) if blocks else (block, False)
        blocks.append(block if isinstance(block, Evidence) else Evidence(start, start + length, None, None, None))
        start += length
    return tuple(blocks), start is not None and start + length <= ready


@dataclass(frozen=True)
class Measured:
    """A metric source and how often it scrapes."""

    source: MetricSource
    scrape_seconds: float
    own: Questions  # the migration's own queries


class EvidenceReader:
    """Reads both arms over a span."""

    def __init__(
        self,
        spec: MigrationSpec,
        target: SplitTarget,
        measured: Measured,
        canary: Workload | Unreadable | None,
    ) -> None:
        self.spec = spec
        self._namespace = target.namespace
        self._target = target
        self._source = measured.source
        self._own = measured.own
        self._scrape = timedelta(seconds=measured.scrape_seconds)
        self._pods = pod_names(canary)
        self._bounds = latency_bounds(spec)

    async def read(self, start: datetime, end: datetime) -> Evidence | NoData | Unreadable:
        """Both arms; NoData when neither has usable counters, with the reason."""
        arms = []
        for query in self._queries():
            counts = await readable(self._source.counts(query, start, end))
            if isinstance(counts, Unreadable):
                return counts
            arms.append(counts)
        canary, stable = arms
        if isinstance(canary, NoData) and isinstance(stable, NoData):
            return stable
        cores = await self._cores(start, end)
        return Evidence(
            start,
            end,
            None if isinstance(canary, NoData) else canary,
            None if isinstance(stable, NoData) else stable,
            cores,
            await self._own.read(end),
        )

    async def peak(self, at: datetime, lookback: timedelta = DAY) -> Peak | NoData | Unreadable:
        """The highest rate of both arms together in the time before."""
        return await readable(self._source.peak(self._queries(), at, lookback))

    async def day(self, key: str, now: datetime, alone: bool) -> Day:
        """Stable over the window, hour by hour. Costs a query an hour, once."""
        may_miss = (1 - LEAST_HOURS_SHARE) * hours_of(self.spec)
        counted = await self._hours(self._queries()[1], now, may_miss)
        if isinstance(counted, Unreadable):
            return unread_day(now, key, counted.reason)
        return make_day(now, key, self.spec, counted, alone)

    async def busiest(self, now: datetime) -> tuple[int, ...] | Unreadable:
        """The route's busiest hours, whichever arm answered. Costs as much again.

        An edited bound changes neither who asked when, nor which buckets that takes.
        """
        route = replace(self._queries()[1], bounds={}, together=True)
        counted = await self._hours(route, now, hours_of(self.spec) - HOURS_A_DAY)
        return counted if isinstance(counted, Unreadable) else busiest(now, counted)

    async def _hours(self, query: CountQuery, now: datetime, may_miss: float) -> list[Counts | None] | Unreadable:
        """The window's hours, oldest first, until more are missing than may be: nobody waits for the rest."""
        counted: list[Counts | None] = []
        for number in range(hours_of(self.spec), 0, -1):
            counts = await readable(self._source.counts(query, now - number * HOUR, now - (number - 1) * HOUR))
            if isinstance(counts, Unreadable):
                return counts
            counted.append(None if isinstance(counts, NoData) else counts)
            if counted.count(None) > may_miss:
                break
        return counted

    def _queries(self) -> list[CountQuery]:
        canary, stable = self._target.canary, self._target.stable
        return [
            CountQuery(self._namespace, self._target.route, arm, self._bounds, other)
            for arm, other in ((canary, stable), (stable, canary))
        ]

    async def _cores(self, start: datetime, end: datetime) -> float | None:
        if not self._pods or not any(o.cpu is not None for o in self.spec.objectives):
            return None
        usage = await readable(self._source.usage(self._namespace, self._pods, self._cpu_start(start, end), end))
        return None if isinstance(usage, NoData | Unreadable) else usage.cpu_cores

    def _cpu_start(self, start: datetime, end: datetime) -> datetime:
        """From when on CPU is read to the end of a span: the last sample before it, where its requests begin, too.

        CPU of more of the time before would hide how it grows with the load. Two samples are needed, and a short span
        may hold one: there what settles after a change of weight leaves the room.
        """
        is_short = end - start < max(LEAST_OF_TWO_SAMPLES, 2 * self._scrape)
        return start - (SETTLE_SCRAPES if is_short else 1.0) * self._scrape
