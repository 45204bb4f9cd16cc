"""Why not yet? Every gate of a migration with its value, what is missing, and what Prometheus is asked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from changeover.adapters.metrics.traefik import BUCKETS, quoted, traefik_service
from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.cli.verdict import BAD, OK, PAUSED, WAITING, WARNING, condition, headline
from changeover.cli.view import MARKS
from changeover.core.canary import canary_backend
from changeover.core.queries import fill_for_migration
from changeover.core.windows import closed
from changeover.ports import BackendPort, CountQuery
from changeover.reconcilers.observe_migration import canary_workload
from changeover.reconcilers.observe_queries import names_in
from changeover.reconcilers.target import split_target
from changeover.reconcilers.workloads import parse_owner

Body = dict[str, Any]
Line = tuple[str, str, str]  # sign, gate, its value and what is missing
_OF_STATUS = {"True": OK, "False": BAD, "Unknown": WAITING}


def explain(body: Body, now: datetime) -> list[Line]:
    """One line a gate, in the order in which a weight passes them."""
    spec, status = MigrationSpec.model_validate(body["spec"]), body.get("status", {})
    lines: list[Line] = [("", "it says", headline(body))]
    if status.get("outcome"):
        outcome = status["outcome"]
        sign = OK if outcome["result"] == "Promoted" else BAD
        return [*lines, (sign, "outcome", f"{outcome['result']} at {outcome['at']}: {outcome['message']}")]
    if spec.suspend:
        lines.append((PAUSED, "spec.suspend", "true: nothing moves; set it to false"))
    if status.get("paused"):
        lines.append((PAUSED, "paused", "by a person; kubectl changeover resume, and harm still rolls back"))
    for name in ("WorkloadsAvailable", "TrafficSettled", "MetricsAvailable"):
        found = condition(body, name)
        lines.append((_OF_STATUS.get(found.get("status", ""), WAITING), name, found.get("message", "not judged yet")))
    return [*lines, *_of_step(spec, status, now), *_before_the_next(spec, status, now)]


def _of_step(spec: MigrationSpec, status: Body, now: datetime) -> Iterator[Line]:
    """What the step that it stands on has still to show."""
    step = status.get("step", {})
    index = step.get("index", 0)
    if not index:
        yield WAITING, "step", "before the first"
        return
    current = spec.steps[min(index, len(spec.steps)) - 1]
    since = _instant(step["since"])
    passed, least = (now - since).total_seconds(), duration_seconds(current.min_duration)
    yield OK if passed >= least else WAITING, "minDuration", f"{passed:.0f} of {least:.0f} s since {step['since']}"
    seen = max((view.get("requests", 0) for view in status.get("objectives", [])), default=0)
    if current.min_requests:
        enough = OK if seen >= current.min_requests else WAITING
        yield enough, "minRequests", f"{seen:,} of {current.min_requests:,}"
    for view in status.get("objectives", []):
        yield MARKS[view["verdict"]], f"objective {view['name']}", f"{view['verdict']}: {view.get('why', '')}"
    for cover in current.covers:
        busiest = status.get("baseline", {}).get("busiest") or "not known yet"
        yield WARNING if busiest == "not known yet" else "", f"covers {cover}", f"the busiest hours: {busiest}"
    if status.get("forecast"):
        yield "", "forecast", f"this step until {status['forecast']['stepEnd']}, all until {status['forecast']['end']}"


def _before_the_next(spec: MigrationSpec, status: Body, now: datetime) -> Iterator[Line]:
    """What the next weight, or the promotion, waits for besides evidence."""
    weight = status.get("step", {}).get("weightPercent", 0)
    coming = next((step for step in spec.steps if step.weight_percent > weight), None)
    if coming is not None:
        why = closed(spec.windows, now)
        yield (WAITING, "windows", why) if why else (OK, "windows", "open now")
    for gate in (one for one in spec.gates if one.at == ("BeforePromotion" if coming is None else "BeforeStep")):
        said = next((one for one in status.get("gates", []) if one["name"] == gate.name), None)
        what = f"{said['state']} about {said['about']} {said.get('message', '')}".strip() if said else "not asked yet"
        sign = {"Passed": OK, "Refused": BAD}.get(said["state"] if said else "", WAITING)
        yield sign, f"gate {gate.name} ({gate.at})", what
    if coming is not None and coming.approval == "Manual":
        is_asked = condition_reason(status) == "WaitingForApproval"
        how = "kubectl changeover approve" if is_asked else "a person is asked when all else speaks for it"
        yield WAITING, f"approval of step {spec.steps.index(coming) + 1}", how


def condition_reason(status: Body) -> str:
    """The reason of Ready."""
    conditions: list[Body] = status.get("conditions", [])
    return next((str(c["reason"]) for c in conditions if c["type"] == "Ready"), "")


def queries(body: Body, label: str) -> Mapping[str, str]:
    """What Prometheus is asked of each arm, whose backends this label names; to be pasted into its own page."""
    spec = MigrationSpec.model_validate(body["spec"])
    found = {
        arm: f"sum by (le, code) (increase({BUCKETS}{{{label}=~{quoted(traefik_service(query))}}}[5m]))"
        for arm, query in arms_of(body, spec).items()
    }
    return found | {o.name: _filled(body, spec, o.query.prom_ql) for o in spec.objectives if o.query is not None}


def _filled(body: Body, spec: MigrationSpec, query: str) -> str:
    """A query of the user's own as it is asked, but for the pods: the operator lists those that it sees by name."""
    owner = parse_owner(body)
    workload = canary_workload(owner.name, spec)
    pods = f"{workload.replace('.', '[.]')}-[^-]+-[^-]+"  # without a backslash, which would need another in quotes
    names = names_in(spec, split_target(owner, spec), workload)
    return fill_for_migration(query.replace("{{ .podRegex }}", pods), names, ())


def arms_of(body: Body, spec: MigrationSpec) -> dict[str, CountQuery]:
    """Which counters are each arm's."""
    gateway, namespace = spec.traffic.gateway_api, body["metadata"]["namespace"]
    assert gateway is not None  # the union guarantees it
    canary = BackendPort(*canary_backend(body["metadata"]["name"], spec))
    stable = BackendPort(spec.stable.service.name, spec.stable.service.port)
    arms = {"canary": canary, "stable": stable}
    return {arm: CountQuery(namespace, gateway.route.name, backend) for arm, backend in arms.items()}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
