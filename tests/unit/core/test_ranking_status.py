"""From records to what status shows: results, ranking, winner."""

from __future__ import annotations

import math
from typing import Any

import pytest
from changeover.api.v1alpha1.benchmark_status import CandidateResult, Rank, Winner
from changeover.core.audit import make_record
from changeover.core.figures import number
from changeover.core.observed import LoadFailed, LoadReport, NoData, Usage
from changeover.core.ranking_status import make_ranking, make_results, make_winner
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.unit.core.seen import USAGE, benchmark_spec, pod, workload

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


def test_as_many_as_there_may_be_are_tied_and_status_takes_it() -> None:
    names = [f"c{number:02}-{'x' * 26}" for number in range(32)]
    spec = benchmark_spec(candidates=[{"name": name, "image": "localhost/any:1"} for name in names])
    winner = winner_of(spec, records(dict.fromkeys(names, 1000.0)))
    assert winner is not None and len(winner["tiedWith"]) == 31
    Winner.model_validate(winner)


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
    assert bool(ranking[0]["missed"]) is not keeps
    for row in ranking:
        Rank.model_validate(row)
    assert (winner_of(spec, found) is not None) is keeps


def test_a_percentile_that_most_rounds_do_not_know_keeps_no_objective() -> None:
    spec = benchmark_spec(objectives={"maxLatency": {"percentile": "99", "max": "1s"}}, ranking={"by": "Throughput"})
    lost = records({"fast": 2000.0}, mode="open", unsent=400)
    found = {**lost, **records({"lame": 1000.0})}
    fast = next(result for result in make_results(spec, found) if result["candidate"] == "fast")
    assert (fast["latency"]["p99"], fast["latency"]["p999"]) == ("", "") and float(fast["latency"]["p90"]) > 0
    first = make_ranking(spec, found)[0]
    assert (first["candidate"], first["meetsObjectives"], first["missed"]) == (
        "fast", False, ["p99 unknown; see the notes"],
    )  # fmt: skip
    CandidateResult.model_validate(fast)
    by_latency = make_ranking(benchmark_spec(ranking={"by": "Latency"}), found)
    assert [row["candidate"] for row in by_latency] == ["lame"]


@pytest.mark.parametrize("by", ["Throughput", "Latency", "CPUPerRequest", "Cost"])
def test_less_latency_and_less_cpu_are_better(by: str) -> None:
    spec = benchmark_spec(ranking={"by": by})
    assert make_ranking(spec, records({"fast": 2000.0, "lame": 1000.0}))[0]["candidate"] == "fast"


@pytest.mark.parametrize("by", ["Throughput", "Latency"])
def test_runs_without_a_latency_crash_nothing_and_are_in_no_latency(by: str) -> None:
    objectives = {"maxLatency": {"percentile": "99", "max": "1s"}}
    spec = benchmark_spec(ranking={"by": by}, objectives=objectives)
    found = {**records({"fast": 2000.0}, latency=None, littleRatio=None), **records({"lame": 1000.0})}
    for result in make_results(spec, found):
        CandidateResult.model_validate(result)
    winner = winner_of(spec, found)
    assert winner is None or winner["candidate"] == "lame", "an unknown latency keeps no objective"


def two_candidates(measured: list[tuple[float, float]], memory: float = 2.0**30) -> dict[str, Any]:
    """One (requests per second, cores) a round for ``fast``; ``lame`` does half of it with the same."""
    found = {}
    for n, (speed, cores) in enumerate(measured, 1):
        for candidate, share in (("fast", 1.0), ("lame", 0.5)):
            run, usage = Run(n, candidate, "keep-alive"), Usage(cores, memory, 7.0)
            found[run.id] = make_record(run, LoadReport(a_report(speed * share)), usage, HERE)
    return found


def result_of(found: dict[str, Any], candidate: str = "fast", **spec: Any) -> dict[str, Any]:
    result = next(r for r in make_results(benchmark_spec(**spec), found) if r["candidate"] == candidate)
    CandidateResult.model_validate(result)
    return result


