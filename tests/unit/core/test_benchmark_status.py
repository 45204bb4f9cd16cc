"""What a benchmark says once it has ended."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.v1alpha1.benchmark_status import BenchmarkStatus
from changeover.core.audit import make_record
from changeover.core.benchmark import decide
from changeover.core.benchmark_status import summarise
from changeover.core.observed import LoadFailed, LoadReport, NoData
from changeover.core.schedule import Run
from changeover.testing.builders import a_report, some_checks

from tests.unit.core.seen import USAGE, owner, pod, seen_benchmark, workload

HERE = workload(pods=(pod(),))
SATURATED = {"userSeconds": 0.0, "systemSeconds": 0.0, "cores": 0.9}
REFUSED = LoadFailed("UnexpectedResponse: status 500")
ROWS = [{"candidate": "fast", "requestsPerSecond": "300"}, {"candidate": "lame", "requestsPerSecond": "100"}]
BEFORE = {
    "ranking": [{"candidate": "old"}],
    "winner": {"candidate": "old", "image": "i", "message": "m"},
    "claims": [{"faster": "old"}],
}


def told(fast: Any, lame: Any, attempts: int = 1, **spec: Any) -> tuple[str, str, dict[str, Any]]:
    """Reason, message and fields after three rounds; each outcome is that of every attempt."""
    records = {}
    for number in (1, 2, 3):
        for name, outcome in (("fast", fast), ("lame", lame)):
            for attempt in range(1, (attempts if not fair(outcome) else 1) + 1):
                run = Run(number, name, "keep-alive", attempt)
                usage = USAGE if isinstance(outcome, LoadReport) else NoData("none")
                records[run.id] = make_record(run, outcome, usage, HERE)
    benchmark = owner("FrameworkBenchmark", name="web", finalizers=(), status=BEFORE)
    seen = seen_benchmark(spec=spec, owner=benchmark, records=records)
    reason, message, _, fields = summarise(seen, decide(seen), None)
    BenchmarkStatus.model_validate(fields)
    return reason, message, fields


def fair(outcome: Any) -> bool:
    return isinstance(outcome, LoadReport) and outcome.content["generatorCPU"] != SATURATED


def report(speed: float, **more: Any) -> LoadReport:
    return LoadReport(a_report(speed, **more))


def test_the_environment_names_every_cpu_that_drove_load_and_invents_none() -> None:
    _, _, fields = told(report(2000.0, cpuModel="old CPU"), report(1000.0, cpuModel="new CPU"))
    assert fields["environment"] == {"loadDriver": "wrk 4.2.0", "cpuModel": "new CPU, old CPU"}
    _, _, fields = told(report(2000.0, cpuModel=None), report(1000.0, cpuModel=None))
    assert fields["environment"]["cpuModel"] == ""


def test_a_claim_is_published_with_the_ranking() -> None:
    claims = [{"source": "a blog", "scenario": "keep-alive", "values": ROWS}]
    reason, message, fields = told(report(2000.0), report(1000.0), claims=claims)
    assert (reason, fields["winner"]["candidate"]) == ("Published", "fast")
    (pair,) = fields["claims"]
    assert (pair["verdict"], pair["claimedRatio"], pair["claimedRatioInside"]) == ("Confirmed", "3", False)
    assert "not ranked" not in message


def test_who_is_not_ranked_is_named_beside_the_winner() -> None:
    reason, message, fields = told(report(2000.0, generatorCPU=SATURATED), report(1000.0), attempts=3)
    assert (reason, fields["winner"]["candidate"]) == ("Published", "lame")
    assert message.endswith("; not ranked: fast (LoadGeneratorSaturated)")


def test_what_an_earlier_spec_published_is_gone_when_there_is_nothing_in_its_place() -> None:
    for fast, lame, attempts, expected in (
        (REFUSED, REFUSED, 2, "NoValidResult"),
        (report(2.0, generatorCPU=SATURATED), report(1.0, generatorCPU=SATURATED), 3, "Unreliable"),
    ):
        reason, message, fields = told(fast, lame, attempts)
        assert reason == expected
        assert not fields.get("ranking") and "winner" not in fields and not fields.get("claims")
        assert expected != "Unreliable" or "lower the candidates' CPU limit" in message


def test_no_winner_is_no_winner_of_an_earlier_spec_either() -> None:
    objectives = {"maxLatency": {"percentile": "99", "max": "1ms"}}
    reason, message, fields = told(report(2000.0), report(1000.0), objectives=objectives)
    assert (reason, len(fields["ranking"])) == ("Published", 2)
    assert "winner" not in fields and message.startswith("no candidate kept every objective")


OURS = {"configMap": "web-runs-f00dcafe", "configMaps": ["web-runs-f00dcafe"]}


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        pytest.param({}, OURS, id="the first runs of all"),
        pytest.param({"ranking": []}, OURS, id="as the API server writes a status without a ranking"),
        pytest.param(
            {**BEFORE, "report": {"configMap": "web-runs-old"}},
            {"configMap": "web-runs-old"},
            id="the result before stays",
        ),
    ],
)
def test_where_the_runs_are_is_said_from_the_first_one_on(status: dict[str, Any], shown: dict[str, Any]) -> None:
    run = Run(1, "fast", "keep-alive")
    benchmark = owner("FrameworkBenchmark", name="web", finalizers=(), status=status)
    seen = seen_benchmark(owner=benchmark, records={run.id: make_record(run, report(2000.0), USAGE, HERE)})
    _, _, _, fields = summarise(seen, decide(seen), None)
    assert fields["report"] == shown


RAW = some_checks(passed=False)
STRICT = {"maxLatency": {"percentile": "99", "max": "1ms"}}


@pytest.mark.parametrize(
    ("lame", "spec", "says"),
    [
        pytest.param(RAW, {}, "or set spec.conformance: Ignore", id="all are Raw"),
        pytest.param(None, {"objectives": STRICT}, "no candidate of class Full kept every objective", id="one is"),
    ],
)
def test_who_is_raw_is_no_winner_and_the_message_says_what_to_do(lame: Any, spec: dict[str, Any], says: str) -> None:
    reason, message, fields = told(report(2000.0, conformance=RAW), report(1000.0, conformance=lame), **spec)
    assert reason == "Published" and says in message
    assert "winner" not in fields and len(fields["ranking"]) == 2
