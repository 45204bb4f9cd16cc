"""Histograms are kept beside the records, a few runs to a ConfigMap, and go with them."""

from __future__ import annotations

import json

from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.core.artefacts import RUNS_IN_ONE, keep_histogram
from changeover.core.plan import Action, Apply, Record
from changeover.core.record_store import Place
from changeover.core.schedule import Run
from changeover.loader.histogram import DIGITS, round_to_digits
from changeover.testing.builders import a_benchmark

RECORDS = Place("web-runs-f00dcafe", "uid-7", is_full=False)
REPORT = {"histogram": [[100, 3], [250, 1]], "histogramKind": "exact"}
MOST_BYTES = 1 << 20  # of one object in etcd, as the API server has it


def kept(round_number: int = 1, scenarios: int = 2, scenario: str = "s0", **more: object) -> tuple[Action, ...]:
    load = {"type": "Closed", "closed": {}}
    spec = a_benchmark(scenarios=[{"name": f"s{i}", **load} for i in range(scenarios)])["spec"]
    run = Run(round_number, "fast", scenario)
    return keep_histogram(BenchmarkSpec.model_validate(spec), "shop", RECORDS, run, {**REPORT, **more})


def place(round_number: int, scenarios: int, scenario: str) -> str:
    made = kept(round_number, scenarios, scenario)
    return next(action.ref.name for action in made if isinstance(action, Record))


def test_a_histogram_is_kept_whole_and_belongs_to_the_records() -> None:
    made, written = kept()
    assert isinstance(made, Apply) and isinstance(written, Record)
    assert made.manifest["metadata"]["name"] == written.ref.name == "web-runs-f00dcafe-fast-1"
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": RECORDS.name, "uid": "uid-7"}
    assert made.manifest["metadata"]["ownerReferences"] == [reference]
    assert json.loads(written.value) == {"unit": "us", "kind": "exact", "buckets": [[100, 3], [250, 1]]}


def test_a_run_without_a_histogram_keeps_nothing() -> None:
    assert kept(histogram=[]) == ()


def test_no_config_map_holds_more_runs_than_fit() -> None:
    for scenarios in (1, 2, 5, 16):
        places = [place(number, scenarios, f"s{i}") for number in range(1, 51) for i in range(scenarios)]
        assert max(places.count(name) for name in places) == RUNS_IN_ONE


def test_the_cross_check_keeps_its_histograms_apart() -> None:
    """wrk, the second generator where h2load is the first, has a histogram."""
    assert place(1, 2, "s1_wrk") == place(3, 2, "s1_wrk") == "web-runs-f00dcafe-fast-wrk"


def test_as_many_runs_as_one_holds_fit_into_an_object() -> None:
    """The widest that a histogram can be: every value of 3 digits up to the timeout of 10 s."""
    largest = [[value, 1_000_000] for value in sorted({round_to_digits(us, DIGITS) for us in range(1, 10_000_000, 7)})]
    _, written = kept(histogram=largest)
    assert isinstance(written, Record)
    assert len(written.value) * RUNS_IN_ONE < MOST_BYTES