def test_cpu_per_request_is_a_geometric_mean_with_its_interval() -> None:
    # 0.2, 0.4 and 0.8 cores at 1000/s are 200, 400 and 800 us: mean 400; logarithms spread by ln 2, and Student's t
    # with two degrees of freedom is 4.302653 at 95 %: 400 * 2^(-+4.302653 / sqrt 3) = 400 * 2^-+2.484138.
    found = two_candidates([(1000.0, 0.2), (1000.0, 0.4), (1000.0, 0.8)])
    assert result_of(found)["cpuPerRequest"] == {"mean": "400", "low": "71.4924", "high": "2238"}
    narrower = result_of(found, ranking={"confidencePercent": 80})["cpuPerRequest"]  # t = 1.885618: 2^1.088662
    assert narrower == {"mean": "400", "low": "188.079", "high": "850.707"}


def test_a_figure_that_is_unknown_is_absent() -> None:
    assert "cpuPerRequest" not in result_of(two_candidates([(1000.0, 0.0)] * 3))
    assert "cpuPerRequest" not in result_of({**records({"lame": 1000.0}), **failed("fast")})


PRICES = {"currency": "EUR", "cpuHour": "0.36", "memoryGiBHour": "0.09"}


def test_cost_is_of_what_was_used_while_a_million_was_answered() -> None:
    # 0.5 cores x 0.36 + 2 GiB x 0.09 = 0.36 an hour; a million at 1000/s take 1000 s = 0.2777... hours: 0.1.
    found = two_candidates([(1000.0, 0.5)] * 3, memory=2 * 2.0**30)
    assert result_of(found, cost=PRICES)["costPerMillionRequests"] == {"mean": "0.1", "low": "0.1", "high": "0.1"}
    assert result_of(found, "lame", cost=PRICES)["costPerMillionRequests"]["mean"] == "0.2"
    # the defaults: 0.5 x 0.04 + 2 x 0.005 = 0.03 an hour
    assert result_of(found)["costPerMillionRequests"]["mean"] == "0.00833333"
    assert "costPerMillionRequests" not in result_of(found, cost={"cpuHour": "0", "memoryGiBHour": "0"})


def test_cost_is_taken_run_by_run_and_has_an_interval() -> None:
    # memory for nothing: 0.1, 0.2 and 0.4 cores at 1000/s cost 0.01, 0.02 and 0.04; the interval spans 2^-+2.484138
    found = two_candidates([(1000.0, 0.1), (1000.0, 0.2), (1000.0, 0.4)])
    cost = result_of(found, cost={**PRICES, "memoryGiBHour": "0"})["costPerMillionRequests"]
    assert cost == {"mean": "0.02", "low": "0.00357462", "high": "0.1119"}


def test_the_cheapest_is_first_when_ranked_by_cost() -> None:
    found = two_candidates([(1000.0, 0.5)] * 3, memory=2 * 2.0**30)
    rows = make_ranking(benchmark_spec(ranking={"by": "Cost"}, cost=PRICES), found)
    assert [(row["candidate"], row["score"], row["unit"]) for row in rows] == [
        ("fast", "0.1", "EUR/million requests"), ("lame", "0.2", "EUR/million requests"),
    ]  # fmt: skip


def test_a_row_names_what_it_missed() -> None:
    # p99 is 2 x 0.9 x 360 / requests per second: 647ms at 1002/s and 323ms at 2004/s
    objectives = {"maxLatency": {"percentile": "99", "max": "500ms"}, "maxCPUPercent": 79}
    rows = make_ranking(benchmark_spec(objectives=objectives), records({"fast": 2000.0, "lame": 1000.0}))
    assert [(row["candidate"], row["missed"]) for row in rows] == [
        ("fast", ["CPU 80% > 79%"]), ("lame", ["p99 646.7ms > 500ms", "CPU 80% > 79%"]),
    ]  # fmt: skip


def uneven(lame: list[float]) -> dict[str, Any]:
    """``fast`` at 1000 requests/s in every round, ``lame`` as told."""
    speeds = [("fast", n, 1000.0) for n in range(1, 4)] + [("lame", n, speed) for n, speed in enumerate(lame, 1)]
    runs = [(Run(n, name, "keep-alive"), speed) for name, n, speed in speeds]
    return {run.id: make_record(run, LoadReport(a_report(speed)), USAGE, HERE) for run, speed in runs}


