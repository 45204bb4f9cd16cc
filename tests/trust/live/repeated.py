"""What is done more often than there is reason for: writes, the telling of an event, the measuring of a run."""

from __future__ import annotations

import http
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from changeover.core import names

from tests.trust.live.calls import Call, Record

REPEATED = re.compile(r"\.\d+$")  # a run that was void is made again under its name and a number
TIMES = 3  # as often as undisturbed: a run that is void is made three times, with all that belongs to it
MORE = 3  # for each start and each fault: what it cut off is done again, status says that it failed, and that it works
_RECORDS = re.compile(r"-runs-([0-9a-f]{8})(.*)$")  # fingerprint of the spec, and what else hangs on it
Run = tuple[str, str]
"""Fingerprint of the spec, and the id of the run without the number of its repeat."""


def too_many(writes: Sequence[Call], usual: Mapping[str, int], disturbed: int) -> list[str]:
    """Writes of one name, or of one kind, that were sent more often than they may, be they taken or refused.

    usual      how often those of each name came in the undisturbed course
    disturbed  how often the operator was started, or met a fault
    """
    came = _of_name_and_kind(Counter(call.what for call in writes))
    expected = _of_name_and_kind(usual)
    most = {what: TIMES * expected[what] + MORE * disturbed for what in came}
    return [f"{what} {times} times, at most {most[what]}" for what, times in came.items() if times > most[what]]


def _of_name_and_kind(counts: Mapping[str, int]) -> Counter[str]:
    """Those of each name and, under the kind alone, of all names together."""
    found = Counter(counts)
    for what, times in counts.items():
        kind, _, name = what.partition("/")
        if name:
            found[f"{kind}, all of them"] += times
    return found


def told_again(writes: Sequence[Record], starts: int) -> list[str]:
    """Events that say the same of one object more often than the operator was started, and once more."""
    told = Counter(_said(one.call) for one in writes if one.call.what == "POST events")
    return [f"told {times} times: {' '.join(said)}" for said, times in told.items() if times > starts + 1]


def _said(event: Call) -> tuple[str, ...]:
    about = event.body.get("regarding") or {}
    return (*(str(about.get(key)) for key in ("kind", "name", "uid")), *(event.body[key] for key in ("reason", "note")))


def measured_again(writes: Sequence[Record]) -> list[str]:
    """Runs that were begun although there was a fair record of them."""
    found, fair = list[str](), set[Run]()
    for one in writes:
        kind, _, name = one.call.what.partition(" ")[2].partition("/")
        if kind == "configmaps" and (place := _RECORDS.search(name)):
            fingerprint, hangs_on = place.groups()
            if not hangs_on and (one.call.method == "DELETE" or one.status == http.HTTPStatus.CREATED):
                fair = {run for run in fair if run[0] != fingerprint}  # no record is left
            fair |= {(fingerprint, REPEATED.sub("", run)) for run in _fair(one.call)}
        elif kind == "jobs" and one.call.method != "DELETE" and _begun(one.call) in fair:
            found.append(f"{name} was made although there is a fair record of its run")
    return found


def _fair(call: Call) -> list[str]:
    """The ids of the runs of which a write adds a fair record; a histogram is kept under the same id, and is none."""
    data: Mapping[str, str] = (call.body or {}).get("data") or {}
    return [run for run, text in data.items() if json.loads(text).get("void") == []]


def _begun(call: Call) -> Run:
    """The run that a Job is of."""
    labels = call.body["metadata"].get("labels") or {}
    run, _, fingerprint = labels.get(names.LABEL_RUN, "").rpartition(".")
    return fingerprint, REPEATED.sub("", run)
