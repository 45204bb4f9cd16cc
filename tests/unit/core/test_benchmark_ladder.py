"""One case a rung of the benchmark's ladder, each a sentence; the order of the rungs is part of the contract."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.core import names
from changeover.core.benchmark import Next, decide
from changeover.core.benchmark_state import TICK_SECONDS
from changeover.core.conditions import timestamp
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning, NoData, Unreadable, Usage, Workload
from changeover.core.plan import Action, Apply, Delete, Record

from tests.unit.core.seen import (
    NOW,
    USAGE,
    a_ramp,
    a_step,
    benchmark_spec,
    ended_load,
    owner,
    pod,
    seen_benchmark,
    workload,
)  # fmt: skip

TIMEOUT = Unreadable("timed out")
FINGERPRINT = "f00dcafe"
FIRST, SECOND = "lame", "fast"  # the order of round 1 under seed 1


def candidate(name: str = FIRST, round_number: int = 1, ready: int = 1, **more: Any) -> Workload:
    labels = {names.LABEL_CANDIDATE: name, names.LABEL_ROUND: f"{round_number}-{FINGERPRINT}"}
    base = workload(ready, 1, name=f"web-{name}", labels=labels, created=NOW - timedelta(seconds=30))
    return replace(base, **more)


def token(name: str = FIRST, round_number: int = 1) -> str:
    return f"r{round_number}.{name}.keep-alive.{FINGERPRINT}"


def records(*runs: tuple[int, str], void: bool = False) -> dict[str, Any]:
    report = ended_load().content
    return {
        names.run_id(round_number, name, "keep-alive"): {
            "round": round_number, "candidate": name, "scenario": "keep-alive", "report": report, "cpuCores": 0.2,
            "memoryPeakBytes": 1e6, "node": "node-1", "imageID": "sha256:1", "void": ["Errors: x"] if void else [],
        }
        for round_number, name in runs
    }  # fmt: skip


ALL = records(*((number, name) for number in (1, 2, 3) for name in (FIRST, SECOND)))
RUNNING = {token(): LoadRunning()}
LATE = {"started": NOW - timedelta(hours=5)}
HERE = {"workloads": (candidate(),)}
SUSPENDED = {"spec": {"suspend": True}}
# Without its template nobody knows which runs these are, nor when the first began.
NO_TEMPLATE = {"templates": TIMEOUT, "records": TIMEOUT, "places": (), "started": None}
A_MOMENT_LATE = {"started": NOW - timedelta(hours=4, minutes=5)}


def told(kind: str, status: str, reason: str = "Measuring", hours: float = 5, **more: Any) -> dict[str, Any]:
    """A benchmark whose status has this condition of its first generation since so many hours."""
    condition = {
        "type": kind, "status": status, "reason": reason, "message": "", "observedGeneration": 1,
        "lastTransitionTime": timestamp(NOW - timedelta(hours=hours)),
    }  # fmt: skip
    return {"owner": owner("FrameworkBenchmark", name="web", status={"conditions": [condition]}, **more)}


AT_WORK = told("Reconciling", "True")

# sentence, what was seen, reason, what is done
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("deleting, nothing is done: the garbage collector does it",
     {"owner": owner("FrameworkBenchmark", name="web", deleting=True), "records": TIMEOUT}, "Deleting", ""),
    ("unreadable records: nothing is measured twice", {"records": TIMEOUT}, "Unreadable", ""),
    ("unreadable pods: nothing is started beside them", {"workloads": TIMEOUT}, "Unreadable", ""),
    ("unreadable loads: no second load", {"loads": TIMEOUT}, "Unreadable", ""),
    ("suspended, everything is removed", {**HERE, **SUSPENDED, "loads": RUNNING, "records": None},
     "Suspended", "-Job -Service -Deployment"),
    ("suspended, what cannot be read of the loads stays, and the pods go", {**HERE, **SUSPENDED, "loads": TIMEOUT},
     "Suspended", "-Service -Deployment"),
    ("suspended, what cannot be read of the pods stays, and the loads go",
     {**SUSPENDED, "workloads": TIMEOUT, "loads": RUNNING}, "Suspended", "-Job"),
    ("suspended, though its records and its template cannot be read", {**HERE, **SUSPENDED, **NO_TEMPLATE},
     "Suspended", "-Service -Deployment"),
    ("unreadable a moment after the deadline: a hiccup ends nothing", {**HERE, **A_MOMENT_LATE, "loads": TIMEOUT},
     "Unreadable", ""),
    ("unreadable long after the deadline", {**HERE, **LATE, "loads": TIMEOUT}, "DeadlineExceeded",
     "-Service -Deployment"),
    ("unreadable long after the deadline, what was measured is published",
     {**LATE, "records": ALL, "workloads": TIMEOUT, "loads": RUNNING}, "Published", "-Job"),
    ("a template that is missing for longer than the deadline", {**HERE, **NO_TEMPLATE, **AT_WORK}, "DeadlineExceeded",
     "-Service -Deployment"),
    ("a template that is missing for less", {**HERE, **NO_TEMPLATE, **told("Reconciling", "True", hours=4)},
     "Unreadable", ""),
    ("a template that is missing after a suspension that was longer than the deadline",
     {**HERE, **NO_TEMPLATE, **told("Reconciling", "False", "Suspended")}, "Unreadable", ""),
    ("what cannot be read from the first pass on, for longer than the deadline",
     {**AT_WORK, "records": None, "started": None, "workloads": TIMEOUT}, "DeadlineExceeded", ""),
    ("what has ended by the deadline has ended, and what can be read by now is removed",
     {**HERE, **NO_TEMPLATE, **told("Finished", "True", "DeadlineExceeded", 0)}, "DeadlineExceeded",
     "-Service -Deployment"),
    ("what has ended so under another spec is at work again",
     {**HERE, **NO_TEMPLATE, **told("Finished", "True", "DeadlineExceeded", 0, generation=2)}, "Unreadable", ""),
    ("what has ended so before a retry was asked for",
     {**HERE, **NO_TEMPLATE, **told("Finished", "True", "DeadlineExceeded", 0, retry="again")}, "Unreadable", ""),
    ("what was published is not late", {**HERE, **NO_TEMPLATE, **told("Finished", "True", "Published")}, "Unreadable",
     ""),
    ("the place for the records comes before the first run", {"records": None}, "Preparing", "+ConfigMap"),
    ("what is refused before its first run is not begun", {"records": None, "refused": "no source"}, "InvalidSpec", ""),
    ("what an edit that is refused left under load is removed",
     {**HERE, "loads": RUNNING, "records": None, "refused": "no source"}, "InvalidSpec", "-Job -Service -Deployment"),
    ("past the deadline with too few rounds", {**LATE, **HERE}, "DeadlineExceeded", "-Service -Deployment"),
    ("past the deadline with enough rounds, what there is is published", {**LATE, "records": ALL}, "Published", ""),
    ("all rounds done, published", {"records": ALL}, "Published", ""),
    ("all rounds done, what is left is removed", {"records": ALL, "workloads": (candidate(round_number=3),)},
     "Published", "-Service -Deployment"),
    ("what an earlier run left is removed first",
     {"records": records((1, FIRST)), **HERE, "loads": RUNNING}, "Measuring", "-Job -Service -Deployment"),
    ("a candidate of an earlier round is removed: each round has a fresh pod",
     {"records": records((1, FIRST), (1, SECOND)), "workloads": (candidate(SECOND, 1),)},
     "Measuring", "-Service -Deployment"),
    ("a candidate of an earlier spec is removed, though it has the same name and round",
     {"workloads": (candidate(labels={names.LABEL_ROUND: "1-0ld5pec0"}),)}, "Measuring", "-Service -Deployment"),
    ("a candidate that somebody scaled to zero is removed like any other",
     {"workloads": (candidate(SECOND, replicas=0, pods=()),)}, "Measuring", "-Service -Deployment"),
    ("nobody starts beside pods that are still going", {"workloads": (candidate(SECOND, deleting=True, replicas=0),)},
     "Measuring", ""),
    ("nothing is done to a candidate that is going itself", {"workloads": (candidate(deleting=True, replicas=0),)},
     "Measuring", ""),
    ("a pause between candidates", {"records": records((1, FIRST)), "last_record": NOW}, "Measuring", ""),
    ("the candidate is started", {}, "Measuring", "+Deployment +Service"),
    ("a candidate that is not ready is waited for", {"workloads": (candidate(ready=0),)}, "WaitingForWorkloads", ""),
    ("a candidate that never gets ready is recorded as such",
     {"workloads": (candidate(ready=0, created=NOW - timedelta(minutes=3)),)}, "Measuring", "!Record -Job"),
    ("a pod that the run before left breathless has its time again",
     {"workloads": (candidate(ready=0, created=NOW - timedelta(minutes=9)),),
      "last_record": NOW - timedelta(seconds=5)}, "WaitingForWorkloads", ""),
    ("a ready candidate gets its load, after its Service for certain", HERE, "Measuring", "+Service +Job"),
    ("the load is waited for", {**HERE, "loads": RUNNING}, "Measuring", ""),
    ("the last CPU sample is waited for", {**HERE, "loads": {token(): ended_load(3)}, "usage": USAGE}, "Measuring", ""),
    ("missing CPU is asked for a while", {**HERE, "loads": {token(): ended_load(15)}, "usage": NoData("none")},
     "Measuring", ""),
    ("missing CPU is recorded as missing in the end",
     {**HERE, "loads": {token(): ended_load(25)}, "usage": NoData("none")}, "Measuring", "!Record -Job"),
    ("a run's histogram is kept, then the run is recorded, then its Job is deleted",
     {**HERE, "loads": {token(): ended_load(15)}, "usage": USAGE}, "Measuring", "+ConfigMap !Record !Record -Job"),
    ("a failed load is recorded at once", {**HERE, "loads": {token(): LoadFailed("refused")}}, "Measuring",
     "!Record -Job"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason", "done"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_rung(changes: dict[str, Any], reason: str, done: str) -> None:
    step = decide(seen_benchmark(**changes))
    assert (step.reason, " ".join(map(spelled, step.actions))) == (reason, done), step.message


@pytest.mark.parametrize("late", [SUSPENDED, LATE], ids=["suspended", "past the deadline"])
@pytest.mark.parametrize("hidden", ["workloads", "loads"])
def test_what_is_left_is_looked_for_until_it_can_be_read(late: dict[str, Any], hidden: str) -> None:
    """Nothing would wake it: it is in nobody's plan that a list can be read again."""
    assert decide(seen_benchmark(**{**late, hidden: TIMEOUT})).recheck_after == TICK_SECONDS
    assert decide(seen_benchmark(**late)).recheck_after is None


