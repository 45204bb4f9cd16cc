"""What the operator's death must not do is found when it did it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.bench.measured import kills
from tests.bench.measured.kills import Course

CANDIDATES = ("fast", "slow")
CELLS = [(round_, name) for round_ in range(1, kills.ROUNDS + 1) for name in CANDIDATES]


def record(round_: int, candidate: str, start: float, **more: Any) -> str:
    report = {"windowStart": start, "windowEnd": start + 10}
    return json.dumps({"round": round_, "candidate": candidate, "void": [], "report": report, **more})


def a_course() -> Course:
    """Six runs, one after another; the operator was killed after the second and the fourth."""
    records = {
        f"r{round_}.{name}.keep-alive": record(round_, name, 25.0 * number)
        for number, (round_, name) in enumerate(CELLS)
    }
    before = [dict(list(records.items())[:count]) for count in (2, 4)]
    jobs = {f"killed-load-{number}": {f"uid-{number}"} for number in range(len(records))}
    return Course([50.0, 100.0], before, records, jobs, succeeded=True, seconds=150.0)


def without(course: Course, key: str) -> Course:
    """A record that is lost, and with it its Job."""
    records = {name: text for name, text in course.records.items() if name != key}
    return replace(course, records=records, jobs=dict(list(course.jobs.items())[1:]))


def with_record(course: Course, key: str, text: str) -> Course:
    """One more, or another in its place."""
    jobs = {**course.jobs, f"job-of-{key}": {"uid"}} if key not in course.records else course.jobs
    return replace(course, records={**course.records, key: text}, jobs=jobs)


def test_a_course_in_which_nothing_is_wrong_has_no_problems() -> None:
    assert kills.problems(a_course(), CANDIDATES) == []


def test_a_void_run_that_was_measured_again_is_no_problem() -> None:
    course = with_record(a_course(), "r3.slow.keep-alive.2", record(3, "slow", 400.0))
    course = with_record(course, "r3.slow.keep-alive", record(3, "slow", 125.0, void=["MetricsMissing: none"]))
    assert kills.problems(course, CANDIDATES) == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda c: replace(c, succeeded=False), ["it did not succeed"]),
        (lambda c: without(c, "r3.slow.keep-alive"), ["round 3, slow: 0 fair runs"]),
        (lambda c: with_record(c, "r3.slow.keep-alive.2", record(3, "slow", 400.0)), ["round 3, slow: 2 fair runs"]),
        (lambda c: with_record(c, "r4.fast.keep-alive", record(4, "fast", 400.0, void=["Errors: 2"])),
         ["round 4, fast: 0 fair runs"]),
        (lambda c: with_record(c, "r3.slow.keep-alive", record(3, "slow", 105.0)),
         ["the windows of r3.fast.keep-alive and r3.slow.keep-alive overlap"]),
        (lambda c: replace(c, jobs={**c.jobs, "killed-load-1": {"uid-1", "uid-9"}}),
         ["load Job killed-load-1 was made 2 times"]),
        (lambda c: replace(c, jobs={**c.jobs, "killed-load-9": {"uid-9"}}), ["7 load Jobs for 6 records"]),
        (lambda c: with_record(c, "r1.fast.keep-alive", record(1, "fast", 0.0, remarks=[])),
         ["record r1.fast.keep-alive is not what it was before kill 1",
          "record r1.fast.keep-alive is not what it was before kill 2"]),
    ],
)  # fmt: skip
def test_each_problem_is_told(spoil: Callable[[Course], Course], told: list[str]) -> None:
    assert kills.problems(spoil(a_course()), CANDIDATES) == told


def test_a_run_without_a_report_has_no_window() -> None:
    course = with_record(a_course(), "r1.fast.keep-alive.2", record(1, "fast", 0.0, report={}, void=["NotReady: no"]))
    assert kills.problems(course, CANDIDATES) == []


def test_moments_follow_from_the_seed_and_are_spread_over_the_time() -> None:
    drawn = kills.moments(5, 7, 200.0)
    assert drawn == kills.moments(5, 7, 200.0) != kills.moments(5, 8, 200.0)
    assert [int(moment // 40) for moment in drawn] == [0, 1, 2, 3, 4]
    assert all(later - earlier >= 8 for earlier, later in pairwise(drawn))


def test_the_figures_say_when_it_was_killed_and_what_was_kept() -> None:
    assert kills.describe(a_course()) == (
        "2 kills, after 50, 100 s of 150 s, when 2, 4 runs were recorded\n6 records, 6 of them fair; 6 load Jobs"
    )


def test_a_job_that_was_made_again_shows_by_a_second_uid() -> None:
    def event(name: str, uid: str, at: str) -> dict[str, Any]:
        return {"involvedObject": {"name": name, "uid": uid}, "metadata": {"creationTimestamp": at}}

    events = [
        event("killed-load-r1", "old", "2026-01-01T09:59:59Z"),  # of an earlier benchmark of that name
        event("killed-load-r1", "1", "2026-01-01T10:00:00Z"),
        event("killed-load-r1", "2", "2026-01-01T10:01:00Z"),
        event("killed-load-r2", "3", "2026-01-01T10:02:00Z"),
        event("web-load-r1", "4", "2026-01-01T10:02:00Z"),
    ]
    found = kills.jobs_in(events, "killed", since="2026-01-01T10:00:00Z")
    assert found == {"killed-load-r1": {"1", "2"}, "killed-load-r2": {"3"}}
