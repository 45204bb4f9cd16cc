"""Does a candidate speak HTTP/1.1 well enough for its speed to be compared? One that does not is of class Raw.

The loader checks before each run (see ``changeover.loader.conformance``). A server that leaves work out, such as
reading what it is asked, is fast for that: it is ranked apart, not refused. A pure function of the records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FULL, RAW = "Full", "Raw"
MOST_DETAIL = 200  # characters of what was seen; records share an object of 1 MiB

FailedChecks = list[dict[str, str]]


def failed_checks(report: Mapping[str, Any]) -> FailedChecks | None:
    """What a record keeps of a report's checks: those that failed; None when none was made."""
    made = report.get("conformance")
    if made is None:
        return None
    return [
        {"name": check["name"], "detail": check["detail"][:MOST_DETAIL]} for check in made if check["passed"] is False
    ]


def raw_candidates(records: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Those that failed a check in more than half of the runs that made any, whether the run was void or not.

    More than half: a check that once got no answer in its second says that the node was busy.
    """
    made = [(record["candidate"], bool(record["conformance"])) for record in records if _was_checked(record)]
    runs, failed = Counter(name for name, _ in made), Counter(name for name, has_failed in made if has_failed)
    return frozenset(name for name in runs if 2 * failed[name] > runs[name])


def shown_checks(own: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each check that failed, with what was seen last and how often; of one candidate's records."""
    made = [record["conformance"] for record in own if _was_checked(record)]
    failed = [check for checks in made for check in checks]
    times, details = Counter(check["name"] for check in failed), {check["name"]: check["detail"] for check in failed}
    return [f"{name}: {details[name]} ({n} of {len(made)} runs)" for name, n in times.items()]


def _was_checked(record: Mapping[str, Any]) -> bool:
    """Runs whose load failed, and those of an operator that made no checks, say nothing."""
    return record.get("conformance") is not None
