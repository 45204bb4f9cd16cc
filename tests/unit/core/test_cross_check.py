"""The winner by a second generator: who is measured again, when, and what is said of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from changeover.api.v1alpha1.benchmark import TWIN, BenchmarkSpec
from changeover.api.v1alpha1.benchmark_status import BenchmarkStatus
from changeover.core import cross_check, names
from changeover.core.artefacts import keep_histogram
from changeover.core.audit import make_record, unreliable
from changeover.core.benchmark import SeenBenchmark, decide
from changeover.core.benchmark_status import summarise
from changeover.core.observed import LoadReport
from changeover.core.plan import Apply, Ref
from changeover.core.probe import with_twin
from changeover.core.ranking_status import make_ranking, make_results
from changeover.core.schedule import Run
from changeover.testing.builders import BY_H2LOAD, a_report, some_checks

from tests.unit.core.seen import USAGE, benchmark_spec, pod, seen_benchmark, workload
from tests.unit.core.test_benchmark_ladder import LATE

HERE = workload(pods=(pod(),))
SATURATED = {"userSeconds": 0.0, "systemSeconds": 0.0, "cores": 0.9}
SPEEDS = {"a": 2000.0, "b": 1500.0, "c": 1000.0}
Records = dict[str, Any]
Measure = Callable[[Run], dict[str, Any]]


def spec(**more: Any) -> BenchmarkSpec:
    schedule = {"rounds": {"min": 3, "max": 3}, "measure": "10s", "aaProbe": False, **more.pop("schedule", {})}
    candidates = [{"name": name, "image": "i"} for name in SPEEDS]
    return benchmark_spec(**{"candidates": candidates, "schedule": schedule, **more})


def measured(speeds: dict[str, float], **report: Any) -> Measure:
    def measure(run: Run) -> dict[str, Any]:
        noise = 1 + 0.005 * ((run.round * 7 + ord(run.candidate[0])) % 3 - 1)
        by_second = BY_H2LOAD if run.generator else {}
        return make_record(run, LoadReport(a_report(speeds[run.candidate] * noise, **by_second, **report)), USAGE, HERE)

    return measure


def ranked(speeds: dict[str, float] = SPEEDS, **report: Any) -> Records:
    """The records of three rounds of the ranking's own runs."""
    runs = [Run(number, name, "keep-alive") for number in (1, 2, 3) for name in speeds]
    return {run.id: measured(speeds, **report)(run) for run in runs}


def checked(given: BenchmarkSpec, before: Records, measure: Measure) -> tuple[list[Run], Records]:
    """Every run of the cross-check in its order, each decided from the records alone."""
    records, done = dict(before), []
    while run := cross_check.next_run(given, records):
        assert run.id not in records
        records[run.id] = measure(run)
        done.append(run)
    return done, records


def test_winner_and_runner_up_are_measured_in_three_shuffled_rounds() -> None:
    given = spec()
    done, _ = checked(given, ranked(), measured(SPEEDS))
    assert [run.round for run in done] == [1, 1, 2, 2, 3, 3]
    assert {run.scenario for run in done} == {"keep-alive_h2load"}
    assert [{run.candidate for run in done if run.round == number} for number in (1, 2, 3)] == [{"a", "b"}] * 3
    assert cross_check.cells(given, ranked()) == done
    orders = {
        tuple(run.candidate for run in cross_check.cells(spec(schedule={"seed": seed}), ranked())) for seed in range(9)
    }
    assert len(orders) > 1


def test_a_void_run_is_measured_again_at_the_end_of_its_round() -> None:
    def spoil_once(run: Run) -> dict[str, Any]:
        void = {"generatorCPU": SATURATED} if (run.candidate, run.round, run.attempt) == ("b", 1, 1) else {}
        return measured(SPEEDS, **void)(run)

    done, records = checked(spec(), ranked(), spoil_once)
    assert [run.attempt for run in done] == [1, 1, 2, 1, 1, 1, 1]
    assert done[2].id == "r1.b.keep-alive_h2load.2" in records


