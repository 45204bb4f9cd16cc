"""What should a benchmark do next? A ladder of guards; the first that matches wins. See ``decide``.

One run is the unit: a fresh pod, its scenarios one after another, each with a warm-up and a measured window. The record
of a run is written before its Job is deleted, so that a crash anywhere repeats at most the run in progress.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from changeover.api.reasons import ConditionType, Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.api.v1alpha1.candidate import Candidate
from changeover.core import cross_check, names, record_store
from changeover.core.artefacts import keep_histogram
from changeover.core.audit import RunRecord, make_record
from changeover.core.benchmark_state import TICK_SECONDS, Next, SeenBenchmark
from changeover.core.conditions import find, true_since
from changeover.core.first_runs import fixed_for, pinned_node
from changeover.core.itinerary import complete_rounds, is_over, next_run
from changeover.core.knee import at_knee
from changeover.core.manifests.candidate import Shape, make_deployment, make_service
from changeover.core.manifests.common import labels_of
from changeover.core.manifests.load_job import LoadTarget, make_load_job
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning, NoData, Unreadable, Usage, Workload
from changeover.core.plan import Action, Apply, Delete, Manifest, Record, Ref
from changeover.core.schedule import Run

__all__ = ["Next", "SeenBenchmark", "decide"]

READY_WITHIN_SECONDS = 120  # a candidate that is not ready by then is recorded as such
REFUSED_SECONDS = 30.0  # how often a benchmark at work that cannot be measured now is looked at
READABLE_WITHIN = timedelta(minutes=5)  # of the deadline; what cannot be read by then ends without it
METRICS_PATIENCE_SCRAPES = 4  # scrapes after a window's end before its CPU counts as missing
METRICS_SETTLE_SCRAPES = 1.5  # by then the last scrape inside the window is in the database


def decide(seen: SeenBenchmark) -> Next:
    """The ladder. Reads top to bottom; each rung says what it waits for."""
    if seen.owner.deleting:
        return Next("Deleting", "its pods and jobs go with it", recheck_after=None)
    if seen.spec.suspend:
        hidden = _first_unreadable(seen.workloads, seen.loads)
        recheck = None if hidden is None else TICK_SECONDS
        return Next("Suspended", "spec.suspend is true", _remove_all(seen), recheck_after=recheck)
    unreadable = _first_unreadable(seen.templates, seen.records, seen.workloads, seen.loads)
    if unreadable is not None:
        return _finish(seen, unreadable) if _is_long_over(seen) else Next("Unreadable", unreadable.reason)
    assert not isinstance(seen.records, Unreadable)
    if seen.records is None and seen.refused:
        return _refuse_to_begin(seen)
    if seen.records is None:
        return Next("Preparing", "the place for the runs' records is made", (Apply(_next_place(seen)),))
    run = _wanted_run(seen, seen.records)
    if run is None:
        return _finish(seen)
    if seen.refused:
        # What is under load could not be read: it would be measured in vain. The deadline counts all the same.
        return Next("InvalidSpec", seen.refused, _remove_all(seen), recheck_after=REFUSED_SECONDS)
    return _pursue(seen, run, seen.records)


def _refuse_to_begin(seen: SeenBenchmark) -> Next:
    """What an edit under way left of the runs before goes; then nothing runs, so no deadline has to be awaited."""
    leftovers = _remove_all(seen)
    return Next("InvalidSpec", seen.refused, leftovers, recheck_after=TICK_SECONDS if leftovers else None)


def _first_unreadable(*parts: object) -> Unreadable | None:
    return next((part for part in parts if isinstance(part, Unreadable)), None)


def _wanted_run(seen: SeenBenchmark, records: Mapping[str, RunRecord]) -> Run | None:
    """The next run; None when the ranking is made and cross-checked, or the deadline is past."""
    if _past_deadline(seen, seen.started):
        return None
    if is_over(seen.spec, records):
        return cross_check.next_run(seen.spec, records)
    return next_run(seen.spec, records, seen.spec.schedule.rounds.max)


def _past_deadline(seen: SeenBenchmark, started: datetime | None, patience: timedelta = timedelta(0)) -> bool:
    limit = timedelta(seconds=duration_seconds(seen.spec.schedule.deadline)) + patience
    return started is not None and seen.now - started > limit


def _is_long_over(seen: SeenBenchmark) -> bool:
    """Whether its time is over though not all can be read: never by a moment's trouble, and for good once it is said.

    When it began may be among what cannot be read; status says since when it is at work.
    """
    told = seen.owner.status.get("conditions") or []
    end = find(told, ConditionType.FINISHED)
    if (end.get("reason"), end.get("observedGeneration")) == (Reason.DEADLINE_EXCEEDED, seen.owner.generation):
        return not seen.is_retried
    started = seen.started or true_since(told, ConditionType.RECONCILING)
    return _past_deadline(seen, started, READABLE_WITHIN)


def _finish(seen: SeenBenchmark, unreadable: Unreadable | None = None) -> Next:
    """What is known counts, and what is ours is removed, as far as it can be read."""
    leftovers, hidden = _remove_all(seen), _first_unreadable(seen.workloads, seen.loads)
    recheck = TICK_SECONDS if leftovers or hidden else None
    rounds, records = seen.spec.schedule.rounds.min, seen.records if isinstance(seen.records, Mapping) else {}
    if complete_rounds(seen.spec, records) >= rounds:
        return Next("Published", "", leftovers, recheck_after=recheck)
    why = f"before {rounds} rounds" if unreadable is None else f"while this could not be read: {unreadable.reason}"
    message = f"the deadline of {seen.spec.schedule.deadline} passed {why}"
    return Next("DeadlineExceeded", message, leftovers, recheck_after=recheck)


def _pursue(seen: SeenBenchmark, run: Run, records: Mapping[str, RunRecord]) -> Next:
    """Bring about one run: clear away what is not its own, start the candidate, load it, record it."""
    assert not isinstance(seen.workloads, Unreadable) and not isinstance(seen.loads, Unreadable)
    stale = _stale(seen, run)
    if stale:
        return Next("Measuring", "what the run before left is removed", stale, run)
    workload = next((w for w in seen.workloads if w.labels.get(names.LABEL_ROUND) == _round_token(seen, run)), None)
    if any(w is not workload for w in seen.workloads) or (workload and workload.deleting):
        return Next("Measuring", "the pods of the run before are going", (), run)
    if workload is None:
        rest = _cool_down_left(seen)
        if rest > 0:
            return Next("Measuring", "cooling down", (), run, rest)
        return Next("Measuring", f"{run.candidate} is started", _start(seen, run, records), run)
    load = seen.loads.get(_run_token(seen, run))
    if load is None:
        return _begin_load(seen, run, workload)
    if isinstance(load, LoadRunning):
        return Next("Measuring", f"{run.candidate} is under load", (), run)
    return _record(seen, run, load, workload)


def _stale(seen: SeenBenchmark, run: Run) -> tuple[Action, ...]:
    """Deletions of everything of ours that does not belong to this run."""
    assert not isinstance(seen.workloads, Unreadable) and not isinstance(seen.loads, Unreadable)
    old_jobs = [Delete(_job(seen, other)) for other in seen.loads if other != _run_token(seen, run)]
    own = names.candidate_workload(seen.owner.name, run.candidate)
    old_workloads = [
        w
        for w in seen.workloads
        if not w.deleting and (w.name != own or w.labels.get(names.LABEL_ROUND) != _round_token(seen, run))
    ]
    return (*old_jobs, *_deletions(seen, [w.name for w in old_workloads]))


def _deletions(seen: SeenBenchmark, workloads: Sequence[str]) -> Iterator[Action]:
    """The Deployment last: it is what is looked for; after a crash in between, the Service would be forgotten."""
    return (Delete(_ref(seen, kind, name)) for name in workloads for kind in ("Service", "Deployment"))


def _begin_load(seen: SeenBenchmark, run: Run, workload: Workload) -> Next:
    if workload.ready < 1:
        # The run before on the same pod may have left it breathless: it has its time again from there.
        since = max(workload.created, seen.last_record or workload.created)
        waited = (seen.now - since).total_seconds()
        why = next((pod.waiting for pod in workload.pods if pod.waiting), "") or "its pod is not ready"
        if waited <= READY_WITHIN_SECONDS:
            return Next("WaitingForWorkloads", f"{run.candidate}: {why}", (), run)
        failure = LoadFailed(f"NotReady: not ready within {READY_WITHIN_SECONDS} s: {why}")
        return _record(seen, run, failure, workload)
    spec, scenario = cross_check.as_driven(seen.spec, run)
    candidate = _candidate(seen.spec, run.candidate)
    url = f"http://{workload.name}.{seen.owner.namespace}.svc:{candidate.port}"
    pod = next((pod.name for pod in workload.pods if pod.ready and not pod.deleting), "")
    target = LoadTarget(_run_token(seen, run), url, seen.loader_image, seen.now, pod)
    job = make_load_job(seen.owner, spec, scenario, target)
    # The Service again: a crash after the Deployment may have left it unmade.
    service = make_service(candidate, _shape(seen, run, {}), candidate.port)
    return Next("Measuring", f"load on {run.candidate} begins", (Apply(service), Apply(job)), run)


def _record(seen: SeenBenchmark, run: Run, load: LoadReport | LoadFailed, workload: Workload) -> Next:
    usage = seen.usage if seen.usage is not None else NoData("the run did not begin")
    if isinstance(load, LoadReport):
        age = seen.now.timestamp() - _load_ended(load)
        settle, patience = METRICS_SETTLE_SCRAPES * seen.scrape_seconds, METRICS_PATIENCE_SCRAPES * seen.scrape_seconds
        complete = all(isinstance(one, Usage) and one.is_complete for one in (usage, *seen.step_usages))
        if age < settle or (not complete and age < patience):
            return Next("Measuring", f"the last CPU sample of {run.candidate} is awaited", (), run)
        if "steps" in load.content:
            usages = seen.step_usages or (usage,) * len(load.content["steps"])
            knee = at_knee(load.content, usages, _cores_allowed(seen.spec, workload))
            load, usage = replace(load, content=knee.report), knee.usage
    assert isinstance(seen.records, Mapping)
    record = make_record(run, load, usage, workload, fixed_for(seen.records, run.candidate))
    record["at"] = seen.now.isoformat()
    text = json.dumps(record, separators=(",", ":"), sort_keys=True)
    report = load.content if isinstance(load, LoadReport) and not record["void"] else {}
    # The record makes the run done, so what belongs to it is written before it. The Job goes last: were it deleted
    # first, a crash between them would lose the run.
    actions = (
        *keep_histogram(seen.spec, seen.owner.namespace, seen.places[0], run, report),
        *_keep(seen, run.id, text),
        Delete(_job(seen, _run_token(seen, run))),
    )
    return Next("Measuring", f"{run.candidate} is measured", actions, run)


def _keep(seen: SeenBenchmark, key: str, text: str) -> tuple[Action, ...]:
    """A record into the last of its places, or into a new one when that is full."""
    last = seen.places[-1]
    if not last.is_full:
        return (Record(_ref(seen, "ConfigMap", last.name), key, text),)
    following = _next_place(seen)
    return (Apply(following), Record(_ref(seen, "ConfigMap", following["metadata"]["name"]), key, text))


def _load_ended(load: LoadReport) -> float:
    """Seconds since the epoch; a ramp's own window is that of its best step, not of its last."""
    return max(float(window["windowEnd"]) for window in (load.content, *load.content.get("steps", ())))


