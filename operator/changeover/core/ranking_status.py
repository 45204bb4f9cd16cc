"""From the records of runs to results, ranking and winner, as status shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from statistics import median
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds, quantity_value
from changeover.api.v1alpha1.benchmark import TWIN, BenchmarkSpec
from changeover.api.v1alpha1.claim import Cost
from changeover.core import ranking
from changeover.core.audit import RunRecord
from changeover.core.cost import cost_of

MIN_VALID_ROUNDS = 3  # an interval needs three
_UNITS = {"Throughput": "requests/s", "Latency": "ms", "CPUPerRequest": "us/request"}
_KEYS = {"50": "p50", "90": "p90", "99": "p99", "99.9": "p999"}


def number(value: float, digits: int = 6) -> str:
    """A decimal string with so many significant digits and no exponent; status knows no floats."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def contenders(spec: BenchmarkSpec) -> list[str]:
    """The candidates that are ranked: all but the hidden twin."""
    return [candidate.name for candidate in spec.candidates if candidate.name != TWIN]


def values_by_round(
    names: Sequence[str], records: Mapping[str, RunRecord], scenario: str, by: str, prices: Cost | None = None
) -> list[dict[str, float]]:
    """One mapping a round from candidate to the value it is ranked by; a void run is left out."""
    rounds: dict[int, dict[str, float]] = {}
    for record in records.values():
        wanted = record["scenario"] == scenario and record["candidate"] in names and not record["void"]
        if wanted and (by != "Latency" or record["report"]["latency"] is not None):
            rounds.setdefault(record["round"], {})[record["candidate"]] = value_of(record, by, prices)
    # A round without any valid run stays as an empty one: looks are at rounds, not at the so-manieth lucky one.
    return [rounds.get(number_, {}) for number_ in range(1, max(rounds, default=0) + 1)]


def value_of(record: RunRecord, by: str, prices: Cost | None = None) -> float:
    """Requests per second, p99 in milliseconds, CPU in microseconds a request, or the cost of a million requests."""
    report = record["report"]
    if by == "Throughput":
        return float(report["requestsPerSecond"])
    if by == "Latency":
        return float(report["latency"]["p99"]) * 1000
    if by == "Cost":
        assert prices is not None  # the spec's rules guarantee it
        return cost_of(record, prices)
    return float(record["cpuCores"]) / float(report["requestsPerSecond"]) * 1e6


def race(spec: BenchmarkSpec, records: Mapping[str, RunRecord], scenario: str, by: str) -> ranking.Ranking:
    """The comparison of all candidates in one scenario."""
    return compare(spec, records, contenders(spec), scenario, by)


def compare(
    spec: BenchmarkSpec, records: Mapping[str, RunRecord], names: Sequence[str], scenario: str, by: str
) -> ranking.Ranking:
    """The comparison of some of the candidates, the twin included when it is named."""
    values = values_by_round(names, records, scenario, by, spec.cost)
    return _ranked(tuple(tuple(sorted(row.items())) for row in values), tuple(names), contest_of(spec, by))


@lru_cache(maxsize=64)
def _ranked(
    values: tuple[tuple[tuple[str, float], ...], ...], names: tuple[str, ...], contest: ranking.Contest
) -> ranking.Ranking:
    """Remembered, since a pass asks for the same race many times, and one of 32 candidates takes some 50 ms."""
    return ranking.rank([dict(row) for row in values], names, contest)


def contest_of(spec: BenchmarkSpec, by: str) -> ranking.Contest:
    """What is compared, and at which rounds it is looked at."""
    return ranking.Contest(by == "Throughput", spec.ranking.confidence_percent / 100, spec.schedule.rounds.max)


