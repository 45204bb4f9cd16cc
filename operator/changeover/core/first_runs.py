"""What the first runs of a benchmark fix for all others: told by when they were made, since keys come sorted. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from changeover.core.audit import Fixed, RunRecord

Records = Mapping[str, RunRecord]


def fixed_for(records: Records, candidate: str) -> Fixed:
    """What one more run of a candidate must have in common with those before it.

    An image is fixed by a fair run only: with one that was never measured fairly nothing can be mixed.
    """
    fair = {key: record for key, record in records.items() if not record["void"]}
    return Fixed(pinned_node(records), image_of(fair, candidate))


def pinned_node(records: Records) -> str:
    """The node of the first run, on which all others are to run; of a void one only while there is no other."""
    return _first_known(records, "node")


def image_of(records: Records, candidate: str) -> str:
    """The image of a candidate's first fair run, else of its first run; empty when no pod of it was ever seen."""
    return _first_known({key: record for key, record in records.items() if record["candidate"] == candidate}, "imageID")


def _first_known(records: Records, key: str) -> str:
    # All times are written in UTC, so that their texts are in the order of time.
    known = [record for record in records.values() if record.get(key)]
    first = min(known, key=lambda record: (bool(record["void"]), str(record.get("at", ""))), default=None)
    return str(first[key]) if first is not None else ""
