"""What was decided is told in the end, however often a process dies between weight and status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.fence import sealed
from changeover.core.history import LENGTH, MOST_UNTOLD, history, untold
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import Step, split
from changeover.core.plan import SetSplit

from tests.unit.core.seen import mark, owner, route, seen


def later(found: Mark, number: int, weight: int, phase: Phase = Phase.STEPPING) -> Mark:
    """So many minutes after."""
    since = found.since + timedelta(minutes=number)
    return replace(found, since=since, weight=weight, came_from=found.weight, phase=phase, untold=())


def write(found: Mark, decided: Mark, told: list[dict[str, Any]]) -> Mark:
    """The mark that is written in a pass which found one, with what status had told."""
    given = seen(route=route(found), owner=owner(status={"history": told}))
    *_, action = sealed(Step(Reason.STEPPED, "", (split(decided),)), given).actions
    assert isinstance(action, SetSplit)
    written = Mark.parse(action.mark)
    assert written is not None
    return written


def weights(entries: list[dict[str, Any]]) -> list[int]:
    return [entry["to"] for entry in entries]


def test_what_died_untold_twice_in_a_row_is_told_by_the_third() -> None:
    first = mark(10)
    second = write(first, later(first, 1, 50), [])
    third = write(second, later(second, 2, 0, Phase.ROLLING_BACK), [])
    assert weights(history([], [third])) == [10, 50, 0]


def test_what_status_has_is_carried_no_further() -> None:
    first = mark(10)
    second = write(first, later(first, 1, 50), history([], [first]))
    assert second.untold == ()
    third = write(replace(second, untold=(first.decision,)) if first.decision else second, second, history([], [first]))
    assert third.untold == (), "the same mark again, as whoever begins to lead writes it"


def test_a_mark_that_is_written_again_keeps_what_is_untold_and_does_not_name_itself() -> None:
    first = mark(10)
    second = write(first, later(first, 1, 50), [])
    assert write(second, second, []) == second
    assert weights(history([], [second])) == [10, 50]


def test_of_many_deaths_in_a_row_the_last_are_known() -> None:
    found = mark(1)
    for number in range(2, 12):
        found = write(found, later(found, number, number), [])
    assert weights(history([], [found])) == list(range(11 - MOST_UNTOLD, 12))
    assert len(history([{"to": n} for n in range(LENGTH)], [found])) == LENGTH


def test_before_the_first_step_nothing_was_decided() -> None:
    first = mark(0, 0, Phase.PREPARING)
    assert untold(first, mark(10), []) == () == untold(None, mark(10), [])
    assert history([], [first]) == []


@pytest.mark.parametrize("wrong", [7, "x", [7], [{}], [{"to": 10}], [{"at": "x", "from": 0, "to": 1}]])
@pytest.mark.parametrize("percent", [101, -1, "many", None])
def test_what_nobody_but_a_person_can_have_written_there_is_no_mark(wrong: Any, percent: Any) -> None:
    good = write(mark(10), later(mark(10), 1, 50), []).to_dict()
    assert Mark.parse(good) is not None
    assert Mark.parse({**good, "untold": wrong}) is None
    assert Mark.parse({**good, "untold": [{**good["untold"][0], "to": percent}]}) is None
