"""A rollback in parts: as much at once as stable's pods can carry, and never a weight that rises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.mark import Mark, Phase
from changeover.core.migration import decide
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import NoData, Unreadable, Workload
from changeover.core.plan import SetSplit
from changeover.core.verbs import decide as decide_with_verbs

from tests.unit.core.seen import (
    NOW,
    blocks,
    counts,
    kept,
    latest,
    mark,
    migration_spec,
    owner,
    route,
    seen,
    workload,
)

CARRIED = 10  # ready pods of stable when it carried all traffic
SLOW = counts(1000, slow=900)


def stable(ready: int) -> Workload:
    return workload(ready, max(ready, 1), name="old")


def on_all(ready: int, **more: Any) -> SeenMigration:
    """All traffic is on the canary, which answers late; so many pods of stable are ready."""
    its_mark = mark(100, 3, stable_pods=CARRIED)
    return seen(route=route(its_mark), **{"stable": stable(ready), "latest": latest(SLOW, counts(1)), **more})


def rolling(weight: int, seconds: float = 60.0, of: float = 60.0, **more: Any) -> Mark:
    """A rollback in parts: the last part was so many seconds ago, the first `of`."""
    last, first = NOW - timedelta(seconds=seconds), NOW - timedelta(seconds=of)
    base: dict[str, Any] = {
        "since": last,
        "began": first,
        "stable_pods": CARRIED,
        "came_from": 100,
        "reason": Reason.LATENCY_MISSED,
    }
    return mark(weight, 3, Phase.ROLLING_BACK, **{**base, **more})


def written(step: Step) -> int | None:
    return next((a.canary_percent for a in step.actions if isinstance(a, SetSplit)), None)


@pytest.mark.parametrize(
    ("ready", "weight"),
    # 1.5 times what each pod carried: 7 of 10 pods take all of it, 2 take 30 %.
    [(10, 0), (7, 0), (6, 10), (2, 70), (1, 85)],
)
def test_a_late_canary_keeps_what_stable_cannot_take_yet(ready: int, weight: int) -> None:
    step = decide(on_all(ready))
    assert (step.reason, written(step)) == (Reason.ROLLING_BACK, weight)
    assert step.mark is not None and (step.mark.phase, step.mark.came_from) == (Phase.ROLLING_BACK, 100)
    assert ("in parts" in step.message) is (weight > 0)


@pytest.mark.parametrize(("shown", "to"), [(0, 0), (20, 20), (90, 70), (None, 0)])
def test_what_somebody_took_from_the_canary_it_does_not_get_back_when_a_rollback_begins(
    shown: int | None, to: int
) -> None:
    its_route = route(mark(100, 3, stable_pods=CARRIED), canary_percent=shown)
    taken = replace(on_all(2), route=its_route)
    step = decide(taken)
    assert (step.reason, written(step)) == (Reason.ROLLING_BACK, to)
    aborted = decide_with_verbs(replace(taken, latest=latest(), owner=owner(requests={"abort": "t"})))
    assert (aborted.reason, written(aborted)) == (Reason.ROLLING_BACK, to)


@pytest.mark.parametrize(
    ("weight", "ready", "to"),
    # At night two pods carry the 50 % that ten carry by day: all of it is for four, of which two take 75 %.
    [(50, 2, 25), (10, 2, 0), (50, 8, 0)],
)
def test_what_stable_carries_now_tells_what_a_pod_can_carry(weight: int, ready: int, to: int) -> None:
    its_mark = mark(weight, 2, stable_pods=CARRIED)
    step = decide(seen(route=route(its_mark), stable=stable(ready), latest=latest(SLOW, counts(1000))))
    assert written(step) == to


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"canary": workload(0)}, Reason.CANARY_NOT_READY),
        ({"latest": latest(counts(1000, errors=900), counts(1))}, Reason.ERRORS_MISSED),
    ],
)
def test_from_a_canary_that_does_not_answer_all_goes_back_at_once(more: dict[str, Any], why: Reason) -> None:
    step = decide(on_all(1, **more))
    assert written(step) == 0 and step.mark is not None and step.mark.reason is why


BOTH = counts(1000, slow=900, errors=900)  # a gateway that waits in vain, 504: slow and wrong
ORDERS = [seen().spec.objectives, seen().spec.objectives[::-1]]


@pytest.mark.parametrize("objectives", ORDERS, ids=["as given", "the other way round"])
def test_who_answers_wrongly_and_late_answers_wrongly(objectives: Any) -> None:
    def so(found: SeenMigration) -> SeenMigration:
        return replace(found, spec=found.spec.model_copy(update={"objectives": objectives}))

    assert {one.type for one in objectives} >= {"Latency", "Errors"}
    begun = decide(so(on_all(1, latest=latest(BOTH, counts(1)))))
    under_way = decide(so(seen(route=route(rolling(70, 5.0)), stable=stable(2), latest=latest(BOTH, counts(500)))))
    at = mark(100, 3, stable_pods=CARRIED)
    some = counts(1000, slow=200, errors=200)
    known = {"evidence": replace(kept(0), since=at.since), "blocks": blocks(12, some)}
    by_blocks = decide(so(on_all(1, latest=latest(counts(1), counts(1)), **known)))
    assert [written(begun), written(under_way), written(by_blocks)] == [0, 0, 0]


def test_how_many_pods_carried_all_traffic_is_taken_down_at_the_first_weight_and_kept() -> None:
    before = seen(route=route(mark(0, 0, Phase.PREPARING)), stable=stable(7), evidence=None, blocks=())
    first = decide(before).mark
    assert first is not None and (first.weight, first.stable_pods) == (10, 7)
    later = seen(route=route(mark(10, 1, stable_pods=7)), stable=stable(2), evidence=kept(60), blocks=())
    second = decide(later).mark
    assert second is not None and (second.weight, second.stable_pods) == (50, 7)


def test_the_pods_that_an_autoscaler_gave_stable_since_are_needed_for_all_traffic_too() -> None:
    """The first weight came at night; by day 30 pods carry what is left. Of those the last step leaves three."""
    by_day = seen(route=route(mark(10, 1, stable_pods=CARRIED)), stable=stable(30), evidence=kept(60), blocks=())
    up = decide(by_day).mark
    assert up is not None and (up.weight, up.stable_pods) == (50, 30)
    its_mark = mark(100, 3, stable_pods=up.stable_pods)
    assert written(decide(replace(on_all(3), route=route(its_mark)))) == 85, (
        "15 % for three of 30, at 1.5 times; not 45 %"
    )


def test_jump_is_all_at_once() -> None:
    assert written(decide(replace(on_all(1), spec=migration_spec(rollback={"ramp": "Jump"})))) == 0


def test_a_mark_of_an_earlier_release_does_not_know_the_pods_and_jumps() -> None:
    assert written(decide(replace(on_all(1), route=route(mark(100, 3))))) == 0


@pytest.mark.parametrize(
    ("ready", "seconds", "to"),
    [
        (2, 60.0, None),  # stable has no more pods: it waits
        (4, 60.0, 40),  # 1.5 x 4/10
        (4, 10.0, None),  # an autoscaler is given time between two parts
        (7, 10.0, 0),  # the last part waits for nothing
    ],
)
def test_the_next_part_follows_stables_pods(ready: int, seconds: float, to: int | None) -> None:
    its_mark = rolling(70, seconds)
    step = decide(seen(route=route(its_mark), stable=stable(ready), latest=NoData("nothing")))
    assert written(step) == to
    if to is None:
        assert step.reason in (Reason.STABLE_TOO_SMALL, Reason.ROLLING_BACK) and step.outcome is None


def test_it_says_what_it_waits_for() -> None:
    step = decide(seen(route=route(rolling(70)), stable=stable(2)))
    assert step.reason is Reason.STABLE_TOO_SMALL and not step.stalled
    assert "70 % still on the canary, since stable has 2 ready pods where 10 carry all traffic" in step.message


def test_an_autoscaler_and_the_parts_do_not_wait_for_each_other() -> None:
    """Stable's pods grow as its load does, up to what a pod carried before; all of it is back after a few parts."""
    weight, pods, parts = 70, 2, 0
    while weight:
        carried = (100 - weight) / pods  # percent of all traffic a pod; 10 before the migration
        pods = min(CARRIED, round(pods * carried / (100 / CARRIED)))
        step = decide(seen(route=route(rolling(weight)), stable=stable(pods)))
        assert written(step) is not None, f"stuck at {weight} % with {pods} pods"
        weight, parts = written(step) or 0, parts + 1
    assert parts <= 4


