"""Names stay unique and valid however long their parts are."""

from __future__ import annotations

import re

from changeover.core import names
from hypothesis import given
from hypothesis import strategies as st

labels = st.from_regex(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?", fullmatch=True)


@given(labels, labels, labels)
def test_names_are_labels_that_start_and_end_well(benchmark: str, candidate: str, scenario: str) -> None:
    run = names.run_id(2, candidate[:30], scenario[:30])
    for name in (
        names.candidate_workload(benchmark, candidate), names.load_job(benchmark, run),
        names.records(benchmark, "f00dcafe"), names.canary_workload(benchmark),
    ):  # fmt: skip
        assert 1 <= len(name) <= names.MAX_NAME
        assert name[0].isalpha() and name[-1].isalnum()


@given(labels, labels, labels)
def test_the_pods_of_a_load_job_can_be_called_after_it(benchmark: str, candidate: str, scenario: str) -> None:
    """An Indexed Job whose pods would have no DNS label for a name is refused by the API server."""
    for second in ("", "_h2load"):
        name = names.load_job(benchmark, f"{names.run_id(2, candidate[:30], scenario[:30] + second)}.f00dcafe")
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
        assert len(f"{name}-15") <= names.MAX_NAME


def test_runs_that_differ_in_a_dot_have_jobs_of_their_own() -> None:
    assert names.load_job("web", "r1.a.b-c") != names.load_job("web", "r1.a-b.c")


def test_long_names_that_begin_alike_stay_apart() -> None:
    one, other = (names.shorten("x" * 70 + end) for end in "ab")
    assert one != other
    assert names.shorten("short") == "short"


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert names.digest({"a": 1, "b": 2}) == names.digest({"b": 2, "a": 1}) != names.digest({"a": 1, "b": 3})