@pytest.mark.parametrize(
    ("change", "speeds", "pair"),
    [
        pytest.param({}, SPEEDS, ("a", "b"), id="the two first"),
        pytest.param({}, {**SPEEDS, "b": 2000.0}, ("a", "c"), id="who ties is left out: nobody claims an order"),
        pytest.param({}, dict.fromkeys(SPEEDS, 2000.0), ("a",), id="all tie"),
        pytest.param({"schedule": {"crossCheck": False}}, SPEEDS, (), id="not asked for"),
        pytest.param({"objectives": {"maxLatency": {"max": "1ms"}}}, SPEEDS, (), id="no winner"),
        pytest.param(
            {"objectives": {"maxLatency": {"max": "400ms"}}}, SPEEDS, ("a",), id="the others missed an objective"
        ),
    ],
)
def test_who_is_compared(change: dict[str, Any], speeds: dict[str, float], pair: tuple[str, ...]) -> None:
    found = {run.candidate for run in cross_check.cells(spec(**change), ranked(speeds))}
    assert len(found) == len(pair) and found <= set(SPEEDS)
    assert not pair or pair[-1] in found


def test_a_raw_one_is_no_runner_up() -> None:
    def measure(run: Run) -> dict[str, Any]:
        return measured(SPEEDS, conformance=some_checks(passed=run.candidate == "a"))(run)

    records = {key: measure(Run(r["round"], r["candidate"], "keep-alive")) for key, r in ranked().items()}
    assert [row["candidate"] for row in make_ranking(spec(), records)] == ["a", "b", "c"]
    assert cross_check.finalists(spec(), records) == ("a",)


def test_nothing_is_checked_while_no_ranking_may_stand() -> None:
    tries = [Run(number, "b", "keep-alive", 2) for number in (1, 2, 3)]
    void = ranked() | {run.id: measured(SPEEDS, generatorCPU=SATURATED)(run) for run in tries}
    assert unreliable(void) and make_ranking(spec(), void)
    assert cross_check.next_run(spec(), void) is None
    noisy = ranked({**SPEEDS, TWIN: 1000.0})
    assert cross_check.next_run(with_twin(spec(schedule={"aaProbe": True})), noisy) is None
    assert cross_check.next_run(spec(), noisy) is not None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scenarios": [{"name": "keep-alive", "type": "Closed", "closed": {"keepAlive": False}}]}, "keepAlive true"),
        (
            {"scenarios": [{"name": "keep-alive", "type": "Open", "open": {"requestsPerSecond": 5}}]},
            "a Closed scenario",
        ),
        ({"request": {"method": "POST"}}, "only a GET"),
        ({"request": {"expectStatus": 404}}, "status below 400"),
        ({"request": {"expectStatus": 304}}, "but 304"),
        ({"ranking": {"by": "Latency"}}, "no percentile of latency"),
    ],
)
def test_what_no_second_generator_drives_is_not_applicable_and_costs_no_run(change: dict[str, Any], says: str) -> None:
    given = spec(**change)
    assert cross_check.cells(given, ranked()) == []
    found = cross_check.make_cross_check(given, ranked())
    assert found is not None and found["verdict"] == "NotApplicable" and says in found["message"]


def test_the_second_generator_is_another_than_the_first() -> None:
    given = spec(load={"driver": "H2load"})
    run = cross_check.next_run(given, ranked())
    assert run is not None and run.scenario == "keep-alive_wrk"
    driven, scenario = cross_check.as_driven(given, run)
    assert (driven.load.driver, scenario.name) == ("Wrk", "keep-alive")
    assert BenchmarkSpec.model_validate(driven.model_dump(by_alias=True, exclude_none=True)) == driven


def test_a_run_of_the_ranking_is_driven_as_the_spec_says() -> None:
    given = spec()
    assert cross_check.as_driven(given, Run(1, "a", "keep-alive")) == (given, given.scenarios[0])


