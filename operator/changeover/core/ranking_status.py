"""From the records of runs to results, ranking and winner, as status shows them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from statistics import median
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds, quantity_value
from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.api.v1alpha1.goal import BenchmarkObjectives
from changeover.core import knee, ranking
from changeover.core.audit import RunRecord
from changeover.core.conformance import RAW, shown_checks
from changeover.core.figures import contenders, number, race, races, unit_of, value_of
from changeover.core.first_runs import image_of
from changeover.loader.report import lacked

MIN_VALID_ROUNDS = 3  # an interval needs three
TOO_FEW_ROUNDS = "TooFewRounds"  # why a result is invalid of which no run is void
_KEYS = {"50": "p50", "90": "p90", "99": "p99", "99.9": "p999"}


def is_decided(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> bool:
    """Whether more rounds could not change who wins: every other's order against it is decided, or a tie.

    So in each class of which anybody was measured fairly.
    """
    measured = [outcome for outcome in races(spec, records).values() if outcome.rows]
    missing = _missing(spec, records)
    return bool(measured) and all(outcome.is_decided_among(_rivals(outcome, missing)) for outcome in measured)


def still_in_the_race(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> set[str]:
    """Those who may still win: who itself misses an objective, and so cannot, drives nobody out."""
    missing = _missing(spec, records)
    found = races(spec, records).values()
    return {name for outcome in found for name in outcome.active_against(_rivals(outcome, missing))}


def _rivals(outcome: ranking.Ranking, missing: AbstractSet[str]) -> set[str]:
    """Who can win of a class; when nobody can, all of it: then their order is what there is to be told."""
    ranked = {row.candidate for row in outcome.rows}
    return ranked - missing or ranked


def _missing(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> set[str]:
    """Those who miss an objective by the runs so far."""
    own: dict[str, list[RunRecord]] = {name: [] for name in contenders(spec)}
    if spec.objectives == BenchmarkObjectives():
        return set()
    for record in records.values():
        if record["scenario"] == spec.ranked_scenario and record["candidate"] in own:
            own[record["candidate"]].append(record)
    fair = {name: runs for name, runs in own.items() if any(not run["void"] for run in runs)}
    return {name for name, runs in fair.items() if missed_objectives(spec, _held_against_objectives(spec, runs))}


def make_results(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> list[dict[str, Any]]:
    """One result a candidate and scenario that has any run."""
    return [result for scenario in spec.scenarios for result in _results_in(spec, records, scenario.name)]


def _results_in(spec: BenchmarkSpec, records: Mapping[str, RunRecord], scenario: str) -> Iterator[dict[str, Any]]:
    speeds = race(spec, records, scenario, "Throughput")
    for name in contenders(spec):
        own = [r for r in records.values() if (r["candidate"], r["scenario"]) == (name, scenario)]
        if own:
            yield _result(spec, own, speeds.estimate(name))


def _result(spec: BenchmarkSpec, own: Sequence[RunRecord], speed: ranking.Estimate | None) -> dict[str, Any]:
    good = [r for r in own if not r["void"]]
    valid = len(good) >= MIN_VALID_ROUNDS
    reasons = sorted({text.split(":")[0] for r in own for text in r["void"]})
    result = {
        "candidate": own[0]["candidate"],
        "scenario": own[0]["scenario"],
        "rounds": len(good),
        "errors": _errors(own),
        "valid": valid,
        "invalidReasons": [] if valid else reasons or [TOO_FEW_ROUNDS],
        "notes": _notes(own),
        "conformance": shown_checks(own),
        **_held_against_objectives(spec, own),
    }
    if speed is not None:
        result["requestsPerSecond"] = _interval(speed)
    if good:
        result |= _cpu(spec, good) | _curve(good) | _own_metrics(spec, good)
    return result


def _held_against_objectives(spec: BenchmarkSpec, own: Sequence[RunRecord]) -> dict[str, Any]:
    """The part of a result that ``missed_objectives`` reads."""
    good, errors = [r for r in own if not r["void"]], _errors(own)
    asked = errors + sum(r["report"]["succeeded"] for r in own if r["report"])
    found: dict[str, Any] = {"errorPercent": number(100 * errors / asked, 3) if asked else "0"}
    if good:
        mean, limit = _cores(spec, good).mean, cpu_limit(spec, good)
        found["cpuPercent"] = number(100 * mean / limit, 3) if limit else ""
    timed = [r["report"]["latency"] for r in good if r["report"]["latency"] is not None]
    return {**found, "latency": _latency(timed)} if timed else found


def _errors(own: Sequence[RunRecord]) -> int:
    """The candidate's own: of requests for which the generator had no port or file it knows nothing."""
    return sum(sum(r["report"]["errors"].values()) - lacked(r["report"]) for r in own if r["report"])


