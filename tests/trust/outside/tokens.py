"""PromQL cut into tokens, as Prometheus cuts it: enough to see whether a value has left its string.

Strings follow Go's rules: double and single quotes with escapes and without a line's end, backquotes as they are.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE = re.compile(r"""\\(?:([abfnrtv\\'"])|([0-3][0-7]{2})|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))""")
_WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:.]*|[0-9][0-9A-Za-z.]*|=~|!~|!=|==|>=|<=|[-+*/%^(){}\[\],=<>@]")
_SPACE = re.compile(r"(?:[ \t\n\r]+|#[^\n]*)+")


class NoPromQL(Exception):
    """Prometheus would refuse it."""


class Shape(NamedTuple):
    """The tokens with a ``"`` for each string, and what the strings say."""

    tokens: tuple[str, ...]
    values: tuple[str, ...]


def shape(query: str) -> Shape:
    """Raises NoPromQL for what is no sequence of tokens."""
    tokens, values, at = [], [], 0
    while at < len(query):
        if blank := _SPACE.match(query, at):
            at = blank.end()
        elif query[at] in "\"'`":
            value, at = _string(query, at)
            tokens.append('"')
            values.append(value)
        elif word := _WORD.match(query, at):
            tokens.append(word[0])
            at = word.end()
        else:
            raise NoPromQL(f"{query[at]!r} at {at}")
    return Shape(tuple(tokens), tuple(values))


def _string(query: str, begin: int) -> tuple[str, int]:
    """What the string that begins here says, and where it has ended."""
    quote, at = query[begin], begin + 1
    said: list[str] = []
    while at < len(query):
        char = query[at]
        if char == quote:
            return "".join(said), at + 1
        if quote == "`":
            said.append(char)
            at += 1
            continue
        if char == "\\":
            value, at = _escape(query, at, quote)
            said.append(value)
        elif char in "\n\ufffd":  # Prometheus takes U+FFFD for the sign of bytes that are no UTF-8
            raise NoPromQL(f"{char!r} in a string")
        else:
            said.append(char)
            at += 1
    raise NoPromQL("a string without an end")


def _escape(query: str, at: int, quote: str) -> tuple[str, int]:
    found = _ESCAPE.match(query, at)
    if not found or (found[1] in ("'", '"') and found[1] != quote):
        raise NoPromQL(f"{query[at : at + 2]!r} is no escape")
    simple, octal, *hexadecimal = found.groups()
    if simple:
        return SIMPLE.get(simple, simple), found.end()
    number = int(octal, 8) if octal else int(next(one for one in hexadecimal if one), 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise NoPromQL(f"{found[0]} is no character")
    return chr(number), found.end()
