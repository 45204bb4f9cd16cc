"""From records to what status shows: results, ranking, winner."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from changeover.api.v1alpha1.claim import Cost
from changeover.api.v1alpha1.status import CandidateResult, Rank, Winner
from changeover.core.audit import make_record
from changeover.core.cost import cost_of
from changeover.core.observed import LoadFailed, LoadReport, NoData
from changeover.core.ranking_status import make_ranking, make_results, make_winner, number
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.unit.core.seen import USAGE, benchmark_spec, pod, workload

PRICES = {"currency": "EUR", "cpuHour": "0.04", "memoryGiBHour": "0.005"}
HERE = workload(pods=(pod(),))


def records(speeds: dict[str, float], rounds: int = 3, **report: Any) -> dict[str, Any]:
    found = {}
    for candidate, speed in speeds.items():
        for number_ in range(1, rounds + 1):
            run = Run(number_, candidate, "keep-alive")
            content = a_report(speed * (1 + 0.001 * number_), **report)
            found[run.id] = make_record(run, LoadReport(content), USAGE, HERE)
    return found


def failed(candidate: str, rounds: int = 3) -> dict[str, Any]:
    runs = [Run(n, candidate, "keep-alive") for n in range(1, rounds + 1)]
    return {run.id: make_record(run, LoadFailed("refused"), NoData("none"), None) for run in runs}


def winner_of(spec: Any, found: dict[str, Any]) -> dict[str, Any] | None:
    return make_winner(spec, found, make_ranking(spec, found))


def test_the_faster_wins_and_the_numbers_are_strings_with_units() -> None:
    spec, found = benchmark_spec(), records({"fast": 2000.0, "lame": 1000.0})
    ranking = make_ranking(spec, found)
    assert [(row["rank"], row["candidate"], row["unit"]) for row in ranking] == [
        (1, "fast", "requests/s"), (2, "lame", "requests/s"),
    ]  # fmt: skip
    winner = winner_of(spec, found)
    assert winner is not None and (winner["candidate"], winner["imageDigest"]) == ("fast", "sha256:1")
    for row in ranking:
        Rank.model_validate(row)
    for result in make_results(spec, found):
        CandidateResult.model_validate(result)
    Winner.model_validate(winner)


def test_equals_are_tied_and_the_winner_says_so() -> None:
    winner = winner_of(benchmark_spec(), records({"fast": 1000.0, "lame": 1000.0}))
    assert winner is not None and winner["tiedWith"]
    assert "not told apart" in winner["message"]


def test_what_is_invalid_never_wins_and_says_why() -> None:
    found = {**records({"lame": 1000.0}), **failed("fast")}
    assert [row["candidate"] for row in make_ranking(benchmark_spec(), found)] == ["lame"]
    result = next(r for r in make_results(benchmark_spec(), found) if r["candidate"] == "fast")
    assert (result["valid"], result["invalidReasons"], result["rounds"]) == (False, ["LoadFailed"], 0)
    assert result["notes"] == ["LoadFailed: refused (3 of 3 runs, void)"]
    CandidateResult.model_validate(result)


def test_nobody_valid_nobody_ranked() -> None:
    found = {**failed("lame"), **failed("fast")}
    assert make_ranking(benchmark_spec(), found) == []
    assert winner_of(benchmark_spec(), found) is None


@pytest.mark.parametrize(
    ("objectives", "keeps"),
    [
        ({"maxLatency": {"percentile": "99", "max": "1s"}}, True),
        ({"maxLatency": {"percentile": "99", "max": "100ms"}}, False),
        ({"maxCPUPercent": 80}, True),
        ({"maxCPUPercent": 79}, False),  # 0.4 of 0.5 cores
        ({"maxErrorPercent": "0"}, True),
    ],
)
def test_a_missed_objective_costs_the_win_not_the_rank(objectives: dict[str, Any], keeps: bool) -> None:
    spec, found = benchmark_spec(objectives=objectives), records({"fast": 2000.0, "lame": 1000.0})
    ranking = make_ranking(spec, found)
    assert len(ranking) == 2
    assert ranking[0]["meetsObjectives"] is keeps
    assert (winner_of(spec, found) is not None) is keeps


@pytest.mark.parametrize("by", ["Throughput", "Latency", "CPUPerRequest", "Cost"])
def test_less_latency_less_cpu_and_less_cost_are_better(by: str) -> None:
    spec = benchmark_spec(ranking={"by": by}, cost=PRICES)
    assert make_ranking(spec, records({"fast": 2000.0, "lame": 1000.0}))[0]["candidate"] == "fast"


def test_the_cost_of_a_million_requests_is_that_of_the_cpu_and_memory_they_took() -> None:
    """0.5 cores and half a GiB for the 1,000 seconds that a million requests take at 1,000 a second."""
    record = {"report": {"requestsPerSecond": 1000.0}, "cpuCores": 0.5, "memoryPeakBytes": 2**29}
    assert cost_of(record, Cost.model_validate(PRICES)) == pytest.approx((0.5 * 0.04 + 0.5 * 0.005) * 1000 / 3600)
    ranking = make_ranking(
        benchmark_spec(ranking={"by": "Cost"}, cost=PRICES), records({"fast": 2000.0, "lame": 1000.0})
    )
    assert {row["unit"] for row in ranking} == {"EUR/million requests"}


def test_cost_and_cpu_a_request_have_intervals_and_no_price_no_cost() -> None:
    found = records({"fast": 2000.0, "lame": 1000.0})
    for result in make_results(benchmark_spec(cost=PRICES), found):
        for key in ("cpuPerRequest", "costPerMillionRequests"):
            low, mean, high = (float(result[key][end]) for end in ("low", "mean", "high"))
            assert 0 < low < mean < high
    lame = next(r for r in make_results(benchmark_spec(), found) if r["candidate"] == "lame")
    assert float(lame["cpuPerRequest"]["mean"]) == pytest.approx(1e6 * USAGE.cpu_cores / 1002, rel=1e-4)
    assert "costPerMillionRequests" not in lame


@pytest.mark.parametrize(("by", "ratio"), [("Throughput", 0.5), ("Latency", 2.0)])
def test_each_row_is_held_against_the_first_with_the_interval_that_decides_the_order(by: str, ratio: float) -> None:
    draw = random.Random(1)
    noisy = {
        key: {**record, "report": a_report(record["report"]["requestsPerSecond"] * draw.uniform(0.98, 1.02))}
        for key, record in records({"fast": 2000.0, "lame": 1000.0}).items()
    }
    first, second = make_ranking(benchmark_spec(ranking={"by": by}), noisy)
    assert (first["relativeToFirst"], first["relativeLow"], first["relativeHigh"]) == ("1", "1", "1")
    low, mean, high = (float(second[key]) for key in ("relativeLow", "relativeToFirst", "relativeHigh"))
    assert low < mean < high and mean == pytest.approx(ratio, rel=0.05)
    assert not low <= 1 <= high, "the order is decided"
    Rank.model_validate(second)


def test_those_who_never_met_in_a_round_have_no_interval_of_their_ratio() -> None:
    early, late = records({"fast": 2000.0}), records({"lame": 1000.0})
    apart = {**early, **{key: {**record, "round": record["round"] + 3} for key, record in late.items()}}
    second = make_ranking(benchmark_spec(schedule={"rounds": {"min": 3, "max": 6}}), apart)[1]
    assert float(second["relativeToFirst"]) == pytest.approx(0.5, rel=0.01)
    assert "relativeLow" not in second


@pytest.mark.parametrize("by", ["Throughput", "Latency"])
def test_runs_without_a_latency_crash_nothing_and_are_in_no_latency(by: str) -> None:
    objectives = {"maxLatency": {"percentile": "99", "max": "1s"}}
    spec = benchmark_spec(ranking={"by": by}, objectives=objectives)
    found = {**records({"fast": 2000.0}, latency=None, littleRatio=None), **records({"lame": 1000.0})}
    for result in make_results(spec, found):
        CandidateResult.model_validate(result)
    winner = winner_of(spec, found)
    assert winner is None or winner["candidate"] == "lame", "an unknown latency keeps no objective"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (123456.789, "123457"),
        (0.000123, "0.000123"),
        (1e20, "100000000000000000000"),
        (-2.5, "-2.5"),
    ],
)
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert number(value) == text
    assert math.isclose(float(number(value)), value, rel_tol=1e-5)
