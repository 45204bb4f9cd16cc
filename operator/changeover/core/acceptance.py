"""After the promotion: own load at a multiple of the peak, and what it shows beside the figures before. Pure.

It never touches a weight. Should the load itself do harm, it is ended at once: live traffic takes the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.own_load import Acceptance
from changeover.core import names
from changeover.core.audit import ERROR_SHARE
from changeover.core.before_after import as_before, table, verdict
from changeover.core.conditions import parse_timestamp, timestamp
from changeover.core.evidence import SETTLE_SCRAPES
from changeover.core.figures import number
from changeover.core.manifests.route_load import RouteLoad, longest, make_route_load
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import (
    Evidence,
    Figures,
    LoadFailed,
    LoadReport,
    NoData,
    Peak,
    Route,
    Unreadable,
    Workload,
)
from changeover.core.own_load import STOPPED, aim_of
from changeover.core.plan import Action, Apply, Delete, Judgement, Ref
from changeover.core.weighing import hard_trip

WAITING, RUNNING, MET, NOT_MET, VOID = "Waiting", "Running", "Met", "NotMet", "Void"
REACHED = 0.95  # of the rate that was asked for; below it the load did not show what it was to show
BUSIEST_GENERATOR = 0.9  # of a core: oha with more is what is slow
PATIENCE = timedelta(seconds=60)  # for the last scrapes of the load's window
READABLE_WITHIN = timedelta(days=1)  # of the load's end: a metric source that is away has kept what was counted
_SAYS = {
    WAITING: (None, Reason.WAITING_FOR_PROMOTION),
    RUNNING: (None, Reason.ACCEPTANCE_RUNNING),
    MET: (True, Reason.TARGETS_MET),
    NOT_MET: (False, Reason.TARGETS_MISSED),
    VOID: (None, Reason.ACCEPTANCE_VOID),
}

Status = dict[str, Any]


@dataclass(frozen=True)
class Accepted:
    """What is done, what there is to say (status.acceptance; None: nothing), and whether to look again soon."""

    status: Status | None = None
    actions: tuple[Action, ...] = ()
    looks_again: bool = False


def job_of(migration: str) -> str:
    """Name of the Job that accepts."""
    return names.route_load(migration, "acceptance")


def about(spec: MigrationSpec) -> str:
    """Stands for what the spec asks of the acceptance: another one is begun anew."""
    assert spec.acceptance is not None
    return names.digest([part.model_dump(mode="json") for part in (spec.acceptance, spec.request)])


def accept(seen: SeenMigration, step: Step) -> Accepted:
    """One pass of the acceptance: first the figures before, after the promotion the load, then the verdict."""
    if seen.spec.acceptance is None:
        return Accepted(None, _remove(seen))
    status = _known(seen)
    if isinstance(seen.route, Unreadable) and not seen.spec.suspend:
        # As for the load of the steps, one read that fails ends nothing; harm does.
        return _harmed(seen, status) or Accepted(seen.owner.status.get("acceptance"), looks_again=True)
    if not _is_promoted(seen, step) or seen.spec.suspend:
        return Accepted(_with_before(seen, status), _remove(seen))
    if status["about"] != about(seen.spec) or status["state"] == WAITING:
        return _begin(seen, seen.spec.acceptance, {**_waiting(seen, status), "about": about(seen.spec)})
    if status["state"] != RUNNING:
        return Accepted(status, _remove(seen))
    return _watch(seen, status)


def _is_promoted(seen: SeenMigration, step: Step) -> bool:
    """Whether all traffic is on the canary that the spec speaks of; one that was changed since may speak of another."""
    ended = step.reason in (Reason.PROMOTED, Reason.ALREADY_PROMOTED)
    return ended and step.mark is not None and step.mark.arms == seen.arms


def judgement(status: Status | None) -> Judgement:
    """The condition AcceptanceMet."""
    if status is None:
        return Judgement(None, Reason.NOT_ASKED_FOR, "spec.acceptance asks for nothing")
    met, reason = _SAYS[status["state"]]
    return Judgement(met, reason, status["message"] or "it begins when all traffic is on the canary")


def _known(seen: SeenMigration) -> Status:
    before: Status = seen.owner.status.get("acceptance") or {}
    return {"about": about(seen.spec), "state": WAITING, "message": "", "table": [], **before}


def _waiting(seen: SeenMigration, status: Status) -> Status:
    """Not begun, or interrupted: until now, or until its Job is gone, its own load is in the gateway's counters."""
    sends = status["state"] == RUNNING or seen.load.of_acceptance is not None
    return {**status, "state": WAITING, **({"endedAt": timestamp(seen.now)} if sends else {})}


