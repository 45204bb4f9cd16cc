"""What comes of every verb, and why each refusal: a request is answered once, and never takes effect later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import TICK_SECONDS, CanaryChoice, SeenMigration, Step
from changeover.core.migration_status import refusal_of
from changeover.core.observed import NoData, Owner, Unreadable
from changeover.core.plan import Apply, SetSplit
from changeover.core.requests import Request
from changeover.core.verbs import decide

from tests.unit.core.seen import NOW, blocks, counts, kept, latest, mark, owner, route, seen, workload
from tests.unit.core.test_migration_ladder import (
    BAD,
    DELETING,
    ENOUGH,
    LONG_ROLLING,
    NO_WEIGHT,
    READY_TO_START,
    ROLLED_STATUS,
    ROLLING,
    TIMEOUT,
    ended,
    one_step,
    written,
)

Changes = dict[str, Any]
ADVANCES: Changes = {"evidence": ENOUGH, "blocks": ()}
MANUAL = {"steps": [{"weightPercent": w, "minDuration": "2m", "approval": "Manual"} for w in (10, 50, 100)]}
HALF = latest(counts(100), counts(100))
PAUSED = {"route": route(mark(paused=True))}
LAST = {"route": route(mark(100, 3)), "blocks": (), "latest": latest(counts(100), counts(0))}
ROLLED = {"owner": owner(status=ended("RolledBack")), "route": route(LONG_ROLLING)}
PROMOTED = {"owner": owner(status=ended("Promoted")), "route": route(mark(100, 3))}


def asking(*verbs: str, changes: Changes | None = None, token: str = "t") -> SeenMigration:
    changes = changes or {}
    asker: Owner = changes.get("owner", owner())
    return seen(**{**changes, "owner": replace(asker, requests={verb: token for verb in verbs})})


def mark_in(step: Step) -> Mark:
    """The mark that is written; it is the one that the step tells of."""
    told = next(Mark.parse(action.mark) for action in step.actions if isinstance(action, SetSplit))
    assert told is not None and step.mark is not None
    assert told == replace(step.mark, requests=told.requests, untold=told.untold)
    return told


ACCEPTED: list[tuple[str, str, Changes, Reason, int]] = [
    ("approve raises the one step that waits", "approve", {**ADVANCES, "spec": MANUAL}, Reason.STEPPED, 50),
    ("approve takes the first step", "approve", {**NO_WEIGHT, "spec": MANUAL}, Reason.STEPPED, 10),
    ("promote skips the steps between", "promote", {}, Reason.PROMOTED_BY_HAND, 100),
    ("promote skips from no weight at all", "promote", NO_WEIGHT, Reason.PROMOTED_BY_HAND, 100),
    ("promote stands in for an approval", "promote", {**ADVANCES, "spec": MANUAL}, Reason.PROMOTED_BY_HAND, 100),
    ("promote ends a wait for the duration", "promote",
     {**ADVANCES, "spec": {"steps": [{"weightPercent": 10, "minDuration": "1h"}, {"weightPercent": 90}]}},
     Reason.PROMOTED_BY_HAND, 90),
    ("promote decides what was held for a person", "promote",
     {"spec": {"steps": [{"weightPercent": 10, "minDuration": "1m", "maxDuration": "10m"}, {"weightPercent": 100}]}},
     Reason.PROMOTED_BY_HAND, 100),
    ("abort rolls back", "abort", {}, Reason.ROLLING_BACK, 0),
    ("abort comes before a step up", "abort", ADVANCES, Reason.ROLLING_BACK, 0),
    ("abort comes before the promotion that is due", "abort", {**ADVANCES, "spec": one_step()}, Reason.ROLLING_BACK, 0),
    ("abort of what is suspended rolls back", "abort", {"spec": {"suspend": True}}, Reason.ROLLING_BACK, 0),
    ("abort of what is paused rolls back", "abort", PAUSED, Reason.ROLLING_BACK, 0),
    ("abort needs no workload and no evidence", "abort",
     {"stable": TIMEOUT, "canary": TIMEOUT, "latest": TIMEOUT, "blocks": TIMEOUT}, Reason.ROLLING_BACK, 0),
    ("abort before any weight ends at once", "abort", NO_WEIGHT, Reason.ROLLED_BACK, 0),
    ("abort before there is a route makes it with all traffic on stable", "abort", {"route": None},
     Reason.ROLLED_BACK, 0),
    ("abort with other backends in the spec leaves these at 0", "abort",
     {"arms": "others", "route": route(canary_percent=None)}, Reason.ROLLED_BACK, 0),
    ("abort of a new spec after a rollback keeps it from starting over", "abort",
     {"owner": owner(generation=2, status=ended("RolledBack")), "route": route(LONG_ROLLING)}, Reason.ROLLED_BACK, 0),
    ("pause keeps the weight", "pause", {}, Reason.PAUSED, 10),
    ("pause comes before a step up", "pause", ADVANCES, Reason.PAUSED, 10),
    ("pause comes before the promotion that is due", "pause", {**ADVANCES, "spec": one_step()}, Reason.PAUSED, 10),
    ("pause before any weight keeps it from starting", "pause", NO_WEIGHT, Reason.PAUSED, 0),
    ("pause before there is a route is held by a route at 0", "pause", {"route": None}, Reason.PAUSED, 0),
    ("pause of a new spec after a rollback keeps it from starting", "pause",
     {"owner": owner(generation=2, status=ended("RolledBack")), "route": route(LONG_ROLLING)}, Reason.PAUSED, 0),
    ("pause puts back a foreign weight", "pause", {"route": route(canary_percent=90)}, Reason.PAUSED, 10),
    ("resume ends the pause", "resume", PAUSED, Reason.RESUMED, 10),
    ("retry starts over at 0", "retry", ROLLED, Reason.RETRIED, 0),
    ("retry starts over though the route was deleted", "retry", {**ROLLED, "route": None}, Reason.RETRIED, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "changes", "reason", "weight"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED]
)
def test_carried_out(verb: str, changes: Changes, reason: Reason, weight: int) -> None:
    step = decide(asking(verb, changes=changes))
    assert (step.reason, written(step)) == (reason, weight), step.message
    assert step.request is not None and (step.request.result, refusal_of(step)) == ("Accepted", "")
    assert [(r.verb, r.token, r.answer) for r in mark_in(step).requests] == [(verb, "t", step.request.answer)]


REFUSED: list[tuple[str, str, Changes, Reason, str]] = [
    ("nothing waits on a step", "approve", {}, Reason.WAITING_EVIDENCE,
     "nothing waits for approval at step 1/3: latency:"),
    ("the next step is automatic and not due", "approve", {**ADVANCES, "spec": one_step(minDuration="1h")},
     Reason.WAITING_FOR_DURATION, "nothing waits for approval at step 1/1"),
    ("the evidence is not enough for the manual step", "approve", {"spec": MANUAL}, Reason.WAITING_EVIDENCE,
     "nothing waits for approval at step 1/3"),
    ("the evidence is gone at the moment of raising", "approve", {**ADVANCES, "spec": MANUAL, "latest": TIMEOUT},
     Reason.METRICS_MISSING, "nothing waits for approval at step 1/3: "),
    ("nothing is prepared", "approve", {**NO_WEIGHT, "spec": MANUAL, "canary": workload(1)},
     Reason.WAITING_FOR_WORKLOADS, "nothing waits for approval at step 0/3: canary new has 1 of 2 pods ready"),
    ("paused", "approve", {**ADVANCES, **PAUSED, "spec": MANUAL}, Reason.PAUSED,
     "nothing waits for approval at step 1/3: paused at 10 %"),
    ("harm in this very pass", "approve", {"spec": MANUAL, "blocks": blocks(5, BAD)}, Reason.ROLLING_BACK,
     "it is rolled back already: latency"),
    ("rolling back", "promote", {"route": route(ROLLING)}, Reason.ROLLING_BACK, "it is rolled back already"),
    ("failing objectives", "promote", {"blocks": blocks(5, BAD)}, Reason.ROLLING_BACK, "it is rolled back already"),
    ("a hard trip", "promote", {"latest": latest(canary=counts(100, errors=90)), "blocks": ()}, Reason.ROLLING_BACK,
     "it is rolled back already: errors: 90 of 100 requests bad in the last scrapes"),
    ("more errors than allowed in the last look", "promote", {"latest": latest(canary=counts(100, errors=2))},
     Reason.WAITING_EVIDENCE, "not promoted at step 1/3: errors: 2 % of the requests in the last scrapes are bad"),
    ("more slow requests than allowed in the last look", "promote", {"latest": latest(canary=counts(100, slow=2))},
     Reason.WAITING_EVIDENCE, "not promoted at step 1/3: latency: 2 % of the requests in the last scrapes are bad"),
    ("a canary that is not ready", "promote", {"canary": workload(1)}, Reason.WAITING_FOR_WORKLOADS,
     "not promoted at step 1/3: canary new has 1 of 2 pods ready"),
    ("a canary that is not ready, before any weight", "promote", {**NO_WEIGHT, "canary": workload(0)},
     Reason.WAITING_FOR_WORKLOADS, "not promoted at step 0/3: canary new has 0 of 2 pods ready"),
    ("no evidence at all", "promote", {"latest": NoData("no series")}, Reason.WAITING_EVIDENCE,
     "not promoted at step 1/3: the last scrapes show nothing, and no weight is raised blindly"),
    ("a canary that nobody reaches", "promote", {"latest": latest(canary=counts(0))}, Reason.WAITING_EVIDENCE,
     "not promoted at step 1/3: 0.0 % of 900 requests reached the canary at weight 10 in the last scrapes"),
    ("a canary without counters", "promote", {"latest": replace(latest(), canary=None)}, Reason.WAITING_EVIDENCE,
     "not promoted at step 1/3: the last scrapes show nothing, and no weight is raised blindly"),
    ("blind", "promote", {"route": route(mark(since=NOW - timedelta(minutes=3))), "blocks": TIMEOUT}, Reason.BLIND,
     "not promoted at step 1/3: no evidence for"),
    ("a route that the gateway has not taken", "promote", {"route": route(accepted=False, why_not="no such gateway")},
     Reason.ROUTE_NOT_ACCEPTED, "not promoted at step 1/3: no such gateway"),
    ("paused", "promote", PAUSED, Reason.PAUSED, "not promoted at step 1/3: paused at 10 %"),
    ("the last step", "promote", LAST, Reason.WAITING_EVIDENCE, "it is on the last step already"),
    ("nothing begun", "promote", {"route": None}, Reason.PREPARING, "not promoted at step 0/3: the route is made"),
    ("rolling back", "abort", {"route": route(ROLLING)}, Reason.ROLLING_BACK, "it is rolled back already: why"),
    ("rolled back", "abort", ROLLED, Reason.ROLLED_BACK, "it has ended: m"),
    ("promoted", "abort", PROMOTED, Reason.PROMOTED, "it has ended: m"),
    ("rolled back", "promote", ROLLED, Reason.ROLLED_BACK, "it has ended: m"),
    ("promoted", "pause", PROMOTED, Reason.PROMOTED, "it has ended: m"),
    ("rolling back", "pause", {"route": route(ROLLING)}, Reason.ROLLING_BACK, "it is rolled back already"),
    ("paused", "pause", PAUSED, Reason.PAUSED, "it is paused already at 10 %"),
    ("not paused", "resume", {}, Reason.WAITING_EVIDENCE, "it is not paused: latency:"),
    ("harm in this very pass", "resume", {**PAUSED, "blocks": blocks(5, BAD)}, Reason.ROLLING_BACK,
     "it is rolled back already"),
    ("under way", "retry", {}, Reason.WAITING_EVIDENCE, "it has not ended at step 1/3: latency:"),
    ("rolling back", "retry", {"route": route(ROLLING)}, Reason.ROLLING_BACK, "it has not ended at step 1/3: why"),
    ("the end of a rollback in this very pass", "retry", {"route": route(LONG_ROLLING)}, Reason.ROLLED_BACK,
     "it has not ended at step 1/3"),
    ("promoted", "retry", PROMOTED, Reason.PROMOTED, "a promoted migration does not start again; make a new one"),
    ("a benchmark that refuses its winner", "retry",
     {**ROLLED, "choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied")}, Reason.ROLLED_BACK,
     "not started over: tied"),
    ("stable not ready", "retry", {**ROLLED, "stable": workload(0, name="old")}, Reason.ROLLED_BACK,
     "not started over: stable old has no ready pod"),
    ("a new spec that starts over by itself", "retry",
     {"owner": owner(generation=2, status=ended("RolledBack")), "route": route(LONG_ROLLING)}, Reason.PREPARING,
     "it has not ended at step 1/3: the route is made"),
    ("somebody else's route", "abort", {"route": route(ours=False)}, Reason.ROUTE_NOT_OURS,
     "nothing is done: HTTPRoute"),
    ("a verb that there is not", "aprove", {}, Reason.WAITING_EVIDENCE,
     "there is no verb 'aprove'; there are abort, approve, pause, promote, resume, retry"),
    *((f"{verb} while suspended", verb, {"spec": {"suspend": True}}, Reason.SUSPENDED,
       "spec.suspend is true: only abort is carried out; set it to false first")
      for verb in ("approve", "promote", "pause", "resume", "retry")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "changes", "reason", "answer"),
    [case[1:] for case in REFUSED],
    ids=[f"{case[1]}: {case[0]}" for case in REFUSED],
)
def test_refused_with_an_answer_and_without_effect(verb: str, changes: Changes, reason: Reason, answer: str) -> None:
    step, without = decide(asking(verb, changes=changes)), decide(seen(**changes))
    assert step.request is not None and step.request.answer.startswith(answer), step.request
    assert refusal_of(step) == f"{verb}: {step.request.answer}"
    assert replace(step, request=None) == without
    assert (step.reason, step.request.result) == (reason, "Refused")


@pytest.mark.parametrize("home", ["mark", "status"])
@pytest.mark.parametrize(("verb", "changes"), [case[1:3] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_a_token_that_was_taken_up_is_not_taken_up_again(verb: str, changes: Changes, home: str) -> None:
    done = Request(verb, "t", NOW, "Accepted", "done")
    world = asking(verb, changes=changes)
    if home == "status":
        told = {**world.owner.status, "requests": [done.to_dict()]}
        world = replace(world, owner=replace(world.owner, status=told))
    elif world.route is None or isinstance(world.route, Unreadable):
        return
    else:
        before = Mark.parse(world.route.mark)
        assert before is not None
        world = replace(world, route=replace(world.route, mark=replace(before, requests=(done,)).to_dict()))
    step = decide(world)
    assert step.request is None
    assert step.reason not in (Reason.PROMOTED_BY_HAND, Reason.RESUMED, Reason.RETRIED)
    assert "by a person" not in step.message


@pytest.mark.parametrize("verb", ["approve", "promote", "abort", "pause", "resume", "retry"])
@pytest.mark.parametrize(
    "changes",
    [{"route": TIMEOUT}, {"owner": owner(finalizers=())}, {"owner": DELETING}],
    ids=["the route cannot be read", "deletion is not guarded yet", "being deleted"],
)
def test_a_request_stays_open_while_nothing_can_be_said_of_it(verb: str, changes: Changes) -> None:
    assert decide(asking(verb, changes=changes)) == decide(seen(**changes))


@pytest.mark.parametrize("unread", ["stable", "canary", "choice"])
@pytest.mark.parametrize(
    ("verb", "changes"), [("approve", {**NO_WEIGHT, "spec": MANUAL}), ("promote", {}), ("retry", ROLLED)]
)
def test_a_request_stays_open_while_what_it_depends_on_cannot_be_read(verb: str, changes: Changes, unread: str) -> None:
    """Else a person's word would be lost to a hiccup of the API server; it is asked again in the next pass."""
    blind = {**changes, unread: TIMEOUT}
    assert decide(asking(verb, changes=blind)) == replace(decide(seen(**blind)), recheck_after=TICK_SECONDS)