def verdict(second: dict[str, float], measure: Measure | None = None, **change: Any) -> dict[str, Any]:
    given = spec(**change)
    _, records = checked(given, ranked(), measure or measured(second))
    return cross_check.make_cross_check(given, records) or {}


def test_the_same_order_confirms() -> None:
    found = verdict({"a": 1800.0, "b": 1200.0})
    assert (found["verdict"], found["generator"], found["against"]) == ("Confirmed", "h2load", "b")
    assert (found["ratio"], found["levelRatio"]) == ("1.5", "0.9")
    assert 1 < float(found["low"]) < 1.5 < float(found["high"])
    assert found["message"].startswith("cross-check confirmed: a over b is 1.5 [")


def test_the_other_order_contradicts() -> None:
    found = verdict({"a": 1200.0, "b": 1800.0})
    assert found["verdict"] == "Contradicted" and float(found["high"]) < 1


def test_an_interval_that_holds_one_decides_nothing() -> None:
    found = verdict({"a": 1500.0, "b": 1500.0})
    assert found["verdict"] == "Undecidable" and float(found["low"]) < 1 < float(found["high"])


def test_less_is_better_where_less_is_ranked_first() -> None:
    """By CPU a request, of which a takes the least: all use 0.4 cores."""
    found = verdict({"a": 1800.0, "b": 1200.0}, ranking={"by": "CPUPerRequest"})
    assert (found["verdict"], found["ratio"]) == ("Confirmed", "0.6667")


def test_one_alone_shows_its_level_and_decides_nothing() -> None:
    given, before = spec(), ranked(dict.fromkeys(SPEEDS, 2000.0))
    _, records = checked(given, before, measured(dict.fromkeys(SPEEDS, 1800.0)))
    found = cross_check.make_cross_check(given, records) or {}
    assert (found["verdict"], found["against"], found["levelRatio"]) == ("Undecidable", "", "0.9")
    assert "nobody is surely behind a" in found["message"] and "shows 0.9" in found["message"]
    assert not {"ratio", "low", "high"} & found.keys()


def test_without_a_fair_run_nothing_is_decided_and_the_ranking_stands() -> None:
    void = measured(SPEEDS, generatorCPU=SATURATED)
    done, records = checked(spec(), ranked(), void)
    assert len(done) == 2 * 3 * 3
    assert unreliable(records) == ""
    found = cross_check.make_cross_check(spec(), records) or {}
    assert found["verdict"] == "Undecidable" and "0 of 3 rounds by h2load were fair" in found["message"]
    assert "levelRatio" not in found


def test_the_runs_count_for_nothing_else() -> None:
    given, before = spec(), ranked()
    _, records = checked(given, before, measured({"a": 10.0, "b": 9000.0}))
    assert make_ranking(given, records) == make_ranking(given, before)
    assert make_results(given, records) == make_results(given, before)