def test_an_end_says_what_could_not_be_read() -> None:
    step = decide(seen_benchmark(**HERE, **NO_TEMPLATE, **AT_WORK))
    assert step.message == "the deadline of 4h passed while this could not be read: timed out"


def spelled(action: Action) -> str:
    match action:
        case Apply(manifest):
            return f"+{manifest['kind']}"
        case Delete(ref):
            return f"-{ref.kind}"
        case Record():
            return "!Record"
        case _:
            raise AssertionError(f"a benchmark never plans {action}")


def test_the_first_run_is_that_of_the_schedule() -> None:
    step = decide(seen_benchmark())
    assert step.run is not None and step.run.id == f"r1.{FIRST}.keep-alive"


def test_later_rounds_run_on_the_node_of_the_first() -> None:
    step = decide(seen_benchmark(records=records((1, FIRST))))
    assert "node-1" in json.dumps(deployment_of(step))
    assert "affinity" not in json.dumps(deployment_of(decide(seen_benchmark())))


def deployment_of(step: Next) -> dict[str, Any]:
    return next(a.manifest for a in step.actions if isinstance(a, Apply) and a.manifest["kind"] == "Deployment")


def test_a_record_holds_what_the_ranking_needs() -> None:
    report = {**HERE, "loads": {token(): ended_load(15)}, "usage": USAGE}
    _, record = (a for a in decide(seen_benchmark(**report)).actions if isinstance(a, Record))
    content = json.loads(record.value)
    assert record.key == f"r1.{FIRST}.keep-alive"
    assert record.ref.name == f"web-runs-{FINGERPRINT}"
    assert (content["cpuCores"], content["node"], content["void"]) == (0.4, "node-1", [])
    assert "histogram" not in content["report"]


