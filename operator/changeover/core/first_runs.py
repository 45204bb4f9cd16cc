"""What the first runs of a benchmark fix for all others: told by when they were made, since keys come sorted. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from changeover.core.audit import RunRecord


def pinned_node(records: Mapping[str, RunRecord]) -> str:
    """The node of the first run, on which all others are to run; of a void one only while there is no other."""
    placed = [record for record in records.values() if record["node"]]
    first = min(placed, key=lambda record: (bool(record["void"]), _made(record)), default=None)
    return str(first["node"]) if first is not None else ""


def _made(record: RunRecord) -> str:
    """When; all are written in UTC, so that their texts are in the order of time."""
    return str(record.get("at", ""))