def test_one_request_a_pass_the_careful_ones_first_and_the_rest_at_once() -> None:
    step = decide(asking("promote", "approve", "pause", changes=ADVANCES))
    assert step.request is not None and (step.request.verb, step.recheck_after) == ("pause", 0.0)
    then = asking("promote", "approve", "pause", changes={**ADVANCES, "route": route(mark_in(step))})
    after = decide(then)
    assert after.request is not None and (after.request.verb, after.request.result) == ("approve", "Refused")


def test_waiting_for_approval_says_what_to_annotate() -> None:
    step = decide(seen(**ADVANCES, spec=MANUAL))
    assert (step.reason, step.actions) == (Reason.WAITING_FOR_APPROVAL, ())
    assert step.message.startswith("step 2/3 (50 %) waits for approval: annotate ")
    assert "changeover.dev/requested-approve=TOKEN with a token not used before; latency" in step.message


def test_an_approval_does_not_open_the_step_after() -> None:
    up = mark_in(decide(asking("approve", changes={**ADVANCES, "spec": MANUAL})))
    assert (up.step, up.weight) == (2, 50)
    later = replace(up, since=mark().since)
    again = decide(asking("approve", changes={**ADVANCES, "spec": MANUAL, "route": route(later), "latest": HALF}))
    assert (again.reason, again.request) == (Reason.WAITING_FOR_APPROVAL, None)


