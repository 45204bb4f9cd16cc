"""What was not counted is blindness, never a good sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from changeover.api.v1alpha1 import MigrationSpec
from changeover.core.evidence import Split, StepEvidence, fold
from changeover.core.observed import Counts, Evidence
from changeover.core.sequential import Verdict
from changeover.core.weighing import Weighing, hard_trip, weigh

START = datetime(2030, 1, 1, tzinfo=UTC)
BLOCK = timedelta(minutes=1)
LATENCY = {"name": "fast", "type": "Latency", "latency": {"percentile": "99", "max": "50ms"}}
CPU = {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}}


def spec_with(objective: dict[str, Any]) -> MigrationSpec:
    return MigrationSpec.model_validate({
        "stable": {"service": {"name": "old", "port": 80}, "workload": {"name": "old"}},
        "canary": {
            "type": "Workload",
            "workload": {"service": {"name": "new", "port": 80}, "workload": {"name": "new"}},
        },
        "traffic": {"gatewayAPI": {"route": {"name": "shop"}, "parentRefs": [{"name": "public"}]}},
        "steps": [{"weightPercent": 100}],
        "objectives": [objective],
    })  # fmt: skip


def after(blocks: int, objective: dict[str, Any], counts: Counts, cores: float | None = None) -> Weighing:
    spec, evidence = spec_with(objective), StepEvidence(START, START)
    for number in range(blocks):
        block = Evidence(START + number * BLOCK, START + (number + 1) * BLOCK, counts, None, cores)
        evidence = fold(evidence, spec, [block], Split(100, 1.0))
    return weigh(evidence, spec, 100)


def test_latency_that_was_not_counted_is_blind_and_rolled_back_however_few_errors_there_are() -> None:
    weighing = after(5, LATENCY, Counts(10_000, 0, {}, {}))

    assert (weighing.verdict, weighing.reason) == (Verdict.ROLLBACK, "Blind")


def test_latency_that_was_counted_is_judged_by_the_slow_and_not_by_the_errors() -> None:
    assert after(40, LATENCY, Counts(10_000, 9_000, {"fast": 0}, {})).verdict is Verdict.ADVANCE


def test_cpu_that_stays_unknown_is_rolled_back_and_the_message_names_the_mend() -> None:
    weighing = after(5, CPU, Counts(10_000, 0, {}, {}))

    assert (weighing.verdict, weighing.reason) == (Verdict.ROLLBACK, "Blind")
    assert "limit or request" in weighing.message


def test_cpu_that_is_unknown_for_a_moment_only_holds() -> None:
    assert after(4, CPU, Counts(10_000, 0, {}, {})).verdict is Verdict.HOLD


def test_a_latency_that_was_not_counted_trips_nothing_by_itself() -> None:
    latest = Evidence(START, START + BLOCK, Counts(10_000, 10_000, {}, {}), None, None)

    assert hard_trip(spec_with(LATENCY), latest) is None
