"""Do published tables hold? Their own figures are audited as our runs are, and each pair of rows is measured again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.api.v1alpha1.benchmark_status import MOST_CLAIMED_PAIRS
from changeover.api.v1alpha1.claim import Claim, ClaimedValue
from changeover.core.audit import RunRecord, report_reasons
from changeover.core.figures import number, race
from changeover.core.ranking import LEAST_ROUNDS, Comparison, Contest, PairVerdict, Ranking

MOST_DOUBTS = 8
TIE_RATIO = Contest().tie_ratio
_TURNED = {PairVerdict.BETTER: "Contradicted", PairVerdict.WORSE: "Contradicted", PairVerdict.TIE: "Confirmed"}


@dataclass(frozen=True)
class Published:
    """One row of a published table, as far as it says; 0 and None stand for what it does not say."""

    requests_per_second: float
    connections: int
    mean_latency_millis: float | None = None
    requests: int = 0
    failed: int = 0
    connect_errors: int = 0


def audit_published(row: Published) -> list[str]:
    """Why a published figure contradicts itself, in the words and by the bounds of our own audit."""
    little = None
    if row.mean_latency_millis is not None:
        little = row.requests_per_second * row.mean_latency_millis / 1000 / row.connections
    report = {
        "mode": "closed",
        "connections": row.connections,
        # wrk never opens a connection again whose connect failed: each error is one fewer at the end.
        "connectionsAlive": max(0, row.connections - row.connect_errors),
        "requestsPerSecond": row.requests_per_second,
        # A table without a number of requests tells of no failed one: any number stands for it.
        "succeeded": row.requests - row.failed if row.requests else row.requests_per_second,
        "errors": {"published": row.failed},
        "littleRatio": little,
    }
    return report_reasons(report)


def make_claims(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> dict[str, Any]:
    """Status fields ``claims`` and ``claimedPairsLeftOut``; when not all fit, the boldest claims are shown."""
    pairs = [pair for claim in spec.claims for pair in _pairs(spec, claim, records)]
    if len(pairs) > MOST_CLAIMED_PAIRS:
        pairs.sort(key=lambda pair: float(pair["claimedRatio"]), reverse=True)
    left_out = len(pairs) - MOST_CLAIMED_PAIRS
    return {"claims": pairs[:MOST_CLAIMED_PAIRS], **({"claimedPairsLeftOut": left_out} if left_out > 0 else {})}


def _pairs(spec: BenchmarkSpec, claim: Claim, records: Mapping[str, RunRecord]) -> Iterator[dict[str, Any]]:
    measured = race(spec, records, claim.scenario, "Throughput")
    doubts = {value.candidate: _doubts(spec, claim, value) for value in claim.values}
    for faster, slower in combinations(sorted(claim.values, key=_speed, reverse=True), 2):
        yield {
            "source": claim.source,
            "scenario": claim.scenario,
            "faster": faster.candidate,
            "slower": slower.candidate,
            "claimedRatio": number(_speed(faster) / _speed(slower), 4),
            **_judged(measured, faster, slower),
            "doubts": [*doubts[faster.candidate], *doubts[slower.candidate]][:MOST_DOUBTS],
        }


def _speed(value: ClaimedValue) -> float:
    return float(value.requests_per_second)


def _doubts(spec: BenchmarkSpec, claim: Claim, value: ClaimedValue) -> list[str]:
    latency = float(value.mean_latency_millis) if value.mean_latency_millis else None
    connections = claim.connections or _connections(spec, claim.scenario)
    row = Published(_speed(value), connections, latency, value.requests, value.failed, value.connect_errors)
    return [f"{value.candidate}: {reason}" for reason in audit_published(row)]


def _connections(spec: BenchmarkSpec, name: str) -> int:
    return next(scenario for scenario in spec.scenarios if scenario.name == name).load.connections


def _judged(measured: Ranking, faster: ClaimedValue, slower: ClaimedValue) -> dict[str, Any]:
    """The measured ratio with its interval, and the verdict that the race reached on this pair."""
    pair = measured.comparison(faster.candidate, slower.candidate)
    if pair.rounds < LEAST_ROUNDS:  # one round in common has no interval
        return {"verdict": "Undecidable"}
    claimed = _speed(faster) / _speed(slower)
    return {
        "ratio": number(pair.ratio, 4),
        "low": number(pair.low, 4),
        "high": number(pair.high, 4),
        "claimedRatioInside": pair.low <= claimed <= pair.high,
        "verdict": judge_claim(pair, claimed),
    }


def judge_claim(pair: Comparison, claimed: float) -> str:
    """Verdict on "the first of the pair is ``claimed`` times as fast" (at least 1).

    What counts is the race's verdict, not the interval alone: it is reached only at a look, so that the looks together
    keep the accepted error. A claimed difference too small to matter is not contradicted by a tie.
    """
    if claimed == 1:
        return _TURNED.get(pair.verdict, "Undecidable")
    if pair.verdict is PairVerdict.BETTER:
        return "Confirmed"
    if pair.verdict is PairVerdict.WORSE or (pair.verdict is PairVerdict.TIE and claimed > 1 + TIE_RATIO):
        return "Contradicted"
    return "Undecidable"
