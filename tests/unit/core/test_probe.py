"""The A/A probe: two that are the same must tie; when they do not, nothing is ranked."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from changeover.api.v1alpha1.benchmark import TWIN, BenchmarkSpec
from changeover.api.v1alpha1.benchmark_status import BenchmarkStatus
from changeover.core.audit import make_record
from changeover.core.benchmark import decide
from changeover.core.benchmark_status import summarise
from changeover.core.itinerary import cells
from changeover.core.observed import LoadReport
from changeover.core.probe import noise, with_twin
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.unit.core.seen import USAGE, benchmark_spec, pod, seen_benchmark, workload

SCHEDULE = {"rounds": {"min": 5, "max": 5}, "measure": "10s", "aaProbe": True, "crossCheck": False}
HERE = workload(pods=(pod(),))


def spec(**schedule: Any) -> BenchmarkSpec:
    return with_twin(benchmark_spec(schedule={**SCHEDULE, **schedule}))


def records(speeds: dict[str, float], spread: float = 0.01) -> dict[str, Any]:
    draw = random.Random(7)
    found = {}
    for number in range(1, 6):
        for name, speed in speeds.items():
            run = Run(number, name, "keep-alive")
            report = a_report(speed * (1 + spread * draw.uniform(-1, 1)))
            found[run.id] = make_record(run, LoadReport(report), USAGE, HERE)
    return found


QUIET = {"fast": 2000.0, "lame": 1000.0, TWIN: 2000.0}
NOISY = {**QUIET, TWIN: 1500.0}


def test_the_first_candidate_is_measured_twice_in_every_round() -> None:
    runs = [run.candidate for run in cells(spec(), {}, 2)]
    assert sorted(runs) == sorted(["fast", "lame", TWIN] * 2)
    first, *_, twin = spec().candidates
    assert twin.model_copy(update={"name": first.name}) == first


def test_without_the_probe_nobody_is_measured_twice() -> None:
    plain = spec(aaProbe=False)
    assert [c.name for c in plain.candidates] == ["fast", "lame"]
    assert noise(plain, records(QUIET)) is None


@pytest.mark.parametrize(("speeds", "verdict"), [(QUIET, "Quiet"), (NOISY, "Noisy")])
def test_twins_that_differ_show_noise(speeds: dict[str, float], verdict: str) -> None:
    found = noise(spec(), records(speeds))
    assert found is not None and found["verdict"] == verdict
    assert (float(found["low"]) <= 1 <= float(found["high"])) is (verdict == "Quiet")


@pytest.mark.parametrize("common", [0, 2])
def test_too_few_rounds_in_common_are_neither_quiet_nor_noisy(common: int) -> None:
    found = noise(spec(), {key: record for key, record in records(NOISY).items() if record["round"] <= common})
    assert found is not None and found["verdict"] == "Unknown"
    assert f"in {common} rounds" in found["message"]


@pytest.mark.parametrize(("speeds", "reason", "ranked"), [(QUIET, "Published", 2), (NOISY, "NodeNoisy", 0)])
def test_a_noisy_node_publishes_no_ranking(speeds: dict[str, float], reason: str, ranked: int) -> None:
    seen = replace(seen_benchmark(records=records(speeds)), spec=spec())
    said, message, conditions, fields = summarise(seen, decide(seen), None)
    assert said == reason and "fast" in message
    assert conditions["Succeeded"].status is (reason == "Published")
    assert len(fields.get("ranking", [])) == ranked
    assert ("winner" in fields) == (reason == "Published")
    shown = [row["candidate"] for row in (*fields.get("ranking", []), *fields["results"])]
    assert TWIN not in shown
    assert all(r["valid"] is (reason == "Published") for r in fields["results"])
    BenchmarkStatus.model_validate(fields)


def test_the_twin_takes_no_rank() -> None:
    seen = replace(seen_benchmark(records=records(QUIET)), spec=spec())
    *_, fields = summarise(seen, decide(seen), None)
    assert [(row["rank"], row["candidate"], row["tiedWith"]) for row in fields["ranking"]] == [
        (1, "fast", []), (2, "lame", []),
    ]  # fmt: skip
