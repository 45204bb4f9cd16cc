"""How does a resource stand, and which exit code says so? Pure.

0 promoted, or published; 2 rolled back; 4 it cannot go on or ended without a result; None: it is on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SUCCEEDED, USAGE, ROLLED_BACK, UNDECIDED, TIMED_OUT = 0, 1, 2, 4, 124
OK, BAD, WARNING, WAITING, PAUSED = "✔", "✖", "⚠", "◷", "॥"
_PAUSED = ("Suspended", "Paused")

Body = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and the mend where it is not well."""

    sign: str
    what: str
    how: str


def condition(body: Body, name: str) -> dict[str, Any]:
    """One condition; empty when it is not there."""
    found: list[dict[str, Any]] = body.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == name), {})


def is_true(body: Body, name: str) -> bool:
    """Whether a condition is there and True."""
    return condition(body, name).get("status") == "True"


def is_current(body: Body) -> bool:
    """Whether status speaks of the spec that stands; an edit of a moment ago may not be seen yet."""
    observed: int = body.get("status", {}).get("observedGeneration", 0)
    wanted: int = body["metadata"].get("generation", 0)
    return observed >= wanted


def exit_code(body: Body) -> int | None:
    """The code of a state that lasts; None while it is on its way."""
    if not is_current(body):
        return None
    if is_true(body, "Finished"):
        if is_true(body, "Succeeded"):
            return SUCCEEDED
        return ROLLED_BACK if body["kind"] == "CanaryMigration" else UNDECIDED
    return UNDECIDED if is_true(body, "Stalled") else None


def icon(body: Body) -> str:
    """One sign for how it stands."""
    code = exit_code(body)
    if code is None:
        return PAUSED if condition(body, "Ready").get("reason") in _PAUSED else WAITING
    return {SUCCEEDED: OK, ROLLED_BACK: BAD}.get(code, BAD if is_true(body, "Finished") else WARNING)


def headline(body: Body) -> str:
    """Sign, reason and message."""
    ready = condition(body, "Ready")
    if not ready:
        return f"{WAITING} no status yet; does the operator run?"
    return f"{icon(body)} {ready.get('reason', '')}: {ready.get('message', '')}"
