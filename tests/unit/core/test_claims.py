"""Published tables: what their own figures contradict, and what measuring again says of each pair."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from changeover.api.v1alpha1 import BenchmarkSpec
from changeover.api.v1alpha1.benchmark_status import BenchmarkStatus
from changeover.core.audit import make_record
from changeover.core.claims import Published, audit_published, judge_claim, make_claims
from changeover.core.observed import LoadReport
from changeover.core.ranking import Comparison, PairVerdict
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.unit.core.seen import USAGE, benchmark_spec, pod, workload

REPOSITORY = Path(__file__).resolve().parents[3]
TABLE = json.loads((REPOSITORY / "tests/data/published-table.json").read_text())
HERE = workload(pods=(pod(),))


def published(row: dict[str, Any]) -> Published:
    run = TABLE["runs"][row["run"]]
    requests = run.get("requests") or round(row["requestsPerSecond"] * run["seconds"])
    return Published(
        row["requestsPerSecond"], run["connections"], row.get("meanLatencyMillis"), requests, row.get("failed", 0),
        row.get("connectErrors", 0),
    )  # fmt: skip


def little_of(row: dict[str, Any]) -> float:
    return float(row["requestsPerSecond"] * row.get("meanLatencyMillis", 0.0) / 1000 / 360)


VOID = {
    "A tokio": "LittleLaw: throughput x mean latency is 1.15 times the connections",
    "A hyperlane": "LittleLaw: throughput x mean latency is 1.32 times the connections",
    "A rocket": "LittleLaw: throughput x mean latency is 1.18 times the connections",
    "A rust-std": "LittleLaw: throughput x mean latency is 1.33 times the connections",
    "A gin": "LittleLaw: throughput x mean latency is 1.13 times the connections",
    "A go-net-http": "LittleLaw: throughput x mean latency is 1.03 times the connections",
    "B rust-std": "LittleLaw: throughput x mean latency is 1.12 times the connections",
    "B node-http": "ConnectionsLost: 23 of 360 connections were alive at the end",
    "C node-http": "Errors: 811908 of 1000000 requests failed",
}


@pytest.mark.parametrize("row", TABLE["rows"], ids=lambda row: f"{row['run']} {row['candidate']}")
def test_the_storys_table_is_judged_like_our_own_runs(row: dict[str, Any]) -> None:
    expected = VOID.get(f"{row['run']} {row['candidate']}")
    assert audit_published(published(row)) == ([expected] if expected else [])


def test_every_row_that_breaks_littles_law_by_more_than_five_per_cent_is_void_for_it() -> None:
    broken = [row for row in TABLE["rows"] if little_of(row) > 1.05]
    assert len(broken) == 6
    for row in broken:
        assert [text.split(":")[0] for text in audit_published(published(row))] == ["LittleLaw"]


def test_the_later_copys_figure_is_void_too() -> None:
    """dev.to/euno, 2025-12: nothing changed but one row, upwards."""
    (reason,) = audit_published(Published(334888.27, 360, 3.10))
    assert reason.startswith("LittleLaw") and "2.88" in reason


NAMES = ("swift", "twin", "slow")


def spec(speeds: dict[str, float], **more: Any) -> BenchmarkSpec:
    rows = [{"candidate": name, "requestsPerSecond": str(speed)} for name, speed in speeds.items()]
    claim = {"source": "a blog", "scenario": "keep-alive", "values": rows, **more}
    schedule = {"rounds": {"min": 4, "max": 4}}
    candidates = [{"name": name, "image": "i"} for name in NAMES]
    return benchmark_spec(candidates=candidates, schedule=schedule, claims=[claim])


def records(speeds: dict[str, float], noise: float = 0.002) -> dict[str, Any]:
    draw, found = random.Random(1), {}
    for number in range(1, 5):
        for name, speed in speeds.items():
            run = Run(number, name, "keep-alive")
            report = LoadReport(a_report(speed * (1 + noise * draw.uniform(-1, 1))))
            found[run.id] = make_record(run, report, USAGE, HERE)
    return found


MEASURED = {"swift": 2000.0, "twin": 2000.0, "slow": 1000.0}


def verdicts(claimed: dict[str, float], measured: dict[str, float] | None = None) -> dict[tuple[str, str], str]:
    found = make_claims(spec(claimed), records(measured or MEASURED))
    BenchmarkStatus.model_validate(found)
    return {(pair["faster"], pair["slower"]): pair["verdict"] for pair in found["claims"]}


def test_each_pair_of_a_claim_is_confirmed_contradicted_or_undecidable() -> None:
    assert verdicts({"slow": 300.0, "swift": 200.0, "twin": 100.0}) == {
        ("slow", "swift"): "Contradicted",
        ("slow", "twin"): "Contradicted",
        ("swift", "twin"): "Contradicted",  # they tie, and twice as fast was claimed
    }
    assert verdicts({"swift": 300.0, "slow": 200.0}) == {("swift", "slow"): "Confirmed"}
    assert verdicts({"swift": 101.0, "twin": 100.0}) == {("swift", "twin"): "Undecidable"}
    assert verdicts({"swift": 300.0, "slow": 200.0}, {"swift": 2000.0}) == {("swift", "slow"): "Undecidable"}


def test_a_claimed_ratio_is_held_against_the_interval() -> None:
    for claimed, inside in ((200.0, True), (300.0, False)):
        (pair,) = make_claims(spec({"swift": claimed, "slow": 100.0}), records(MEASURED, 0.02))["claims"]
        assert (pair["verdict"], pair["claimedRatioInside"]) == ("Confirmed", inside)
        assert float(pair["low"]) < float(pair["ratio"]) < float(pair["high"])
        assert pair["claimedRatio"] == f"{claimed / 100:g}"


def test_what_was_never_measured_has_no_figures() -> None:
    (pair,) = make_claims(spec({"swift": 300.0, "slow": 200.0}), records({"swift": 2000.0}))["claims"]
    assert not {"ratio", "low", "high"} & pair.keys()


def test_one_round_in_common_has_no_interval() -> None:
    first = {key: record for key, record in records(MEASURED).items() if record["round"] == 1}
    (pair,) = make_claims(spec({"swift": 200.0, "slow": 100.0}), first)["claims"]
    assert pair["verdict"] == "Undecidable" and "low" not in pair


def test_more_connect_errors_than_connections_leave_none_alive() -> None:
    (doubt,) = audit_published(Published(1000.0, 360, connect_errors=500))
    assert doubt.startswith("ConnectionsLost: 0 of 360")


def comparison(verdict: PairVerdict) -> Comparison:
    return Comparison("a", "b", verdict, 1.0, 0.9, 1.1, 5)


@pytest.mark.parametrize(
    ("verdict", "claimed", "said"),
    [
        (PairVerdict.BETTER, 1.01, "Confirmed"),
        (PairVerdict.WORSE, 1.01, "Contradicted"),
        (PairVerdict.TIE, 1.031, "Contradicted"),
        (PairVerdict.TIE, 1.029, "Undecidable"),
        (PairVerdict.UNRESOLVED, 5.0, "Undecidable"),
        (PairVerdict.TIE, 1.0, "Confirmed"),
        (PairVerdict.BETTER, 1.0, "Contradicted"),
        (PairVerdict.UNRESOLVED, 1.0, "Undecidable"),
    ],
)
def test_a_verdict_needs_a_decided_order_or_a_proven_tie(verdict: PairVerdict, claimed: float, said: str) -> None:
    assert judge_claim(comparison(verdict), claimed) == said


def test_the_claims_own_figures_are_doubted_beside_the_verdict() -> None:
    rows = [
        {"candidate": "swift", "requestsPerSecond": "340130.92", "meanLatencyMillis": "1.22"},
        {"candidate": "slow", "requestsPerSecond": "28286.96", "connectErrors": 337},
    ]
    given = spec({}, values=rows)
    (pair,) = make_claims(given, records(MEASURED))["claims"]
    assert [text.split(" ")[:2] for text in pair["doubts"]] == [["swift:", "LittleLaw:"], ["slow:", "ConnectionsLost:"]]
    wider = spec({}, values=rows, connections=1000)
    (pair,) = make_claims(wider, records(MEASURED))["claims"]
    assert [text.split(" ")[1] for text in pair["doubts"]] == ["ConnectionsLost:"]


def test_a_claim_about_a_ramp_is_judged_like_any_other() -> None:
    ramp = [{"name": "keep-alive", "type": "Ramp", "ramp": {"startRequestsPerSecond": 500}}]
    rows = [{"candidate": "swift", "requestsPerSecond": "2000"}, {"candidate": "slow", "requestsPerSecond": "1000"}]
    (pair,) = make_claims(spec({}, values=rows).model_copy(update={"scenarios": scenarios(ramp)}), {})["claims"]
    assert (pair["verdict"], pair["doubts"]) == ("Undecidable", [])


def scenarios(given: list[dict[str, Any]]) -> Any:
    return benchmark_spec(scenarios=given).scenarios


def test_more_pairs_than_fit_are_counted() -> None:
    names = [f"n{index}" for index in range(17)]
    rows = [{"candidate": name, "requestsPerSecond": str(1000 + index)} for index, name in enumerate(names)]
    claim = {"source": "a blog", "scenario": "keep-alive", "values": rows}
    given = benchmark_spec(candidates=[{"name": name, "image": "i"} for name in names], claims=[claim])
    found = make_claims(given, {})
    assert (len(found["claims"]), found["claimedPairsLeftOut"]) == (120, 17 * 16 // 2 - 120)
    ratios = [float(pair["claimedRatio"]) for pair in found["claims"]]
    assert ratios == sorted(ratios, reverse=True)  # the boldest are shown
    BenchmarkStatus.model_validate(found)


def test_the_example_claims_what_was_published() -> None:
    given = BenchmarkSpec.model_validate(
        yaml.safe_load((REPOSITORY / "examples/reproduce-the-story.yaml").read_text())["spec"]
    )
    for claim, run in zip(given.claims, "AB", strict=True):
        told = {v.candidate: (float(v.requests_per_second), float(v.mean_latency_millis)) for v in claim.values}
        rows = [row for row in TABLE["rows"] if row["run"] == run]
        assert told == {row["candidate"]: (row["requestsPerSecond"], row["meanLatencyMillis"]) for row in rows}
    found = make_claims(given, {})["claims"]
    assert len(found) == 2 * 7 * 6 // 2
    assert {pair["verdict"] for pair in found} == {"Undecidable"}
    doubted = {text.split(": L")[0] for pair in found for text in pair["doubts"] if pair["scenario"] == "keep-alive"}
    assert doubted == {"tokio", "hyperlane", "rocket", "rust-std", "gin", "go-net-http"}