def test_paused_at_enough_evidence_stays_and_says_both() -> None:
    step = decide(seen(**ADVANCES, **PAUSED))
    assert (step.reason, step.actions) == (Reason.PAUSED, ())
    assert step.message.startswith("paused at 10 % until changeover.dev/requested-resume is annotated: latency")
    assert step.weighing is not None  # evidence goes on


HARM: list[tuple[str, Changes]] = [
    ("no ready pod", {"canary": workload(0)}),
    ("a hard trip", {"latest": latest(canary=counts(100, errors=90)), "blocks": ()}),
    ("a missed objective", {"blocks": blocks(5, BAD)}),
    ("too long without evidence", {"blocks": TIMEOUT, "latest": TIMEOUT}),
]


@pytest.mark.parametrize("harm", [case[1] for case in HARM], ids=[case[0] for case in HARM])
def test_paused_still_rolls_back_on_harm_and_the_pause_ends_with_it(harm: Changes) -> None:
    step = decide(seen(**harm, **PAUSED))
    assert (step.reason, written(step)) == (Reason.ROLLING_BACK, 0)
    assert not mark_in(step).paused


def test_paused_for_long_is_not_rolled_back_for_being_undecided() -> None:
    step = decide(seen(**PAUSED, spec=one_step(maxDuration="10m", onUndecided="Rollback")))
    assert step.reason is Reason.PAUSED


