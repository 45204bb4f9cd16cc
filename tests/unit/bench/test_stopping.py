"""The replay of a full schedule with stopWhenDecided."""

from __future__ import annotations

from pathlib import Path

import pytest
from changeover.core.audit import make_record
from changeover.core.observed import LoadReport
from changeover.core.schedule import Run
from changeover.testing.builders import a_report

from tests.bench.measured import seven, stopping
from tests.unit.core.seen import USAGE, pod, workload

SPEEDS = {"tokio": 24000, "hyperlane": 16000, "rocket": 11200, "rust-std": 11190, "go-net-http": 7700, "gin": 7600,
          "node-http": 5400, "express": 1300}  # fmt: skip


def measured(speeds: dict[str, int]) -> stopping.Records:
    """Every candidate in every round, with some noise that is the same each time."""
    found = {}
    for number in range(1, stopping.MOST + 1):
        for place, (name, speed) in enumerate(speeds.items()):
            run = Run(number, name, "keep-alive")
            noise = 1 + 0.02 * ((number * 7 + place * 3) % 5 - 2)
            found[run.id] = make_record(run, LoadReport(a_report(speed * noise)), USAGE, workload(pods=(pod(),)))
    return found


def test_the_replay_leaves_out_the_beaten_and_keeps_the_winner() -> None:
    spec, records = stopping.full_schedule()["spec"], measured(SPEEDS)
    kept = stopping.replay(spec, records)
    assert 8 * stopping.LEAST <= len(kept) < len(records)
    assert kept == {key: records[key] for key in kept}
    table = stopping.make_table(spec, records)
    assert table.count("| 1 tokio;") == 2
    assert f"| stopWhenDecided | {len(kept)} | {len(kept) / len(records):.0%} |" in table


def test_equals_are_measured_to_the_end() -> None:
    spec, records = stopping.full_schedule()["spec"], measured(dict.fromkeys(SPEEDS, 1000))
    assert stopping.replay(spec, records) == records


def test_a_page_without_its_marks_is_not_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- b -->\nold\n<!-- e -->\nz\n")
    seven.write_between_marks(page, "new\n", ("<!-- b -->", "<!-- e -->"))
    assert page.read_text() == "a\n<!-- b -->\nnew\n<!-- e -->\nz\n"
    with pytest.raises(ValueError, match="lacks"):
        seven.write_between_marks(page, "x\n", ("<!-- b -->", "<!-- other -->"))
