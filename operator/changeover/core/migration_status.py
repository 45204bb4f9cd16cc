"""What does a migration say after a pass? Conditions from what was observed and what was done."""

from __future__ import annotations

from typing import Any

from changeover.api.reasons import ConditionType, Reason
from changeover.core.conditions import timestamp
from changeover.core.errors import ChangeoverError
from changeover.core.evidence import StepEvidence
from changeover.core.forecast import forecast
from changeover.core.history import history
from changeover.core.mark import Mark, Phase
from changeover.core.measured_share import measured_percent
from changeover.core.migration_state import SeenMigration, Step, attempt_of, current_step, peaks_of
from changeover.core.observed import Evidence, Route, Unreadable, Workload
from changeover.core.plan import Judgement, SetSplit
from changeover.core.requests import REFUSED, answers, told
from changeover.core.weighing import MISSED, Weighing, as_dict

_ENDED = {Reason.PROMOTED: True, Reason.ALREADY_PROMOTED: True, Reason.ROLLED_BACK: False}

Said = tuple[str, str, dict[str, Judgement], dict[str, Any]]


def summarise(seen: SeenMigration, step: Step, failure: ChangeoverError | None) -> Said:
    """Reason, message, conditions and the other fields of status."""
    if failure is not None:
        # The plan was not carried out, so nothing of it is said; the next pass starts from what is.
        kept = {k: v for k, v in seen.owner.status.items() if k not in ("conditions", "observedGeneration")}
        kept |= _read_all_the_same(seen, step)
        message = f"an action failed and is tried again: {failure}"
        return Reason.UNREADABLE, message, _main(Reason.UNREADABLE, message, stalled=False), kept
    conditions = {**_main(step.reason, step.message, step.stalled), **_about_parts(seen, step)}
    return str(step.reason), step.message, conditions, _fields(seen, step)


def _read_all_the_same(seen: SeenMigration, step: Step) -> dict[str, Any]:
    """The step as status has it, with what was read of it since: a write that is refused for ever must not blind us."""
    told, evidence = seen.owner.status.get("step"), step.weighing.evidence if step.weighing is not None else None
    if not told or evidence is None or told.get("since") != timestamp(evidence.since):
        return {}
    return {"step": {**told, **_as_kept(evidence)}}


def _main(reason: Reason, message: str, stalled: bool) -> dict[str, Judgement]:
    """The conditions of every state (kstatus reads Reconciling and Stalled)."""
    succeeded = _ENDED.get(reason)
    finished = succeeded is not None
    working = not finished and not stalled and reason not in (Reason.SUSPENDED, Reason.PAUSED)
    return {
        ConditionType.READY: Judgement(succeeded is True, reason, message),
        ConditionType.RECONCILING: Judgement(working, reason, message),
        ConditionType.STALLED: Judgement(stalled or succeeded is False, reason, message),
        ConditionType.SUCCEEDED: Judgement(succeeded, reason, message),
        ConditionType.FINISHED: Judgement(finished, reason, message),
    }


def _about_parts(seen: SeenMigration, step: Step) -> dict[str, Judgement]:
    parts: dict[str, Judgement] = {}
    if step.reason is Reason.WEIGHT_NOT_EFFECTIVE:
        parts[ConditionType.TRAFFIC_SETTLED] = Judgement(False, step.reason, step.message)
    elif isinstance(seen.route, Route):
        settled = seen.route.accepted and not any(isinstance(a, SetSplit) for a in step.actions)
        reason = Reason.WEIGHT_APPLIED if settled else Reason.ROUTE_NOT_ACCEPTED
        message = f"the gateway has the weight {seen.route.canary_percent}" if settled else seen.route.why_not
        parts[ConditionType.TRAFFIC_SETTLED] = Judgement(settled, reason, message or "a weight was just written")
    elif isinstance(seen.route, Unreadable):
        parts[ConditionType.TRAFFIC_SETTLED] = Judgement(None, Reason.UNREADABLE, seen.route.reason)
    parts[ConditionType.WORKLOADS_AVAILABLE] = _workloads(seen)
    parts[ConditionType.METRICS_AVAILABLE] = _metrics(seen)
    if step.weighing is not None:
        parts[ConditionType.OBJECTIVES_MET] = _objectives(step.weighing)
    elif step.mark is not None and step.mark.reason in MISSED.values():
        # Read off the mark, so that a crash between weight and status does not leave the last word unsaid.
        parts[ConditionType.OBJECTIVES_MET] = Judgement(False, Reason(step.mark.reason), step.mark.message)
    elif step.mark is not None and step.mark.phase is Phase.PREPARING:
        # What an earlier attempt missed is not said of this one.
        parts[ConditionType.OBJECTIVES_MET] = Judgement(None, Reason.PENDING, "not judged yet")
    return parts