def test_its_name_is_one_that_no_spec_can_have_and_is_valid_wherever_it_stands() -> None:
    run = cross_check.cells(spec(), ranked())[0]
    with pytest.raises(ValueError, match="pattern"):
        spec(scenarios=[{"name": run.scenario, "type": "Closed", "closed": {}}])
    assert re.fullmatch(r"[-._a-zA-Z0-9]+", run.again(3).id), "a ConfigMap's key"
    first, begun = decide(pending()), decide(pending(ready=True))
    manifests = [action.manifest for action in (*first.actions, *begun.actions) if isinstance(action, Apply)]
    assert {m["kind"] for m in manifests} == {"Deployment", "Service", "Job"}
    for manifest in manifests:
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", manifest["metadata"]["name"])
        for value in manifest["metadata"]["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value)
    assert keep_histogram(spec(), Ref("ConfigMap", "shop", "x"), "uid", run, BY_H2LOAD) == ()


def pending(ready: bool = False, **more: Any) -> SeenBenchmark:
    """The ranking is made; the first run of the cross-check is due, with its candidate started or not."""
    seen = replace(seen_benchmark(records=ranked(), **more), spec=spec())
    if not ready:
        return seen
    made = next(a.manifest for a in decide(seen).actions if isinstance(a, Apply))
    started = workload(1, 1, name=made["metadata"]["name"], labels=made["metadata"]["labels"], created=seen.now)
    return replace(seen, workloads=(started,))


def test_its_load_is_driven_by_the_second_generator_and_checks_nothing() -> None:
    job = next(a.manifest for a in decide(pending(ready=True)).actions if getattr(a, "manifest", {})["kind"] == "Job")
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--driver=h2load" in arguments and "--conformance" not in arguments


def test_its_pods_are_fresh_though_its_rounds_count_from_one_again() -> None:
    run = decide(pending()).run
    assert run is not None
    labels = {names.LABEL_ROUND: f"{run.round}-f00dcafe"}
    left = workload(1, 1, name=f"web-{run.candidate}", labels=labels)
    step = decide(replace(pending(), workloads=(left,)))
    assert step.message == "what the run before left is removed"


@pytest.mark.parametrize(("change", "reason"), [({"suspend": True}, "Suspended"), ({}, "Measuring")])
def test_it_is_suspended_like_any_run(change: dict[str, Any], reason: str) -> None:
    seen = pending()
    assert decide(replace(seen, spec=seen.spec.model_copy(update=change))).reason == reason


def said(records: Records, **more: Any) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
    seen = replace(seen_benchmark(records=records, **more), spec=spec())
    reason, message, conditions, fields = summarise(seen, decide(seen), None)
    BenchmarkStatus.model_validate(fields)
    return reason, message, conditions, fields


def test_a_confirmed_winner_is_published_with_it() -> None:
    _, records = checked(spec(), ranked(), measured({"a": 1800.0, "b": 1200.0}))
    reason, message, _, fields = said(records)
    assert (reason, fields["winner"]["candidate"]) == ("Published", "a")
    assert fields["winner"]["crossCheck"]["verdict"] == "Confirmed"
    assert "; cross-check confirmed: a over b is 1.5 [" in message
    assert fields["environment"]["loadDriver"] == "h2load 1.52.0, wrk 4.2.0"
    assert fields["progress"]["text"] == "15/15"


def test_a_contradicted_winner_is_none_and_the_ranking_is_shown() -> None:
    _, records = checked(spec(), ranked(), measured({"a": 1200.0, "b": 1800.0}))
    reason, message, conditions, fields = said(records)
    assert reason == "CrossCheckContradicted"
    assert (conditions["Succeeded"].status, conditions["Ready"].status) == (False, False)
    assert (conditions["Finished"].status, conditions["Stalled"].status) == (True, True)
    assert "winner" not in fields and [row["candidate"] for row in fields["ranking"]] == ["a", "b", "c"]
    assert "a over b is 0.6667 [" in message and "crossCheck: false" in message


def test_an_undecided_winner_stays_and_the_message_says_so() -> None:
    _, records = checked(spec(), ranked(), measured({"a": 1500.0, "b": 1500.0}))
    reason, message, _, fields = said(records)
    assert (reason, fields["winner"]["candidate"]) == ("Published", "a")
    assert "cross-check undecidable" in message


def test_past_the_deadline_what_there_is_is_published() -> None:
    done, records = checked(spec(), ranked(), measured(SPEEDS))
    some = {key: record for key, record in records.items() if key != done[-1].id}
    reason, _, _, fields = said(some, **LATE)
    assert (reason, fields["winner"]["crossCheck"]["verdict"]) == ("Published", "Undecidable")
    assert fields["progress"]["text"] == "14/15"


def test_progress_counts_its_runs_once_they_are_known() -> None:
    before = ranked()
    last = before.pop("r3.c.keep-alive")
    assert said(before)[3]["progress"]["text"] == "8/9"
    fields = said({**before, "r3.c.keep-alive": last})[3]
    assert fields["progress"]["text"] == "9/15"
    assert fields["progress"]["current"]["scenario"] == "keep-alive_h2load"
    assert "estimatedEnd" in fields["progress"]
