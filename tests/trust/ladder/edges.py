"""What a write of weight and mark makes of the mark before: a step of the search, and of a course that was recorded.

The search goes every way that the real decision has. What an operator in a process of its own wrote to a real API
server, whatever it met, must be one of these ways: each of its writes an edge that the search knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from changeover.core.mark import Mark

from tests.trust.ladder.memory import reason_of

KEPT = Path(__file__).parent / "edges.json"


def edge(before: Mark | None, written: Mapping[str, Any]) -> str:
    """In words, and without what is the course's own: times, messages, numbers of generations and attempts."""
    after = Mark.parse(written)
    if after is None:
        return f"{_short(before)} -> a mark that cannot be read back"
    said = f"{_short(before)} -> {_short(after)}, {reason_of(after.reason, after.phase)}"
    if before is None:
        return said
    newer = "" if after.generation == before.generation else ", another generation"
    return said + newer + (f", attempt {after.attempt - before.attempt:+d}" if after.attempt != before.attempt else "")


def _short(mark: Mark | None) -> str:
    return "no mark" if mark is None else f"{mark.phase.value} step {mark.step} at {mark.weight} %"


def known() -> frozenset[str]:
    """Those that a search of 1,150,000 states found."""
    return frozenset(json.loads(KEPT.read_text()))


def keep(edges: Iterable[str]) -> None:
    """To be committed."""
    KEPT.write_text(json.dumps(sorted(edges), indent=1) + "\n")