def test_every_row_says_its_order_against_the_first_with_an_interval() -> None:
    # 400, 500 and 625 of 1000: mean 0.5, logarithms spread by ln 1.25. One pair, the last look at round 3, so all of
    # the 5 %: t = 4.302653 with two degrees of freedom, 0.5 * 1.25^-+2.484138.
    spec = benchmark_spec(schedule={"rounds": {"min": 3, "max": 3}})
    first, second = make_ranking(spec, uneven([400.0, 500.0, 625.0]))
    keys = ("relativeToFirst", "relativeLow", "relativeHigh")
    assert [first[key] for key in keys] == ["1", "1", "1"]
    assert [second[key] for key in keys] == ["0.5", "0.2872", "0.8704"]
    Rank.model_validate(second)


def test_without_a_common_round_the_ratio_is_of_the_scores_and_nothing_is_sure() -> None:
    found = {
        key: {**record, "round": record["round"] + (3 if record["candidate"] == "lame" else 0)}
        for key, record in uneven([500.0, 500.0, 500.0]).items()
    }
    row = make_ranking(benchmark_spec(), found)[1]
    assert (row["candidate"], row["relativeToFirst"]) == ("lame", "0.5")
    assert float(row["relativeLow"]) < 1e-5 < 1e5 < float(row["relativeHigh"])


@pytest.mark.parametrize(("kept", "percent"), [(0.8, "50"), (None, "80")])
def test_the_limit_that_the_runs_found_counts_before_the_spec(kept: float | None, percent: str) -> None:
    # 0.4 cores used; the spec allows 0.5
    found = {key: {**record, "cpuLimit": kept} for key, record in records({"fast": 2000.0, "lame": 1000.0}).items()}
    assert result_of(found)["cpuPercent"] == percent


def test_a_limit_that_only_the_runs_know_makes_the_percent_known() -> None:
    candidates = [
        {"name": "fast", "templateFrom": {"deploymentRef": {"name": "shop"}}},
        {"name": "lame", "image": "localhost/lame:1"},
    ]
    found = records({"fast": 2000.0, "lame": 1000.0})
    unknown = {key: {**record, "cpuLimit": None} for key, record in found.items()}
    assert result_of(unknown, candidates=candidates)["cpuPercent"] == ""
    known = {key: {**record, "cpuLimit": 1.6} for key, record in found.items()}
    assert result_of(known, candidates=candidates)["cpuPercent"] == "25"


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


def test_a_ramp_shows_the_rates_that_were_tried() -> None:
    point = {"rate": 500.0, "held": True, "p99": 0.0123, "cpuCores": 0.21}
    curve = [point, {"rate": 750.0, "held": False, "p99": None, "cpuCores": None}]
    (result,) = make_results(benchmark_spec(), records({"fast": 490.0}, mode="ramp", curve=curve, knee=500.0))
    assert CandidateResult.model_validate(result)
    assert result["curve"] == [
        {"requestsPerSecond": "500", "runs": 3, "held": 3, "p99": "12.3", "cpuCores": "0.21"},
        {"requestsPerSecond": "750", "runs": 3, "held": 0, "p99": "", "cpuCores": ""},
    ]
    assert "curve" not in make_results(benchmark_spec(), records({"fast": 490.0}))[0]


def test_ports_that_the_generator_lacked_are_no_errors_of_the_candidate() -> None:
    """Without keep-alive the fast ones use them up: in a run that is void for it, or in one that is fair."""
    spec = benchmark_spec(objectives={"maxErrorPercent": "0.1"})
    found = records({"fast": 2000.0, "lame": 1000.0}, rounds=4)
    lacked = {"Cannot assign requested address (os error 99)": 9_000}
    errors = {"connect": 9_001, "read": 0, "write": 0, "timeout": 0, "status": 0}
    content = a_report(2000.0, errors=errors, errorMessages=lacked)
    run = Run(1, "fast", "keep-alive")
    found[run.id] = make_record(run, LoadReport(content), USAGE, HERE)
    [void] = found[run.id]["void"]
    assert void.startswith("LoadGeneratorSaturated: it lacked ports or files for 9000 requests")
    first = make_ranking(spec, found)[0]
    assert (first["candidate"], first["meetsObjectives"]) == ("fast", True), first
    [shown] = [result for result in make_results(spec, found) if result["candidate"] == "fast"]
    assert shown["errors"] == 1
