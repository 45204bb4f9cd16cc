"""What is planned, what is counted, and what becomes of a failure; nothing is told here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.trust.live import trials
from tests.trust.live.__main__ import Tally, attempt, chosen
from tests.trust.live.calls import BACK, EVENT, ONE_OF_TEN, UNSEEN, How
from tests.trust.live.goals import OURS, met_of, pairs, views
from tests.trust.live.proxy import Answer, Proxy
from tests.trust.live.trials import Bench, Course, Trial, references, run_safely, store, stored
from tests.unit.loopback import serving

PAIRS_ASKED = 1000  # of R2
NAME = "migration, promoted"
ONE, OTHER = (("PATCH httproutes/shop", n, How.KILLED_AFTER) for n in (1, 2))
PAIR = Trial(NAME, (ONE, OTHER))


def a_course(*met: tuple[str, int], wrong: str = "") -> Course:
    return Course(references()[NAME].end, [], list(met), 1, 1.0, [wrong] if wrong else [])


class Told(Bench):
    """Trials that have been told, and then, perhaps, the end of this process."""

    def __init__(self, *told: tuple[Trial, Course], ends: bool = False) -> None:
        self.told, self.ends = told, ends

    def run_all(self, trials: list[Trial], until: float = 0.0) -> Iterator[tuple[Trial, Course]]:
        yield from self.told
        if self.ends:
            raise SystemExit


def test_pairs_are_two_writes_the_second_after_the_first_and_none_is_drawn_twice() -> None:
    known = references()
    planned = pairs(known, 1)
    assert len(set(planned)) == len(planned) >= PAIRS_ASKED
    for trial in planned:
        first, second = (known[trial.story].calls.index((what, n)) for what, n, _ in trial.plan)
        assert first < second


def test_each_watch_is_met_at_its_first_and_last_events_and_at_each_deletion() -> None:
    known = references()
    planned = {(trial.story, trial.plan) for trial in views(known, 1)}
    assert 1500 <= len(planned) <= 2500
    assert {how for _, plan in planned for *_, how in plan} == {*UNSEEN, *BACK, How.KILLED_AFTER}
    for name, course in known.items():
        for plural in OURS:
            most = course.events.get(f"{EVENT} {plural}", 0)
            asked = [(f"{EVENT} {plural}", n) for n in {1, 2, 3, 4, most - 2, most - 1, most} if 0 < n <= most]
            asked += [(f"DELETED {plural}", n + 1) for n in range(course.events.get(f"DELETED {plural}", 0))]
            assert {(name, ((*place, how),)) for place in asked for how in UNSEEN} <= planned
    assert any("DELETED" in what for _, plan in planned for what, *_ in plan)


def test_the_numbers_between_come_by_their_stride() -> None:
    assert met_of(20, 5) == [1, 2, 3, 4, 6, 11, 16, 18, 19, 20]
    assert met_of(2, 5) == [1, 2] and met_of(0, 1) == []


def test_a_trial_counts_when_all_its_places_came() -> None:
    assert a_course(ONE[:2], OTHER[:2]).did(PAIR)
    assert not a_course(ONE[:2]).did(PAIR)
    assert a_course(("GET nodes", 3)).did(Trial(NAME, ((ONE_OF_TEN, 1, How.LOST),)))
    assert not a_course().did(Trial(NAME, ((ONE_OF_TEN, 1, How.LOST),)))


def test_a_goal_of_which_nothing_was_tried_says_nothing() -> None:
    assert chosen("crash", only="no such story") == []
    assert not Tally().says_something
    assert not Tally(planned=9, tried=9).says_something
    assert not Tally(planned=9, tried=9, did=4).says_something
    assert Tally(planned=9, tried=9, did=8).says_something


def test_a_failure_is_kept_before_the_run_ends_and_what_was_tried_is_told() -> None:
    kept, tally = list[Trial](), Tally()
    told = Told((PAIR, a_course(ONE[:2], wrong="two led")), ends=True)
    with pytest.raises(SystemExit):
        attempt(told, [PAIR, PAIR], tally, 1.0, kept.append)
    assert kept == [PAIR] == list(tally.failed)
    assert str(tally).startswith("1 trials of 2, 0 took effect, 1 did not or in part, 1 failed")


def test_what_ends_a_trial_otherwise_is_a_failure_of_that_trial() -> None:
    [wrong] = run_safely(cast(Any, None), Path("/nowhere"), PAIR).wrong
    assert wrong.startswith("Traceback")


def test_what_was_stored_is_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "STORED", tmp_path / "failed.json")
    store("pairs", PAIR)
    store("pairs", PAIR)
    assert stored("pairs") == [PAIR] == chosen("pairs")[:1]
    assert json.loads((tmp_path / "failed.json").read_text()) == {"pairs": [PAIR.as_kept()]}


def an_answer(version: int, *items: str) -> Answer:
    body = {"metadata": {"resourceVersion": str(version)}, "items": list(items)}
    return 200, [], json.dumps(body).encode()


@pytest.mark.parametrize(("now", "did"), [(an_answer(2, "web"), False), (an_answer(2, "web", "new"), True)])
def test_a_view_that_shows_what_is_so_anyway_did_nothing(now: Answer, did: bool) -> None:
    with serving(Proxy("127.0.0.1", 1, "")) as proxy:
        place = ("PATCH httproutes/shop", 1)
        proxy.plan = {place: How.REWOUND}
        before = an_answer(1, "web")
        assert proxy.seen("/pods", before) == before
        assert proxy.meets(place[0]) is How.REWOUND
        assert proxy.rewound_for() > 0
        assert proxy.seen("/pods", now) == before
        assert proxy.met == ([place] if did else [])


def test_an_event_is_met_by_its_number_or_by_what_became_of_the_object() -> None:
    with serving(Proxy("127.0.0.1", 1, "")) as proxy:
        proxy.plan = {("EVENT pods", 1): How.HELD, ("DELETED pods", 1): How.HIDDEN}
        assert proxy.by_event("BOOKMARK", "pods") is None
        met = [proxy.by_event(became, "pods") for became in ("ADDED", "MODIFIED", "DELETED", "DELETED")]
        assert met == [How.HELD, None, How.HIDDEN, None]
        assert proxy.counted["EVENT pods"] == 4 and proxy.counted["DELETED pods"] == 2
