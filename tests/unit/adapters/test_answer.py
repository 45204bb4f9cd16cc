"""A large answer is read in pieces, and says the same as if it were read at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from changeover.adapters.metrics.answer import MOST_ITEM_BYTES, AnswerRefused, parsed


def told(items: list[Any], **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": items}, **more}


LONG = [{"metric": {"le": f'"result": [{n}, ]'}, "values": [[n, "1"]] * 99} for n in range(1000)]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize(
    "items",
    [[], LONG, [*LONG, 1.5, "x", None], [{"é€𝄞" * n: n} for n in range(700)]],
    ids=["none", "many", "of all kinds", "not of ASCII"],
)
def test_it_is_what_json_says(items: list[Any], separators: tuple[str, str]) -> None:
    body = json.dumps(told(items, infos=["x"]), separators=separators, ensure_ascii=False)
    assert parsed(body.encode()) == json.loads(body)


def test_warnings_behind_a_large_result_are_seen() -> None:
    with pytest.raises(AnswerRefused, match="partial: store-1 is down"):
        parsed(json.dumps(told(LONG, warnings=["store-1 is down"])).encode())


TOO_LARGE = "x" * (MOST_ITEM_BYTES + 1)


@pytest.mark.parametrize(
    "body",
    [
        {"padding": TOO_LARGE, **told([])},
        told([TOO_LARGE]),
        told(LONG, padding=TOO_LARGE),
        {"status": "success", "data": [[]] * MOST_ITEM_BYTES},
    ],
    ids=["before", "an item", "behind", "no result"],
)
def test_what_is_too_large_is_refused_before_it_is_built(body: Any) -> None:
    with pytest.raises(AnswerRefused, match=f"{MOST_ITEM_BYTES} bytes"):
        parsed(json.dumps(body).encode())


@pytest.mark.parametrize("cut", [1, 1000, MOST_ITEM_BYTES, 2 * MOST_ITEM_BYTES])
def test_a_part_of_it_is_no_answer(cut: int) -> None:
    with pytest.raises((AnswerRefused, ValueError)):
        parsed(json.dumps(told(LONG)).encode()[:-cut])