def test_a_canary_that_begins_to_fail_under_way_gets_nothing_more() -> None:
    fails = latest(counts(1000, errors=900), counts(500))
    assert written(decide(seen(route=route(rolling(70, 5.0)), stable=stable(2), latest=fails))) == 0
    assert written(decide(seen(route=route(rolling(70, 5.0)), stable=stable(2), canary=workload(0)))) == 0


UNREAD = Unreadable("GET: 503")


@pytest.mark.parametrize("unread", [{"stable": UNREAD}, {"canary": UNREAD}], ids=["stable", "canary"])
def test_pods_that_cannot_be_read_under_way_are_not_taken_for_none_to_wait_for(unread: dict[str, Any]) -> None:
    def so(its_mark: Mark, **more: Any) -> Step:
        return decide(seen(**{"route": route(its_mark), "stable": stable(2), **more, **unread}))

    step = so(rolling(70))
    assert (written(step), step.reason) == (None, Reason.STABLE_TOO_SMALL) and "GET: 503" in step.message
    fails = latest(counts(1000, errors=900), counts(500))
    jump = {"rollback": {"ramp": "Jump"}}
    late = rolling(70, of=601)
    assert [written(so(late)), written(so(rolling(70), latest=fails)), written(so(rolling(70), spec=jump))] == [0, 0, 0]


