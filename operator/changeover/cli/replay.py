"""A migration's decisions again, from what Prometheus still has: does the evidence say now what was decided then?

The operator's own reader and rule, over the spans in which each weight was on the route. What a person decided, or a
crash, is no matter of evidence. Times in status are whole seconds, and which scrapes a block holds may hang on less: a
decision is confirmed when it follows from the evidence at some instant of these seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from changeover.adapters.metrics.traefik import quoted
from changeover.api.reasons import Reason
from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.prometheus import Series, pods_of
from changeover.cli.verdict import BAD, OK
from changeover.core.day import Day, key_of
from changeover.core.evidence import Split, StepEvidence, fold, is_projected
from changeover.core.observed import Evidence, Owner, Peak, Pod, Unreadable, Workload
from changeover.core.sequential import Verdict
from changeover.core.weighing import MISSED, Weighing, hard_trip, weigh
from changeover.reconcilers.observe_migration import (
    LATEST_SCRAPES,
    EvidenceReader,
    Measured,
    canary_workload,
)
from changeover.reconcilers.observe_queries import Questions, questions
from changeover.reconcilers.target import fingerprint_of, split_target
from changeover.reconcilers.workloads import cpu_limit, parse_owner, pod_names

Body = dict[str, Any]
BY_EVIDENCE: Mapping[str, Verdict] = {
    **dict.fromkeys((str(Reason.STEPPED), str(Reason.PROMOTED)), Verdict.ADVANCE),
    **{str(reason): Verdict.ROLLBACK for reason in (*MISSED.values(), Reason.BLIND, Reason.WEIGHT_NOT_EFFECTIVE)},
}
COLUMNS = ("", "weight", "from", "decided", "evidence says", "requests", "why")
LAST_SCRAPES = 6  # before a rollback, among which a single one may have been beyond doubt
EDITED = "; by the spec as it is now: it was changed since this ended, so nothing is held against what was decided"
MEANWHILE = "; by the spec as it is now: it was changed meanwhile, so nothing is held against what was decided"
PARTS = 5  # of the second in which a weight was set, that are tried


@dataclass(frozen=True)
class Period:
    """A weight on the route, from when to when, and what ended it: a reason, and in words."""

    weight: int
    begin: datetime
    end: datetime
    reason: str
    decided: str

    @property
    def expected(self) -> Verdict | None:
        """What the evidence must say; None: it was not the evidence that decided."""
        return BY_EVIDENCE.get(self.reason)


@dataclass(frozen=True)
class Replayed:
    """What the evidence of a period says: its verdict and why, after so many blocks and requests of the canary."""

    period: Period
    verdict: Verdict | None  # None: Prometheus has nothing of it any more
    why: str
    blocks: int
    requests: int
    by_another_spec: bool = False  # than the one that was decided by

    @property
    def agrees(self) -> bool | None:
        """None when there is nothing to be compared."""
        if self.period.expected is None or self.by_another_spec:
            return None
        return self.verdict is self.period.expected


@dataclass(frozen=True)
class Asked:
    """Whom to ask about which migration; ``split`` is what the canary may use and what stable was like."""

    spec: MigrationSpec
    reader: EvidenceReader
    scrape: timedelta
    split: Split


def periods(status: Body, now: datetime) -> Iterator[Period]:
    """Each weight above 0 that was raised to, in order."""
    history, outcome = status.get("history", []), status.get("outcome")
    under_way = {"at": now.isoformat(), "reason": "", "result": "under way"}
    for entry, after in zip(history, [*history, outcome or under_way][1:], strict=True):
        if entry["to"] <= entry["from"]:
            continue
        reason = str(Reason.PROMOTED) if after.get("result") == "Promoted" else str(after["reason"])
        decided = f"{entry['to']} % -> {after['to']} %" if "to" in after else str(after["result"])
        by = f" ({reason})" if reason and reason != decided else ""
        yield Period(entry["to"], _instant(entry["at"]), _instant(after["at"]), reason, decided + by)


async def replay(asked: Asked, period: Period) -> Replayed:
    """The rule over one period. Raises KubectlFailed when Prometheus cannot be asked."""
    peak, first = await _peak(asked, period), None
    for exact in _exactly(period):
        found = await _played_again(asked, exact, peak)
        first = first or found
        if found.agrees is not False:
            return replace(found, period=period)
    assert first is not None
    return replace(first, period=period)


def _exactly(period: Period) -> Iterator[Period]:
    """When a period may have been: status has whole seconds of its begin and its end."""
    for late in (0, 1):
        for part in range(PARTS):
            begin, end = period.begin + timedelta(seconds=part / PARTS), period.end + timedelta(seconds=late)
            yield replace(period, begin=begin, end=end)


async def _played_again(asked: Asked, period: Period, peak: float) -> Replayed:
    """The rule over a period whose begin and end are exact."""
    spec, split = asked.spec, replace(asked.split, weight=period.weight)
    evidence, found = StepEvidence.start(period.begin, asked.scrape.total_seconds()), None
    length = timedelta(seconds=duration_seconds(spec.decision.block))
    evidence = replace(evidence, peak=peak)
    blocks = known = 0
    # A block is read when the last scrape inside it has had time to be stored.
    while evidence.until + length + asked.scrape <= period.end:
        block = await _read(asked, evidence.until, evidence.until + length)
        blocks, known = blocks + 1, known + (block.canary is not None)
        evidence = fold(evidence, spec, [block], split)
        found = weigh(evidence, spec, split)
        if found.verdict is Verdict.ROLLBACK:
            break
    tripped = None
    if period.expected is Verdict.ROLLBACK and (found is None or found.verdict is not Verdict.ROLLBACK):
        tripped = await _trip(asked, period)
    found = tripped or found
    # That it was blind then, and that all is forgotten by now, look the same.
    if found is None or not (known or tripped or period.reason == Reason.BLIND):
        return Replayed(period, None, "Prometheus has nothing of it", blocks, 0)
    return Replayed(period, found.verdict, found.message, blocks, evidence.requests)


async def _read(asked: Asked, start: datetime, end: datetime) -> Evidence:
    found = await asked.reader.read(start, end)
    if isinstance(found, Unreadable):
        raise KubectlFailed(found.reason)
    return found if isinstance(found, Evidence) else Evidence(start, end, None, None, None)


async def _trip(asked: Asked, period: Period) -> Weighing | None:
    """Whether one of the last scrapes was beyond doubt by itself."""
    for number in range(LAST_SCRAPES, -1, -1):
        at = period.end - number * asked.scrape
        start = max(period.begin, at - LATEST_SCRAPES * asked.scrape)
        if at - start >= timedelta(seconds=1) and (found := hard_trip(asked.spec, await _read(asked, start, at))):
            return found
    return None


async def _peak(asked: Asked, period: Period) -> float:
    """The highest rate of the day before, where a CPU target is projected to it."""
    if not is_projected(asked.spec):
        return 0.0
    found = await asked.reader.peak(period.end)
    return found.rate if isinstance(found, Peak) else 0.0


async def replay_all(kubectl: Kubectl, body: Body, series: Series, now: datetime) -> list[Replayed]:
    """Every decision of a migration. Raises KubectlFailed."""
    spec, owner = MigrationSpec.model_validate(body["spec"]), parse_owner(body)
    target, deployment = split_target(owner, spec), kubectl.get("deployment", canary_workload(owner.name, spec))
    limit = cpu_limit(deployment["spec"]["template"]["spec"]) if deployment is not None else None
    found, ended_by_another, edit = [], _edited_since(body), _last_edit(body)
    for period in periods(body.get("status", {}), now):
        canary = _canary(owner, spec, series, period, limit)
        seen, left_out = (spec, "") if canary.pods and limit else _without_cpu(spec)
        own = Questions(series.source, questions(spec, target, pod_names(canary), canary.name))
        reader = EvidenceReader(seen, target, Measured(series.source, series.scrape_seconds, own), canary)
        asked = Asked(seen, reader, timedelta(seconds=series.scrape_seconds), _split(owner, spec, canary))
        one = await _replay_with_edit(asked, period, edit)
        edited = ended_by_another or (edit is not None and period.end <= edit)
        why = one.why + left_out + (EDITED if edited else "")
        found.append(replace(one, why=why, by_another_spec=edited or one.by_another_spec))
    return found


async def _replay_with_edit(asked: Asked, period: Period, edit: datetime | None) -> Replayed:
    """The rule over a period in which the spec may have been edited.

    What the edit is about begins anew with it, and the rest goes on; nobody knows any more what it was. So what follows
    from the whole or from the edit on is confirmed, and nothing else is held against what was decided.
    """
    whole = await replay(asked, period)
    if edit is None or not period.begin < edit < period.end or whole.agrees is not False:
        return whole
    length = timedelta(seconds=duration_seconds(asked.spec.decision.block))
    before = (edit - asked.scrape - period.begin) // length  # blocks of before it, of which the last may be read after
    for blocks in {max(0, before), max(0, before - 1)}:
        later = await replay(asked, replace(period, begin=period.begin + blocks * length))
        if later.agrees:
            return replace(later, period=period)
    return replace(whole, why=whole.why + MEANWHILE, by_another_spec=True)


def _edited_since(body: Body) -> bool:
    """Whether the spec of an ended migration is not that by which it ended; the one of then nobody has."""
    outcome = body.get("status", {}).get("outcome")
    return outcome is not None and outcome["generation"] != body["metadata"]["generation"]


def _last_edit(body: Body) -> datetime | None:
    """When the spec was edited last, as the API server keeps who wrote what when; None: never, or it is not known."""
    metadata = body["metadata"]
    if metadata["generation"] == 1:
        return None
    written = [one for one in metadata.get("managedFields") or [] if "f:spec" in (one.get("fieldsV1") or {})]
    times = [_instant(one["time"]) for one in written if one.get("time") and not one.get("subresource")]
    return max(times, default=None)


def _without_cpu(spec: MigrationSpec) -> tuple[MigrationSpec, str]:
    """Where the pods of then, or their limit, are not known, the rule would hold its blindness against the canary."""
    rest = [one for one in spec.objectives if one.cpu is None]
    if not rest or len(rest) == len(spec.objectives):
        return spec, ""
    left_out = "; CPU left out: its pods or their limit are not known any more"
    return spec.model_copy(update={"objectives": rest}), left_out


def _canary(owner: Owner, spec: MigrationSpec, series: Series, at: Period, limit: float | None) -> Workload:
    """The canary with the pods that Prometheus saw in a period: those of today may be others, or gone."""
    workload = canary_workload(owner.name, spec)
    whose = f"namespace={quoted(owner.namespace)},pod=~{quoted(pods_of(workload))}"
    span = f"{max(1.0, (at.end - at.begin).total_seconds()):.0f}s"
    query = f"count by (pod) (count_over_time(container_cpu_usage_seconds_total{{{whose}}}[{span}]))"
    seen = [str(one["metric"]["pod"]) for one in series.ask(query, at.end.timestamp())]
    pods = tuple(Pod(pod, ready=True, deleting=False, node="", image_id="", restarts=0, waiting="") for pod in seen)
    return Workload(workload, {}, at.begin, False, max(1, len(pods)), pods, limit)


def _split(owner: Owner, spec: MigrationSpec, canary: Workload) -> Split:
    """As the operator had it, but for the weight; stable's day as status keeps it."""
    day = Day.parse(owner.status.get("baseline"), key_of(fingerprint_of(split_target(owner, spec), spec), spec))
    cores = canary.cpu_limit * canary.replicas if canary.cpu_limit is not None else None
    return Split(0, cores, canary.replicas, baselines=day.baselines if day is not None else {})


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def rows_of(found: list[Replayed]) -> Iterator[tuple[str, ...]]:
    """Sign, weight, when, what was decided, what the evidence says, and why."""
    signs = {True: OK, False: BAD, None: ""}
    for one in found:
        at, seconds = one.period.begin, round((one.period.end - one.period.begin).total_seconds())
        says = str(one.verdict.value) if one.verdict is not None else "nothing"
        measured = f"{one.requests:,} in {one.blocks} blocks"
        yield (
            signs[one.agrees],
            f"{one.period.weight} %",
            f"{at:%m-%d %H:%M:%S}Z, {seconds} s",
            one.period.decided,
            says,
            measured,
            one.why,
        )
