"""What there is to see of a resource: a header, tables, a tree. Pure; how it is drawn is ``render``'s matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from changeover.cli.gather import Gathered
from changeover.cli.verdict import BAD, OK, WAITING, WARNING, headline
from changeover.core.history import LENGTH
from changeover.core.selector import matches

Body = dict[str, Any]
MEASURED_ON = ("node", "cpuModel", "cores", "kernel", "kubelet", "containerRuntime", "loadDriver")
MARKS = {"Passing": OK, "Failing": BAD, "Undecided": WAITING, "NoData": WARNING, "Yes": OK, "No": BAD}


@dataclass(frozen=True)
class Table:
    """A table with a title; cells are plain text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Node:
    """One line of the tree, and what belongs to it."""

    text: str
    children: tuple[Node, ...] = ()


@dataclass(frozen=True)
class View:
    """All of it."""

    header: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    tree: Node
    notes: tuple[str, ...] = field(default=())


def make_view(gathered: Gathered, wide: bool = False) -> View:
    """The view of either kind; `wide` adds pods to the tree and reasons to the tables."""
    made = _migration(gathered, wide) if gathered.body["kind"] == "CanaryMigration" else _benchmark(gathered, wide)
    return made


def one_line(body: Body) -> str:
    """How it stands, in one line, for a pipe."""
    status = body.get("status", {})
    traffic, progress = status.get("traffic"), status.get("progress", {}).get("text")
    where = f"weight {weight_of(traffic)}; " if traffic else f"{progress} runs; " if progress else ""
    return f"{body['metadata']['name']}: {where}{headline(body)}"


def weight_of(traffic: Mapping[str, Any]) -> str:
    """Asked and measured weight."""
    applied, measured = traffic.get("appliedPercent"), traffic.get("measuredPercent")
    extra = [f"measured {measured} %"] if measured else []
    if applied is not None and applied != traffic["desiredPercent"]:
        extra.insert(0, f"in the route {applied} %")
    return f"{traffic['desiredPercent']} %" + (f" ({', '.join(extra)})" if extra else "")


def _migration(seen: Gathered, wide: bool) -> View:
    body, status = seen.body, seen.body.get("status", {})
    spec = body["spec"]
    header = [
        ("Name", body["metadata"]["name"]), ("Namespace", body["metadata"]["namespace"]), ("Status", headline(body)),
        ("From", spec["stable"]["workload"]["name"]), ("To", canary_of(body)),
    ]  # fmt: skip
    if "traffic" in status:
        header.append(("Weight", weight_of(status["traffic"])))
    if "step" in status:
        header.append(("Step", f"{status['step'].get('text', '')} since {status['step'].get('since', '')}"))
    if status.get("estimatedEnd"):
        header.append(("Ends", f"{status['estimatedEnd']} at today's traffic, if the canary is as good as stable"))
    tables = [_steps(spec, status), _objectives(status, wide), _acceptance(status)]
    return View(tuple(header), tuple(t for t in tables if t.rows), _tree(seen, wide), _asked(status))


def canary_of(body: Body) -> str:
    """The canary's Deployment, or the benchmark that chooses it."""
    canary = body["spec"]["canary"]
    if canary.get("workload"):
        return str(canary["workload"]["workload"]["name"])
    reference = canary["benchmark"]
    return f"{reference.get('candidate') or 'the winner'} of benchmark {reference['ref']['name']}"


def _steps(spec: Body, status: Body) -> Table:
    step, outcome = status.get("step", {}), status.get("outcome", {})
    history, rows = _of_this_attempt(status), []
    for number, one in enumerate(spec["steps"], start=1):
        weight = one["weightPercent"]
        entry = next((e for e in reversed(history) if e["to"] == weight and e["from"] != weight), {})
        at, is_last = step.get("index", 0), number == len(spec["steps"])
        # A person may have skipped it; what is forgotten by now was not.
        stood = entry or is_last or len(status.get("history", [])) >= LENGTH
        if (outcome.get("result") == "Promoted" and stood) or (number < at and entry):
            state = OK
        else:
            state = WAITING if number == at and not outcome else BAD if number == at else ""
        rows.append((str(number), f"{weight} %", state, entry.get("at", ""), _why(entry, outcome if is_last else {})))
    return Table("Steps", ("#", "weight", "", "since", "why"), tuple(rows))


