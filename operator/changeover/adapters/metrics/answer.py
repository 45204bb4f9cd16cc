"""What a metric source's answer says, read so that a large one neither stops the event loop nor fills the memory.

json.loads of 8 MiB holds the interpreter's lock for some hundred milliseconds, in whatever thread it runs. A large
result is therefore read item by item; an item that is itself too large is refused before it is built.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import requests

MOST_ITEM_BYTES = 256 * 2**10  # one series: a day at a sample a minute takes an eighth of it
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
    told = _read(memoryview(body))
    if not isinstance(told, dict) or told.get("status") != "success":
        raise AnswerRefused(f"no success: {str(told.get('error') if isinstance(told, dict) else told)[:100]}")
    warnings = [str(one) for one in told.get("warnings") or [] if not str(one).startswith(_REMARK)]
    if warnings or told.get("isPartial"):
        raise AnswerRefused(f"its data may be partial: {'; '.join(warnings)[:150] or 'isPartial'}")
    return told


def _read(body: memoryview) -> Any:
    """json.loads, in pieces where it is large: the whole as a text would stay behind in the heap of each thread."""
    if len(body) <= MOST_ITEM_BYTES:
        return json.loads(str(body, "utf-8"))
    head = _text(body, 0)
    begin = _RESULT.search(head)
    if begin is None:
        raise AnswerRefused(f"no result within its first {MOST_ITEM_BYTES} bytes")
    items, end = _items(body, len(head[: begin.end()].encode()))
    if len(body) - end > MOST_ITEM_BYTES:
        raise AnswerRefused(f"more than {MOST_ITEM_BYTES} bytes follow its result")
    told = json.loads(head[: begin.end()] + str(body[end:], "utf-8"))
    told["data"]["result"] = items
    return told


def _items(body: memoryview, at: int) -> tuple[list[Any], int]:
    """The items of an array whose bracket was opened before ``at``, and where it is closed."""
    items: list[Any] = []
    while True:
        piece, used = _text(body, at), 0
        while True:
            start = _GAP.match(piece, used).end()  # type: ignore[union-attr]
            if piece[start : start + 1] == "]":
                return items, at + len(piece[:start].encode())
            try:
                item, used = _decoder.raw_decode(piece, start)
            except json.JSONDecodeError:
                break  # cut off by the piece's end, or no JSON
            items.append(item)
        if used == 0:
            raise AnswerRefused(f"a series of more than {MOST_ITEM_BYTES} bytes, or no JSON")
        at += len(piece[:used].encode())


def _text(body: memoryview, at: int) -> str:
    """As much as an item may take, without a character that is cut at its end."""
    return codecs.utf_8_decode(body[at : at + MOST_ITEM_BYTES], "strict", False)[0]