@pytest.mark.parametrize(
    ("weight", "to"),
    # 1.5 times what stable carries now: a third of the traffic goes back at once, whoever its pods are.
    [(10, 0), (33, 0), (50, 25), (90, 85), (100, 100)],
)
def test_pods_of_stable_that_cannot_be_read_when_a_rollback_begins_are_not_taken_for_all(weight: int, to: int) -> None:
    its_mark, late = mark(weight, stable_pods=CARRIED), latest(SLOW, counts(100))

    def so(spec: dict[str, Any] | None = None, **more: Any) -> Step:
        return decide(seen(spec, **{"route": route(its_mark), "stable": UNREAD, "latest": late, **more}))

    step = so()
    assert (step.reason, written(step)) == (Reason.ROLLING_BACK, to)
    assert step.mark is not None and ("stable's pods are not known: GET: 503" in step.message) is (to > 0)
    assert step.mark.began == (NOW if to else None), "up to spec.rollback.timeout"
    wrong = latest(counts(1000, errors=900), counts(100))
    at_once = (so(latest=wrong), so({"rollback": {"ramp": "Jump"}}), so(route=route(mark(weight))))
    assert [written(one) for one in at_once] == [0, 0, 0]


def test_a_canary_whose_pods_cannot_be_read_answers_if_it_is_late() -> None:
    assert written(decide(on_all(2, canary=UNREAD))) == 70


@pytest.mark.parametrize("named", [stable(0), None], ids=["no pod of it is ready", "it is not there"])
def test_an_edit_under_way_that_names_no_stable_yet_says_nothing_of_the_pods_that_carry_the_traffic(named: Any) -> None:
    edited: dict[str, Any] = {"stable": named, "unserved": "spec.stable: next has no ready pod, so the route is left"}
    step = decide(seen(route=route(rolling(70)), **edited))
    assert (written(step), step.reason) == (None, Reason.STABLE_TOO_SMALL)
    assert "spec.stable: next has no ready pod" in step.message and "0 ready" not in step.message
    assert written(decide(seen(route=route(rolling(70, of=601)), **edited))) == 0


def test_past_its_time_all_goes_back_but_never_to_nobody() -> None:
    late = rolling(70, of=601)
    assert written(decide(seen(route=route(late), stable=stable(2)))) == 0
    assert written(decide(seen(route=route(late), stable=stable(0)))) is None


@pytest.mark.parametrize(("shown", "to"), [(0, 0), (20, 20), (100, 70)])
def test_what_somebody_took_from_the_canary_it_never_gets_back(shown: int, to: int) -> None:
    step = decide(seen(route=route(rolling(70), canary_percent=shown), stable=stable(2)))
    assert written(step) == to and step.mark is not None and step.mark.weight == to


def test_a_lost_mark_does_not_start_over() -> None:
    """Status says that it is rolled back in parts: no other weight is ever climbed to in this generation."""
    entry = {"at": "2030-01-01T11:00:00Z", "from": 100, "to": 70, "reason": "R", "message": "m"}
    status = {
        "observedGeneration": 1, "history": [entry],
        "step": {"index": 3, "weightPercent": 70, "since": entry["at"], "rollingBack": True},
    }  # fmt: skip
    step = decide(seen(owner=owner(status=status), route=route(canary_percent=70, mark=None), stable=stable(2)))
    assert step.mark is not None and (step.mark.phase, written(step)) == (Phase.ROLLING_BACK, 0)


def test_a_tampered_weight_beside_a_rollback_is_0() -> None:
    text = {**rolling(70).to_dict(), "from": 10}
    parsed = Mark.parse(text)
    assert parsed is not None and parsed.weight == 0


def test_a_rollback_in_parts_is_not_begun_again_by_a_person() -> None:
    told = seen(route=route(rolling(70)), stable=stable(2), owner=owner(requests={"abort": "t"}))
    step = decide_with_verbs(told)
    assert step.request is not None and step.request.result == "Refused" and written(step) is None
