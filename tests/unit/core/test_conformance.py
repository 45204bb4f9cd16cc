"""Who leaves work out is ranked apart: which class a candidate is of, and that classes race by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.v1alpha1.benchmark import TWIN
from changeover.api.v1alpha1.benchmark_status import CandidateResult, Rank
from changeover.core.audit import make_record
from changeover.core.claims import make_claims
from changeover.core.conformance import failed_checks, raw_candidates, shown_checks
from changeover.core.figures import classes, races
from changeover.core.itinerary import complete_rounds, is_over, participants
from changeover.core.observed import LoadFailed, LoadReport, NoData
from changeover.core.probe import noise, with_twin
from changeover.core.ranking_status import make_ranking, make_results, make_winner
from changeover.core.schedule import Run
from changeover.testing.builders import a_report, some_checks

from tests.unit.core.seen import USAGE, benchmark_spec, pod, workload
from tests.unit.core.test_itinerary import fair, faulty, play, spec

HERE = workload(pods=(pod(),))
Records = dict[str, Any]


def run_of(run: Run, speed: float = 1000.0, passed: bool = True, **report: Any) -> dict[str, Any]:
    return make_record(run, LoadReport(a_report(speed, conformance=some_checks(passed), **report)), USAGE, HERE)


def records(*failures: bool, name: str = "fast") -> Records:
    """One run a round of one candidate, that failed a check or not."""
    runs = [Run(number, name, "keep-alive") for number in range(1, len(failures) + 1)]
    return {run.id: run_of(run, passed=not failed) for run, failed in zip(runs, failures, strict=True)}


def test_a_record_keeps_what_failed_and_nothing_of_what_passed() -> None:
    (record,) = records(True).values()
    assert record["conformance"] == [{"name": "404 elsewhere", "detail": "status 200"}]
    assert "conformance" not in record["report"]
    assert next(iter(records(False).values()))["conformance"] == []


def test_a_record_says_when_no_check_was_made_and_keeps_little_of_a_long_one() -> None:
    run = Run(1, "fast", "keep-alive")
    for outcome in (LoadReport(a_report()), LoadReport(a_report(conformance=None)), LoadFailed("refused")):
        assert make_record(run, outcome, NoData("none"), None)["conformance"] is None
    long = [{"name": "HEAD", "passed": False, "detail": "x" * 5000}]
    assert failed_checks({"conformance": long}) == [{"name": "HEAD", "detail": "x" * 200}]


@pytest.mark.parametrize(
    ("failures", "raw"),
    [
        ((False, False, False), False),
        ((True, False, False), False),  # once in a busy moment
        ((True, False), False),  # half is not more than half
        ((True, True, False), True),
        ((True,), True),
    ],
)
def test_raw_is_who_failed_in_more_than_half_of_the_checked_runs(failures: tuple[bool, ...], raw: bool) -> None:
    assert bool(raw_candidates(records(*failures).values())) is raw


def test_runs_without_checks_and_records_of_an_older_operator_say_nothing() -> None:
    found = records(True, True)
    for number in (3, 4, 5):
        found[f"r{number}"] = make_record(
            Run(number, "fast", "keep-alive"), LoadFailed("refused"), NoData("none"), None
        )
    assert raw_candidates(found.values()) == {"fast"}
    older = {key: {k: v for k, v in record.items() if k != "conformance"} for key, record in found.items()}
    assert raw_candidates(older.values()) == frozenset()


def test_a_void_run_has_been_checked_all_the_same() -> None:
    saturated = {"userSeconds": 0.0, "systemSeconds": 0.0, "cores": 0.9}
    void = run_of(Run(1, "fast", "keep-alive"), passed=False, generatorCPU=saturated)
    assert void["void"] and raw_candidates([void]) == {"fast"}


def test_what_failed_is_shown_once_with_what_was_seen_and_how_often() -> None:
    found = records(True, False, True)
    assert shown_checks(list(found.values())) == ["404 elsewhere: status 200 (2 of 3 runs)"]
    (result,) = make_results(benchmark_spec(), found)
    assert CandidateResult.model_validate(result).conformance == ["404 elsewhere: status 200 (2 of 3 runs)"]
    (result,) = make_results(benchmark_spec(), records(False, False, False))
    assert result["conformance"] == []


SPEEDS = {"a": 2000.0, "b": 1000.0, "c": 4000.0, "d": 3000.0}
RAW = {"c", "d"}


def measure(run: Run) -> dict[str, Any]:
    """Some noise that is the same each time; c and d are fastest, and Raw."""
    noise_ = 1 + 0.01 * ((run.round * 7 + ord(run.candidate[0])) % 5 - 2)
    return run_of(run, SPEEDS[run.candidate] * noise_, passed=run.candidate not in RAW)


def test_each_class_is_ranked_by_itself_the_conforming_one_first() -> None:
    given = spec()
    _, found = play(given, measure)
    rows = make_ranking(given, found)
    assert [(row["rank"], row["candidate"], row["class"], row["relativeToFirst"] == "1") for row in rows] == [
        (1, "a", "Full", True), (2, "b", "Full", False), (1, "c", "Raw", True), (2, "d", "Raw", False),
    ]  # fmt: skip
    assert [round(float(row["relativeToFirst"]), 1) for row in rows] == [1.0, 0.5, 1.0, 0.8]
    assert {Rank.model_validate(row).class_ for row in rows} == {"Full", "Raw"}


def test_a_raw_one_never_wins() -> None:
    given = spec()
    _, found = play(given, measure)
    winner = make_winner(given, found, make_ranking(given, found))
    assert winner is not None and winner["candidate"] == "a"
    strict = spec().model_copy(update={"objectives": benchmark_spec(objectives={"maxCPUPercent": 1}).objectives})
    assert make_winner(strict, found, make_ranking(strict, found)) is None


def test_when_conformance_is_ignored_there_is_one_class() -> None:
    given = spec().model_copy(update={"conformance": "Ignore"})
    _, found = play(given, measure)
    rows = make_ranking(given, found)
    assert (rows[0]["candidate"], rows[0]["class"]) == ("c", "Full")
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert list(classes(given, found)) == ["Full"]


def test_a_fast_raw_one_drives_no_conforming_one_out() -> None:
    """In one class a and b would be out after round 4, being slower than c and d."""
    close = {**SPEEDS, "b": 1995.0}
    noisy = {"a": 0.1, "b": -0.1}

    def swing(run: Run) -> dict[str, Any]:
        factor = 1 + noisy.get(run.candidate, 0.001) * (-1) ** run.round
        return run_of(run, close[run.candidate] * factor, passed=run.candidate not in RAW)

    given = spec()
    _, found = play(given, swing)
    rounds = dict(participants(given, found, 9))
    assert rounds[3] == ["a", "b", "c", "d"]
    assert rounds[9] == ["a", "b", "c"]
    assert complete_rounds(given, found) == 9


def test_it_stops_when_every_class_is_decided_and_not_before() -> None:
    given = spec()
    _, found = play(given, measure)
    assert complete_rounds(given, found) == 4 and is_over(given, found)
    level = {**SPEEDS, "d": 4000.0}

    def tied_at_the_top_of_raw(run: Run) -> dict[str, Any]:
        swing = 1 + 0.1 * (-1) ** (run.round + (run.candidate == "d"))
        return run_of(run, level[run.candidate] * (swing if run.candidate in RAW else 1), run.candidate not in RAW)

    done, _ = play(given, tied_at_the_top_of_raw)
    assert max(run.round for run in done) == 9
    assert {run.candidate for run in done if run.round == 9} == {"a", "c", "d"}


def test_a_class_that_nobody_measured_fairly_is_not_waited_for() -> None:
    saturated = {"userSeconds": 0.0, "systemSeconds": 0.0, "cores": 0.9}

    def never_fair(run: Run) -> dict[str, Any]:
        if run.candidate == "c":
            return run_of(run, 4000.0, passed=False, generatorCPU=saturated)
        return faulty(run) if run.candidate == "d" else fair(run, SPEEDS[run.candidate] * (1 + 0.001 * run.round))

    given = spec()
    _, found = play(given, never_fair)
    assert list(classes(given, found)) == ["Full", "Raw"] and not races(given, found)["Raw"].rows
    assert complete_rounds(given, found) == 4


def test_claims_compare_candidates_of_all_classes() -> None:
    values = [{"candidate": "c", "requestsPerSecond": "300"}, {"candidate": "a", "requestsPerSecond": "200"}]
    plain = spec().model_dump(by_alias=True, exclude_none=True)
    given = type(spec()).model_validate(
        {**plain, "claims": [{"source": "a blog", "scenario": "keep-alive", "values": values}]}
    )
    _, found = play(given, measure)
    (pair,) = make_claims(given, found)["claims"]
    assert (pair["verdict"], round(float(pair["ratio"]))) == ("Confirmed", 2)


def test_the_probe_works_on_a_raw_candidate() -> None:
    given = with_twin(spec("c", "a", aaProbe=True))
    both = {**SPEEDS, TWIN: 4000.0}
    _, found = play(
        given, lambda run: run_of(run, both[run.candidate] * (1 + 0.002 * (run.round % 3)), run.candidate == "a")
    )
    told = noise(given, found)
    assert told is not None and told["verdict"] == "Quiet"
    assert [(row["candidate"], row["class"]) for row in make_ranking(given, found)] == [("a", "Full"), ("c", "Raw")]