def _notes(own: Sequence[RunRecord]) -> list[str]:
    """Each reason and remark once, with how often it came."""
    texts = [(text, "void") for r in own for text in r["void"]] + [(t, "valid") for r in own for t in r["remarks"]]
    seen = Counter((text.split(":")[0], kind) for text, kind in texts)
    examples = {text.split(":")[0]: text for text, _ in texts}
    return [f"{examples[name]} ({n} of {len(own)} runs, {kind})"[:1024] for (name, kind), n in sorted(seen.items())]


def _interval(estimate: ranking.Estimate) -> dict[str, str]:
    return {"mean": number(estimate.mean), "low": number(estimate.low), "high": number(estimate.high)}


def _latency(latencies: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """Median over rounds of each round's figure, ms; the maximum is the largest of all.

    What a round does not know is beyond every figure that it knows: a median that comes to lie there is not known.
    """
    keys = ("mean", "p50", "p90", "p99", "p999")
    middle = {key: median(math.inf if x[key] is None else x[key] for x in latencies) for key in keys}
    shown = {key: number(1000 * value, 4) if math.isfinite(value) else "" for key, value in middle.items()}
    return {**shown, "max": number(1000 * max(x["max"] for x in latencies), 4)}


def _curve(good: Sequence[RunRecord]) -> dict[str, Any]:
    """The rates of a ramp; nothing for another type."""
    runs = [r["report"]["curve"] for r in good if "curve" in r["report"]]
    points = [
        {
            "requestsPerSecond": number(point["rate"]),
            "runs": point["runs"],
            "held": point["held"],
            "p99": number(1000 * point["p99"], 4) if point["p99"] is not None else "",
            "cpuCores": number(point["cpuCores"], 4) if point["cpuCores"] is not None else "",
        }
        for point in knee.curve(runs)
    ]
    return {"curve": points} if points else {}


def _cpu(spec: BenchmarkSpec, good: Sequence[RunRecord]) -> dict[str, Any]:
    return {
        "cpuCores": _interval(_cores(spec, good)),
        "memoryPeak": number(max(float(r["memoryPeakBytes"]) for r in good), 12),
        **_per_request(spec, good),
    }


def _cores(spec: BenchmarkSpec, good: Sequence[RunRecord]) -> ranking.Estimate:
    return ranking.interval_of([float(r["cpuCores"]) for r in good], spec.ranking.confidence_percent / 100)


def _per_request(spec: BenchmarkSpec, good: Sequence[RunRecord]) -> dict[str, Any]:
    """What requests take; a figure that no run knows is absent, since 0 would read as a price."""
    found = {}
    for key, by in (("cpuPerRequest", "CPUPerRequest"), ("costPerMillionRequests", "Cost")):
        values = [value_of(r, by, spec.cost) for r in good]
        estimate = ranking.interval_of(values, spec.ranking.confidence_percent / 100)
        if estimate.mean > 0:
            found[key] = _interval(estimate)
    return found


def _own_metrics(spec: BenchmarkSpec, good: Sequence[RunRecord]) -> dict[str, Any]:
    """Means with intervals of what the user's queries said; a query that never had a value is absent."""
    found = []
    for query in spec.metrics.queries:
        values = [float(r["metrics"][query.name]) for r in good if query.name in r.get("metrics", {})]
        if values:
            estimate = ranking.interval_of(values, spec.ranking.confidence_percent / 100)
            found.append({"name": query.name, **_interval(estimate), "unit": query.unit})
    return {"metrics": found} if found else {}


def cpu_limit(spec: BenchmarkSpec, own: Sequence[RunRecord]) -> float | None:
    """Cores that a candidate may use: its limit, else its request; None without either.

    What the runs found counts first: a candidate with templateFrom has its limit in the template, not in the spec, and
    records of before that was kept have none.
    """
    found = next((float(r["cpuLimit"]) for r in own if r.get("cpuLimit")), None)
    if found is not None:
        return found
    resources = next(c for c in spec.candidates if c.name == own[0]["candidate"]).resources
    amount = resources.limits.cpu or resources.requests.cpu
    return quantity_value(amount) if amount is not None else None


def missed_objectives(spec: BenchmarkSpec, result: Mapping[str, Any]) -> list[str]:
    """The objectives that a result misses, in words."""
    missed, wanted = [], spec.objectives
    if wanted.max_latency is not None:
        key, bound = _KEYS[wanted.max_latency.percentile], duration_seconds(wanted.max_latency.max) * 1000
        if not result.get("latency", {}).get(key):
            missed.append(f"{key} unknown; see the notes")
        elif float(result["latency"][key]) > bound:
            missed.append(f"{key} {result['latency'][key]}ms > {wanted.max_latency.max}")
    if wanted.max_error_percent is not None and float(result["errorPercent"]) > float(wanted.max_error_percent):
        missed.append(f"errors {result['errorPercent']}% > {wanted.max_error_percent}%")
    if wanted.max_cpu_percent is not None:
        if not result["cpuPercent"]:
            missed.append("CPU percent unknown: the candidate has neither limit nor request")
        elif float(result["cpuPercent"]) > wanted.max_cpu_percent:
            missed.append(f"CPU {result['cpuPercent']}% > {wanted.max_cpu_percent}%")
    return missed


def make_ranking(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> list[dict[str, Any]]:
    """The ranking of the valid candidates, class by class; what is invalid is not in it."""
    results = {r["candidate"]: r for r in _results_in(spec, records, spec.ranked_scenario)}
    return [
        {**row, "class": name, "imageDigest": image_of(records, row["candidate"])}
        for name, outcome in races(spec, records).items()
        for row in _ranked(spec, outcome, results)
    ]


def _ranked(
    spec: BenchmarkSpec, outcome: ranking.Ranking, results: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    rows = [row for row in outcome.rows if results.get(row.candidate, {}).get("valid")]
    for row in rows:
        missed = missed_objectives(spec, results[row.candidate])
        shown = {
            "rank": row.rank,
            "candidate": row.candidate,
            "score": number(row.estimate.mean),
            "low": number(row.estimate.low),
            "high": number(row.estimate.high),
            "unit": unit_of(spec),
            "tiedWith": list(row.tied_with),
            "meetsObjectives": not missed,
            "missed": missed,
        }
        yield shown | _relative(outcome, row, rows[0])


def _relative(outcome: ranking.Ranking, row: ranking.Row, first: ranking.Row) -> dict[str, str]:
    """How a row compares with the first, inside the rounds that both were measured in.

    Without such a round there is only the ratio of the scores, in an interval that says that nothing is known.
    """
    if row is first:
        return {"relativeToFirst": "1", "relativeLow": "1", "relativeHigh": "1"}
    pair = outcome.comparison(row.candidate, first.candidate)
    ratio = pair.ratio if pair.rounds else row.estimate.mean / first.estimate.mean
    return {
        "relativeToFirst": number(ratio, 4),
        "relativeLow": number(pair.low, 4),
        "relativeHigh": number(pair.high, 4),
    }


def make_winner(
    spec: BenchmarkSpec, records: Mapping[str, RunRecord], ranked: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The first of the ranking that conforms and keeps the objectives; None when nobody does."""
    eligible = [r for r in ranked if r["meetsObjectives"] and r["class"] != RAW]
    row = next(iter(eligible), None)
    if row is None:
        return None
    candidate = next(c for c in spec.candidates if c.name == row["candidate"])
    kept = {r["candidate"] for r in eligible}
    tied = [name for name in row["tiedWith"] if name in kept]
    message = f"{row['score']} {row['unit']} [{row['low']}, {row['high']}] in scenario {spec.ranked_scenario}"
    if tied:
        message += f"; not told apart from {', '.join(tied)}"
    return {
        "candidate": candidate.name,
        "image": candidate.image,
        "imageDigest": image_of(records, candidate.name),
        "tiedWith": tied,
        "message": message[:1024],  # of 32 that are tied it names as many as fit; tiedWith has them all
    }
