"""The page of reasons names every reason that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from changeover.core.audit import MENDS, OWN_FAULTS
from changeover.core.benchmark_status import FAILED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "invalid-reasons.md"
HEADINGS = {"The candidate's own": OWN_FAULTS, "The measurement's": set(MENDS), "Of a whole benchmark": FAILED}


def test_every_reason_is_explained_where_it_belongs() -> None:
    sections = dict(part.split("\n", 1) for part in PAGE.read_text().split("\n## ")[1:])
    explained = {heading: re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) for heading, text in sections.items()}
    assert {heading: sorted(names) for heading, names in explained.items()} == {
        heading: sorted(map(str, names)) for heading, names in HEADINGS.items()
    }
