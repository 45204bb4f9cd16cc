"""The report of a migration: weight, share, latency and CPU on one time axis, with every decision marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from changeover.adapters.metrics.traefik import BUCKETS, REQUESTS, quoted, traefik_service
from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.cli.explain import arms_of
from changeover.cli.gather import Gathered
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.prometheus import ask, operator_config, pods_of, proxied, service_label, source_of
from changeover.cli.report.charts import over_time
from changeover.cli.report.page import DataTable, Section, make_page
from changeover.cli.verdict import condition, headline
from changeover.cli.view import make_view
from changeover.core import names

Body = dict[str, Any]
Points = Sequence[tuple[float, float]]  # seconds since the epoch, value
POINTS = 240  # of each line


@dataclass(frozen=True)
class Measured:
    """What Prometheus has of it: lines by panel and name; and why there are none."""

    lines: Mapping[str, Mapping[str, Points]] = field(default_factory=dict)
    why: str = ""


def span_of(body: Body, now: datetime) -> tuple[float, float]:
    """From shortly before the first weight to shortly after the end, seconds since the epoch."""
    status = body.get("status", {})
    history = status.get("history", [])
    begin = _seconds(history[0]["at"]) if history else now.timestamp()
    outcome, acceptance = status.get("outcome", {}), status.get("acceptance", {})
    end = _seconds(acceptance.get("endedAt") or outcome.get("at") or now.isoformat())
    margin = max(60.0, 0.03 * (end - begin))
    return begin - margin, min(now.timestamp(), end + margin)


def collect(kubectl: Kubectl, body: Body, now: datetime) -> Measured:
    """What the operator's own Prometheus has of the span; a source that cannot be asked leaves the lines out."""
    spec = MigrationSpec.model_validate(body["spec"])
    try:
        here = Kubectl(body["metadata"]["namespace"], kubectl.context, kubectl.kubeconfig)
        _, config = operator_config(here)
        source = source_of(config, spec.metrics.source) or {}
        path = proxied(source.get("url", ""))
        if not path:
            return Measured(why="Prometheus cannot be asked from here: no Service of the cluster, or not known")
        start, end = span_of(body, now)
        step = max(15.0, (end - start) / POINTS)
        window = f"{max(60.0, 2 * step):.0f}s"
        span = {"start": f"{start:.0f}", "end": f"{end:.0f}", "step": f"{step:.0f}"}
        lines = {
            panel: {name: _points(ask(kubectl, path, query, **span)) for name, query in asked.items()}
            for panel, asked in queries(body, spec, window, service_label(source)).items()
        }
    except KubectlFailed as failure:
        return Measured(why=f"Prometheus could not be asked: {failure}")
    return Measured(lines)


def queries(body: Body, spec: MigrationSpec, window: str, label: str) -> dict[str, dict[str, str]]:
    """PromQL by panel and name of the line."""
    arms = {arm: f"{label}=~{quoted(traefik_service(query))}" for arm, query in arms_of(body, spec).items()}
    requests = {arm: f"sum(rate({REQUESTS}{{{backend}}}[{window}]))" for arm, backend in arms.items()}
    latency = next((o.latency for o in spec.objectives if o.latency is not None), None)
    share = float(latency.percentile) / 100 if latency is not None else 0.99
    slow = {
        arm: f"1000 * histogram_quantile({share:g}, sum by (le) (rate({BUCKETS}{{{backend}}}[{window}])))"
        for arm, backend in arms.items()
    }
    workload = (
        spec.canary.workload.workload.name if spec.canary.workload else names.canary_workload(body["metadata"]["name"])
    )
    cores = {
        arm: _cores(f"namespace={quoted(body['metadata']['namespace'])},pod=~{quoted(pods_of(name))}", window)
        for arm, name in (("stable", spec.stable.workload.name), ("canary", workload))
    }
    return {
        "share": {"measured": f"100 * {requests['canary']} / ({requests['canary']} + {requests['stable']})"},
        "latency": slow,
        "cpu": cores,
        "rate": requests,
    }


