"""Load of the migration's own while its steps last: when it is to run, and where it goes. Pure.

It is no part of any decision about weights: what it sends is counted at the gateway like everybody's requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from changeover.core import names
from changeover.core.conditions import parse_timestamp, timestamp
from changeover.core.manifests.route_load import Aim, RouteLoad, longest, make_route_load
from changeover.core.mark import Phase
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning, Route, Unreadable, Workload
from changeover.core.plan import Action, Apply, Delete, Ref

WINDOW_SECONDS = 600  # of one Job; the next one follows it
AGAIN_AFTER_SECONDS = 60.0  # a Job that failed is not made again at once
RUNNING, STOPPED, FAILED = "Running", "Stopped", "Failed"


@dataclass(frozen=True)
class Driven:
    """What is done about own load, and what there is to say of it (status.load; None: nothing)."""

    status: dict[str, Any] | None
    actions: tuple[Action, ...] = ()


def job_of(seen: SeenMigration) -> str:
    """Name of the Job that runs while the steps last."""
    return names.route_load(seen.owner.name, "load")


def aim_of(seen: SeenMigration) -> Aim | str:
    """Where load enters the route; or why that is not known, and the mend."""
    if not isinstance(seen.route, Route):
        return "the route is not there, or could not be read"
    known = next((seen.load.gateways[name] for name in seen.route.gateways if name in seen.load.gateways), None)
    if known is None:
        asked = ", ".join(seen.route.gateways) or "none"
        return (
            f"the operator knows no address of the route's Gateway ({asked}); set gateways in the chart's values, "
            "or ask who runs the operator"
        )
    host = seen.route.hostnames[0] if seen.route.hostnames else ""
    return Aim(known, host.replace("*", "changeover", 1))


def drive(seen: SeenMigration, step: Step) -> Driven:
    """Own load through the route from before the first weight to the end of the last step."""
    before, now = seen.owner.status.get("load"), timestamp(seen.now)
    state, ref = seen.load.of_steps, Ref("Job", seen.owner.namespace, job_of(seen))
    if isinstance(state, Unreadable) or seen.is_partly_unread:
        return Driven(before)
    remove = (Delete(ref),) if state is not None else ()
    if not _is_wanted(seen, step):
        stopped = {"state": STOPPED, "at": now} if before and before["state"] != STOPPED else before
        return Driven(stopped, remove)
    aim = aim_of(seen)
    if isinstance(aim, str):
        return Driven(_said(before, FAILED, now, aim), remove)
    if isinstance(state, LoadFailed):
        failed = _said(before, FAILED, now, f"{state.reason}; it is begun again after {AGAIN_AFTER_SECONDS:.0f} s")
        since = (seen.now - parse_timestamp(failed["at"])).total_seconds()
        return Driven(failed, remove if since >= AGAIN_AFTER_SECONDS else ())
    if isinstance(state, LoadReport):
        return Driven(before, remove)  # its time is over: the next one follows when it is gone
    assert seen.spec.load is not None
    load = seen.spec.load
    seconds = longest(load.requests_per_second, WINDOW_SECONDS)
    run = RouteLoad(ref.name, seen.load.image, load.requests_per_second, load.connections, seconds)
    make = () if isinstance(state, LoadRunning) else (Apply(make_route_load(seen.owner, seen.spec, run, aim)),)
    return Driven(_said(before, RUNNING, now, f"{load.requests_per_second} requests/s to {aim.host or aim.url}"), make)


def _is_wanted(seen: SeenMigration, step: Step) -> bool:
    """While there is a step to be judged, or one to come, and both backends work."""
    mark, spec = step.mark, seen.spec
    if spec.load is None or spec.suspend or step.outcome is not None or mark is None:
        return False
    ready = all(isinstance(arm, Workload) and arm.ready > 0 for arm in (seen.stable, seen.canary))
    # Once there is weight the load goes on, whatever is waited for: without requests there would be nothing to see.
    on_the_way = mark.phase is not Phase.ROLLING_BACK and (mark.weight > 0 or not step.stalled)
    return on_the_way and ready and isinstance(seen.route, Route) and seen.route.accepted


def _said(before: dict[str, Any] | None, state: str, now: str, message: str) -> dict[str, Any]:
    """The same as before is said with its time."""
    same = before is not None and (before["state"], before.get("message", "")) == (state, message[:1024])
    at = before["at"] if same and before is not None else now
    return {"state": state, "at": at, "message": message[:1024]}