def _cores_allowed(spec: BenchmarkSpec, workload: Workload) -> float | None:
    """Cores by ``objectives.maxCPUPercent``; None when CPU is no objective, or the candidate has no limit."""
    percent = spec.objectives.max_cpu_percent
    return None if percent is None or workload.cpu_limit is None else workload.cpu_limit * percent / 100


def _start(seen: SeenBenchmark, run: Run, records: Mapping[str, RunRecord]) -> tuple[Action, ...]:
    candidate, shape = _candidate(seen.spec, run.candidate), _shape(seen, run, records)
    return (Apply(make_deployment(candidate, shape)), Apply(make_service(candidate, shape, candidate.port)))


def _shape(seen: SeenBenchmark, run: Run, records: Mapping[str, RunRecord]) -> Shape:
    return Shape(
        name=names.candidate_workload(seen.owner.name, run.candidate),
        namespace=seen.owner.namespace,
        labels={
            **labels_of(benchmark=seen.owner.name, role=names.ROLE_CANDIDATE, candidate=run.candidate),
            names.LABEL_ROUND: _round_token(seen, run),
        },
        nodes=seen.spec.placement.candidates,
        pinned_node=pinned_node(records),
        owner=seen.owner,
        template=seen.templates.get(run.candidate) if isinstance(seen.templates, Mapping) else None,
    )


