"""Each write of the route is bound to what was seen; a new term makes every version before it an old one."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.fence import sealed
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import Step, split
from changeover.core.observed import Unreadable
from changeover.core.plan import ConfirmOwner, HoldFinalizer, ReleaseRoute, SetSplit

from tests.unit.core.seen import mark, owner, route, seen


def hold(*actions: Any, **more: Any) -> Step:
    return Step(Reason.WAITING_EVIDENCE, "", actions, **more)


def test_a_write_names_the_version_that_was_seen() -> None:
    step = sealed(hold(split(mark()), HoldFinalizer(True)), seen(route=route(mark(), version="7")))
    assert step.actions == (SetSplit(10, mark().to_dict(), "7"), HoldFinalizer(True))


def test_without_a_route_it_names_none() -> None:
    assert sealed(hold(split(mark())), seen(route=None)).actions[-1] == SetSplit(10, mark().to_dict(), "")


RISE, LEAVE = ConfirmOwner("3"), ConfirmOwner("3", needs_answer=False)


@pytest.mark.parametrize(
    ("actions", "found", "wanted"),
    [
        ([split(mark(50, 2))], route(mark()), RISE),
        ([split(mark())], None, RISE),  # made anew where it stood: traffic comes back to the canary
        ([split(mark())], route(mark(), canary_percent=None), RISE),  # what it carries is not known
        ([split(mark(0, 1, Phase.ROLLING_BACK)), ReleaseRoute(), HoldFinalizer(False)], route(mark()), LEAVE),
        ([ReleaseRoute(), HoldFinalizer(False)], route(mark()), LEAVE),
        ([split(mark())], route(mark()), None),  # the same weight
        ([split(mark(0, 1, Phase.ROLLING_BACK))], route(mark()), None),  # a way back waits for nothing
        ([split(mark(0, 0, Phase.PREPARING))], None, None),
        ([HoldFinalizer(False)], route(mark()), None),
        ([], route(mark()), None),
    ],
)
def test_who_raises_a_weight_or_gives_the_route_away_asks_first_whether_the_owner_is_as_it_was_seen(
    actions: list[Any], found: Any, wanted: ConfirmOwner | None
) -> None:
    step = sealed(hold(*actions), seen(route=found, owner=owner(version="3")))
    assert next((action for action in step.actions[:1] if isinstance(action, ConfirmOwner)), None) == wanted
    assert all(type(action) is not ConfirmOwner for action in step.actions[1:])


def test_a_write_under_a_lease_holds_its_term() -> None:
    [action] = sealed(hold(split(mark(term=2))), seen(route=route(mark(term=2)), term=3)).actions
    assert isinstance(action, SetSplit)
    assert Mark.parse(action.mark) == mark(term=3)


def test_who_begins_to_lead_writes_its_term_and_nothing_else() -> None:
    step = sealed(hold(), seen(route=route(mark(term=1), version="7"), term=2))
    assert step.actions == (SetSplit(10, mark(term=2).to_dict(), "7"),)


def test_a_mark_of_a_rollback_that_is_under_way_gets_the_term_too() -> None:
    back = mark(0, 1, Phase.ROLLING_BACK)
    step = sealed(hold(), seen(route=route(back, canary_percent=0), term=2))
    assert [action.canary_percent for action in step.actions if isinstance(action, SetSplit)] == [0]


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (hold(), route(mark(term=2))),  # it has the term already
        (hold(), route(mark(term=3))),  # of who leads by now
        (hold(), route(mark=None)),
        (hold(), route(mark(), ours=False)),
        (hold(), route(mark(), canary_percent=37)),  # somebody else's weights are not ours to write over
        (hold(), Unreadable("away")),
        (hold(outcome={"result": "Promoted"}), route(mark())),
    ],
)
def test_otherwise_nothing_is_written(step: Step, found: Any) -> None:
    assert sealed(step, seen(route=found, term=2)).actions == step.actions


def test_a_route_that_is_given_away_gets_no_term() -> None:
    assert sealed(hold(ReleaseRoute()), seen(route=route(mark()), term=2)).actions == (
        ConfirmOwner("", needs_answer=False),
        ReleaseRoute(),
    )


def test_while_it_is_suspended_nothing_at_all_is_written() -> None:
    assert sealed(hold(), seen({"suspend": True}, route=route(mark(term=1)), term=2)).actions == ()


def test_without_a_lease_there_is_no_term() -> None:
    assert sealed(hold(), seen(route=route(mark()))).actions == ()
    assert "term" not in mark().to_dict()
