"""SECURITY.md promises only what something shows: every test and command that it names is there."""

from __future__ import annotations

import importlib.util
import re

from tests.trust.made_of.pins import REPOSITORY

PAGE = (REPOSITORY / "SECURITY.md").read_text()


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"`((?:tests|charts|docs|operator)/[^`]+)`", PAGE))
    assert len(named) >= 10
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


def test_every_command_that_is_named_is_there() -> None:
    named = set(re.findall(r"python -m ([\w.]+)", PAGE))
    assert named == {"tests.trust.injection", "tests.trust.promql", "tests.trust.supply"}
    assert all(importlib.util.find_spec(name) for name in named)


def test_every_promise_names_what_shows_it() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 12
    assert [row for row in rows if not re.search(r"\| [^|]*(`tests/|make trust)[^|]*\|$", row)] == []


def test_the_number_of_distributions_is_the_true_one() -> None:
    count = sum("==" in line for line in (REPOSITORY / "requirements.txt").read_text().splitlines())
    assert f"There are {count} distributions at run time" in PAGE
