"""Which run comes next: whole rounds, void runs again in their round, and nobody who can no longer win."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from changeover.api.v1alpha1.benchmark import TWIN, BenchmarkSpec
from changeover.api.v1alpha1.goal import BenchmarkObjectives
from changeover.core.audit import make_record, unreliable
from changeover.core.figures import values_by_round
from changeover.core.itinerary import cells, complete_rounds, is_over, next_run, participants
from changeover.core.observed import LoadFailed, LoadReport, NoData
from changeover.core.probe import with_twin
from changeover.core.ranking_status import make_ranking, make_winner
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.unit.core.seen import USAGE, benchmark_spec, pod, workload

HERE = workload(pods=(pod(),))
SATURATED = {"userSeconds": 0.0, "systemSeconds": 0.0, "cores": 0.9}
Records = dict[str, Any]


def spec(*names: str, **schedule: Any) -> BenchmarkSpec:
    candidates = [{"name": name, "image": "i"} for name in names or ("a", "b", "c", "d")]
    rounds = {"min": 3, "max": 9}
    return benchmark_spec(candidates=candidates, schedule={"rounds": rounds, "aaProbe": False, **schedule})


def fair(run: Run, speed: float = 1000.0) -> dict[str, Any]:
    return make_record(run, LoadReport(a_report(speed)), USAGE, HERE)


def saturated(run: Run) -> dict[str, Any]:
    return make_record(run, LoadReport(a_report(generatorCPU=SATURATED)), USAGE, HERE)


def faulty(run: Run) -> dict[str, Any]:
    return make_record(run, LoadFailed("UnexpectedResponse: status 500"), NoData("none"), HERE)


def play(given: BenchmarkSpec, measure: Callable[[Run], dict[str, Any]]) -> tuple[list[Run], Records]:
    """Every run in its order until nothing is left, each decided from the records alone."""
    records: Records = {}
    done: list[Run] = []
    while not is_over(given, records):
        run = next_run(given, records, given.schedule.rounds.max)
        assert run is not None and run.id not in records
        records[run.id] = measure(run)
        done.append(run)
    return done, records


def by_speed(speeds: dict[str, float], spread: float = 0.01) -> Callable[[Run], dict[str, Any]]:
    draw = random.Random(3)
    return lambda run: fair(run, speeds[run.candidate] * (1 + spread * draw.uniform(-1, 1)))


def test_rounds_are_whole_and_the_scenarios_of_a_candidate_follow_one_another() -> None:
    scenarios = [{"name": name, "type": "Closed", "closed": {}} for name in ("one", "two")]
    runs = cells(benchmark_spec(scenarios=scenarios), {}, 1)
    assert [run.scenario for run in runs] == ["one", "two"] * 2
    assert runs[0].candidate == runs[1].candidate != runs[2].candidate


def test_a_round_counts_when_every_run_of_it_is_done() -> None:
    given, records = spec("a", "b"), {}
    for number, run in enumerate(cells(given, {}, 3)):
        assert complete_rounds(given, records) == number // 2
        assert next_run(given, records, 9) == run
        records[run.id] = fair(run)
    assert complete_rounds(given, records) == 3
    del records["r3.a.keep-alive"]
    assert complete_rounds(given, records) == 2


def test_who_comes_back_into_the_race_is_not_put_into_rounds_of_long_ago() -> None:
    """As after an edit of what is ranked by: the others' runs of those rounds are from another time."""
    given, records = spec("a", "b", "c", stopWhenDecided=False), {}
    for run in cells(given, {}, 4):
        if run.candidate != "c" or run.round == 1:
            records[run.id] = fair(run)
    coming = next_run(given, records, 9)
    assert coming is not None and (coming.round, coming.candidate) == (4, "c")
    records[coming.id] = fair(coming)
    after = next_run(given, records, 9)
    assert after is not None and after.round == 5


def test_a_void_run_is_measured_again_at_the_end_of_its_round() -> None:
    given = spec()
    first = cells(given, {}, 1)
    spoilt = first[1].candidate
    done, _ = play(given, lambda run: saturated(run) if run == first[1] else fair(run))
    again = Run(1, spoilt, "keep-alive", 2)
    assert done[: len(first) + 1] == [*first, again]
    assert done[len(first) + 1].round == 2


