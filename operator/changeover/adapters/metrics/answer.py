"""What a metric source's answer says, read so that a large one neither stops the event loop nor fills the memory.

json.loads of 8 MiB holds the interpreter's lock for some hundred milliseconds, in whatever thread it runs. A large
result is therefore read item by item; an item that is itself too large is refused before it is built.
"""

from __future__ import annotations

import json
import re
from typing import Any

import requests

MOST_ITEM_CHARS = 256 * 2**10  # one series: a day at a sample a minute takes an eighth of it
_RESULT = re.compile(r'"result"\s*:\s*\[')  # not inside of a string: quotes there are escaped
_GAP = re.compile(r"[\s,]*")
_REMARK = "PromQL info"  # Prometheus 2 has its infos among the warnings
_decoder = json.JSONDecoder()


class AnswerRefused(requests.RequestException):
    """An answer came, and is not one that may be gone by."""


def parsed(body: bytes | memoryview) -> dict[str, Any]:
    """The JSON of a whole, successful answer. Raises AnswerRefused, or ValueError when it is no JSON.

    Thanos and remote storages put into ``warnings`` which of them did not answer, and tell the rest as a success;
    VictoriaMetrics says ``isPartial``. A series that is missing may be just the one with the errors.
    """
    try:
        text = str(body, "utf-8")
    except UnicodeDecodeError as error:
        raise AnswerRefused(f"no UTF-8: {error.reason}") from None  # it holds the body, and its repr four times that
    told = _read(text)
    if not isinstance(told, dict) or told.get("status") != "success":
        raise AnswerRefused(f"no success: {str(told.get('error') if isinstance(told, dict) else told)[:100]}")
    warnings = [str(one) for one in told.get("warnings") or [] if not str(one).startswith(_REMARK)]
    if warnings or told.get("isPartial"):
        raise AnswerRefused(f"its data may be partial: {'; '.join(warnings)[:150] or 'isPartial'}")
    return told


def _read(text: str) -> Any:
    """json.loads, in pieces where it is large."""
    if len(text) <= MOST_ITEM_CHARS:
        return json.loads(text)
    begin = _RESULT.search(text, 0, MOST_ITEM_CHARS)
    if begin is None:
        raise AnswerRefused(f"no result within its first {MOST_ITEM_CHARS} characters")
    items, end = _items(text, begin.end())
    if len(text) - end > MOST_ITEM_CHARS:
        raise AnswerRefused(f"more than {MOST_ITEM_CHARS} characters follow its result")
    told = json.loads(text[: begin.end()] + text[end:])
    told["data"]["result"] = items
    return told


def _items(text: str, at: int) -> tuple[list[Any], int]:
    """The items of an array whose bracket was opened before ``at``, and where it is closed."""
    items: list[Any] = []
    while True:
        piece, used = text[at : at + MOST_ITEM_CHARS], 0
        while True:
            start = _GAP.match(piece, used).end()  # type: ignore[union-attr]
            if piece[start : start + 1] == "]":
                return items, at + start
            try:
                item, used = _decoder.raw_decode(piece, start)
            except json.JSONDecodeError:
                break  # cut off by the piece's end, or no JSON
            items.append(item)
        if used == 0:
            raise AnswerRefused(f"a series of more than {MOST_ITEM_CHARS} characters, or no JSON")
        at += used
