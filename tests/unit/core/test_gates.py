"""A gate can only hold: its yes counts for one step and a short while, and everything but a yes keeps the weight."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.gates import PASSED, REFUSED, SILENT, about_next, answered, awaited, question, to_dict, unasked
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import GateAnswer
from changeover.core.plan import SetSplit
from changeover.core.verbs import decide

from tests.unit.core.seen import NOW, kept, latest, mark, owner, route, seen

GATE = {"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}}
LAST = {**GATE, "name": "release", "at": "BeforePromotion"}
ABOUT = "generation 1, attempt 1, step 2"
TO_LAST = "generation 1, attempt 1, step 3"
YES = GateAnswer("board", ABOUT, PASSED, NOW, "")
NO = GateAnswer("board", ABOUT, REFUSED, NOW, "it answered 403")


def ready_to_rise(*answers: GateAnswer, gate: Any = GATE, **more: Any) -> SeenMigration:
    base = {"evidence": kept(60), "blocks": (), "gates": answers}
    return seen({"gates": [gate, LAST]}, **{**base, **more})


def weight_written(step: Step) -> int | None:
    return next((action.canary_percent for action in step.actions if isinstance(action, SetSplit)), None)


def test_a_yes_lets_it_rise() -> None:
    step = decide(ready_to_rise(YES))
    assert (step.reason, weight_written(step)) == (Reason.STEPPED, 50)


@pytest.mark.parametrize(
    ("why", "answers"),
    [
        ("it was not asked", ()),
        ("it said no", (NO,)),
        ("it was silent", (replace(NO, state=SILENT, message="timed out"),)),
        ("its yes is a minute old", (replace(YES, at=NOW - timedelta(seconds=61)),)),
        ("its yes was to another step", (replace(YES, about="generation 1, attempt 1, step 1"),)),
        ("its yes was to another attempt", (replace(YES, about="generation 1, attempt 2, step 2"),)),
        ("its yes was to another spec", (replace(YES, about="generation 2, attempt 1, step 2"),)),
        ("another said yes", (replace(YES, name="release"),)),
    ],
)
def test_anything_else_holds(why: str, answers: tuple[GateAnswer, ...]) -> None:
    step = decide(ready_to_rise(*answers))
    assert (step.reason, step.actions, step.stalled) == (Reason.WAITING_FOR_GATE, (), False), why


def test_a_yes_raises_nothing_that_the_evidence_does_not_speak_for() -> None:
    few = decide(ready_to_rise(YES, evidence=kept(3)))
    blind = decide(ready_to_rise(YES, latest=replace(latest(), canary=None)))
    assert [one.actions for one in (few, blind)] == [(), ()]
    assert Reason.WAITING_FOR_GATE not in (few.reason, blind.reason), "nobody is asked for nothing"


@pytest.mark.parametrize(
    ("answer", "reason", "weight"),
    [(NO, Reason.ROLLING_BACK, 0), (replace(NO, state=SILENT), Reason.WAITING_FOR_GATE, None)],
)
def test_a_no_rolls_back_where_that_is_asked_for_and_silence_never(
    answer: GateAnswer, reason: Reason, weight: int | None
) -> None:
    step = decide(ready_to_rise(answer, gate={**GATE, "onFailure": "Rollback"}))
    assert (step.reason, weight_written(step)) == (reason, weight)


FIRST = {**GATE, "name": "first"}


@pytest.mark.parametrize("state", [SILENT, REFUSED, None])
@pytest.mark.parametrize("order", [1, -1])
def test_a_no_that_rolls_back_waits_for_no_other_gate(state: str | None, order: int) -> None:
    """Whatever the other says, or does not say, and whichever the spec names first."""
    gates = [FIRST, {**GATE, "onFailure": "Rollback"}][::order]
    other = () if state is None else (GateAnswer("first", ABOUT, state, NOW, "timed out"),)
    step = decide(seen({"gates": gates}, evidence=kept(60), blocks=(), gates=(*other, NO)))
    assert (step.reason, weight_written(step)) == (Reason.ROLLING_BACK, 0)


def test_before_the_first_weight_a_no_leaves_nothing_to_roll_back() -> None:
    first = {**NO.__dict__, "about": "generation 1, attempt 1, step 1"}
    before = route(mark(0, 0, Phase.PREPARING))
    step = decide(ready_to_rise(GateAnswer(**first), gate={**GATE, "onFailure": "Rollback"}, route=before))
    assert (step.reason, step.actions, step.stalled) == (Reason.GATE_REFUSED, (), True)


def before_a_manual_step(*answers: GateAnswer, **requests: str) -> SeenMigration:
    manual = [
        {"weightPercent": w, "minDuration": "2m", "maxDuration": "2h", "approval": "Manual"} for w in (10, 50, 100)
    ]
    spec = seen({"gates": [GATE], "steps": manual}).spec
    return replace(ready_to_rise(*answers), spec=spec, owner=owner(requests=requests))


def test_before_a_person_is_asked_the_gates_have_passed() -> None:
    assert decide(before_a_manual_step()).reason is Reason.WAITING_FOR_GATE
    assert decide(before_a_manual_step(YES)).reason is Reason.WAITING_FOR_APPROVAL


@pytest.mark.parametrize(("verb", "weight"), [("approve", 50), ("promote", 100)])
def test_a_persons_word_waits_for_what_the_gates_say(verb: str, weight: int) -> None:
    """A yes counts for a minute, so that now and then a gate is just being asked again when somebody approves."""
    unanswered = decide(before_a_manual_step(**{verb: "now"}))
    assert (unanswered.actions, unanswered.request) == ((), None)
    refused = decide(before_a_manual_step(NO, **{verb: "now"}))
    assert refused.actions == () and refused.request is not None
    assert refused.request.result == "Refused" and "gate board: it answered 403" in refused.request.answer
    yes = YES if verb == "approve" else replace(YES, about=TO_LAST)
    assert weight_written(decide(before_a_manual_step(yes, **{verb: "now"}))) == weight


def test_a_promotion_before_the_evidence_asks_the_gates_too() -> None:
    """They are before each weight, whoever raises it; a no holds it, and takes nothing back that it was not asked."""
    few = {"evidence": kept(3), "gate": {**GATE, "onFailure": "Rollback"}, "owner": owner(requests={"promote": "now"})}
    for answers in ((), (YES,)):  # a yes to half of it is no yes to all
        unanswered = decide(ready_to_rise(*answers, **few))
        assert (unanswered.reason, unanswered.actions, unanswered.request) == (Reason.WAITING_FOR_GATE, (), None)
        assert [gate.name for gate in awaited(ready_to_rise(*answers, **few), unanswered)] == ["board"]
    refused = decide(ready_to_rise(replace(NO, about=TO_LAST), **few))
    assert refused.actions == () and refused.request is not None
    assert refused.request.result == "Refused" and "gate board: it answered 403" in refused.request.answer
    assert weight_written(decide(ready_to_rise(replace(YES, about=TO_LAST), **few))) == 100


def test_of_a_promotion_the_gates_are_told_the_last_weight() -> None:
    asked = ready_to_rise(evidence=kept(3), owner=owner(requests={"promote": "now"}))
    step = decide(asked)
    assert step.mark is not None and step.mark.weight == 10
    _, body = question(asked, step.mark, asked.spec.gates[0], step.asks_for)
    told = json.loads(body)["data"]
    assert (told["about"], told["fromPercent"], told["toPercent"]) == (TO_LAST, 10, 100)


def test_no_gate_is_asked_for_a_promotion_that_is_refused_all_the_same() -> None:
    never = {"windows": {"frozen": ["2020-01-01/2099-01-01"]}}
    asked = seen({"gates": [GATE], **never}, evidence=kept(3), blocks=(), owner=owner(requests={"promote": "now"}))
    step = decide(asked)
    assert step.request is not None and "the window is closed" in step.request.answer and awaited(asked, step) == []


def test_what_the_evidence_would_raise_waits_for_the_word_about_a_promotion() -> None:
    step = decide(ready_to_rise(YES, owner=owner(requests={"promote": "now"})))
    assert (step.reason, step.actions, step.mark and step.mark.weight) == (Reason.WAITING_FOR_GATE, (), 10)


@pytest.mark.parametrize("verb", ["pause", "abort"])
def test_a_careful_word_waits_for_no_gate(verb: str) -> None:
    assert weight_written(decide(before_a_manual_step(**{verb: "now"}))) == (10 if verb == "pause" else 0)


@pytest.mark.parametrize("answer", [None, PASSED, REFUSED])
def test_the_last_step_ends_when_its_gate_says_yes(answer: str | None) -> None:
    about = "generation 1, attempt 1, promotion"
    answers = () if answer is None else (GateAnswer("release", about, answer, NOW, "it answered 403"),)
    full = latest(replace(latest().canary, requests=1000), replace(latest().stable, requests=0))
    at = mark(100, 3)
    evidence = replace(kept(60), since=at.since)
    step = decide(ready_to_rise(*answers, route=route(at), latest=full, evidence=evidence))
    assert (step.outcome is not None) == (answer == PASSED), step.message
    assert step.reason is (Reason.PROMOTED if answer == PASSED else Reason.WAITING_FOR_GATE)


def test_only_those_are_asked_whose_answer_does_not_count() -> None:
    at: Mark = mark()
    assert [gate.name for gate in unasked(ready_to_rise(), at)] == ["board"]
    assert unasked(ready_to_rise(YES), at) == []
    assert unasked(ready_to_rise(NO), at) == []
    later = ready_to_rise(replace(NO, at=NOW - timedelta(seconds=11)))
    assert [gate.name for gate in unasked(later, at)] == ["board"]


def test_the_question_says_what_is_asked() -> None:
    told = ready_to_rise()
    identity, body = question(told, mark(), told.spec.gates[0])
    event = json.loads(body)
    assert (event["id"], event["type"]) == (identity, "dev.changeover.canarymigration.gate")
    assert event["data"] == {
        "namespace": "shop", "name": "shop", "gate": "board", "at": "BeforeStep", "about": about_next(told, mark()),
        "fromPercent": 10, "toPercent": 50,
    }  # fmt: skip


def test_an_answer_reads_back_from_status() -> None:
    assert answered({"gates": [to_dict(NO)]}, ready_to_rise().spec) == (NO,)
    assert answered({"gates": [to_dict(NO)]}, seen().spec) == (), "of a gate that is not there any more"
