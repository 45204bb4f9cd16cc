"""What does a benchmark say after a pass? Conditions from what was observed and what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from changeover.api.reasons import ConditionType, Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core import cross_check, probe, ranking_status
from changeover.core.audit import RunRecord, unreliable
from changeover.core.benchmark import Next, SeenBenchmark, records_names
from changeover.core.benchmark_state import MAX_TOKEN
from changeover.core.claims import make_claims
from changeover.core.conditions import timestamp
from changeover.core.conformance import RAW
from changeover.core.errors import ChangeoverError
from changeover.core.itinerary import cells, complete_rounds, is_over, is_settled, next_run
from changeover.core.observed import NoData, Unreadable
from changeover.core.plan import Judgement

RUN_OVERHEAD_SECONDS = 12.0  # start of the pods, the last scrape, and the ticks between; measured on the local cluster

VERDICT = ("ranking", "winner", "claims", "claimedPairsLeftOut")  # what is published
FAILED = frozenset({
    Reason.NO_VALID_RESULT, Reason.NODE_NOISY, Reason.UNRELIABLE, Reason.DEADLINE_EXCEEDED,
    Reason.CROSS_CHECK_CONTRADICTED,
})  # fmt: skip
CONTRADICTED_MEND = "find out which generator is wrong, or set schedule.crossCheck: false"

Said = tuple[str, str, dict[str, Judgement], dict[str, Any]]


def summarise(seen: SeenBenchmark, step: Next, failure: ChangeoverError | None) -> Said:
    """Reason, message, conditions and the other fields of status."""
    records = {} if isinstance(seen.records, Unreadable) else seen.records or {}
    if isinstance(seen.records, Unreadable):
        fields = {k: v for k, v in seen.owner.status.items() if k not in ("conditions", "observedGeneration")}
    else:
        fields = _fields(seen, step, records)
    if failure is not None:
        # The records that are yet to be deleted are known by this name alone.
        if "report" in seen.owner.status:
            fields["report"] = seen.owner.status["report"]
        return _said(seen, Reason.UNREADABLE, f"an action failed and is tried again: {failure}", fields)
    if step.reason == Reason.PUBLISHED:
        return _published(seen, records, fields)
    reason = Reason.MEASURING if step.run is not None else Reason(step.reason)
    message = step.message
    if step.run is not None:
        message = f"round {step.run.round}, {step.run.candidate}, {step.run.scenario}: {step.message}"
    return _said(seen, reason, message, fields, step)


def _published(seen: SeenBenchmark, records: Mapping[str, RunRecord], fields: dict[str, Any]) -> Said:
    # What an earlier spec published stays no longer, whatever comes in its place.
    fields = {key: value for key, value in fields.items() if key not in VERDICT}
    doubt = unreliable(records)
    if doubt:
        return _said(seen, Reason.UNRELIABLE, f"{doubt}; then retry", fields)
    noise = probe.noise(seen.spec, records)
    fields = fields if noise is None else {**fields, "noise": noise}
    if noise is not None and noise["verdict"] == "Noisy":
        return _said(seen, Reason.NODE_NOISY, f"{noise['message']}; find a quieter node and retry", _noisy(fields))
    ranked = ranking_status.make_ranking(seen.spec, records)
    fields = {**fields, "ranking": ranked, **make_claims(seen.spec, records)}
    if not ranked:
        message = "no candidate has enough valid runs; see status.results[].notes"
        return _said(seen, Reason.NO_VALID_RESULT, message, fields)
    unranked = _not_ranked(seen, ranked, fields)
    winner = ranking_status.make_winner(seen.spec, records, ranked)
    if winner is None:
        return _said(seen, Reason.PUBLISHED, _no_winner(ranked) + unranked, fields)
    return _named(seen, records, {**fields, "winner": winner}, unranked)


def _named(seen: SeenBenchmark, records: Mapping[str, RunRecord], fields: dict[str, Any], unranked: str) -> Said:
    """The winner with what the second generator says of it; whom that contradicts is none."""
    winner = fields.pop("winner")
    check = cross_check.make_cross_check(seen.spec, records)
    message = f"winner {winner['candidate']}: {winner['message']}"
    if check is None:
        return _said(seen, Reason.PUBLISHED, message + unranked, {**fields, "winner": winner})
    if check["verdict"] == "Contradicted":
        message = f"{check['message']}, though first by the other generator{unranked}; {CONTRADICTED_MEND}"
        return _said(seen, Reason.CROSS_CHECK_CONTRADICTED, message, fields)
    told = "" if check["verdict"] == "NotApplicable" else f"; {check['message']}"
    named = {**winner, "crossCheck": check}
    return _said(seen, Reason.PUBLISHED, message + told + unranked, {**fields, "winner": named})


def _no_winner(ranked: Sequence[Mapping[str, Any]]) -> str:
    """Why, and what mends it when it is their class."""
    classes = {row["class"] for row in ranked}
    if classes == {RAW}:
        return (
            "every ranked candidate failed conformance checks (class Raw, see status.results[].conformance), so there "
            "is no winner; mend them, or set spec.conformance: Ignore"
        )
    of_class = " of class Full" if RAW in classes else ""
    return f"no candidate{of_class} kept every objective, so there is no winner"


def _not_ranked(seen: SeenBenchmark, ranked: Sequence[Mapping[str, Any]], fields: Mapping[str, Any]) -> str:
    """Who is missing from the ranking and why: one that was not measured fairly might have been better."""
    there = {row["candidate"] for row in ranked}
    missing = [
        f"{r['candidate']} ({', '.join(r['invalidReasons'])})"
        for r in fields.get("results", [])
        if r["scenario"] == seen.spec.ranked_scenario and r["candidate"] not in there
    ]
    return f"; not ranked: {', '.join(missing)}" if missing else ""


def _noisy(fields: dict[str, Any]) -> dict[str, Any]:
    """The same results, none of them valid."""
    results = [
        {**r, "valid": False, "invalidReasons": sorted({*r["invalidReasons"], str(Reason.NODE_NOISY)})}
        for r in fields.get("results", [])
    ]
    return {**fields, "results": results}


def _said(seen: SeenBenchmark, reason: Reason, message: str, fields: dict[str, Any], step: Next | None = None) -> Said:
    """The conditions of every state, in one table (kstatus reads Reconciling and Stalled)."""
    ended = True if reason is Reason.PUBLISHED else False if reason in FAILED else None
    finished, succeeded = ended is not None, ended
    stalled = ended is False or reason is Reason.INVALID_SPEC
    working = not finished and reason not in (Reason.SUSPENDED, Reason.INVALID_SPEC)
    conditions = {
        ConditionType.READY: Judgement(succeeded is True, reason, message),
        ConditionType.RECONCILING: Judgement(working, reason, message),
        ConditionType.STALLED: Judgement(stalled, reason, message),
        ConditionType.SUCCEEDED: Judgement(succeeded, reason, message),
        ConditionType.FINISHED: Judgement(finished, reason, message),
        **_about_parts(seen, step, fields),
    }
    return str(reason), message, conditions, fields


def _about_parts(seen: SeenBenchmark, step: Next | None, fields: Mapping[str, Any]) -> dict[str, Judgement]:
    parts: dict[str, Judgement] = {}
    if step is not None and step.reason == Reason.WAITING_FOR_WORKLOADS:
        parts[ConditionType.WORKLOADS_AVAILABLE] = Judgement(False, Reason.WAITING_FOR_WORKLOADS, step.message)
    elif step is not None and step.run is not None:
        parts[ConditionType.WORKLOADS_AVAILABLE] = Judgement(True, Reason.WORKLOADS_READY, "the candidate is ready")
    if isinstance(seen.usage, NoData | Unreadable):
        parts[ConditionType.METRICS_AVAILABLE] = Judgement(False, Reason.METRICS_MISSING, seen.usage.reason)
    elif seen.usage is not None:
        parts[ConditionType.METRICS_AVAILABLE] = Judgement(True, Reason.METRICS_READY, "CPU and memory are there")
    results: Sequence[Mapping[str, Any]] = fields.get("results", [])
    if results:  # without any, what is said now would stay until there are some
        parts[ConditionType.RESULTS_VALID] = _fairness(seen, results)
    return parts


def _fairness(seen: SeenBenchmark, results: Sequence[Mapping[str, Any]]) -> Judgement:
    if isinstance(seen.records, Unreadable):
        return Judgement(None, Reason.UNREADABLE, seen.records.reason)
    bad = [f"{r['candidate']}/{r['scenario']}: {', '.join(r['invalidReasons'])}" for r in results if not r["valid"]]
    reason = Reason.RESULTS_PARTLY_INVALID if bad else Reason.RESULTS_FAIR
    return Judgement(not bad, reason, "; ".join(bad) or "every result is valid")


def _fields(seen: SeenBenchmark, step: Next, records: Mapping[str, RunRecord]) -> dict[str, Any]:
    """Everything besides conditions. Until something is published for this spec, the last ranking stays."""
    kept = (*VERDICT, "results", "report", "environment")
    fields: dict[str, Any] = {key: seen.owner.status[key] for key in kept if key in seen.owner.status}
    fields["progress"] = _progress(seen, step, records)
    if seen.owner.retry:
        fields["retry"] = seen.owner.retry[:MAX_TOKEN]
    if records:
        # The API server fills in an empty ranking where there is none.
        if step.reason == Reason.PUBLISHED or not fields.get("ranking"):
            places = records_names(seen)
            fields["report"] = {"configMap": places[0], "configMaps": places}
        fields["environment"] = {**seen.environment, **_seen_by_loaders(records)}
        if complete_rounds(seen.spec, records) >= 1:
            fields["results"] = ranking_status.make_results(seen.spec, records)
    return fields


def _progress(seen: SeenBenchmark, step: Next, records: Mapping[str, RunRecord]) -> dict[str, Any]:
    rounds = max(seen.spec.schedule.rounds.min, complete_rounds(seen.spec, records))
    over = is_over(seen.spec, records)
    if not over and next_run(seen.spec, records, rounds) is None and step.run is not None:
        rounds += 1  # the minimum did not decide it
    planned = cells(seen.spec, records, rounds) + (cross_check.cells(seen.spec, records) if over else [])
    done = sum(1 for cell in planned if is_settled(cell, records))
    progress: dict[str, Any] = {"done": done, "planned": len(planned), "text": f"{done}/{len(planned)}"}
    if step.run is not None:
        progress["current"] = {
            "candidate": step.run.candidate,
            "scenario": step.run.scenario,
            "round": step.run.round,
        }
        progress["estimatedEnd"] = _estimated_end(seen, done, len(planned))
    return progress


def _estimated_end(seen: SeenBenchmark, done: int, planned: int) -> str:
    """From the pace so far once there is one, else from the spec; steady while a run goes on."""
    schedule = seen.spec.schedule
    pace = RUN_OVERHEAD_SECONDS + sum(
        duration_seconds(text) for text in (schedule.warm_up, schedule.measure, schedule.cool_down)
    )
    origin = seen.last_record or seen.started or seen.now
    if done > 1 and seen.started is not None and seen.last_record is not None:
        pace = (seen.last_record - seen.started).total_seconds() / done
    return timestamp(origin + timedelta(seconds=pace * (planned - done)))


def _seen_by_loaders(records: Mapping[str, RunRecord]) -> dict[str, str]:
    """Which generators there were, and on which CPUs."""
    reports = [record["report"] for record in records.values() if record["report"]]
    generators = {f"{r['generator']['name']} {r['generator']['version']}" for r in reports}
    models = {r["cpuModel"] for r in reports if r.get("cpuModel")}
    return {"loadDriver": ", ".join(sorted(generators)), "cpuModel": ", ".join(sorted(models))}