def _of_this_attempt(status: Body) -> Sequence[Body]:
    """The decisions since the last rollback; while it is that which it ended with, those before it."""
    history: list[Body] = status.get("history", [])
    has_begun = bool(status.get("outcome") or status.get("step", {}).get("index"))
    backs = [number for number, entry in enumerate(history[:-1] if has_begun else history) if entry["to"] == 0]
    return history[backs[-1] + 1 :] if backs else history


def _why(entry: Body, outcome: Body) -> str:
    if outcome.get("result") == "Promoted":
        return str(outcome.get("message", ""))
    return str(entry.get("message", ""))


def _objectives(status: Body, wide: bool) -> Table:
    columns = ("objective", "stable", "canary", "target", "requests", "verdict", *(("why",) if wide else ()))
    rows = [
        (
            view["name"], view.get("stable", ""), f"{view.get('canary', '')}", f"{view['target']} {view['unit']}",
            f"{view.get('requests', 0):,}", f"{MARKS[view['verdict']]} {view['verdict']}",
            *((view.get("why", ""),) if wide else ()),
        )
        for view in status.get("objectives", [])
    ]  # fmt: skip
    return Table("Objectives", columns, tuple(rows))


def _acceptance(status: Body) -> Table:
    found = status.get("acceptance", {})
    rows = [
        (row["figure"], row.get("before", ""), row.get("after", ""), row.get("target", ""), row["unit"],
         MARKS.get(row.get("met", ""), ""))
        for row in found.get("table", [])
    ]  # fmt: skip
    title = f"Before and after: {found.get('state', '')}: {found.get('message', '')}".rstrip(": ")
    return Table(title, ("figure", "before", "after", "target", "unit", ""), tuple(rows))


def _asked(status: Body) -> tuple[str, ...]:
    """What was asked for by a person, and what came of it."""
    return tuple(
        f"{one['verb']} ({one['token']}): {one['result']}: {one['answer']}" for one in status.get("requests", [])
    )


def _benchmark(seen: Gathered, wide: bool) -> View:
    body, status = seen.body, seen.body.get("status", {})
    progress = status.get("progress", {})
    header = [
        ("Name", body["metadata"]["name"]), ("Namespace", body["metadata"]["namespace"]), ("Status", headline(body)),
    ]  # fmt: skip
    now = progress.get("current")
    if progress:
        doing = f"; now {now['candidate']} {now['scenario']}, round {now['round']}" if now else ""
        end = f"; about until {progress['estimatedEnd']}" if progress.get("estimatedEnd") else ""
        header.append(("Runs", f"{progress.get('text', '')}{doing}{end}"))
    if status.get("winner"):
        header.append(("Winner", f"{status['winner']['candidate']}: {status['winner'].get('message', '')}"))
    environment = status.get("environment", {})
    if environment:
        header.append(
            ("Measured on", ", ".join(f"{key} {environment[key]}" for key in MEASURED_ON if environment.get(key)))
        )
    tables = (_ranking(status), _results(status, wide))
    return View(tuple(header), tuple(t for t in tables if t.rows), _tree(seen, wide), _remarks(status))


def _ranking(status: Body) -> Table:
    rows = [
        (
            str(row["rank"]), row["candidate"], row["score"], f"{row['low']} to {row['high']}", row["unit"],
            row.get("relativeToFirst", ""), ", ".join(row.get("tiedWith", [])),
            OK if row.get("meetsObjectives") else f"{BAD} {'; '.join(row.get('missed', []))}",
        )
        for row in status.get("ranking", [])
    ]  # fmt: skip
    columns = ("#", "candidate", "score", "interval", "unit", "vs first", "tied with", "objectives")
    return Table("Ranking", columns, tuple(rows))