def _workloads(seen: SeenMigration) -> Judgement:
    for arm, workload in (("stable", seen.stable), ("canary", seen.canary)):
        if isinstance(workload, Unreadable):
            return Judgement(None, Reason.UNREADABLE, workload.reason)
        if workload is None or workload.ready < max(1, workload.replicas):
            return Judgement(False, Reason.WAITING_FOR_WORKLOADS, f"{arm}: {_ready_of(workload)}")
    return Judgement(True, Reason.WORKLOADS_READY, "stable and canary are ready")


def _ready_of(workload: Workload | None) -> str:
    return "no Deployment" if workload is None else f"{workload.ready} of {workload.replicas} pods ready"


def _metrics(seen: SeenMigration) -> Judgement:
    if isinstance(seen.latest, Evidence):
        about_day = seen.day.message if seen.day is not None else "a daily cycle of load is not guarded against"
        return Judgement(True, Reason.METRICS_READY, f"the gateway's counters are fresh; baseline: {about_day}")
    reason = seen.latest.reason if seen.latest is not None else "not asked"
    return Judgement(False, Reason.METRICS_MISSING, reason)


def _objectives(weighing: Weighing) -> Judgement:
    verdicts = {view.verdict for view in weighing.views}
    if "Failing" in verdicts:
        return Judgement(False, weighing.reason, weighing.message)
    if verdicts == {"Passing"}:
        return Judgement(True, Reason.OBJECTIVES_HELD, weighing.message)
    return Judgement(None, weighing.reason, weighing.message)


def _fields(seen: SeenMigration, step: Step) -> dict[str, Any]:
    mark, before = step.mark, seen.owner.status
    fields: dict[str, Any] = {"history": before.get("history", []), **_about_requests(seen, step)}
    if seen.day is not None:
        fields["baseline"] = seen.day.to_status()
    if step.weighing is not None:
        fields["objectives"] = _objective_views(step.weighing, before.get("objectives", []))
    elif "objectives" in before and (mark is None or mark.phase is not Phase.PREPARING):
        fields["objectives"] = before["objectives"]
    if mark is not None:
        fields |= {
            "step": _step(seen, step, mark),
            "traffic": _traffic(seen, step, mark),
            "history": history(before.get("history", []), (*_found(seen), mark)),
        }
    else:
        # The route could not be read, or is not there: what was known of the step is not forgotten for that.
        fields |= {key: before[key] for key in ("step", "traffic") if key in before}
    outcome = step.outcome or _kept_outcome(before.get("outcome"), mark)
    if outcome is not None:
        return {**fields, "outcome": outcome}
    return fields | _forecast(seen, step)


def _forecast(seen: SeenMigration, step: Step) -> dict[str, Any]:
    """Made anew with each block, so that status changes no more often; in between, and on the same step, it stays."""
    mark = step.mark
    if mark is None or mark.weight == 0 or step.weighing is None:
        return {}
    if step.weighing.evidence.last is None:
        before = seen.owner.status
        same = (before.get("step") or {}).get("since") == timestamp(mark.since)
        return {key: before[key] for key in ("forecast", "estimatedEnd") if key in before} if same else {}
    found = forecast(seen.spec, mark, step.weighing.evidence, seen.scrape_seconds, peaks_of(seen))
    if found is None or step.weighing.evidence.since != mark.since:
        return {}
    told = {
        "stepEnd": timestamp(found.step_end),
        "end": timestamp(found.end),
        "latestEnd": timestamp(found.latest_end),
        "requestsPerSecond": f"{found.requests_per_second:.4g}",
    }
    return {"forecast": told, "estimatedEnd": told["end"]}


