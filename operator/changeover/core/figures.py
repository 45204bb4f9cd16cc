"""The figure of a run that candidates are compared by, and the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

from changeover.api.v1alpha1.benchmark import TWIN, BenchmarkSpec
from changeover.api.v1alpha1.cost import Cost
from changeover.core import ranking
from changeover.core.audit import RunRecord
from changeover.core.conformance import FULL, RAW, raw_candidates

_UNITS = {"Throughput": "requests/s", "Latency": "ms", "CPUPerRequest": "us/request"}


def number(value: float, digits: int = 6) -> str:
    """A decimal string with so many significant digits and no exponent; status knows no floats."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def contenders(spec: BenchmarkSpec) -> list[str]:
    """The candidates that are ranked: all but the hidden twin."""
    return [candidate.name for candidate in spec.candidates if candidate.name != TWIN]


def values_by_round(
    spec: BenchmarkSpec, records: Mapping[str, RunRecord], names: Sequence[str], scenario: str, by: str
) -> list[dict[str, float]]:
    """One mapping a round from candidate to the value it is ranked by; a void run is left out."""
    rounds: dict[int, dict[str, float]] = {}
    for record in records.values():
        wanted = record["scenario"] == scenario and record["candidate"] in names and not record["void"]
        if wanted and (by != "Latency" or (record["report"]["latency"] or {}).get("p99") is not None):
            rounds.setdefault(record["round"], {})[record["candidate"]] = value_of(record, by, spec.cost)
    # A round without any valid run stays as an empty one: looks are at rounds, not at the so-manieth lucky one.
    return [rounds.get(number_, {}) for number_ in range(1, max(rounds, default=0) + 1)]


def value_of(record: RunRecord, by: str, prices: Cost) -> float:
    """Requests per second, p99 in milliseconds, CPU in microseconds a request, or cost of a million requests."""
    report = record["report"]
    speed = float(report["requestsPerSecond"])
    if by == "Throughput":
        return speed
    if by == "Latency":
        return float(report["latency"]["p99"]) * 1000
    if by == "Cost":
        return cost_of_a_million(float(record["cpuCores"]), float(record["memoryPeakBytes"]), speed, prices)
    return float(record["cpuCores"]) / speed * 1e6


def cost_of_a_million(cores: float, memory_bytes: float, rate: float, prices: Cost) -> float:
    """Cost of a million requests at so many a second, in the currency of the prices.

    An hour costs cores x cpuHour + memory_bytes / 2^30 x memoryGiBHour, and a million requests take 1e6 / rate / 3600
    hours. Memory is its peak, because that is what has to be there.
    """
    hour = cores * float(prices.cpu_hour) + memory_bytes / 2**30 * float(prices.memory_gib_hour)
    return hour * (1e6 / rate / 3600)


def unit_of(spec: BenchmarkSpec) -> str:
    """Unit of the figure that the ranking is made by."""
    if spec.ranking.by == "Cost":
        return f"{spec.cost.currency}/million requests"
    return _UNITS[spec.ranking.by]


def race(spec: BenchmarkSpec, records: Mapping[str, RunRecord], scenario: str, by: str) -> ranking.Ranking:
    """The comparison of all candidates in one scenario, whatever their class."""
    return compare(spec, records, contenders(spec), scenario, by)


def classes(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> dict[str, list[str]]:
    """Class -> its candidates, the conforming ones first; a class without any is left out."""
    raw = raw_candidates(records.values()) if spec.conformance == "Apart" else frozenset[str]()
    members = {
        FULL: [name for name in contenders(spec) if name not in raw],
        RAW: [name for name in contenders(spec) if name in raw],
    }
    return {name: found for name, found in members.items() if found}


def races(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> dict[str, ranking.Ranking]:
    """Class -> the race that its part of the ranking is made by: who leaves work out drives nobody else out."""
    scenario, by = spec.ranked_scenario, spec.ranking.by
    return {name: compare(spec, records, found, scenario, by) for name, found in classes(spec, records).items()}


def compare(
    spec: BenchmarkSpec, records: Mapping[str, RunRecord], names: Sequence[str], scenario: str, by: str
) -> ranking.Ranking:
    """The comparison of some of the candidates, the twin included when it is named."""
    values = values_by_round(spec, records, names, scenario, by)
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