def test_paused_before_the_first_step_goes_on_preparing_but_does_not_start() -> None:
    waits = {**NO_WEIGHT, "route": route(replace(READY_TO_START, paused=True))}
    assert decide(seen(**waits)).reason is Reason.PAUSED
    manifest = {"kind": "Deployment", "metadata": {"name": "shop-canary", "labels": {}}}
    making = decide(seen(**{**waits, "canary": None, "choice": CanaryChoice(manifests=(manifest,))}))
    assert making.actions == (Apply(manifest),)


def test_a_pause_outlives_other_backends_and_a_lost_mark() -> None:
    done = Request("pause", "t", NOW.replace(microsecond=0), "Accepted", "done")
    other = decide(seen(arms="others", route=route(mark(paused=True, requests=(done,)), canary_percent=None)))
    assert (other.reason, mark_in(other).paused, mark_in(other).requests) == (Reason.PREPARING, True, (done,))
    lost = decide(seen(route=route(mark=None), owner=owner(status={"paused": True, "attempt": 3})))
    assert (mark_in(lost).paused, mark_in(lost).attempt) == (True, 3)


def test_a_pause_of_a_new_spec_begins_it_and_keeps_it_at_0() -> None:
    rolled_back = {"owner": owner(generation=2, status=ended("RolledBack")), "route": route(LONG_ROLLING)}
    told = mark_in(decide(asking("pause", changes=rolled_back)))
    assert (told.phase, told.step, told.weight, told.generation) == (Phase.PREPARING, 0, 0, 2)


