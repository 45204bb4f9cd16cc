"""What remains of a benchmark after its end, for how long, and what a new result replaces."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.core.benchmark import Next, SeenBenchmark, decide
from changeover.core.benchmark_end import conclude
from changeover.core.benchmark_state import TICK_SECONDS
from changeover.core.conditions import timestamp
from changeover.core.plan import Delete, Ref

from tests.unit.core.seen import NOW, owner, seen_benchmark
from tests.unit.core.test_benchmark_ladder import ALL as MEASURED
from tests.unit.core.test_benchmark_ladder import HERE, LATE, RUNNING, TIMEOUT

ALL = {run: {**record, "remarks": []} for run, record in MEASURED.items()}
OLD = Ref("ConfigMap", "shop", "web-runs-0ld")


def ended(spec: dict[str, Any], ago: timedelta = timedelta(0), generation: int = 1, **more: Any) -> SeenBenchmark:
    """A benchmark whose three rounds are measured, and whose status says since when it is finished."""
    finished = {
        "type": "Finished", "status": "True", "observedGeneration": generation, "reason": "Published", "message": "",
        "lastTransitionTime": timestamp(NOW - ago),
    }  # fmt: skip
    status = {"conditions": [finished], "report": {"configMap": OLD.name}}
    named = replace(owner("FrameworkBenchmark", name="web"), status=status)
    return seen_benchmark(spec, owner=named, **{"records": ALL, **more})


def concluded(seen: SeenBenchmark) -> Next:
    return conclude(seen, decide(seen))


def deleted(seen: SeenBenchmark) -> list[str]:
    return [action.ref.kind for action in concluded(seen).actions if isinstance(action, Delete)]


@pytest.mark.parametrize(
    ("clean_up", "records", "kept"),
    [
        ("Always", ALL, False),
        ("Always", {}, False),
        ("OnSuccess", ALL, False),
        ("OnSuccess", {}, True),
        ("Never", ALL, True),
        ("Never", {}, True),
    ],
)
def test_pods_are_removed_as_clean_up_says(clean_up: str, records: dict[str, Any], kept: bool) -> None:
    seen = ended({"cleanUp": clean_up}, **HERE, **LATE, records=records)
    assert ("Deployment" not in deleted(seen)) == kept


@pytest.mark.parametrize(("clean_up", "recheck"), [("Always", TICK_SECONDS), ("Never", None)])
def test_pods_that_cannot_be_read_are_looked_for_until_they_are_removed(clean_up: str, recheck: float | None) -> None:
    assert concluded(ended({"cleanUp": clean_up}, **LATE, workloads=TIMEOUT, records={})).recheck_after == recheck


def test_pods_that_stay_are_removed_before_another_run() -> None:
    seen = ended({"cleanUp": "Never"}, **HERE, loads=RUNNING, fingerprint="another", records={})
    assert "Deployment" in deleted(seen)


def test_a_new_result_replaces_the_runs_of_the_old_one() -> None:
    assert Delete(OLD) in concluded(ended({})).actions


def test_without_a_new_result_the_old_runs_stay() -> None:
    assert Delete(OLD) not in concluded(ended({}, **LATE, records={})).actions


def test_the_runs_of_the_result_itself_stay() -> None:
    seen = ended({})
    named = replace(seen.owner, status={"report": {"configMap": "web-runs-f00dcafe"}})
    assert concluded(replace(seen, owner=named)).actions == ()


@pytest.mark.parametrize(
    ("ago", "reason", "recheck"),
    [(timedelta(minutes=59), "Published", 60.0), (timedelta(minutes=60), "Deleting", None)],
)
def test_it_is_deleted_when_its_time_is_over(ago: timedelta, reason: str, recheck: float | None) -> None:
    seen = ended({"ttlAfterFinished": "1h"}, ago)
    named = replace(seen.owner, status={"conditions": seen.owner.status["conditions"]}, version="7")
    step = concluded(replace(seen, owner=named))
    assert (step.reason, step.recheck_after) == (reason, recheck)
    assert (Delete(Ref("FrameworkBenchmark", "shop", "web"), "7") in step.actions) == (reason == "Deleting")


@pytest.mark.parametrize(
    ("ago", "retry", "is_deleted"),
    [(timedelta(minutes=60), "", True), (timedelta(minutes=59), "", False), (timedelta(hours=2), "again", False)],
)
def test_what_has_ended_is_deleted_though_it_cannot_be_read_any_more(
    ago: timedelta, retry: str, is_deleted: bool
) -> None:
    """As when the Deployment that a candidate was copied from is gone by then."""
    seen = ended({"ttlAfterFinished": "1h"}, ago, templates=TIMEOUT, records=TIMEOUT)
    step = concluded(replace(seen, owner=replace(seen.owner, retry=retry)))
    assert (step.reason == "Deleting") == is_deleted
    assert is_deleted or (step.reason, step.actions) == ("Unreadable", ())


def test_the_end_of_an_earlier_spec_does_not_count() -> None:
    assert concluded(ended({"ttlAfterFinished": "1h"}, timedelta(hours=2), generation=0)).reason == "Published"


def test_a_benchmark_at_work_is_not_deleted() -> None:
    seen = ended({"ttlAfterFinished": "1h"}, timedelta(hours=2), records={})
    assert concluded(seen).reason == "Measuring"


@pytest.mark.parametrize("named", ["shop-settings", "web", "other-runs-0ld", "webs-runs-0ld"])
def test_a_status_that_names_another_config_map_has_it_deleted_by_nobody(named: str) -> None:
    seen = ended({}, **HERE)
    forged = replace(seen.owner, status={**seen.owner.status, "report": {"configMap": named}})
    assert "ConfigMap" in deleted(seen)
    assert "ConfigMap" not in deleted(replace(seen, owner=forged))
