"""Requests as annotations have them, and the answers as status and mark keep them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from changeover.core.mark import Mark
from changeover.core.requests import MAX_TOKEN, VERBS, Request, answers, parse_requests, pending, told, with_request

from tests.unit.core.seen import NOW, mark


def request(verb: str = "approve", token: str = "a", seconds: float = 0.0, **more: Any) -> Request:
    return Request(verb, token, NOW + timedelta(seconds=seconds), more.get("result", "Accepted"), "why")


def test_requests_are_read_off_the_annotations() -> None:
    annotations = {
        "changeover.dev/requested-approve": "a", "changeover.dev/requested-abort": "", "changeover.dev/mark": "x",
        "changeover.dev/requested-aprove": "b", "other.dev/requested-abort": "c",
    }  # fmt: skip
    assert parse_requests(annotations) == {"approve": "a", "aprove": "b"}


def test_a_long_token_is_cut_and_still_taken_up_once() -> None:
    asked = parse_requests({"changeover.dev/requested-abort": "x" * 5000})
    assert asked == {"abort": "x" * MAX_TOKEN}
    assert pending(asked, [request("abort", asked["abort"])]) == []


def test_what_is_open_comes_in_the_order_of_care() -> None:
    asked = {verb: "t" for verb in ("promote", "hurry", "approve", "abort")}
    assert [verb for verb, _ in pending(asked)] == ["abort", "approve", "promote", "hurry"]


@pytest.mark.parametrize(
    ("taken", "is_open"),
    [([], True), ([request(token="a")], False), ([request(token="b")], True), ([request("abort", "a")], True)],
    ids=["never asked", "taken up", "another token was", "another verb was"],
)
def test_only_what_was_not_taken_up_is_open(taken: list[Request], is_open: bool) -> None:
    assert bool(pending({"approve": "a"}, taken)) is is_open
    assert bool(pending({"approve": "a"}, (), taken)) is is_open


def test_one_entry_a_verb() -> None:
    before = (request("abort"), request("approve", "a"))
    assert with_request(before, request("approve", "b")) == (request("abort"), request("approve", "b"))


@pytest.mark.parametrize(
    ("status", "of_mark", "asked", "shown"),
    [
        (request(token="old"), request(token="new", seconds=5), "new", "new"),
        (request(token="new", seconds=5), request(token="old"), "new", "new"),
        (request(token="asked"), request(token="other", seconds=0.4), "asked", "asked"),
        (request(token="other"), request(token="asked"), "asked", "asked"),
    ],
    ids=["killed before status", "refused since", "refused in the same second", "carried out in the same second"],
)
def test_the_last_answer_of_a_verb_is_shown(status: Request, of_mark: Request, asked: str, shown: str) -> None:
    assert [a["token"] for a in answers({"approve": asked}, (status,), (of_mark,))] == [shown]


def test_answers_outlive_their_annotations_but_for_misspelt_verbs() -> None:
    given = [request(verb) for verb in (*VERBS, "hurry", "aprove")]
    assert [a["verb"] for a in answers({"hurry": "a"}, given)] == [*VERBS, "hurry"]
    many = {f"verb-{n}": "a" for n in range(40)}
    assert len(answers(many, given, [request(verb) for verb in many])) == 16


def test_requests_survive_mark_and_status() -> None:
    with_all = mark(attempt=3, paused=True, requests=(request("retry"), request("pause")))
    assert Mark.parse(json.loads(json.dumps(with_all.to_dict()))) == with_all
    assert told({"requests": [request("retry").to_dict()]}) == (request("retry"),)
    assert told({}) == ()


def test_a_mark_of_an_earlier_release_is_the_first_attempt_and_not_paused() -> None:
    earlier = {k: v for k, v in mark().to_dict().items() if k not in ("attempt", "paused", "requests")}
    assert Mark.parse(earlier) == mark()


def test_a_long_answer_is_cut_to_what_an_annotation_should_hold() -> None:
    assert len(Request("approve", "a", NOW, "Refused", "x" * 5000).to_dict()["answer"]) == 512