def test_what_stays_void_is_left_after_three_and_a_faulty_candidate_after_two() -> None:
    for measure, expected in ((saturated, 3), (faulty, 2)):
        done, _ = play(spec(), lambda run, measure=measure: measure(run) if run.candidate == "b" else fair(run))  # type: ignore[misc]
        assert max(run.attempt for run in done if run.candidate == "b") == expected
        assert all(run.attempt == 1 for run in done if run.candidate != "b")


SPEEDS = {"a": 4000.0, "b": 3990.0, "c": 1000.0, "d": 500.0}


def test_those_who_can_no_longer_win_drop_out_and_the_tied_go_on() -> None:
    _, records = play(spec(), by_speed(SPEEDS, spread=0.1))
    rounds = dict(participants(spec(), records, 9))
    assert rounds[3] == ["a", "b", "c", "d"]
    assert rounds[9] == ["a", "b"]
    assert not [key for key in records if key.startswith(("r9.c", "r9.d"))]


def test_a_look_that_lacks_a_run_is_made_a_round_later() -> None:
    """In round 4, the first look, the first candidate has no fair run."""
    measure = by_speed(SPEEDS, spread=0.1)
    done, records = play(spec(), lambda run: saturated(run) if (run.round, run.candidate) == (4, "a") else measure(run))
    taking_part = dict(participants(spec(), records, 9))
    assert (len(taking_part[5]), taking_part[6]) == (4, ["a", "b"])
    assert {run.candidate for run in done if run.round == 6} == {"a", "b"}


def test_it_stops_when_one_is_left() -> None:
    _, records = play(spec(), by_speed({**SPEEDS, "b": 2000.0}))
    assert complete_rounds(spec(), records) < 9
    assert is_over(spec(), records)


def test_when_it_may_not_stop_everybody_is_measured_in_every_round() -> None:
    given = spec(stopWhenDecided=False)
    done, _ = play(given, by_speed(SPEEDS))
    assert len(done) == 4 * 9


def test_dropping_out_saves_runs_and_changes_no_winner() -> None:
    names = [f"n{i}" for i in range(8)]
    speeds = {name: 1000.0 * 1.3**i for i, name in enumerate(names)}
    full, _ = play(spec(*names, stopWhenDecided=False), by_speed(speeds))
    short, _ = play(spec(*names), by_speed(speeds))
    assert len(short) < len(full) / 2


def test_the_twin_drops_out_with_its_original() -> None:
    given = with_twin(spec("c", "a", "b", aaProbe=True))
    _, records = play(given, by_speed({**SPEEDS, TWIN: 1000.0}, spread=0.1))
    last = dict(participants(given, records, 9))[9]
    assert last == ["a", "b"]


def test_one_that_was_never_measured_fairly_is_not_waited_for() -> None:
    done, _ = play(spec(), lambda run: faulty(run) if run.candidate == "b" else by_speed(SPEEDS, 0.2)(run))
    assert {run.round for run in done if run.candidate == "b"} <= {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("void", "says"),
    [
        pytest.param({"c": saturated}, "", id="one that never was fair says nothing of the others"),
        pytest.param({"a": saturated, TWIN: saturated}, "", id="its hidden twin is that same one"),
        pytest.param({"c": saturated, "d": faulty}, "", id="beside one that is at fault itself"),
        pytest.param({"c": faulty}, "", id="a candidate's own faults are its own"),
    ],
)
def test_it_is_reliable_without(void: dict[str, Callable[[Run], dict[str, Any]]], says: str) -> None:
    _, records = play(with_twin(spec(aaProbe=True)), lambda run: void.get(run.candidate, fair)(run))
    assert unreliable(records) == says


def test_two_that_were_never_fair_could_each_be_the_best_so_nothing_is_ranked() -> None:
    _, records = play(spec(), lambda run: saturated(run) if run.candidate in "cd" else fair(run))
    assert "LoadGeneratorSaturated 18" in unreliable(records) and "lower the candidates' CPU limit" in unreliable(
        records
    )


def test_what_one_scenario_never_measured_says_nothing_of_the_other() -> None:
    scenarios = [{"name": name, "type": "Closed", "closed": {}} for name in ("one", "two")]
    given = benchmark_spec(scenarios=scenarios)
    _, records = play(
        given, lambda run: saturated(run) if (run.candidate, run.scenario) == ("fast", "two") else fair(run)
    )
    assert unreliable(records) == ""