def test_pausing_keeps_the_evidence_of_the_weight() -> None:
    step = decide(asking("pause"))
    assert mark_in(step).since == mark().since
    assert step.weighing is not None and step.weighing.evidence.requests == kept(3).requests


def test_an_abort_ends_as_every_rollback() -> None:
    step = decide(asking("abort"))
    assert (mark_in(step).phase, mark_in(step).reason, mark_in(step).came_from) == (Phase.ROLLING_BACK, "Aborted", 10)
    assert (step.message, step.outcome) == ("aborted by a person; rolled back to 0 from 10 %", None)


def test_an_abort_before_any_weight_has_its_outcome_at_once() -> None:
    outcome = decide(asking("abort", changes=NO_WEIGHT)).outcome
    assert outcome is not None
    assert (outcome["result"], outcome["reason"], outcome["generation"], outcome["attempt"]) == (
        "RolledBack", "Aborted", 1, 1,
    )  # fmt: skip


@pytest.mark.parametrize(("shown", "writes"), [(0, 0), (50, 1)], ids=["as it was written", "with a foreign weight"])
def test_an_abort_before_any_weight_that_was_killed_before_status_ends_in_the_next_pass(
    shown: int, writes: int
) -> None:
    """With status saying no more than Accepted, nothing would remember it once somebody deletes the route."""
    aborted = mark_in(decide(asking("abort", changes=NO_WEIGHT)))
    step = decide(asking("abort", changes={"route": route(aborted, canary_percent=shown), "latest": NoData("none")}))
    assert (step.reason, step.request, len(step.actions)) == (Reason.ROLLED_BACK, None, writes)
    assert step.outcome is not None and step.outcome["reason"] == "Aborted"


