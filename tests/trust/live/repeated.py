"""What is done more often than there is reason for: writes, the telling of an event, the measuring of a run."""

from __future__ import annotations

import http
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from changeover.api.reasons import Reason
from changeover.core import names
from changeover.core.itinerary import ATTEMPTS

from tests.trust.live.calls import Call, Record

REPEATED = re.compile(r"\.\d+$")  # a run that was void is made again under its name and a number
SLACK = 1.5  # times as many: how often status is written depends on how passes fall; 1.17 was seen, of 17 courses
MORE = 3  # for each start and each fault: what it cut off is done again, status says that it failed, and that it works
ENDED = frozenset({Reason.PROMOTED, Reason.ROLLED_BACK, Reason.PUBLISHED})  # it stays so, whatever cannot be read
_JOBS = "PATCH jobs, all of them"
_RECORDS = re.compile(r"-runs-([0-9a-f]{8})(.*)$")  # fingerprint of the spec, and what else hangs on it
Run = tuple[str, str]
"""Fingerprint of the spec, and the id of the run without the number of its repeat."""


@dataclass(frozen=True)
class Disturbed:
    """What happened to the operator on the way.

    starts   how often it was started
    faults   how many calls or events met something
    rewound  how often it was shown an old view
    """

    starts: int = 1
    faults: int = 0
    rewound: int = 0


UNDISTURBED = Disturbed()


def too_many(writes: Sequence[Record], usual: Mapping[str, int], by: Disturbed) -> list[str]:
    """Writes of one name, or of one kind, that came more often than those of the undisturbed course allow.

    Runs that were void are made again, with all that belongs to them: so many times more are expected of everything.
    """
    came = _of_name_and_kind(Counter(one.call.what for one in writes))
    expected = _of_name_and_kind(usual)
    runs = max(1.0, came[_JOBS] / expected[_JOBS]) if expected[_JOBS] else 1.0
    most = {what: int(SLACK * min(runs, ATTEMPTS) * expected[what]) + MORE * (by.starts + by.faults) for what in came}
    return [f"{what} {times} times, at most {most[what]}" for what, times in came.items() if times > most[what]]


def _of_name_and_kind(counts: Mapping[str, int]) -> Counter[str]:
    """Those of each name and, under the kind alone, of all names together."""
    found = Counter(counts)
    for what, times in counts.items():
        kind, _, name = what.partition("/")
        if name:
            found[f"{kind}, all of them"] += times
    return found


def told_again(writes: Sequence[Record], by: Disturbed) -> list[str]:
    """Events that say of one object the same too often: once more than there were starts, or than there were reasons.

    After a fault what went on before goes on, and is told again; of what has ended nothing is.
    """
    told = Counter(_said(one.call) for one in writes if one.call.what == "POST events")
    most = {said: by.starts + 1 + (0 if said[-2] in ENDED else by.faults) for said in told}
    return [f"told {times} times: {' '.join(said)}" for said, times in told.items() if times > most[said]]


def _said(event: Call) -> tuple[str, ...]:
    about = event.body.get("regarding") or {}
    return (*(str(about.get(key)) for key in ("kind", "name", "uid")), *(event.body[key] for key in ("reason", "note")))


def measured_again(writes: Sequence[Record], by: Disturbed) -> list[str]:
    """Runs that were begun, or recorded, although there was a fair record of them.

    Who is shown an old view may begin one: what is made for the first time has no version to name (decision 0023). It
    is removed in the next pass, and never recorded. A Job that is there already (200) is not begun by being applied.
    """
    begun, recorded, fair = list[str](), list[str](), set[Run]()
    for one in writes:
        kind, _, name = one.call.what.partition(" ")[2].partition("/")
        if kind == "configmaps" and (place := _RECORDS.search(name)):
            fingerprint, hangs_on = place.groups()
            if not hangs_on and (one.call.method == "DELETE" or one.status == http.HTTPStatus.CREATED):
                fair = {run for run in fair if run[0] != fingerprint}  # no record is left
            recorded += [run for run in _recorded(one.call) if (fingerprint, REPEATED.sub("", run)) in fair]
            fair |= {(fingerprint, REPEATED.sub("", run)) for run, void in _recorded(one.call).items() if not void}
        elif kind == "jobs" and _is_made(one) and _begun(one.call) in fair:
            begun.append(name)
    found = [f"{run} was recorded although there is a fair record of it" for run in recorded]
    return found + [f"{name} was made although there is a fair record of its run" for name in begun[by.rewound :]]


def _recorded(call: Call) -> dict[str, bool]:
    """Whether they are void, by id, of the runs that a write adds the records of; a histogram has the same id."""
    data: Mapping[str, str] = (call.body or {}).get("data") or {}
    records = {run: json.loads(text) for run, text in data.items()}
    return {run: bool(record["void"]) for run, record in records.items() if "void" in record}


def _is_made(job: Record) -> bool:
    return job.call.method != "DELETE" and job.status != http.HTTPStatus.OK


def _begun(call: Call) -> Run:
    """The run that a Job is of."""
    labels = call.body["metadata"].get("labels") or {}
    run, _, fingerprint = labels.get(names.LABEL_RUN, "").rpartition(".")
    return fingerprint, REPEATED.sub("", run)
