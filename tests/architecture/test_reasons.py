"""The page of reasons names every reason that there is, and no other."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from changeover.api.reasons import Reason
from changeover.core.audit import MENDS, OWN_FAULTS, make_record
from changeover.core.benchmark_status import FAILED
from changeover.core.observed import LoadReport, NoData
from changeover.core.ranking_status import TOO_FEW_ROUNDS
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.e2e import unfair
from tests.unit.core.seen import USAGE, workload

PAGE = Path(__file__).resolve().parents[2] / "docs" / "invalid-reasons.md"
UNKNOWN = replace(USAGE, readings={"rss": NoData("the query gave no sample")})
UNJUDGED = LoadReport(a_report(latency=None, mode="open"))
REMARKS = make_record(Run(1, "fast", "keep-alive"), UNJUDGED, UNKNOWN, workload())["remarks"]
HEADINGS = {
    "The candidate's own": OWN_FAULTS,
    "The measurement's": set(MENDS),
    "Of a result": {TOO_FEW_ROUNDS, Reason.NODE_NOISY},
    "Of a whole benchmark": FAILED,
    "A remark, and no reason": {text.split(":")[0] for text in REMARKS},
}


def test_every_reason_is_explained_where_it_belongs() -> None:
    sections = dict(part.split("\n", 1) for part in PAGE.read_text().split("\n## ")[1:])
    explained = {heading: re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) for heading, text in sections.items()}
    assert {heading: sorted(names) for heading, names in explained.items()} == {
        heading: sorted(map(str, names)) for heading, names in HEADINGS.items()
    }


def test_every_reason_of_a_run_is_provoked_on_the_cluster_or_it_is_said_why_not() -> None:
    provoked = {reason for case in unfair.CASES for reason in case.reasons}
    assert provoked.isdisjoint(unfair.NOT_PROVOKED)
    assert provoked | set(unfair.NOT_PROVOKED) == OWN_FAULTS | set(MENDS)
