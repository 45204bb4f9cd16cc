"""When may a weight rise? Said from the spec and from what the world is, without the operator's own rules.

Nothing here says that a weight must rise. Each rule is a reason for which it must not; what none of them forbids is
the evidence's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World

Spec = dict[str, Any]
OPEN = "0-59 0-23 * * *"  # the window that is always open; a list of others may be closed at any time
QUEUE, LENGTH = "max(queue_length{", 1.0  # how the one query that has a value begins, and its value
CORES_LIMIT = 0.5  # of each pod of the canary
LEAST_HOURS = 0.8  # of the baseline's window, that have to be known
COVERED_SECONDS = 0.9 * 3600  # of a busiest hour; here every hour is one
ROLLED_BACK = frozenset({"RollingBack", "RolledBack", "StableTooSmall"})


@dataclass(frozen=True)
class Edit:
    """The spec as it stands, with defaults; since when, and what it was before."""

    generation: int
    at: datetime
    before: Spec
    spec: Spec


@dataclass(frozen=True)
class Rise:
    """A weight rose: since when the one before stood, and what Ready said around it."""

    before: int
    after: int
    since: datetime
    at: datetime
    said: tuple[str, str]

    @property
    def stood(self) -> float:
        """Seconds for which the weight before stood."""
        return (self.at - self.since).total_seconds()


def why_not(rise: Rise, edit: Edit, world: World) -> str:
    """Why this rise should not have been; empty when nothing speaks against it."""
    refusals = (_by_state, _by_step, _by_evidence, _by_gates)
    return next((why for refuse in refusals for why in refuse(rise, edit, world)), "")


def missing(spec: Spec, world: World) -> list[str]:
    """What a migration's spec names and is not there."""
    canary, gone = spec["canary"], []
    arms = {"stable": spec["stable"], **({"canary": canary["workload"]} if canary["type"] == "Workload" else {})}
    for name, arm in arms.items():
        gone += [f"{name}'s Deployment"] if arm["workload"]["name"] not in _ready(world) else []
        gone += [f"{name}'s Service"] if arm["service"]["name"] not in _names(world, "Service") else []
    if canary["type"] == "Benchmark":
        wanted = canary["benchmark"]
        found = {b["metadata"]["name"]: b for b in world.cluster.all("FrameworkBenchmark")}.get(wanted["ref"]["name"])
        known = {one["name"] for one in found["spec"]["candidates"]} if found else set()
        gone += ["the benchmark"] if found is None else []
        gone += ["its candidate"] if found and wanted.get("candidate") and wanted["candidate"] not in known else []
    stable = spec["stable"]["service"]
    gone += ["stable's port"] if not gone and (stable["name"], stable["port"]) not in ports(world) else []
    return gone + (["the metric source"] if spec["metrics"]["source"] != "default" else [])


def ports(world: World) -> set[tuple[str, int]]:
    """Service and port, of all that there are."""
    services = world.cluster.all("Service")
    return {(one["metadata"]["name"], port["port"]) for one in services for port in one["spec"].get("ports") or []}


def _names(world: World, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in world.cluster.all(kind)}


def _ready(world: World) -> set[str]:
    """Deployments of which a pod is there."""
    owners = [one for pod in world.cluster.all("Pod") for one in pod["metadata"].get("ownerReferences") or []]
    return {one["name"] for one in owners if one["kind"] == "Deployment"}


def _by_state(rise: Rise, edit: Edit, world: World) -> Iterator[str]:
    if edit.spec.get("suspend"):
        yield "the spec suspends it"
    yield from (f"{what} is not there" for what in missing(edit.spec, world))
    if rise.said[0] in ROLLED_BACK:
        yield f"it was {rise.said[0]} before"
    if rise.said[1] != "Stepped":
        yield f"it says {rise.said[1]}"
    allowed = (edit.spec.get("windows") or {}).get("allowed") or []
    if allowed and OPEN not in allowed:
        yield "no window is known to be open"


def _by_step(rise: Rise, edit: Edit, world: World) -> Iterator[str]:
    steps = edit.spec["steps"]
    above = [step for step in steps if step["weightPercent"] > rise.before]
    if not above:
        yield f"no step is above {rise.before} %"
        return
    following = above[0]
    if rise.after != following["weightPercent"]:
        yield f"the next step is {following['weightPercent']} %"
    if following.get("approval") == "Manual":
        yield "nobody has approved the next step"
    if not rise.before:
        return
    current = steps[max(0, len(steps) - len(above) - 1)]  # below all steps of an edit it is the first
    if rise.stood < duration_seconds(current["minDuration"]):
        yield f"it stood for {rise.stood:.0f} s of at least {current['minDuration']}"
    most = round(world.metrics.rate * rise.stood * rise.before / 100)
    if most < current["minRequests"]:
        yield f"at most {most} of at least {current['minRequests']} requests were made"
    if "DailyPeak" in current["covers"] and rise.stood < COVERED_SECONDS:
        yield f"it stood for {rise.stood:.0f} s, which is no busiest hour"


def _by_evidence(rise: Rise, edit: Edit, world: World) -> Iterator[str]:
    decision, known = edit.spec["decision"], rise.at - world.splits.known[0][0]
    window = duration_seconds(decision["baseline"]["window"])
    if decision["baseline"]["policy"] == "Require" and known.total_seconds() < LEAST_HOURS * window:
        yield f"stable is known for {known}, and {decision['baseline']['window']} are required"
    if not rise.before:
        return
    for one in edit.spec["objectives"]:
        why = _unmet(one)
        if why:
            yield f"{one['name']}: {why}"
        counted = {_counted(other) for other in edit.before["objectives"]}
        seconds = (rise.at - (rise.since if _counted(one) in counted else max(edit.at, rise.since))).total_seconds()
        if seconds < duration_seconds(decision["block"]):
            yield f"{one['name']}: evidence of {seconds:.0f} s, and a block lasts {decision['block']}"


def _counted(objective: Spec) -> tuple[str, str, str]:
    """What stands for that which is counted for an objective: evidence of anything else is none.

    A limit that is changed, and not what is counted, is held against the counts that there are. A query is asked anew.
    """
    is_query = "query" in objective
    return "" if is_query else objective["name"], objective["type"], (objective.get("latency") or {}).get("max", "")


def _unmet(objective: Spec) -> str:
    """Why a good canary does not meet an objective; empty when it does."""
    is_like = Behaviour()
    if "latency" in objective:
        most = 1 - float(objective["latency"]["percentile"]) / 100
        return "" if is_like.slow_share <= most + 1e-9 else f"{is_like.slow_share:.2%} are slow"
    if "errors" in objective:
        return "" if 100 * is_like.error_share <= float(objective["errors"]["maxPercent"]) else "too many errors"
    if "cpu" in objective:
        percent = 100 * is_like.cores_per_pod / CORES_LIMIT
        return "" if percent <= objective["cpu"]["maxPercent"] + 1e-9 else f"it takes {percent:.0f} %"
    query = objective["query"]
    if not query["promQL"].startswith(QUEUE):
        return "the query has no value"
    return "" if float(query["max"]) >= LENGTH else f"the query gives {LENGTH}"


def _by_gates(rise: Rise, edit: Edit, world: World) -> Iterator[str]:
    asked = [body for _, body, _ in world.outgoing.sent]
    for gate in edit.spec.get("gates") or []:
        about = (f'"gate":"{gate["name"]}"'.encode(), f"generation {edit.generation}, ".encode())
        if gate["at"] == "BeforeStep" and not any(all(part in body for part in about) for body in asked):
            yield f"gate {gate['name']} was not asked"
