"""The report of a benchmark: every number is that of its status or of its records, as it stands there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from changeover.cli.gather import Gathered
from changeover.cli.kubectl import Kubectl
from changeover.cli.report.charts import bars_with_intervals, knee_curves, percentile_curves
from changeover.cli.report.page import DataTable, Section, make_page
from changeover.cli.verdict import headline
from changeover.cli.view import MEASURED_ON, make_view
from changeover.core import names

Body = dict[str, Any]
Buckets = Counter[int]  # requests by latency in microseconds
CPU = "CPU, us a request"
HOW_TO_READ = (
    "Bars are means over the rounds, the lines their intervals at the confidence that the spec asks for. Whoever is "
    "marked as a tie cannot be told apart from another by these runs."
)
MOST_POINTS = 200  # of a percentile curve; more cannot be seen


@dataclass(frozen=True)
class Kept:
    """What a benchmark keeps besides its status: the record of each run, and the runs' latencies added up."""

    records: Sequence[Body] = ()
    latencies: Mapping[tuple[str, str], Buckets] = field(default_factory=dict)  # by candidate and scenario


def collect(kubectl: Kubectl, body: Body) -> Kept:
    """From the ConfigMaps that status names, and those of the histograms beside them. Raises KubectlFailed."""
    report = body.get("status", {}).get("report", {})
    places = report.get("configMaps") or [name for name in [report.get("configMap")] if name]
    if not places:
        return Kept()
    maps = kubectl.items("configmaps", {names.LABEL_MANAGED_BY: names.FIELD_MANAGER})
    by_name = {one["metadata"]["name"]: one.get("data") or {} for one in maps}
    records = [json.loads(text) for place in places for text in by_name.get(place, {}).values()]
    histograms = {
        run: json.loads(text)
        for name, data in by_name.items()
        if name.startswith(places[0]) and name not in places
        for run, text in data.items()
    }
    return Kept(records, _added(records, histograms))


def _added(records: Sequence[Body], histograms: Mapping[str, Body]) -> dict[tuple[str, str], Buckets]:
    """Histograms are added, never percentiles averaged; void runs are left out."""
    added: dict[tuple[str, str], Buckets] = {}
    for record in records:
        found = histograms.get(_run_id(record))
        if found is None or record["void"]:
            continue
        buckets = added.setdefault((record["candidate"], record["scenario"]), Counter())
        for value, count in found["buckets"]:
            buckets[round(value)] += count
    return added


def _run_id(record: Body) -> str:
    base = names.run_id(record["round"], record["candidate"], record["scenario"])
    return base if record.get("attempt", 1) == 1 else f"{base}.{record['attempt']}"


def make_report(body: Body, kept: Kept) -> str:
    """The page."""
    status = body.get("status", {})
    environment = status.get("environment", {})
    facts = {
        "Namespace": body["metadata"]["namespace"],
        "Winner": _winner(status),
        **{name: str(environment.get(name, "")) for name in MEASURED_ON},
    }
    sections = [one for one in _sections(body, status, kept) if one.charts or any(t.rows for t in one.tables)]
    return make_page(f"Benchmark {body['metadata']['name']}", headline(body), facts, sections, body)


def _winner(status: Body) -> str:
    winner = status.get("winner")
    if not winner:
        return ""
    tied = winner.get("tiedWith")
    return f"{winner['candidate']}, tied with {', '.join(tied)}" if tied else str(winner["candidate"])


def _sections(body: Body, status: Body, kept: Kept) -> Iterator[Section]:
    tables = {table.title: table for table in make_view(Gathered(body), wide=True).tables}
    ranking = status.get("ranking", [])
    if ranking:
        found = DataTable("ranking", tables["Ranking"].columns, tables["Ranking"].rows)
        yield Section("Ranking", HOW_TO_READ, (_ranked(ranking),), (found,))
    if "Results" in tables:
        yield Section("Results", tables=(DataTable("results", tables["Results"].columns, tables["Results"].rows),))
    results = status.get("results", [])
    for scenario in dict.fromkeys(row["scenario"] for row in results):
        yield _scenario(scenario, [row for row in results if row["scenario"] == scenario], kept)
    yield Section("Void runs, and why", "They were measured again.", tables=(_void(kept.records),))
    yield Section("Claims", tables=(_claims(status),))