def _with_before(seen: SeenMigration, status: Status) -> Status:
    """The figures before are taken while stable has all the traffic; later ones replace them."""
    found, spec, aim = seen.load.before, seen.spec, aim_of(seen)
    assert spec.acceptance is not None
    # What would keep it from beginning is said at the start, and not after two weeks.
    missing = aim if isinstance(aim, str) and isinstance(seen.route, Route) else ""
    status = {**_waiting(seen, status), "message": missing} if status["state"] in (WAITING, RUNNING) else status
    if found is None or isinstance(found, Unreadable):
        return status
    status = {**status, "state": WAITING, "beforeReadAt": timestamp(seen.now)}
    if isinstance(found, NoData):
        unknown = "" if status["table"] else f"the figures before are not known yet: {found.reason}"
        return {**status, "message": "; ".join(part for part in (unknown, missing) if part)}
    return {
        **status, "table": as_before(found.figures, spec, spec.acceptance.cost), "beforeAt": timestamp(found.at),
        "peakRequestsPerSecond": number(found.peak.rate, 4), "message": missing,
    }  # fmt: skip


def _begin(seen: SeenMigration, asked: Acceptance, status: Status) -> Accepted:
    """Load that brings what goes through the route to the multiple of its peak."""
    waiting = _not_yet(seen) or _counts_the_load_before(seen, status)
    aim = aim_of(seen)
    if isinstance(aim, str):
        return Accepted({**status, "message": aim}, _remove(seen))
    if waiting:
        return Accepted({**status, "message": waiting}, _remove(seen), looks_again=True)
    assert isinstance(seen.peak, Peak) and isinstance(seen.latest, Evidence) and seen.latest.canary is not None
    known = float(status.get("peakRequestsPerSecond") or 0)
    # Once begun, the load of the acceptance itself would be the peak of the next one.
    peak = known if status.get("startedAt") else max(seen.peak.rate, known)
    answered = sum(arm.requests for arm in (seen.latest.canary, seen.latest.stable) if arm is not None)
    live = answered / (seen.latest.end - seen.latest.start).total_seconds()
    wanted = asked.traffic_multiple * peak
    own = max(1, math.ceil(wanted - live))
    seconds = longest(own, duration_seconds(asked.duration))
    load = RouteLoad(job_of(seen.owner.name), seen.load.image, own, asked.connections, seconds)
    status = {
        **status, "state": RUNNING, "startedAt": timestamp(seen.now), "peakRequestsPerSecond": number(peak, 4),
        "targetRequestsPerSecond": number(wanted, 4), "ownRequestsPerSecond": own,
        "message": f"{own} requests/s of own load for {seconds} s, to {asked.traffic_multiple} times the peak of "
        f"{peak:.4g} requests/s",
    }  # fmt: skip
    status.pop("endedAt", None)
    return Accepted(status, (Apply(make_route_load(seen.owner, seen.spec, load, aim)),), looks_again=True)


def _not_yet(seen: SeenMigration) -> str:
    """What is to be so before load is sent to a route that carries live traffic; empty when all is."""
    if seen.load.of_acceptance is not None:
        return "the load of an earlier run is removed first"
    if not (isinstance(seen.route, Route) and seen.route.accepted and seen.route.canary_percent):
        return "waits for the gateway to take the weight"
    if not isinstance(seen.canary, Workload) or seen.canary.ready < max(1, seen.canary.replicas):
        return "waits for all pods of the canary"
    if not isinstance(seen.peak, Peak):
        why = seen.peak.reason if seen.peak is not None else "not asked yet"
        return f"waits for the peak of the last 24 hours: {why}"
    if not isinstance(seen.latest, Evidence) or seen.latest.canary is None:
        return "waits for fresh counters of the gateway"
    return ""


def _counts_the_load_before(seen: SeenMigration, status: Status) -> str:
    """What is live must not be taken from counters in which own load is, too: the steps', or of the last run."""
    of_steps = seen.owner.status.get("load") or {}
    if seen.load.of_steps is not None or of_steps.get("state") == RUNNING:  # stopped by the pass that promotes
        return "the load of the steps is removed first"
    ends = [status.get("endedAt"), of_steps.get("at") if of_steps.get("state") == STOPPED else None]
    # A count begins with the last scrape before its span, in which the load's last seconds may be.
    settled = timedelta(seconds=SETTLE_SCRAPES * seen.scrape_seconds)
    if not isinstance(seen.latest, Evidence):
        return ""
    if all(seen.latest.start > parse_timestamp(end) + settled for end in ends if end):
        return ""
    return "waits for counters without the load of before"


