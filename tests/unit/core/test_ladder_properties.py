"""The ladder over states that nobody thought of: whatever is seen, a weight rises for one reason alone.

`test_never_climbs_again.py` plays stories, so it meets states that can be reached. Here states are drawn as they come,
reachable or not, since what a person, a gateway or an older release leaves behind is not bounded by our own writes.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.core import names
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import SeenMigration
from changeover.core.observed import Evidence, NoData, Route, Unreadable, Workload
from changeover.core.plan import SetSplit
from changeover.core.requests import VERBS
from changeover.core.verbs import decide
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.unit.core.seen import NOW, blocks, counts, kept, latest, mark, owner, pod, route, seen, workload

STEPS = [
    {"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h", "approval": how}
    for weight, how in ((10, "Automatic"), (50, "Manual"), (100, "Automatic"))
]
SPEC = {"steps": STEPS, "decision": {"falseAdvancePercent": 20, "block": "1m", "maxBlind": "5m"}}
FRESH_SECONDS = 30.0
GOOD, SLOW, FAILING = counts(600), counts(600, slow=300), counts(600, errors=300)
UNREAD = Unreadable("timed out")

AGO = mark().since
BEFORE, ON_FIRST = (0, 0, Phase.PREPARING), (1, 10, Phase.STEPPING)

WORKLOADS = [
    workload(ready=1), workload(ready=0), UNREAD, None,
    workload(replicas=1, pods=(pod(restarts=1, ended=NOW - timedelta(seconds=30)),)),
]  # fmt: skip
LOOKS = [
    latest(counts(0)), latest(counts(100, slow=50)), latest(counts(100, errors=50)), latest(stable=counts(0)),
    replace(latest(), canary=None),
    replace(latest(), stable=None), UNREAD, NoData("nothing"), None,
]  # fmt: skip


def ended(result: str) -> dict[str, Any]:
    at = "2030-01-01T11:00:00Z"
    return {"result": result, "at": at, "generation": 1, "attempt": 1, "reason": "R", "message": "m"}


# What a pass can see besides what is well, by what it is of. A mark is drawn as somebody may have written it.
ODD: dict[str, st.SearchStrategy[Any]] = {
    "weight": st.sampled_from([0, 37, 100]),
    "step": st.integers(0, 4),
    "phase": st.sampled_from(list(Phase)),
    "since": st.sampled_from([NOW - timedelta(seconds=seconds) for seconds in (1, 60, 90_000)]),
    "generation": st.integers(1, 2),
    "arms": st.just("others"),
    "attempt": st.integers(1, 2),
    "paused": st.just(True),
    "restarts": st.integers(0, 1),
    "stable_pods": st.sampled_from([1, 2, 3, 10]),
    "came_from": st.sampled_from([10, 37, 100]),
    "shown": st.sampled_from([0, 37, 100, None]),
    "no mark": st.just(True),
    "not ours": st.just(True),
    "not accepted": st.just(True),
    "route": st.sampled_from([UNREAD, None]),
    "verbs": st.dictionaries(st.sampled_from([*VERBS, "hurry"]), st.just("token"), max_size=2),
    "outcome": st.sampled_from([ended("RolledBack"), ended("Promoted")]),
    "suspend": st.just(True),
    "edited": st.just(2),
    "deleting": st.just(True),
    "no finalizer": st.just(True),
    "stable": st.sampled_from(WORKLOADS),
    "canary": st.sampled_from(WORKLOADS),
    "latest": st.sampled_from(LOOKS),
    "unread blocks": st.just(True),
    "behind": st.just(True),
    "blocks": st.sampled_from([SLOW, FAILING]),
    "evidence": st.just(SLOW),
}
MORE = ("generation", "arms", "attempt", "paused", "restarts", "stable_pods", "came_from")
KEPT = {True: kept(60), False: kept(60, SLOW)}


@st.composite
def states(draw: st.DrawFn) -> SeenMigration:
    """A migration that may rise, but for a few things that are odd."""
    which = draw(st.lists(st.sampled_from(sorted(ODD)), max_size=3))
    odd = {name: draw(ODD[name]) for name in which}
    step, weight, phase = draw(st.sampled_from([BEFORE, ON_FIRST, ON_FIRST]))
    more = {name: odd[name] for name in MORE if name in odd}
    told = mark(
        odd.get("weight", weight), odd.get("step", step), odd.get("phase", phase), since=odd.get("since", AGO), **more
    )
    its_mark = None if "no mark" in odd else told.to_dict()
    read = Route("not ours" not in odd, odd.get("shown", told.weight), its_mark, "not accepted" not in odd, "no")
    return seen(
        {**SPEC, "suspend": "suspend" in odd},
        owner=owner(
            generation=odd.get("edited", 1),
            deleting="deleting" in odd,
            finalizers=() if "no finalizer" in odd else (names.FINALIZER,),
            status={"outcome": odd["outcome"]} if "outcome" in odd else {},
            requests=odd.get("verbs", {"approve": "token"}),
        ),
        route=odd.get("route", read),
        stable=odd.get("stable", workload(name="old")),
        canary=odd.get("canary", workload()),
        latest=odd.get("latest", latest()),
        behind="behind" in odd,
        **_evidence_of(told, odd),
    )


def _evidence_of(told: Mark, odd: dict[str, Any]) -> dict[str, Any]:
    """What status kept and what was read since, one after the other, as they are observed: none of another weight."""
    if told.since != AGO:
        return {"evidence": None, "blocks": UNREAD if "unread blocks" in odd else ()}
    before = KEPT[odd.get("evidence", GOOD) is GOOD]
    if "unread blocks" in odd:
        return {"evidence": before, "blocks": UNREAD}
    read = blocks(3, odd.get("blocks"))
    gap = before.until - read[0].start
    return {"evidence": before, "blocks": tuple(replace(b, start=b.start + gap, end=b.end + gap) for b in read)}


@settings(max_examples=800, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(states())
def test_whatever_is_seen_a_weight_rises_for_one_reason_alone(told: SeenMigration) -> None:
    before = copy.deepcopy(told)
    step = decide(told)
    assert decide(before) == step, "decided otherwise the second time"
    assert told == before, "deciding changed what was seen"
    writes = [action for action in step.actions if isinstance(action, SetSplit)]
    assert len(writes) <= 1, "weight and mark are one write"
    if writes:
        _fits_together(writes[0])
        _is_ours(told)
        _keeps_a_rollback(told, writes[0])
        if writes[0].canary_percent > _weight_before(told):
            _may_rise(told, writes[0])


def _fits_together(write: SetSplit) -> None:
    written = Mark.parse(write.mark)
    assert written is not None and written.weight == write.canary_percent
    assert 0 <= write.canary_percent <= 100
    assert written.phase is not Phase.ROLLING_BACK or write.canary_percent <= written.came_from


def _is_ours(told: SeenMigration) -> None:
    assert told.route is None or (isinstance(told.route, Route) and told.route.ours)


def _keeps_a_rollback(told: SeenMigration, write: SetSplit) -> None:
    old = _mark_before(told)
    if old is not None and old.phase is Phase.ROLLING_BACK and told.owner.status.get("outcome") is None:
        shown = told.route.canary_percent if isinstance(told.route, Route) else None
        event(f"a rollback at {old.weight}")
        assert write.canary_percent <= min(old.weight, shown or 0)


def _may_rise(told: SeenMigration, write: SetSplit) -> None:
    outcome: dict[str, Any] | None = told.owner.status.get("outcome")
    if outcome is not None and outcome["result"] == "Promoted":
        event("put back after the end")
        assert write.canary_percent in (_weight_before(told), STEPS[-1]["weightPercent"])
        return
    old, found = _mark_before(told), told.route
    assert old is not None and isinstance(found, Route)
    event(f"rises from {old.weight}")
    assert found.accepted and found.canary_percent == old.weight
    assert old.phase is not Phase.ROLLING_BACK and not old.paused
    assert not told.spec.suspend and not told.owner.deleting
    assert isinstance(told.canary, Workload) and told.canary.ready == told.canary.replicas > 0
    assert isinstance(told.stable, Workload) and told.stable.ready > 0
    assert isinstance(told.latest, Evidence) and (told.now - told.latest.end).total_seconds() < FRESH_SECONDS
    by_hand = write.mark["reason"] == "PromotedByHand"
    if old.weight:
        _does_well(told, told.latest, by_hand)
    to = write.mark["step"]
    assert write.canary_percent == STEPS[to - 1]["weightPercent"] > old.weight
    assert by_hand or all(step["weightPercent"] <= old.weight for step in STEPS[: to - 1])
    needs_a_person = by_hand or STEPS[to - 1]["approval"] == "Manual"
    assert not needs_a_person or ("promote" if by_hand else "approve") in told.owner.requests


def _does_well(told: SeenMigration, look: Evidence, by_hand: bool) -> None:
    """In the last scrapes, in the blocks since, and, but for a promotion by hand, over the whole step."""
    assert look.canary is not None and look.stable is not None
    assert not look.canary.errors and not look.canary.slow["latency"]
    if not by_hand:
        assert not isinstance(told.blocks, Unreadable) and not told.behind
    read = () if isinstance(told.blocks, Unreadable) else told.blocks
    assert all(block.canary is not None and not block.canary.errors for block in read)


def _mark_before(told: SeenMigration) -> Mark | None:
    found = told.route
    return Mark.parse(found.mark) if isinstance(found, Route) and found.ours else None


def _weight_before(told: SeenMigration) -> int:
    """The weight that was decided before: what the mark of a route of ours says."""
    before = _mark_before(told)
    return before.weight if before is not None else 0


@pytest.mark.parametrize(("weight", "step", "phase", "to"), [(0, 0, Phase.PREPARING, 10), (10, 1, Phase.STEPPING, 50)])
def test_the_state_that_nothing_is_odd_about_rises(weight: int, step: int, phase: Phase, to: int) -> None:
    """Else the property would hold of nothing."""
    told = seen(SPEC, owner=owner(requests={"approve": "token"}), evidence=kept(60), blocks=())
    [write] = [
        a for a in decide(replace(told, route=route(mark(weight, step, phase)))).actions if isinstance(a, SetSplit)
    ]
    assert write.canary_percent == to
