"""The reference pages are those of the code, and name everything in it."""

from __future__ import annotations

import re

from changeover.api.reasons import ConditionType, Reason

from tests.docs.__main__ import FOLDER, KINDS, pages


def test_the_pages_are_fresh() -> None:
    for name, text in pages().items():
        assert (FOLDER / name).read_text() == text, f"docs/reference/{name} is stale; run: make reference"


def test_every_reason_and_every_condition_type_is_there() -> None:
    named = re.findall(r"^\| `(\w+)` \| \S", pages()["reasons.md"], re.MULTILINE)
    assert sorted(named) == sorted([*(str(one) for one in Reason), *(str(one) for one in ConditionType)])


def test_no_field_is_without_a_description() -> None:
    for kind in KINDS.values():
        rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (.*) \|$", pages()[f"{kind.lower()}.md"], re.MULTILINE)
        assert len(rows) > 60
        assert [path for path, _, text in rows if not text.strip()] == []


def test_what_to_do_is_said_of_reasons_that_there_are() -> None:
    page = (FOLDER.parent / "when-it-holds.md").read_text()
    first = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)[2:]
    named = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    assert named <= {str(one) for one in Reason}
    waits = {str(one) for one in Reason if str(one).startswith("Waiting")} - {"WaitingForPromotion"}
    assert waits <= named, "every reason to wait is explained"