def test_nobody_measured_fairly_is_the_measurements_fault() -> None:
    _, records = play(spec("a", "b"), saturated)
    assert "of 18 runs are void" in unreliable(records)


def test_a_round_is_looked_at_when_it_is_whole() -> None:
    """Looked at after each run of its last round too, a race would have more looks than its error is divided over."""
    given = spec("a", "b", "c", rounds={"min": 3, "max": 4})
    done, records = play(given, by_speed({"a": 4000.0, "b": 2000.0, "c": 1000.0}, 0.001))
    assert [run.round for run in done].count(4) == 3
    last = done[-1]
    del records[last.id]
    assert not is_over(given, records) and next_run(given, records, 4) == last


def test_a_round_in_which_nobody_was_fair_is_a_round_all_the_same() -> None:
    _, records = play(spec("a", "b"), lambda run: faulty(run) if run.round == 2 else fair(run))
    rounds = values_by_round(spec("a", "b"), records, ["a", "b"], "keep-alive", "Throughput")
    assert rounds[1] == {} and len(rounds[0]) == len(rounds[2]) == 2


def test_more_than_a_fifth_of_the_runs_void_is_unreliable() -> None:
    count = iter(range(1000))
    _, records = play(spec(), lambda run: saturated(run) if next(count) % 4 == 0 else fair(run))
    assert "more than 20%" in unreliable(records) and "LoadGeneratorSaturated" in unreliable(records)


def test_a_fifth_of_the_runs_void_is_not() -> None:
    count = iter(range(1000))
    _, records = play(spec(), lambda run: saturated(run) if next(count) % 6 == 0 else fair(run))
    assert unreliable(records) == ""


def with_a_cpu_limit(*names: str) -> BenchmarkSpec:
    objectives = BenchmarkObjectives.model_validate({"maxCPUPercent": 60})
    return spec(*names).model_copy(update={"objectives": objectives})


def by_speed_and_cpu(speeds: dict[str, float], cores: Callable[[Run], float]) -> Callable[[Run], dict[str, Any]]:
    """Of half a core that each may use."""
    draw = random.Random(3)

    def measure(run: Run) -> dict[str, Any]:
        report = LoadReport(a_report(speeds[run.candidate] * (1 + 0.04 * draw.uniform(-1, 1))))
        return make_record(run, report, replace(USAGE, cpu_cores=cores(run)), HERE)

    return measure


GREEDY = {"greedy": 3000.0, "b": 1000.0, "c": 950.0}


def test_who_misses_an_objective_and_so_cannot_win_drives_nobody_out() -> None:
    given = with_a_cpu_limit(*GREEDY)
    _, records = play(given, by_speed_and_cpu(GREEDY, lambda run: 0.45 if run.candidate == "greedy" else 0.1))
    winner = make_winner(given, records, make_ranking(given, records))
    assert winner is not None and (winner["candidate"], winner["tiedWith"]) == ("b", [])
    assert complete_rounds(given, records) > 4, "the first look tells b from c already, and the test shows nothing"


def test_where_nobody_keeps_the_objectives_it_ends_as_without_any() -> None:
    measured = [
        play(given, by_speed_and_cpu(GREEDY, lambda run: 0.45))[0]
        for given in (with_a_cpu_limit(*GREEDY), spec(*GREEDY))
    ]
    assert measured[0] == measured[1]


def test_who_was_driven_out_is_back_when_those_who_beat_it_miss_an_objective_after_all() -> None:
    speeds = {"a": 1000.0, "b": 1005.0, "c": 500.0, "d": 502.0}
    given = with_a_cpu_limit(*speeds)
    late = by_speed_and_cpu(speeds, lambda run: 5.0 if run.candidate in "ab" and run.round > 4 else 0.1)
    done, records = play(given, late)
    rounds = dict(participants(given, records, 9))
    assert (rounds[4], rounds[5], rounds[7]) == (["a", "b", "c", "d"], ["a", "b"], ["a", "b", "c", "d"])
    assert len({run.id for run in done}) == len(done) and complete_rounds(given, records) == 9
