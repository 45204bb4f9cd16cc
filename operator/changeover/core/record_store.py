"""Where are the records of a benchmark's runs kept? In numbered ConfigMaps: when one is full, the next is begun.

An object of the API server holds 1 MiB, and a record has some 1.5 kB (as seen on the local cluster): 12 candidates in
4 scenarios and 15 rounds have more. All belong to the first ConfigMap, and go with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from changeover.core import names
from changeover.core.audit import RunRecord
from changeover.core.conditions import parse_timestamp
from changeover.core.manifests.common import labels_of, owner_reference
from changeover.core.observed import Owner
from changeover.core.plan import Manifest

NEEDED = frozenset({"at", "candidate", "node", "report", "round", "scenario", "void"})  # of every record
FULL_BYTES = 700_000  # some 450 records; the one that fills it, be it ten times as large, stays below the 1 MiB


@dataclass(frozen=True)
class Place:
    """A ConfigMap of records as it stands."""

    name: str
    uid: str
    is_full: bool


def parse_record(text: str) -> RunRecord:
    """A run's record. Raises ValueError, or RecursionError, for what somebody else wrote there."""
    record = json.loads(text)
    missing = NEEDED - record.keys() if isinstance(record, dict) else NEEDED
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    parse_timestamp(str(record["at"]))
    return record  # type: ignore[no-any-return]


def name_of(owner: Owner, fingerprint: str, number: int) -> str:
    """Name of one of them, counted from 1."""
    first = names.records(owner.name, fingerprint)
    return first if number == 1 else names.shorten(f"{first}-{number}")


def place_of(config_map: Manifest) -> Place:
    """What is to be known of one; its size is that of its keys and values in UTF-8."""
    size = sum(len(key) + len(text.encode()) for key, text in (config_map.get("data") or {}).items())
    return Place(config_map["metadata"]["name"], str(config_map["metadata"]["uid"]), size >= FULL_BYTES)


def make_next(owner: Owner, fingerprint: str, places: Sequence[Place]) -> Manifest:
    """The one after these: the first belongs to the benchmark, every other to the first."""
    belongs_to = owner_reference(owner) if not places else of_records(places[0])
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name_of(owner, fingerprint, len(places) + 1),
            "namespace": owner.namespace,
            "labels": labels_of(benchmark=owner.name),
            "ownerReferences": [belongs_to],
        },
    }


def of_records(first: Place) -> dict[str, str]:
    """An owner reference: what carries it goes with the first of these ConfigMaps."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": first.name, "uid": first.uid}