def _watch(seen: SeenMigration, status: Status) -> Accepted:
    """The load runs, or has ended."""
    state, harmed = seen.load.of_acceptance, _harmed(seen, status)
    if harmed is not None:
        return harmed
    if isinstance(state, LoadFailed):
        return _end(seen, status, VOID, f"the load failed: {state.reason}")
    if isinstance(state, LoadReport):
        return _judge(seen, status, state)
    if state is None and _is_overdue(seen, status):
        return _end(seen, status, VOID, "the load's Job is gone")
    return Accepted(status, looks_again=True)


def _harmed(seen: SeenMigration, status: Status) -> Accepted | None:
    """Its end, when under its load the last scrapes are beyond doubt."""
    tripped = hard_trip(seen.spec, seen.latest) if isinstance(seen.latest, Evidence) else None
    if tripped is None or status["state"] != RUNNING or seen.load.of_acceptance is None:
        return None
    why = f"the load was ended early, since it did harm: {tripped.message}"
    return replace(_end(seen, status, NOT_MET, why), actions=_remove(seen))


def _is_overdue(seen: SeenMigration, status: Status) -> bool:
    """A Job that was just made may not be seen yet."""
    return seen.now - parse_timestamp(status["startedAt"]) > PATIENCE


def _judge(seen: SeenMigration, status: Status, report: LoadReport) -> Accepted:
    """By the gateway's counters over the load's window: all requests, one's own and everybody's."""
    after, spec = seen.load.after, seen.spec
    assert spec.acceptance is not None
    if not isinstance(after, Figures):
        why = after.reason if after is not None else "the last scrapes are awaited"
        patience = READABLE_WITHIN if isinstance(after, Unreadable) else PATIENCE
        if seen.now.timestamp() - float(report.content["windowEnd"]) <= patience.total_seconds():
            return Accepted({**status, "message": f"the load has ended: {why}"}, looks_again=True)
        return _end(seen, status, VOID, f"the gateway's counters do not show the load: {why}")
    rows = table(status["table"], after, spec, spec.acceptance.cost)
    status = {**status, "table": rows}
    met, told = verdict(rows)
    unseen = [row["figure"] for row in rows if row["target"] and not row["met"]]
    rate, wanted, part = after.counts.requests / after.seconds, float(status["targetRequestsPerSecond"]), ""
    if isinstance(seen.route, Route) and 0 < (percent := seen.route.canary_percent or 0) < 100:
        part, wanted = f", of which {percent} % is the canary's", wanted * percent / 100
    times = f"{spec.acceptance.traffic_multiple} times the peak is {status['targetRequestsPerSecond']}{part}"
    told = f"{told}; at {rate:.4g} requests/s ({times})"
    cores = float(report.content["generatorCPU"]["cores"])
    if any(row["met"] == "No" for row in rows) and not (cores > BUSIEST_GENERATOR and rate < REACHED * wanted):
        return _end(seen, status, NOT_MET, told)
    unshown = _unserved(report, rows) or ("the load was not reached" if rate < REACHED * wanted else "")
    if unshown:
        saturated = f"; the load generator used {cores:.2f} cores" if cores > BUSIEST_GENERATOR else ""
        return _end(seen, status, VOID, f"{unshown}{saturated}: {told}")
    if not met:
        return _end(seen, status, VOID, f"not known: {', '.join(unseen)}; {told}")
    return _end(seen, status, MET, told)


def _unserved(report: LoadReport, rows: Sequence[Mapping[str, Any]]) -> str:
    """Whether more of the load than may fail was not answered as expected; empty when it was.

    The gateway counts 5xx alone: a canary that turns requests away with 429 is fast, and has no error there. Who turned
    them away is not known, so it is no target that was missed; but it was not load that the canary carried.
    """
    failed = sum(report.content["errors"].values())
    sent = failed + report.content["succeeded"]
    allowed = next((float(row["target"]) / 100 for row in rows if row["figure"] == "errors" and row["target"]), 0.0)
    if failed <= max(ERROR_SHARE, allowed) * sent:
        return ""
    return f"{failed} of {sent} requests of the load were not answered as expected"


def _end(seen: SeenMigration, status: Status, state: str, message: str) -> Accepted:
    """Said first; the Job that it is read from is removed in the next pass, so that a crash loses nothing."""
    ended = {**status, "state": state, "endedAt": timestamp(seen.now), "message": message[:1024]}
    return Accepted(ended, looks_again=True)


def _remove(seen: SeenMigration) -> tuple[Action, ...]:
    """Its Job, where there is one."""
    there = seen.load.of_acceptance is not None and not isinstance(seen.load.of_acceptance, Unreadable)
    return (Delete(Ref("Job", seen.owner.namespace, job_of(seen.owner.name))),) if there else ()