RAMP_END = NOW.timestamp() - 15
RAMP = a_ramp(
    a_step(100, windowStart=RAMP_END - 60, windowEnd=RAMP_END - 50),
    a_step(200, windowStart=RAMP_END - 40, windowEnd=RAMP_END - 30),
    a_step(400, "p99 90 ms", windowStart=RAMP_END - 10, windowEnd=RAMP_END),
)
STEP_USAGES = (Usage(0.1, 1e6, 7.0), Usage(0.3, 2e6, 7.0), Usage(0.6, 3e6, 7.0))


def recorded_ramp(**more: Any) -> dict[str, Any]:
    seen = seen_benchmark(**{**HERE, "loads": {token(): LoadReport(RAMP)}, "usage": STEP_USAGES[1], **more})
    record = [a for a in decide(seen).actions if isinstance(a, Record)][-1]
    return dict(json.loads(record.value))


def test_a_ramp_is_recorded_as_of_its_last_good_rate() -> None:
    record = recorded_ramp(step_usages=STEP_USAGES)
    assert (record["report"]["knee"], record["cpuCores"], record["void"]) == (200, 0.3, [])
    assert [point["cpuCores"] for point in record["report"]["curve"]] == [0.1, 0.3, 0.6]
    assert "steps" not in record["report"]


