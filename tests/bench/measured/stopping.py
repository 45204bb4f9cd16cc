"""What does stopping when decided save? The full schedule, and which of its runs would have been made.

The full one is measured; the shorter one is replayed on its records: the itinerary is a pure function of them, and a
cell of the design has the same record in both. So both rankings are of the same measurements.
"""

from __future__ import annotations

from typing import Any

import yaml
from changeover.api.v1alpha1 import BenchmarkSpec
from changeover.core.audit import RunRecord
from changeover.core.itinerary import is_over, next_run
from changeover.core.ranking_status import make_ranking
from changeover.core.schedule import Run

from tests.bench.measured import short
from tests.bench.measured.seven import EXAMPLE, PAGE, write_between_marks
from tests.demo.kube import Kube

MARKS = ("<!-- stopping: begin -->", "<!-- stopping: end -->")
LEAST, MOST = 3, 5

Records = dict[str, RunRecord]


def measure(kube: Kube) -> None:
    """Run the full schedule, print both tables, and put them into the page. About 30 minutes."""
    benchmark = full_schedule()
    records = {record_id(record): record for record in short.runs_of(kube, short.run(kube, benchmark))}
    text = make_table(benchmark["spec"], records)
    print(text)
    write_between_marks(PAGE, text, MARKS)


def full_schedule() -> dict[str, Any]:
    """The eight candidates of the example with keep-alive, every one in every round."""
    candidates = yaml.safe_load(EXAMPLE.read_text())["spec"]["candidates"]
    benchmark = short.make_benchmark("stopping", candidates, MOST)
    benchmark["spec"]["schedule"] |= {"rounds": {"min": LEAST, "max": MOST}, "stopWhenDecided": False}
    return benchmark


def record_id(record: RunRecord) -> str:
    """The run that a record is of."""
    return Run(record["round"], record["candidate"], record["scenario"], record["attempt"]).id


def replay(spec: dict[str, Any], records: Records) -> Records:
    """The records of the runs that would have been made with ``stopWhenDecided``."""
    stopping = _parsed(spec, stops=True)
    made: Records = {}
    while not is_over(stopping, made) and (run := next_run(stopping, made, stopping.schedule.rounds.max)):
        made[run.id] = records[run.id]
    return made


def make_table(spec: dict[str, Any], records: Records) -> str:
    """Markdown: a section with the runs and the ranking of both schedules."""
    rows = [
        "## What does stopping when decided save?",
        f"The eight candidates with keep-alive in all of {MOST} rounds, and which of these runs",
        "`schedule.stopWhenDecided` would have made, replayed on the same records",
        "(`make measure WHAT=stopping`).",
        "",
        "| schedule | runs | of the full one | ranking (tied with) |",
        "| --- | --- | --- | --- |",
        _row("full", _parsed(spec, stops=False), records, len(records)),
        _row("stopWhenDecided", _parsed(spec, stops=True), replay(spec, records), len(records)),
    ]
    return "\n".join([*rows, ""])


def _row(name: str, spec: BenchmarkSpec, records: Records, full: int) -> str:
    ranking = "; ".join(map(_place, make_ranking(spec, records)))
    return f"| {name} | {len(records)} | {len(records) / full:.0%} | {ranking} |"


def _place(row: dict[str, Any]) -> str:
    tied = f" ({', '.join(row['tiedWith'])})" if row["tiedWith"] else ""
    raw = " raw" if row["class"] == "Raw" else ""
    return f"{row['rank']}{raw} {row['candidate']}{tied}"


def _parsed(spec: dict[str, Any], stops: bool) -> BenchmarkSpec:
    return BenchmarkSpec.model_validate({**spec, "schedule": {**spec["schedule"], "stopWhenDecided": stops}})
