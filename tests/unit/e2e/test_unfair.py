"""The benchmarks of the end-to-end tests of unfair runs are ones that the operator takes."""

from __future__ import annotations

import pytest
from changeover.api.v1alpha1 import BenchmarkSpec

from tests.e2e import unfair


@pytest.mark.parametrize("name", unfair.benchmarks())
def test_a_benchmark_is_valid_and_has_its_cases(name: str) -> None:
    spec = BenchmarkSpec.model_validate(unfair.benchmarks()[name]["spec"])
    assert {c.name for c in spec.candidates} == {case.candidate for case in unfair.CASES if case.benchmark == name}
    assert [s.name for s in spec.scenarios] == [unfair.SCENARIO]


def test_no_two_cases_are_of_one_run() -> None:
    runs = [(case.benchmark, unfair.run_ids(case)[0]) for case in unfair.CASES]
    assert len(set(runs)) == len(runs)