def test_a_ramps_knee_keeps_the_objective_of_cpu() -> None:
    spec = {"objectives": {"maxCPUPercent": 50}}  # of the 400m that the candidate is limited to
    record = recorded_ramp(step_usages=STEP_USAGES, spec=spec)
    assert (record["report"]["knee"], record["cpuCores"]) == (100, 0.1)


def test_a_ramps_last_step_is_awaited_although_its_best_is_long_past() -> None:
    late = {**RAMP, "steps": [*RAMP["steps"][:2], {**RAMP["steps"][2], "windowEnd": NOW.timestamp() - 3}]}
    seen = {**HERE, "loads": {token(): LoadReport(late)}, "usage": STEP_USAGES[1], "step_usages": STEP_USAGES}
    step = decide(seen_benchmark(**seen))
    assert (step.actions, step.message) == ((), f"the last CPU sample of {FIRST} is awaited")


def test_a_ramp_whose_pod_is_gone_is_void_and_not_lost() -> None:
    record = recorded_ramp(usage=None, scrape_seconds=1.0)
    assert [text.split(":")[0] for text in record["void"]] == ["MetricsMissing"]


def test_a_round_is_not_left_half_done_when_the_order_is_decided() -> None:
    spec = {"schedule": {"rounds": {"min": 3, "max": 5}}}
    half = {**ALL, **records((4, SECOND))}
    step = decide(seen_benchmark(spec=spec, records=half))
    assert step.reason in ("Measuring", "Published")
    assert step.run is None or step.run.round == 4


def test_a_failed_load_does_not_need_cpu() -> None:
    failed = decide(seen_benchmark(**HERE, loads={token(): LoadFailed("refused")}, usage=None))
    record = next(a for a in failed.actions if isinstance(a, Record))
    assert json.loads(record.value)["void"] == ["LoadFailed: refused"]


def test_names_of_the_longest_allowed_runs_are_valid() -> None:
    name, scenario = "c" * 30, "s" * 30
    spec = {
        "candidates": [{"name": name, "image": "i"}, {"name": "d" * 30, "image": "i"}],
        "scenarios": [{"name": scenario, "type": "Closed", "closed": {}}],
    }
    benchmark = owner("FrameworkBenchmark", name="b" * 40)
    first = decide(seen_benchmark(spec=spec, owner=benchmark))
    deployment = deployment_of(first)
    started = Workload(deployment["metadata"]["name"], deployment["metadata"]["labels"], NOW, False, 1, (pod(),), None)
    begun = decide(seen_benchmark(spec=spec, owner=benchmark, workloads=(started,)))
    manifests = [a.manifest for a in (*first.actions, *begun.actions) if isinstance(a, Apply)]
    assert {m["kind"] for m in manifests} == {"Deployment", "Service", "Job"}
    for manifest in manifests:
        assert len(manifest["metadata"]["name"]) <= names.MAX_NAME
        assert all(len(value) <= names.MAX_NAME for value in manifest["metadata"]["labels"].values())


def test_spec_of_these_cases_has_the_order_that_they_assume() -> None:
    spec = benchmark_spec()
    assert [c.name for c in spec.candidates] == ["fast", "lame"]
    assert spec.schedule.seed == 1


def test_a_run_of_another_image_than_the_candidates_runs_before_is_void() -> None:
    before = records((1, FIRST), (1, SECOND))
    run = decide(seen_benchmark(records=before)).run
    assert run is not None
    moved = candidate(run.candidate, 2, pods=(pod(image_id="sha256:2"),))
    seen = {"workloads": (moved,), "loads": {token(run.candidate, 2): ended_load()}, "usage": USAGE}
    found = decide(seen_benchmark(records=before, **seen)).actions
    [record] = [action for action in found if isinstance(action, Record)]
    assert json.loads(record.value)["void"] == ["ImageChanged: it ran sha256:2, the runs before sha256:1"]
