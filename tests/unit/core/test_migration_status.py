"""What a migration says after a pass, valid against the model in every state of the ladder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from changeover.api.reasons import MIGRATION_CONDITIONS, ConditionType, Reason
from changeover.api.v1alpha1 import MigrationStatus
from changeover.core.conditions import merge
from changeover.core.errors import Unavailable
from changeover.core.evidence import StepEvidence
from changeover.core.mark import Phase
from changeover.core.migration_state import SeenMigration
from changeover.core.migration_status import summarise
from changeover.core.observed import NoData, Unreadable
from changeover.core.verbs import decide

from tests.unit.core.seen import NOW, blocks, counts, kept, mark, owner, route, seen
from tests.unit.core.test_migration_ladder import CASES, ended
from tests.unit.core.test_verbs import ACCEPTED, REFUSED, ROLLED, asking


def status_of(world: SeenMigration) -> dict[str, Any]:
    _, _, judged, fields = summarise(world, decide(world), None)
    conditions = merge([], judged, MIGRATION_CONDITIONS, 1, NOW)
    return {"observedGeneration": 1, "conditions": conditions, **fields}


@pytest.mark.parametrize("changes", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_every_state_is_valid_and_read_rightly(changes: dict[str, Any]) -> None:
    status = status_of(seen(**changes))
    MigrationStatus.model_validate(status)
    told = {c["type"]: c["status"] for c in status["conditions"]}
    assert len(told) == len(MIGRATION_CONDITIONS)
    assert all(c["reason"] and len(c["message"]) < 32768 for c in status["conditions"])
    # kstatus: in progress, failed and current exclude one another.
    assert [told["Reconciling"], told["Stalled"], told["Ready"]].count("True") <= 1
    if told["Finished"] == "True":
        assert told["Reconciling"] == "False" and told["Succeeded"] == told["Ready"]


@pytest.mark.parametrize(
    ("verb", "changes"),
    [case[1:3] for case in (*ACCEPTED, *REFUSED)],
    ids=[f"{case[1]}: {case[0]}" for case in (*ACCEPTED, *REFUSED)],
)
def test_every_answer_is_told_and_the_state_valid(verb: str, changes: dict[str, Any]) -> None:
    status = status_of(asking(verb, changes=changes))
    MigrationStatus.model_validate(status)
    told = {c["type"]: c["status"] for c in status["conditions"]}
    assert [told["Reconciling"], told["Stalled"], told["Ready"]].count("True") <= 1
    assert [(answer["verb"], answer["token"]) for answer in status["requests"]] == [(verb, "t")]
    again = asking(verb, changes={**changes, "owner": replace(changes.get("owner", owner()), status=status)})
    assert decide(again).request is None


def test_what_was_read_is_kept_although_a_write_was_refused() -> None:
    """Else a write that is refused again and again would leave the newer blocks unread, and the canary unwatched."""
    before = status_of(seen(blocks=blocks(1)))
    world = seen(owner=owner(status=before), route=route(as_asked=False), blocks=blocks(3))
    fields = summarise(world, decide(world), Unavailable("spec.hostnames[0]: Invalid value"))[3]
    evidence = StepEvidence.parse(fields["step"]["evidence"], mark().since)
    assert evidence is not None and evidence.until == blocks(3)[-1].end
    assert {**fields["step"], **{key: before["step"][key] for key in ("evidence", "evidenceUntil")}} == before[
        "step"
    ], "nothing else of it is said"


def test_of_a_write_that_failed_nothing_is_kept_that_belongs_to_another_weight() -> None:
    old = {"index": 0, "text": "0/3", "weightPercent": 0, "since": "2030-01-01T10:00:00Z"}
    world = seen(owner=owner(status={"step": old}))
    assert summarise(world, decide(world), Unavailable("timed out"))[3] == {"step": old}


def test_an_answer_is_still_told_after_a_crash_between_mark_and_status() -> None:
    up = decide(asking("promote"))
    assert up.mark is not None and up.request is not None
    status = status_of(seen(route=route(up.mark), blocks=()))
    assert [(answer["verb"], answer["answer"]) for answer in status["requests"]] == [("promote", up.request.answer)]


@pytest.mark.parametrize(("manual", "reconciling"), [(False, "False"), (True, "True")], ids=["paused", "to approve"])
def test_what_is_paused_is_not_in_progress_and_what_waits_for_approval_is(manual: bool, reconciling: str) -> None:
    steps = [{"weightPercent": 10, "minDuration": "2m"}, {"weightPercent": 50, "approval": "Manual"}]
    held = seen({"steps": steps}, evidence=kept(20), blocks=(), route=route(mark(paused=not manual)))
    told = {c["type"]: (c["status"], c["reason"]) for c in status_of(held)["conditions"]}
    reason = "WaitingForApproval" if manual else "Paused"
    assert (told["Reconciling"], told["Stalled"]) == ((reconciling, reason), ("False", reason))


def test_a_retry_drops_the_outcome_and_counts_the_attempt() -> None:
    status = status_of(asking("retry", changes=ROLLED))
    assert ("outcome" in status, status["attempt"], status["step"]["index"]) == (False, 2, 0)


def test_requests_pause_and_attempt_outlive_a_pass_that_could_not_read_the_route() -> None:
    answered = [{"verb": "pause", "token": "t", "at": "2030-01-01T11:00:00Z", "result": "Accepted", "answer": "a"}]
    before = {"attempt": 2, "paused": True, "requests": answered}
    status = status_of(seen(owner=owner(status=before), route=Unreadable("timed out")))
    assert {key: status[key] for key in before} == before


def test_an_outcome_outlives_a_pass_that_could_not_read_the_route() -> None:
    """Otherwise the next pass would find no outcome, and go on as if nothing had ended."""
    for result in ("Promoted", "RolledBack"):
        before = ended(result)
        assert (
            status_of(seen(owner=owner(status=before), route=Unreadable("timed out")))["outcome"] == before["outcome"]
        )


def test_the_step_outlives_a_pass_that_could_not_read_the_route() -> None:
    before = status_of(seen())
    after = status_of(seen(owner=owner(status=before), route=Unreadable("timed out")))
    assert after["step"] == before["step"] and after["step"]["evidence"]
    assert after["traffic"] == before["traffic"]


def test_an_outcome_outlives_a_suspension_of_a_later_spec() -> None:
    before = ended("RolledBack")
    rolled_back = route(mark(0, phase=Phase.ROLLING_BACK))
    world = seen({"suspend": True}, owner=owner(status=before, generation=2), route=rolled_back)
    assert status_of(world)["outcome"] == before["outcome"]


def test_an_outcome_is_dropped_when_a_later_spec_has_started_over() -> None:
    before = ended("RolledBack")
    world = seen(owner=owner(status=before, generation=2), route=route(mark(0, 0, Phase.PREPARING, generation=2)))
    assert "outcome" not in status_of(world)


def test_what_failed_is_said_and_nothing_else_changes() -> None:
    before = {"history": [{"at": "x"}], "step": {"index": 1}, "conditions": [], "observedGeneration": 1}
    world = seen(owner=owner(status=before))
    reason, message, _, fields = summarise(world, decide(world), Unavailable("PATCH: timed out"))
    assert (reason, fields) == (Reason.UNREADABLE, {"history": [{"at": "x"}], "step": {"index": 1}})
    assert "PATCH: timed out" in message


def test_history_tells_each_decision_once_also_one_with_a_long_message() -> None:
    world = seen(evidence=kept(20), blocks=())
    decided = decide(world)
    assert decided.mark is not None
    long = replace(decided, mark=replace(decided.mark, message="x" * 2000))
    _, _, _, fields = summarise(world, long, None)
    assert [entry["to"] for entry in fields["history"]] == [10, 50], "the one that was found, and the one that was made"
    assert long.mark is not None
    # The next pass reads the mark back from the route, where it is cut.
    read_back = seen(owner=owner(status=fields), route=route(long.mark), blocks=())
    assert status_of(read_back)["history"] == fields["history"]


def test_history_keeps_the_last_twenty() -> None:
    old = [{"at": "x", "from": 0, "to": n, "reason": "r", "message": "m"} for n in range(20)]
    history = status_of(seen(owner=owner(status={"history": old}), evidence=kept(20), blocks=()))["history"]
    assert len(history) == 20
    assert (history[0]["to"], history[-1]["to"]) == (2, 50)


def test_evidence_of_an_earlier_weight_is_not_kept() -> None:
    assert "evidence" in status_of(seen())["step"]
    advanced = status_of(seen(evidence=kept(20), blocks=()))
    assert "evidence" not in advanced["step"] and advanced["step"]["weightPercent"] == 50


def test_a_missed_objective_is_still_told_after_a_crash_between_weight_and_status() -> None:
    rolled = route(mark(0, phase=Phase.ROLLING_BACK, reason=Reason.LATENCY_MISSED, message="p99"))
    told = {c["type"]: (c["status"], c["reason"]) for c in status_of(seen(route=rolled))["conditions"]}
    assert told["ObjectivesMet"] == ("False", "LatencyObjectiveMissed")


def test_evidence_of_the_most_objectives_fits_into_its_field() -> None:
    """Beyond it the API server would refuse the status, and the step would never end."""
    one = {"type": "Latency", "latency": {"percentile": "99.9", "max": "50ms"}}
    objectives = [{"name": f"{'n' * 62}{number}", **one} for number in range(8)]
    bad = counts(123457, slow=115)
    bad = replace(bad, slow={o["name"]: 115 for o in objectives})  # type: ignore[misc]
    split = tuple(replace(block, stable=counts(9 * 123457)) for block in blocks(15, bad))
    status = status_of(seen({"objectives": objectives}, blocks=split))
    told = MigrationStatus.model_validate(status)

    assert told.step is not None and told.step.evidence


def test_traffic_that_does_not_split_as_the_weight_says_is_not_settled() -> None:
    split = tuple(replace(block, stable=counts(600)) for block in blocks(2))
    told = {c["type"]: (c["status"], c["reason"]) for c in status_of(seen(blocks=split))["conditions"]}
    assert told["TrafficSettled"] == ("False", "WeightNotEffective")


def test_measured_share_is_that_of_the_last_scrapes() -> None:
    assert status_of(seen())["traffic"]["measuredPercent"] == "10.0"


@pytest.mark.parametrize(("last", "told"), [(0, "10.0"), (50, "49.3"), (100, "10.0")])
def test_the_share_of_what_ended_between_0_and_100_is_not_written_again_and_again(last: int, told: str) -> None:
    """Chance moves it with every scrape; at 0 and 100 it says whether anybody is still on the other side."""
    status = {**ended("Promoted"), "traffic": {"measuredPercent": "49.3"}}
    at = replace(mark(), weight=last)
    world = seen(owner=owner(status=status), route=route(at))
    assert status_of(world)["traffic"]["measuredPercent"] == told


def test_what_an_earlier_attempt_missed_is_not_said_of_the_next() -> None:
    begun = seen(
        route=route(mark(0, 0, Phase.PREPARING, attempt=2)), evidence=None, blocks=(), latest=NoData("no series")
    )
    judged = summarise(begun, decide(begun), None)[2][ConditionType.OBJECTIVES_MET]
    assert (judged.status, judged.reason) == (None, Reason.PENDING)


def test_nor_are_its_figures_those_of_the_next() -> None:
    """`kubectl get` and the gauge told the p99 that the canary of before had, as of the one that is not asked yet."""
    rolled_back = seen(owner=owner(status={"objectives": [{"name": "latency", "verdict": "Failing", "canary": "71"}]}))
    over = replace(rolled_back, route=route(mark(0, 0, Phase.PREPARING, attempt=2)), evidence=None, blocks=())
    assert "objectives" not in status_of(replace(over, latest=NoData("no series")))
    ended_ = replace(rolled_back, route=route(mark(0, phase=Phase.ROLLING_BACK)))
    assert status_of(ended_)["objectives"][0]["canary"] == "71"