def _about_requests(seen: SeenMigration, step: Step) -> dict[str, Any]:
    """What a person asked for. Read off the mark too, so a crash between mark and status loses no answer."""
    before, mark = seen.owner.status, step.mark
    carried_out = mark.requests if mark is not None else ()
    answered = (step.request,) if step.request is not None else ()
    return {
        "attempt": mark.attempt if mark is not None else before.get("attempt", 1),
        "paused": mark.paused if mark is not None else before.get("paused", False),
        "requests": answers(seen.owner.requests, told(before), carried_out, answered),
    }


def refusal_of(step: Step) -> str:
    """The request that was refused in this pass, and why; empty when none was."""
    refused = step.request is not None and step.request.result == REFUSED
    return f"{step.request.verb}: {step.request.answer}" if step.request is not None and refused else ""


def _kept_outcome(before: dict[str, Any] | None, mark: Mark | None) -> dict[str, Any] | None:
    """What ended stays ended, also in a pass that could not read the route; only a newer mark starts over."""
    newer = before is not None and mark is not None and (mark.generation, mark.attempt) > (
        before["generation"], attempt_of(before),
    )  # fmt: skip
    if before is None or newer:
        return None
    return before


def _objective_views(weighing: Weighing, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each objective; a pass without a new block goes on showing the figures of the last one."""
    shown = {view["name"]: {key: view.get(key, "") for key in ("stable", "canary")} for view in before}
    views = [as_dict(view) for view in weighing.views]
    return [v if v["canary"] or v["name"] not in shown else {**v, **shown[v["name"]]} for v in views]


def _step(seen: SeenMigration, step: Step, mark: Mark) -> dict[str, Any]:
    evidence = _kept_evidence(seen, step, mark)
    number = current_step(seen.spec, mark)
    fields: dict[str, Any] = {
        "index": number,
        "text": f"{number}/{len(seen.spec.steps)}",
        "weightPercent": mark.weight,
        "since": timestamp(mark.since),
    }
    if mark.phase is Phase.ROLLING_BACK and mark.weight > 0:
        fields["rollingBack"] = True
    if evidence is not None:
        fields |= _as_kept(evidence)
    return fields


def _as_kept(evidence: StepEvidence) -> dict[str, str]:
    return {"evidence": evidence.to_text(), "evidenceUntil": timestamp(evidence.until)}


def _kept_evidence(seen: SeenMigration, step: Step, mark: Mark) -> StepEvidence | None:
    """The evidence of the weight that stands after this pass; that of an earlier weight is done with."""
    evidence = step.weighing.evidence if step.weighing is not None else seen.evidence
    return evidence if evidence is not None and evidence.since == mark.since else None


def _traffic(seen: SeenMigration, step: Step, mark: Mark) -> dict[str, Any]:
    traffic: dict[str, Any] = {"desiredPercent": mark.weight, "measuredPercent": _measured(seen, step, mark)}
    written = next((a.canary_percent for a in step.actions if isinstance(a, SetSplit)), None)
    applied = written if written is not None else getattr(seen.route, "canary_percent", None)
    return traffic if applied is None else {**traffic, "appliedPercent": applied}


def _measured(seen: SeenMigration, step: Step, mark: Mark) -> str:
    """Share of requests that reached the canary in the last scrapes; empty when it cannot be told.

    Of what has ended between 0 and 100 it stays as it was told: chance moves it with every scrape, and so would status.
    """
    before = seen.owner.status
    if step.outcome is not None and step.outcome == before.get("outcome") and 0 < mark.weight < 100:
        return str((before.get("traffic") or {}).get("measuredPercent", ""))
    measured = measured_percent(seen.latest) if isinstance(seen.latest, Evidence) else None
    return "" if measured is None else f"{measured:.1f}"


def _found(seen: SeenMigration) -> tuple[Mark, ...]:
    """The mark on the route as this pass found it, if it is this migration's."""
    mark = Mark.parse(seen.route.mark) if isinstance(seen.route, Route) and seen.route.ours else None
    return (mark,) if mark is not None else ()