def _ranked(ranking: Sequence[Body]) -> str:
    """The ranking as bars; those that tie with one another say so in their names."""
    rows = [
        {"name": _with_ties(r), "mean": float(r["score"]), "low": float(r["low"]), "high": float(r["high"])}
        for r in ranking
    ]
    return bars_with_intervals(rows, ranking[0]["unit"])


def _with_ties(row: Body) -> str:
    return f"{row['candidate']} (tie)" if row.get("tiedWith") else str(row["candidate"])


def _scenario(scenario: str, rows: Sequence[Body], kept: Kept) -> Section:
    """Throughput, CPU, latencies and knee of one scenario, each with its numbers."""
    throughput = sorted(_estimates(rows, "requestsPerSecond"), key=lambda row: -row["mean"])
    cpu = sorted(_estimates(rows, "cpuPerRequest"), key=lambda row: float(row["mean"]))
    charts = [bars_with_intervals(found, unit) for found, unit in ((throughput, "requests/s"), (cpu, CPU)) if found]
    tables = [_numbers(f"throughput-{scenario}", throughput), _numbers(f"cpu-per-request-{scenario}", cpu)]
    own = {candidate: buckets for (candidate, of), buckets in kept.latencies.items() if of == scenario}
    curves = [point for candidate, buckets in own.items() for point in _curve(candidate, buckets)]
    if curves:
        charts.append(percentile_curves(curves))
        points = tuple((one["name"], f"{100 * one['share']:.4g}", f"{one['ms']:.4g}") for one in curves)
        tables.append(DataTable(f"latency-{scenario}", ("candidate", "percent of requests", "ms"), points))
    knees = list(_knees(rows))
    if knees:
        charts.append(knee_curves(knees))
        held = tuple((k["name"], f"{k['rate']:g}", f"{k['p99']:g}", "yes" if k["held"] else "no") for k in knees)
        tables.append(DataTable(f"knee-{scenario}", ("candidate", "requests/s", "p99 ms", "held"), held))
    return Section(f"Scenario {scenario}", charts=tuple(charts), tables=tuple(tables), folded=True)


def _estimates(rows: Sequence[Body], key: str) -> Iterator[dict[str, Any]]:
    """The estimates that there are; one without an interval is as long as nothing."""
    for row in rows:
        found = row.get(key)
        if found:
            mean = float(found["mean"])
            low, high = (float(found.get(end) or mean) for end in ("low", "high"))
            yield {"name": row["candidate"], "mean": mean, "low": low, "high": high, "cells": found}


def _numbers(name: str, rows: Sequence[Mapping[str, Any]]) -> DataTable:
    """The estimates as status has them."""
    cells = tuple((row["name"], *(str(row["cells"].get(key, "")) for key in ("mean", "low", "high"))) for row in rows)
    return DataTable(name, ("candidate", "mean", "low", "high"), cells)


def _curve(candidate: str, buckets: Buckets) -> Iterator[dict[str, Any]]:
    """Points of a percentile curve: of each latency the share of requests that took no longer, and how rare others are.

    None took longer than the last: it stands for one in as many as there are.
    """
    total, below, points = sum(buckets.values()), 0, []
    for value in sorted(buckets):
        below += buckets[value]
        points.append((below / total, value / 1000))
    step = max(1, len(points) // MOST_POINTS)
    for number, (share, ms) in enumerate(points):
        if number % step == 0 or share > 0.99:
            one_in = min(total, 1 / (1 - share)) if share < 1 else total
            yield {"name": candidate, "share": share, "one_in": one_in, "ms": ms}


def _knees(rows: Sequence[Body]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for point in sorted(row.get("curve", []), key=lambda p: float(p["requestsPerSecond"])):
            if point.get("p99"):
                held = 2 * point["held"] > point["runs"]
                yield {
                    "name": row["candidate"],
                    "rate": float(point["requestsPerSecond"]),
                    "p99": float(point["p99"]),
                    "held": held,
                }


def _void(records: Sequence[Body]) -> DataTable:
    void = [record for record in records if record["void"]]
    keys = ("round", "candidate", "scenario", "attempt")
    rows = tuple((*(str(record.get(key, 1)) for key in keys), "; ".join(record["void"])) for record in void)
    return DataTable("void-runs", (*keys, "why"), rows)


def _claims(status: Body) -> DataTable:
    keys = ("source", "scenario", "faster", "slower", "claimedRatio", "ratio", "low", "high", "verdict")
    rows = tuple(tuple(str(one.get(key, "")) for key in keys) for one in status.get("claims", []))
    return DataTable("claims", keys, rows)