def _cool_down_left(seen: SeenBenchmark) -> float:
    if seen.last_record is None:
        return 0.0
    passed = (seen.now - seen.last_record).total_seconds()
    return max(0.0, duration_seconds(seen.spec.schedule.cool_down) - passed)


def _remove_all(seen: SeenBenchmark) -> tuple[Action, ...]:
    """Deletions of everything of ours that can be read."""
    loads = () if isinstance(seen.loads, Unreadable) else seen.loads
    workloads = () if isinstance(seen.workloads, Unreadable) else seen.workloads
    jobs = [Delete(_job(seen, token)) for token in loads]
    return (*jobs, *_deletions(seen, [w.name for w in workloads if not w.deleting]))


def records_names(seen: SeenBenchmark) -> list[str]:
    """Names of the ConfigMaps that hold the runs of this very spec; the first even before it is made."""
    return [place.name for place in seen.places] or [names.records(seen.owner.name, seen.fingerprint)]


def _next_place(seen: SeenBenchmark) -> Manifest:
    return record_store.make_next(seen.owner, seen.fingerprint, seen.places)


def _round_token(seen: SeenBenchmark, run: Run) -> str:
    """Tells this spec's pods of a round from those of an earlier spec, and a repeat's fresh pod from the one before.

    The rounds of the cross-check are counted from 1 again.
    """
    round_ = f"{run.round}" if run.attempt == 1 else f"{run.round}.{run.attempt}"
    return f"{round_}-{run.generator}-{seen.fingerprint}" if run.generator else f"{round_}-{seen.fingerprint}"


def _run_token(seen: SeenBenchmark, run: Run) -> str:
    """Tells this spec's run from the same one of an earlier spec."""
    return names.shorten(f"{run.id}.{seen.fingerprint}")


def _candidate(spec: BenchmarkSpec, name: str) -> Candidate:
    return next(c for c in spec.candidates if c.name == name)


def _ref(seen: SeenBenchmark, kind: str, name: str) -> Ref:
    return Ref(kind, seen.owner.namespace, name)


def _job(seen: SeenBenchmark, token: str) -> Ref:
    return _ref(seen, "Job", names.load_job(seen.owner.name, token))