def _results(status: Body, wide: bool) -> Table:
    columns: tuple[str, ...] = (
        "candidate",
        "scenario",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "errors",
        "CPU us/request",
        "fair",
    )
    rows = []
    for row in status.get("results", []):
        latency = row.get("latency") or {}
        cpu = (row.get("cpuPerRequest") or {}).get("mean", "")
        fair = OK if row.get("valid") else f"{BAD} {', '.join(row.get('invalidReasons', []))}"
        more = (latency.get("max", ""), row.get("memoryPeak", "")) if wide else ()
        rate = (row.get("requestsPerSecond") or {}).get("mean", "")
        shown = (rate, latency.get("p50", ""), latency.get("p99", ""), str(row.get("errors", "")), cpu)
        rows.append((row["candidate"], row["scenario"], *shown, *more, fair))
    if wide:
        columns = (*columns[:-1], "max ms", "memory bytes", columns[-1])
    return Table("Results", columns, tuple(rows))


def _remarks(status: Body) -> tuple[str, ...]:
    return tuple(
        f"{row['candidate']} {row['scenario']}: {note}"
        for row in status.get("results", [])
        for note in row.get("notes", [])
    )


def _tree(seen: Gathered, wide: bool) -> Node:
    body = seen.body
    children = [_route(one) for one in seen.routes]
    children += [_deployment(one, seen.pods if wide else ()) for one in seen.deployments]
    children += [_job(one) for one in seen.jobs]
    children += [Node(f"{WARNING} {what} is not there") for what in seen.missing]
    return Node(f"{body['kind']} {body['metadata']['name']}", tuple(children))


def _route(route: Body) -> Node:
    rules = route.get("spec", {}).get("rules") or []
    backends = [b for rule in rules for b in rule.get("backendRefs") or []]
    weights = ", ".join(f"{b['name']} {b.get('weight', 1)}" for b in backends)
    parents = route.get("status", {}).get("parents") or []
    conditions = [c for parent in parents for c in parent.get("conditions") or []]
    accepted = bool(conditions) and all(c["status"] == "True" for c in conditions)
    on = bool(route.get("spec", {}).get("parentRefs"))
    state = (OK if accepted else WARNING) if on else ""
    return Node(f"{state} HTTPRoute {route['metadata']['name']}: {weights}{'' if on else ' (on no Gateway)'}".strip())


def _deployment(deployment: Body, pods: Sequence[Body]) -> Node:
    name, status = deployment["metadata"]["name"], deployment.get("status", {})
    wanted, ready = deployment["spec"].get("replicas", 1), status.get("readyReplicas", 0)
    state = OK if ready >= wanted > 0 else WAITING if wanted else ""
    selector = deployment["spec"].get("selector") or {}
    own = [pod for pod in pods if matches(selector, pod["metadata"].get("labels") or {})]
    return Node(f"{state} Deployment {name}: {ready}/{wanted} ready".strip(), tuple(_pod(pod) for pod in own))


def _pod(pod: Body) -> Node:
    status = pod.get("status", {})
    containers: Iterable[Body] = status.get("containerStatuses") or []
    ready = all(c.get("ready") for c in containers) and bool(containers)
    restarts = sum(c.get("restartCount", 0) for c in containers)
    where = pod["spec"].get("nodeName", "on no node")
    more = f", {restarts} restarts" if restarts else ""
    return Node(f"{OK if ready else WAITING} Pod {pod['metadata']['name']}: {status.get('phase', '')} {where}{more}")


def _job(job: Body) -> Node:
    ended = [c["type"] for c in job.get("status", {}).get("conditions") or [] if c["status"] == "True"]
    state = BAD if "Failed" in ended else OK if "Complete" in ended else WAITING
    return Node(f"{state} Job {job['metadata']['name']}")