def test_promoted_by_hand_the_last_step_is_watched_before_it_ends() -> None:
    up = mark_in(decide(asking("promote")))
    assert (up.step, up.came_from, up.reason) == (3, 10, "PromotedByHand")
    watched = asking("promote", changes={"route": route(up), "blocks": ()})
    assert decide(watched).reason is Reason.WAITING_EVIDENCE
    harmed = asking("promote", changes={"route": route(up), "blocks": (), "canary": workload(0)})
    assert decide(harmed).reason is Reason.ROLLING_BACK


def test_a_retry_is_another_attempt_which_the_old_outcome_does_not_end() -> None:
    first = mark_in(decide(asking("retry", changes=ROLLED)))
    assert (first.phase, first.step, first.weight, first.attempt) == (Phase.PREPARING, 0, 0, 2)
    # Killed before status: the outcome of attempt 1 is still there, and stands in nobody's way.
    begins = decide(asking("retry", changes={**NO_WEIGHT, **ROLLED, "route": route(first)}))
    assert (begins.reason, mark_in(begins).attempt, begins.request) == (Reason.STEPPED, 2, None)


def test_a_second_attempt_that_ended_stays_ended() -> None:
    status = ended("RolledBack")
    status["outcome"]["attempt"] = 2
    done = Request("retry", "t", NOW, "Accepted", "done")
    rolled = replace(LONG_ROLLING, attempt=2, requests=(done,))
    step = decide(asking("retry", changes={"owner": owner(status=status), "route": route(rolled)}))
    assert (step.reason, step.actions, step.request) == (Reason.ROLLED_BACK, (), None)
    rolling = asking("retry", changes={"owner": owner(status=ended("RolledBack")), "route": route(rolled)})
    outcome = decide(rolling).outcome
    assert outcome is not None and outcome["attempt"] == 2


def test_a_lost_route_does_not_lose_the_attempt() -> None:
    status = ended("RolledBack")
    status["outcome"]["attempt"] = 2
    remade = decide(seen(owner=owner(status={**status, "attempt": 2}), route=None))
    assert (remade.reason, mark_in(remade).attempt) == (Reason.ROLLED_BACK, 2)
    rolling = decide(seen(owner=owner(status={**ROLLED_STATUS, "attempt": 2}), route=None))
    assert (rolling.reason, mark_in(rolling).attempt) == (Reason.ROLLING_BACK, 2)


def test_what_is_held_for_a_person_is_not_promoted_on_bad_blocks_though_the_last_scrape_is_good() -> None:
    *good, last = blocks(20)
    steps = [{"weightPercent": 10, "minDuration": "1m", "maxDuration": "10m"}, {"weightPercent": 100}]
    late = {"spec": {"steps": steps}, "blocks": (*good, replace(last, canary=counts(600, slow=60)))}
    step = decide(asking("promote", changes=late))
    assert step.reason is Reason.UNDECIDED
    assert refusal_of(step) == (
        "promote: not promoted at step 1/2: latency: 2.02 % of the requests in the latest blocks are bad, limit 1 %"
    )


def test_without_a_token_a_rollback_is_for_good() -> None:
    step = decide(seen(**ROLLED))
    assert (step.reason, step.actions) == (Reason.ROLLED_BACK, ())
