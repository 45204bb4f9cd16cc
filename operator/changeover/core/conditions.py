"""One place that merges conditions and knows when their transition time moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.condition import FIRST_YEAR, LAST_YEAR, LONGEST_MESSAGE
from changeover.core.plan import Judgement

UNREADABLE_JSON = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What parsing a text raises that somebody else may have written: wrong shapes, infinite numbers, endless brackets."""

_WORDS = {True: "True", False: "False", None: "Unknown"}
_PENDING = Judgement(None, Reason.PENDING, "not judged yet")

Condition = dict[str, Any]


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as metav1.Time has it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """Inverse of ``timestamp``; fractions of a second are kept. Without a zone it is UTC."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def parse_stored(text: str) -> datetime:
    """The same of a text that anybody may have written. Raises ValueError for a year with which nothing is reckoned."""
    moment = parse_timestamp(text)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"{text!r} is no time of ours")
    return moment


def merge(
    previous: Sequence[Mapping[str, Any]],
    judged: Mapping[str, Judgement],
    order: Iterable[str],
    generation: int,
    now: datetime,
) -> list[Condition]:
    """All conditions of a kind in their order; a transition time moves only when the status changes."""
    before = {c["type"]: c for c in previous}
    return [_one(name, before.get(name), judged.get(name), generation, now) for name in order]


def _one(
    name: str, old: Mapping[str, Any] | None, judged: Judgement | None, generation: int, now: datetime
) -> Condition:
    if judged is None and old is not None:
        return dict(old)
    new = judged or _PENDING
    status = _WORDS[new.status]
    unchanged = old is not None and old["status"] == status
    return {
        "type": str(name),
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and unchanged else timestamp(now),
        "reason": str(new.reason),
        "message": new.message[:LONGEST_MESSAGE],  # a gateway's, which ours may cite, alone has as many
    }


def find(conditions: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The condition of a type; empty when there is none."""
    return next((c for c in conditions if c["type"] == name), {})


def true_since(conditions: Sequence[Mapping[str, Any]], name: str) -> datetime | None:
    """Since when a condition is True; None when it is not."""
    found = find(conditions, name)
    return parse_timestamp(found["lastTransitionTime"]) if found.get("status") == "True" else None


def is_true(conditions: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether a condition is present and True."""
    return find(conditions, name).get("status") == "True"