def is_decided(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> bool:
    """Whether more rounds could not change who is first: every candidate's order against it is decided, or a tie."""
    return race(spec, records, spec.ranked_scenario, spec.ranking.by).is_decided


def make_results(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> list[dict[str, Any]]:
    """One result a candidate and scenario that has any run."""
    results = []
    for scenario in spec.scenarios:
        speeds = race(spec, records, scenario.name, "Throughput")
        for name in contenders(spec):
            own = [r for r in records.values() if (r["candidate"], r["scenario"]) == (name, scenario.name)]
            if own:
                results.append(_result(spec, own, speeds.estimate(name)))
    return results


def _result(spec: BenchmarkSpec, own: Sequence[RunRecord], speed: ranking.Estimate | None) -> dict[str, Any]:
    good = [r for r in own if not r["void"]]
    errors = sum(sum(r["report"]["errors"].values()) for r in own if r["report"])
    answered = sum(r["report"]["succeeded"] for r in own if r["report"])
    valid = len(good) >= MIN_VALID_ROUNDS
    reasons = sorted({text.split(":")[0] for r in own for text in r["void"]})
    result = {
        "candidate": own[0]["candidate"],
        "scenario": own[0]["scenario"],
        "rounds": len(good),
        "errors": errors,
        "errorPercent": number(100 * errors / (errors + answered), 3) if errors + answered else "0",
        "valid": valid,
        "invalidReasons": [] if valid else reasons or ["TooFewRounds"],
        "notes": _notes(own),
    }
    if speed is not None:
        result["requestsPerSecond"] = _interval(speed)
    if good:
        result |= _cpu(spec, good)
    timed = [r["report"]["latency"] for r in good if r["report"]["latency"] is not None]
    return {**result, "latency": _latency(timed)} if timed else result


def _notes(own: Sequence[RunRecord]) -> list[str]:
    """Each reason and remark once, with how often it came."""
    texts = [(text, "void") for r in own for text in r["void"]] + [(t, "valid") for r in own for t in r["remarks"]]
    seen = Counter((text.split(":")[0], kind) for text, kind in texts)
    examples = {text.split(":")[0]: text for text, _ in texts}
    return [f"{examples[name]} ({n} of {len(own)} runs, {kind})"[:1024] for (name, kind), n in sorted(seen.items())]


def _interval(estimate: ranking.Estimate) -> dict[str, str]:
    return {"mean": number(estimate.mean), "low": number(estimate.low), "high": number(estimate.high)}


def _latency(latencies: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """Median over rounds of each round's figure, ms; the maximum is the largest of all."""
    shown = {key: number(1000 * median(x[key] for x in latencies), 4) for key in ("mean", "p50", "p90", "p99", "p999")}
    return {**shown, "max": number(1000 * max(x["max"] for x in latencies), 4)}


def _cpu(spec: BenchmarkSpec, good: Sequence[RunRecord]) -> dict[str, Any]:
    confidence = spec.ranking.confidence_percent / 100
    limit = cpu_limit(spec, good[0]["candidate"])
    cores = ranking.interval_of([float(r["cpuCores"]) for r in good], confidence)
    shown = {
        "cpuCores": _interval(cores),
        "cpuPercent": number(100 * cores.mean / limit, 3) if limit else "",
        "memoryPeak": number(max(float(r["memoryPeakBytes"]) for r in good), 12),
    }
    by = {"cpuPerRequest": "CPUPerRequest"} | ({"costPerMillionRequests": "Cost"} if spec.cost else {})
    for key, what in by.items():
        shown[key] = _interval(ranking.interval_of([value_of(r, what, spec.cost) for r in good], confidence))
    return shown


def cpu_limit(spec: BenchmarkSpec, candidate: str) -> float | None:
    """Cores that a candidate may use: its limit, else its request; None without either."""
    resources = next(c for c in spec.candidates if c.name == candidate).resources
    amount = resources.limits.cpu or resources.requests.cpu
    return quantity_value(amount) if amount is not None else None


def missed_objectives(spec: BenchmarkSpec, result: Mapping[str, Any]) -> list[str]:
    """The objectives that a result misses, in words."""
    missed, wanted = [], spec.objectives
    if wanted.max_latency is not None:
        key, bound = _KEYS[wanted.max_latency.percentile], duration_seconds(wanted.max_latency.max) * 1000
        if "latency" not in result:
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
    """The ranking of the valid candidates; what is invalid is not in it."""
    results = {r["candidate"]: r for r in make_results(spec, records) if r["scenario"] == spec.ranked_scenario}
    outcome = race(spec, records, spec.ranked_scenario, spec.ranking.by)
    rows = [row for row in outcome.rows if results.get(row.candidate, {}).get("valid")]
    return [
        {
            "rank": row.rank,
            "candidate": row.candidate,
            "score": number(row.estimate.mean),
            "low": number(row.estimate.low),
            "high": number(row.estimate.high),
            "unit": _unit(spec),
            "tiedWith": list(row.tied_with),
            "meetsObjectives": not missed_objectives(spec, results[row.candidate]),
            **_relative(outcome, row, rows[0]),
        }
        for row in rows
    ]


def _unit(spec: BenchmarkSpec) -> str:
    return (
        f"{spec.cost.currency}/million requests" if spec.ranking.by == "Cost" and spec.cost else _UNITS[spec.ranking.by]
    )


def _relative(outcome: ranking.Ranking, row: ranking.Row, first: ranking.Row) -> dict[str, str]:
    """The score over the first one's: compared inside rounds, since what disturbed a round disturbed both."""
    if row.candidate == first.candidate:
        return {"relativeToFirst": "1", "relativeLow": "1", "relativeHigh": "1"}
    pair = outcome.comparison(row.candidate, first.candidate)
    if not pair.rounds:  # they never ran in one round: all that is known is each one's own mean
        return {"relativeToFirst": number(row.estimate.mean / first.estimate.mean, 4)}
    return {
        "relativeToFirst": number(pair.ratio, 4),
        "relativeLow": number(pair.low, 4),
        "relativeHigh": number(pair.high, 4),
    }


def make_winner(
    spec: BenchmarkSpec, records: Mapping[str, RunRecord], ranked: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The first of the ranking that keeps the objectives; None when nobody does."""
    row = next((r for r in ranked if r["meetsObjectives"]), None)
    if row is None:
        return None
    candidate = next(c for c in spec.candidates if c.name == row["candidate"])
    digests = [r["imageID"] for r in records.values() if r["candidate"] == candidate.name and r["imageID"]]
    kept = {r["candidate"] for r in ranked if r["meetsObjectives"]}
    tied = [name for name in row["tiedWith"] if name in kept]
    message = f"{row['score']} {row['unit']} [{row['low']}, {row['high']}] in scenario {spec.ranked_scenario}"
    if tied:
        message += f"; not told apart from {', '.join(tied)}"
    return {
        "candidate": candidate.name,
        "image": candidate.image,
        "imageDigest": digests[0] if digests else "",
        "tiedWith": tied,
        "message": message,
    }
