"""What a person asks for is done once, or it is said why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.mark import Phase
from changeover.core.migration import decide
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.migration_status import summarise
from changeover.core.verbs import MAX_TOKEN

from tests.unit.core.seen import NOW, blocks, counts, kept, latest, mark, owner, route, seen

ENOUGH = kept(20)
HALF = latest(stable=counts(100))  # of the requests reach the canary
MANUAL = {
    "steps": [
        {"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h", "approval": approval}
        for weight, approval in ((10, "Automatic"), (50, "Manual"), (100, "Manual"))
    ]
}
BAD = counts(600, slow=200)


def asked(status: dict[str, Any] | None = None, spec: dict[str, Any] | None = None, **more: Any) -> SeenMigration:
    """On 10 % with enough evidence for 50 %; `requests` are the annotations."""
    who = owner(requests=more.pop("requests", {}), status=status or {}, generation=more.pop("generation", 1))
    base: dict[str, Any] = {"evidence": ENOUGH, "blocks": ()}
    return seen(MANUAL if spec is None else spec, **{**base, **more, "owner": who})


def told(world: SeenMigration) -> tuple[Step, dict[str, Any]]:
    """The step, and status after it."""
    step = decide(world)
    return step, summarise(world, step, None)[3]


def answer(status: dict[str, Any], verb: str) -> str:
    return next(str(one["answer"]) for one in status["requests"] if one["verb"] == verb)


def test_a_step_waits_for_a_person_and_says_what_to_do() -> None:
    step, status = told(asked())
    assert (step.reason, step.actions) == (Reason.WAITING_FOR_APPROVAL, ())
    assert "step 2 to 50 % waits: changeover.dev/requested-approve: TOKEN" in step.message
    assert "requests" not in status


def test_an_approval_opens_the_step_that_waits_and_is_answered() -> None:
    step, status = told(asked(requests={"approve": "a"}))
    assert step.mark is not None
    assert (step.reason, step.mark.weight, step.mark.approval) == (Reason.STEPPED, 50, "a")
    assert answer(status, "approve").startswith("10 % -> 50 %")


def test_after_a_crash_before_status_the_same_approval_opens_no_second_step() -> None:
    """The weight was written with the token, and status was not: the annotation looks new."""
    on_second = mark(50, 2, approval="a")
    evidence = replace(ENOUGH, since=on_second.since)
    step, status = told(asked(requests={"approve": "a"}, route=route(on_second), evidence=evidence, latest=HALF))
    assert step.reason is Reason.WAITING_FOR_APPROVAL
    assert answer(status, "approve") == "nothing waits for approval: WaitingForApproval"
    again, _ = told(asked(requests={"approve": "b"}, route=route(on_second), evidence=evidence, latest=HALF))
    assert again.mark is not None and again.mark.weight == 100


def test_an_approval_that_nothing_waits_for_is_spent_and_opens_nothing_later() -> None:
    _, early = told(asked(requests={"approve": "a"}, evidence=None, blocks=blocks(3)))
    assert answer(early, "approve") == "nothing waits for approval: WaitingEvidence"
    later, status = told(asked(status={"requests": early["requests"]}, requests={"approve": "a"}))
    assert later.reason is Reason.WAITING_FOR_APPROVAL
    assert status["requests"] == early["requests"]


def test_an_approval_needs_the_evidence_all_the_same() -> None:
    step, _ = told(asked(requests={"approve": "a"}, evidence=None, blocks=blocks(5, BAD)))
    assert step.reason is Reason.ROLLING_BACK


def test_an_automatic_step_needs_none_and_takes_none() -> None:
    step, status = told(asked(spec={}, requests={"approve": "a"}))
    assert step.reason is Reason.STEPPED
    assert answer(status, "approve") == "nothing waits for approval: Stepped"


@pytest.mark.parametrize("suspended", [False, True])
def test_an_abort_rolls_back_by_the_usual_way(suspended: bool) -> None:
    step, status = told(asked(spec={"suspend": suspended}, requests={"abort": "a"}))
    assert step.mark is not None
    assert (step.reason, step.mark.phase, step.mark.weight) == (Reason.ROLLING_BACK, Phase.ROLLING_BACK, 0)
    assert step.mark.reason == "Aborted"
    assert answer(status, "abort") == "a person asked for it; rolled back to 0 from 10 %"


def test_after_a_crash_before_status_an_abort_is_answered_as_done() -> None:
    rolling = mark(0, phase=Phase.ROLLING_BACK, since=NOW, reason="Aborted", message="a person asked for it")
    step, status = told(asked(requests={"abort": "a"}, route=route(rolling)))
    assert step.reason is Reason.ROLLING_BACK
    assert answer(status, "abort") == "a person asked for it"


def test_a_new_spec_after_an_abort_is_not_aborted_by_the_old_token() -> None:
    done = {
        "requests": [{"verb": "abort", "token": "a", "at": "2030-01-01T11:00:00Z", "answer": "m"}],
        "outcome": {
            "result": "RolledBack",
            "at": "2030-01-01T11:00:00Z",
            "generation": 1,
            "reason": "R",
            "message": "m",
        },
    }
    rolled = route(mark(0, phase=Phase.ROLLING_BACK))
    step, _ = told(asked(status=done, requests={"abort": "a"}, route=rolled, generation=2))
    assert step.reason is Reason.PREPARING


def test_what_has_ended_is_answered_so() -> None:
    ended = {"outcome": {"result": "Promoted", "at": "x", "generation": 1, "reason": "R", "message": "m"}}
    step, status = told(asked(status=ended, requests={"abort": "a", "pause": "b"}, route=route(mark(100, 3))))
    assert (step.reason, step.actions) == (Reason.PROMOTED, ())
    assert {answer(status, verb) for verb in ("abort", "pause")} == {"it has ended: Promoted"}


def test_paused_no_weight_rises_and_harm_is_still_rolled_back() -> None:
    step, status = told(asked(spec={}, requests={"pause": "a"}))
    assert (step.reason, step.actions, status["paused"]) == (Reason.PAUSED, (), True)
    still, _ = told(asked(spec={}, status=status, requests={"pause": "a"}))
    assert still.reason is Reason.PAUSED
    bad, _ = told(asked(spec={}, status=status, requests={"pause": "a"}, evidence=None, blocks=blocks(5, BAD)))
    assert bad.reason is Reason.ROLLING_BACK


def test_resumed_it_goes_on() -> None:
    _, paused = told(asked(spec={}, requests={"pause": "a"}))
    step, status = told(asked(spec={}, status=paused, requests={"pause": "a", "resume": "b"}))
    assert (step.reason, status["paused"], answer(status, "resume")) == (Reason.STEPPED, False, "resumed")
    again, kept_ = told(asked(spec={}, status=status, requests={"pause": "c", "resume": "b"}))
    assert (again.reason, kept_["paused"]) == (Reason.PAUSED, True)


def test_resuming_what_is_not_paused_is_said() -> None:
    _, status = told(asked(requests={"resume": "a"}))
    assert answer(status, "resume") == "it was not paused"


def test_asked_for_both_at_once_it_pauses() -> None:
    step, _ = told(asked(spec={}, requests={"pause": "a", "resume": "b"}))
    assert step.reason is Reason.PAUSED


@pytest.mark.parametrize("verb", ["promote", "retry"])
def test_what_is_not_there_yet_is_said(verb: str) -> None:
    step, status = told(asked(requests={verb: "a"}))
    assert step.reason is Reason.WAITING_FOR_APPROVAL
    assert answer(status, verb).startswith(f"{verb} is not there yet")


def test_a_token_without_an_end_is_cut_and_still_counts_once() -> None:
    long = {"approve": "x" * 10_000}
    _, status = told(asked(requests=long))
    assert len(status["requests"][0]["token"]) == MAX_TOKEN
    step, _ = told(asked(requests=long, status={"requests": status["requests"]}))
    assert step.reason is Reason.WAITING_FOR_APPROVAL


def test_an_unknown_verb_is_nothing() -> None:
    _, status = told(asked(requests={"explode": "a"}))
    assert "requests" not in status