def _cores(pods: str, window: str) -> str:
    """Of the containers, as the operator counts; where cAdvisor knows none (cgroup v1), of the pods' own cgroups."""
    whose = (f'{pods},container!="",container!="POD"', f'{pods},container=""')
    sums = (
        f"sum(max by (pod, container) (rate(container_cpu_usage_seconds_total{{{one}}}[{window}])))" for one in whose
    )
    return " or ".join(sums)


def make_report(body: Body, measured: Measured, now: datetime) -> str:
    """The page."""
    status, spec = body.get("status", {}), MigrationSpec.model_validate(body["spec"])
    outcome = status.get("outcome", {})
    facts = {
        "Namespace": body["metadata"]["namespace"],
        "From": spec.stable.workload.name,
        "To": str(make_view(Gathered(body)).header[4][1]),
        "Outcome": f"{outcome['result']} at {outcome['at']}" if outcome else "",
        "Acceptance": condition(body, "AcceptanceMet").get("message", "") if spec.acceptance is not None else "",
    }
    sections = [one for one in _sections(body, spec, measured, now) if one.charts or any(t.rows for t in one.tables)]
    return make_page(f"Migration {body['metadata']['name']}", headline(body), facts, sections, body)


def _sections(body: Body, spec: MigrationSpec, measured: Measured, now: datetime) -> Iterator[Section]:
    history = body.get("status", {}).get("history", [])
    decisions = tuple((e["at"], f"{e['from']} %", f"{e['to']} %", e["reason"], e["message"]) for e in history)
    chart = (over_time(_panels(body, spec, measured, now), [{"at": 1000 * _seconds(e["at"])} for e in history]),)
    text = measured.why or "Dotted lines are decisions, dashes are targets. Rates are means over a minute or more."
    lines = DataTable("lines", ("panel", "line", "at", "value"), tuple(_cells(measured)))
    yield Section("What happened", text, chart if history else (), (lines,), folded=True)
    yield Section("Decisions", tables=(DataTable("decisions", ("at", "from", "to", "reason", "why"), decisions),))
    for table in make_view(Gathered(body), wide=True).tables:
        yield Section(table.title, tables=(DataTable(table.title.split(":")[0].lower(), table.columns, table.rows),))


def _panels(
    body: Body, spec: MigrationSpec, measured: Measured, now: datetime
) -> list[tuple[str, list[dict[str, Any]], float | None]]:
    latency = next((o.latency for o in spec.objectives if o.latency is not None), None)
    asked = [{"name": "asked", "at": at, "value": value} for at, value in _weights(body, now)]
    panels: list[tuple[str, list[dict[str, Any]], float | None]] = [
        ("canary, %", asked + _rows(measured.lines.get("share", {})), None)
    ]
    percentile = latency.percentile if latency is not None else "99"
    target = 1000 * duration_seconds(latency.max) if latency is not None else None
    for title, panel, bound in (
        (f"p{percentile}, ms", "latency", target),
        ("CPU, cores", "cpu", None),
        ("requests/s", "rate", None),
    ):
        rows = _rows(measured.lines.get(panel, {}))
        if rows:
            panels.append((title, rows, bound))
    return panels


def _weights(body: Body, now: datetime) -> Iterator[tuple[float, int]]:
    """The weight that was asked for, from decision to decision and to the end."""
    history = body.get("status", {}).get("history", [])
    begin, end = span_of(body, now)
    if history:
        yield 1000 * begin, history[0]["from"]
    for entry in history:
        yield 1000 * _seconds(entry["at"]), entry["to"]
    if history:
        yield 1000 * end, history[-1]["to"]


def _rows(lines: Mapping[str, Points]) -> list[dict[str, Any]]:
    return [{"name": name, "at": 1000 * at, "value": value} for name, points in lines.items() for at, value in points]


def _cells(measured: Measured) -> Iterator[tuple[str, ...]]:
    for panel, lines in measured.lines.items():
        for name, points in lines.items():
            for at, value in points:
                yield panel, name, datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), f"{value:.6g}"


def _points(result: Sequence[Body]) -> Points:
    """The one line of a range; what is no number is left out."""
    values = result[0]["values"] if result else []
    return [(float(at), float(value)) for at, value in values if value not in ("NaN", "+Inf", "-Inf")]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
