"""A weight that stays: what is said of it, and that it is never forgotten where it stood and what was seen there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core import names
from changeover.core.as_measured import Benchmarked
from changeover.core.day import Day
from changeover.core.mark import Mark
from changeover.core.migration import decide
from changeover.core.migration_state import CanaryChoice, split
from changeover.core.observed import NoData, Route, Unreadable
from changeover.core.plan import Apply, Delete, HoldFinalizer, Ref

from tests.unit.core.seen import NOW, blocks, counts, latest, mark, owner, route, seen, workload
from tests.unit.core.test_migration_ladder import (
    BAD,
    CASES,
    DELETING,
    ENOUGH,
    LONG_ROLLING,
    NO_WEIGHT,
    READY_TO_START,
    TIMEOUT,
    UNKNOWN,
    edited,
    ended,
    of_candidate,
    written,
)

OURS_STAY = [
    (sentence, changes)
    for sentence, changes, _, weight in CASES
    if weight is None and isinstance(its_route := changes.get("route", route()), Route) and its_route.ours
]
OTHER_CPU = CanaryChoice(benchmarked=Benchmarked(cpu_limit=0.4))
NOT_MEASURED = "its pods may use 0.5 cores, and 0.4 were measured; set them back, or benchmark it as it is to run"
ADOPTED = {"traffic": {"gatewayAPI": {"mode": "Adopted", "route": {"name": "shop"}}}}
NEEDS_A_DAY = {"decision": {"baseline": {"policy": "Require"}}}
REFUSED = CanaryChoice(Reason.BENCHMARK_REFUSED, "tied with another")


@pytest.mark.parametrize("changes", [case[1] for case in OURS_STAY], ids=[case[0] for case in OURS_STAY])
def test_where_no_weight_is_written_the_mark_of_our_route_is_told_unchanged(changes: dict[str, Any]) -> None:
    """Status is written from the mark that a step tells: a step that lost it would show weight 0 over live traffic."""
    world = seen(**changes)
    assert isinstance(world.route, Route)
    assert decide(world).mark == Mark.parse(world.route.mark)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"route": TIMEOUT}, "the route could not be read, so nothing is changed: timed out"),
        ({"owner": owner(finalizers=())}, "deletion is guarded first"),
        ({"spec": {"suspend": True}}, "spec.suspend is true; the weight stays"),
        ({"choice": Unreadable("no benchmark")}, "no benchmark"),
        ({"stable": Unreadable("no stable")}, "no stable"),
        ({"canary": Unreadable("no canary")}, "no canary"),
        ({"choice": REFUSED, "route": None}, "tied with another"),
        ({"stable": None}, "spec.stable: there is no Deployment old; make it, or name another"),
        ({"unserved": "there is no Service"}, "there is no Service"),
        ({"unserved": Unreadable("no Service was read")}, "no Service was read"),
        ({"stable": workload(0, name="old")}, "stable old has no ready pod"),
        ({"route": None}, "the route is made; all traffic is on stable"),
        ({**NO_WEIGHT, "canary": None}, "the canary's Deployment does not exist"),
        ({**NO_WEIGHT, "canary": workload(1)}, "canary new has 1 of 2 pods ready"),
        ({**NO_WEIGHT, "choice": OTHER_CPU}, NOT_MEASURED),
        ({**NO_WEIGHT, "route": route(READY_TO_START, accepted=False, why_not="no such port")}, "no such port"),
        ({**NO_WEIGHT, "latest": None}, "no weight before there is evidence: nothing was asked yet"),
        ({**NO_WEIGHT, "latest": NoData("no series")}, "no weight before there is evidence: no series"),
        ({**NO_WEIGHT, "latest": TIMEOUT}, "no weight before there is evidence: timed out"),
        (
            {**NO_WEIGHT, "latest": latest(stable=counts(0))},
            "the gateway has counted no request to stable through this route in the last scrapes",
        ),
        (
            {**NO_WEIGHT, "latest": replace(latest(), stable=None)},
            "the gateway has counted no request to stable through this route in the last scrapes",
        ),
        (
            {**NO_WEIGHT, "spec": NEEDS_A_DAY},
            "no weight before 24h of stable are known: it could not be read yet",
        ),
        (
            {**NO_WEIGHT, "spec": NEEDS_A_DAY, "day": Day(NOW, "key", why="too few hours")},
            "no weight before 24h of stable are known: too few hours",
        ),
        (NO_WEIGHT, "0 % -> 10 %: stable is measured and the canary is ready"),
        ({"evidence": ENOUGH, "blocks": (), "route": route(accepted=False, why_not="no such port")}, "no such port"),
        ({"evidence": ENOUGH, "blocks": (), "canary": workload(1)}, "canary new has 1 of 2 pods ready"),
        ({"evidence": ENOUGH, "blocks": (), "choice": OTHER_CPU}, NOT_MEASURED),
        (
            {"route": route(mark(since=NOW - timedelta(minutes=3))), "blocks": TIMEOUT},
            "no evidence for 170 s, at most 360 s: timed out",
        ),
        ({"spec": ADOPTED, "route": route(unfit="two rules")}, "HTTPRoute shop: two rules"),
    ],
)
def test_it_is_said_in_full_what_holds_the_weight(changes: dict[str, Any], message: str) -> None:
    assert decide(seen(**changes)).message == message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"route": route(accepted=False, why_not="no")}, Reason.ROUTE_NOT_ACCEPTED),
        ({"canary": workload(1)}, Reason.WAITING_FOR_WORKLOADS),
        ({"choice": OTHER_CPU}, Reason.BENCHMARK_REFUSED),
        ({"route": route(mark(paused=True))}, Reason.PAUSED),
        ({}, Reason.WAITING_EVIDENCE),
        ({"behind": True}, Reason.WAITING_EVIDENCE),
        ({"stable": None}, Reason.WAITING_FOR_WORKLOADS),
        ({"stable": TIMEOUT}, Reason.UNREADABLE),
        ({"unserved": "there is no Service"}, Reason.WAITING_FOR_WORKLOADS),
        ({"not_understood": "spec.later"}, Reason.INVALID_SPEC),
        ({"blocks": blocks(3) + blocks(5, BAD)[3:]}, Reason.ROLLING_BACK),
    ],
)
def test_what_was_seen_is_kept_whatever_holds_the_weight(changes: dict[str, Any], reason: Reason) -> None:
    """Evidence that is not told is not written to status: its blocks would have to be read again, or would be lost."""
    step = decide(seen(**changes))
    assert step.reason is reason
    assert step.weighing is not None
    assert step.weighing.evidence.requests == 600 * len(changes.get("blocks", blocks(3)))


def test_a_weight_that_waits_for_a_person_is_looked_at_again_within_seconds() -> None:
    """Whoever mends what was refused is not to wait."""
    for changes in ({"route": route(ours=False)}, {"choice": REFUSED, "route": None}):
        step = decide(seen(**changes))
        assert (step.stalled, step.recheck_after) == (True, 5.0)


def test_a_metric_source_that_is_not_known_is_for_a_person_who_is_told_what_comes_else() -> None:
    before, under_way = decide(seen(**NO_WEIGHT | UNKNOWN)), decide(seen(**UNKNOWN))
    assert (before.stalled, before.message) == (True, "no such source")
    then = "without evidence the canary goes back after spec.decision.maxBlind"
    assert (under_way.stalled, under_way.message) == (True, f"no such source; {then}")
    assert under_way.weighing is not None


@pytest.mark.parametrize("of", [READY_TO_START, mark(contests=2, contested_at=NOW)])
def test_what_is_written_of_an_edited_route_changes_nothing_of_its_mark(of: Mark) -> None:
    """An edit of hostnames is no foreign weight, and begins no step anew."""
    step = decide(
        seen(route=edited(of), blocks=()) if of.weight else seen(**NO_WEIGHT | {"route": edited(of), "canary": None})
    )
    assert step.actions == (split(of),)
    assert step.mark == of


def test_an_edit_after_the_end_is_not_said_to_be_written_while_suspended() -> None:
    world = {"owner": owner(status=ended("Promoted")), "route": edited(mark(100, 3))}
    assert decide(seen({"suspend": True}, **world)).message == "m; spec.suspend is true, so nothing is written"
    assert decide(seen(**world)).message == "m"


def test_the_guard_against_deletion_is_the_first_write_and_the_next_pass_follows_at_once() -> None:
    step = decide(seen(owner=owner(finalizers=())))
    assert (step.actions, step.recheck_after) == ((HoldFinalizer(True),), 0.0)


def test_suspended_nothing_is_looked_at_until_something_changes() -> None:
    step = decide(seen({"suspend": True}))
    assert (step.actions, step.recheck_after) == ((), None)


@pytest.mark.parametrize("unread", ["choice", "stable", "canary"])
def test_what_could_not_be_read_is_no_fault_of_the_spec(unread: str) -> None:
    step = decide(seen(**{unread: TIMEOUT}))
    assert (step.actions, step.stalled) == ((), False)


def test_a_pause_and_the_count_of_attempts_outlive_a_start_over() -> None:
    """Whoever paused it is not to find it climbing, only because the spec names other backends now."""
    step = decide(seen(arms="others", route=route(mark(paused=True, attempt=3), canary_percent=None)))
    assert step.mark is not None
    assert (step.mark.weight, step.mark.paused, step.mark.attempt) == (0, True, 3)


def test_paused_it_still_says_what_the_evidence_comes_to() -> None:
    step = decide(seen(route=route(mark(paused=True))))
    assert step.weighing is not None and step.weighing.message
    assert step.message.endswith(f": {step.weighing.message}")


def test_a_refused_canary_is_not_started_over_for_other_backends() -> None:
    step = decide(seen(choice=REFUSED, arms="others", route=route(canary_percent=None)))
    assert (step.reason, written(step)) == (Reason.BENCHMARK_REFUSED, None)


def test_a_foreign_weight_before_the_first_step_is_put_back_though_there_is_no_canary_yet() -> None:
    """With weight 0 nothing can be harmed, so there is nothing to roll back."""
    step = decide(seen(route=route(mark(0, 0), canary_percent=5), canary=None, blocks=()))
    assert (step.reason, written(step)) == (Reason.WEIGHT_PUT_BACK, 0)


def test_an_adopted_route_that_cannot_carry_weights_is_refused_before_anything_is_read() -> None:
    step = decide(seen(ADOPTED, route=route(unfit="two rules"), stable=TIMEOUT))
    assert (step.reason, step.stalled, step.mark, step.actions) == (Reason.ROUTE_UNFIT, True, mark(), ())


def test_a_step_of_a_canary_that_is_not_what_was_measured_waits_for_a_person() -> None:
    assert decide(seen(evidence=ENOUGH, blocks=(), choice=OTHER_CPU)).stalled is True
    assert decide(seen(evidence=ENOUGH, blocks=(), canary=workload(1))).stalled is False


def test_what_carries_traffic_is_not_replaced_when_its_benchmark_is_measured_anew() -> None:
    manifest = of_candidate("fast")
    choice = CanaryChoice(manifests=(manifest,), benchmarked=Benchmarked(measured_as="b"))
    ours = workload(labels=manifest["metadata"]["labels"], name="shop-canary", measured_as="a")
    step = decide(seen(evidence=ENOUGH, blocks=(), choice=choice, canary=ours))
    assert (step.reason, step.stalled, step.actions) == (Reason.BENCHMARK_REFUSED, True, ())
    assert step.message.startswith("the benchmark was measured anew since this canary was made")


class TestBeforeTheFirstStep:
    def test_one_ready_pod_of_one_is_enough_and_so_is_one_request_to_stable(self) -> None:
        step = decide(seen(**NO_WEIGHT | {"canary": workload(1, 1), "latest": latest(stable=counts(1))}))
        assert (step.reason, written(step)) == (Reason.STEPPED, 10)

    def test_a_canary_that_a_rollback_scaled_away_is_made_again(self) -> None:
        manifest = of_candidate("fast")
        step = decide(seen(**NO_WEIGHT, choice=CanaryChoice(manifests=(manifest,)), canary=workload(0, 0)))
        assert (step.reason, step.actions) == (Reason.WAITING_FOR_WORKLOADS, (Apply(manifest),))

    def test_a_canary_that_starts_is_left_to_start(self) -> None:
        choice = CanaryChoice(manifests=(of_candidate("fast"),))
        for ready in (0, 1):
            step = decide(seen(**NO_WEIGHT, choice=choice, canary=workload(ready)))
            assert (step.reason, step.actions) == (Reason.WAITING_FOR_WORKLOADS, ())

    def test_while_the_canary_of_an_earlier_choice_goes_the_weight_waits_for_it(self) -> None:
        labels = of_candidate("lame")["metadata"]["labels"]
        choice = CanaryChoice(manifests=({"kind": "Service", "metadata": {}}, of_candidate("fast")))
        step = decide(seen(**NO_WEIGHT, choice=choice, canary=workload(labels=labels, name="shop-canary")))
        assert step.reason is Reason.WAITING_FOR_WORKLOADS
        assert step.message == "the canary of an earlier choice is removed"
        assert (step.actions, step.mark) == ((Delete(Ref("Deployment", "shop", "shop-canary")),), READY_TO_START)

    @pytest.mark.parametrize(("made_of", "is_removed"), [("a", True), ("b", False), ("", False)])
    def test_the_canary_of_a_candidate_that_was_edited_since_is_made_anew(self, made_of: str, is_removed: bool) -> None:
        manifest = of_candidate("fast")
        choice = CanaryChoice(manifests=(manifest,), benchmarked=Benchmarked(measured_as="b"))
        ours = workload(labels=manifest["metadata"]["labels"], name="shop-canary", measured_as=made_of)
        step = decide(seen(**NO_WEIGHT, choice=choice, canary=ours))
        assert (Delete(Ref("Deployment", "shop", "shop-canary")) in step.actions) is is_removed
        assert written(step) == (None if is_removed else 10)

    def test_a_canary_of_another_benchmarks_measure_waits_for_a_person(self) -> None:
        assert decide(seen(**NO_WEIGHT, choice=OTHER_CPU)).stalled

    def test_a_required_day_that_is_known_lets_it_start(self) -> None:
        step = decide(seen(NEEDS_A_DAY, **NO_WEIGHT, day=Day(NOW, "key", hours=24)))
        assert written(step) == 10

    def test_a_day_that_is_not_required_is_not_waited_for(self) -> None:
        assert written(decide(seen(**NO_WEIGHT, day=Day(NOW, "key", why="too few hours")))) == 10


class TestForeignRoute:
    def test_its_maker_is_named_with_the_mend(self) -> None:
        message = decide(seen(route=route(ours=False, migration="other"))).message
        assert message == "HTTPRoute shop belongs to CanaryMigration other; delete that one, or choose another"

    def test_one_that_nobody_claims_can_be_handed_over(self) -> None:
        message = decide(seen(route=route(ours=False))).message
        assert message == (
            "HTTPRoute shop exists and was not made by this migration; choose another "
            "spec.traffic.gatewayAPI.route.name, or hand it over with the annotation "
            f"{names.ANNOTATION_HAND_OVER}: shop"
        )


class TestOutcome:
    def test_a_rollback_that_was_retried_since_does_not_stand(self) -> None:
        rolled_back = owner(status=ended("RolledBack"))
        again = decide(seen(owner=rolled_back, route=route(mark(attempt=2))))
        assert again.reason is Reason.WAITING_EVIDENCE
        same = decide(seen(owner=rolled_back, route=route(LONG_ROLLING)))
        assert same.reason is Reason.ROLLED_BACK

    def test_a_rollback_of_the_retry_is_seen_through_although_the_first_attempt_has_its_outcome(self) -> None:
        rolling = replace(LONG_ROLLING, attempt=2, message="of the second attempt")
        step = decide(seen(owner=owner(status=ended("RolledBack")), route=route(rolling)))
        assert step.outcome is not None
        assert (step.outcome["attempt"], step.outcome["message"]) == (2, "of the second attempt")

    def test_a_promotion_stands_whatever_the_mark_says_of_attempts(self) -> None:
        promoted = owner(status=ended("Promoted"))
        assert decide(seen(owner=promoted, route=route(mark(100, 3, attempt=2)))).reason is Reason.PROMOTED

    def test_deleted_the_mark_is_told_once_more(self) -> None:
        assert decide(seen(owner=DELETING)).mark == mark()
