"""What a person asks of a migration by annotation, and what is answered. See docs/decisions/0011.

``changeover.dev/requested-VERB: TOKEN`` asks once: a token is taken up when it is not the one that status answered
last. What changes the weight is remembered in the mark, in the same write; all else in status, which is written last.
So a crash in between asks again what has no second effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changeover.api.reasons import Reason
from changeover.core.conditions import timestamp
from changeover.core.mark import Mark
from changeover.core.migration_state import SeenMigration, Step

APPROVE, ABORT, PAUSE, RESUME, PROMOTE, RETRY = VERBS = ("approve", "abort", "pause", "resume", "promote", "retry")
MAX_TOKEN = 128
_NOT_THERE = {
    PROMOTE: "promote is not there yet: the steps' evidence decides",
    RETRY: "retry is not there yet: a change of the spec starts over after a rollback",
}


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    verb: str
    token: str
    text: str


def fresh(seen: SeenMigration, verb: str) -> str:
    """The token of a request that was not answered yet; empty without one."""
    token = seen.owner.requests.get(verb, "")[:MAX_TOKEN]
    return token if token != _answered(seen.owner.status).get(verb, "") else ""


def approval_of(seen: SeenMigration, mark: Mark) -> str:
    """The token that approves the step which waits now; one that has opened a step opens no second one."""
    token = fresh(seen, APPROVE)
    return token if token != mark.approval else ""


def is_paused(seen: SeenMigration) -> bool:
    """Whether no weight may rise. Asked for both at once, it pauses."""
    if fresh(seen, PAUSE):
        return True
    return bool(seen.owner.status.get("paused")) and not fresh(seen, RESUME)


def answers(seen: SeenMigration, step: Step) -> tuple[Answer, ...]:
    """The answers to all that was asked since the last pass, from what this one decided."""
    asked = [(verb, token) for verb in VERBS if (token := fresh(seen, verb))]
    return tuple(Answer(verb, token, _text(seen, step, verb, token)) for verb, token in asked)


def as_status(seen: SeenMigration, given: tuple[Answer, ...]) -> list[dict[str, Any]]:
    """The last answer to each verb, as status has them."""
    kept = {one["verb"]: one for one in seen.owner.status.get("requests") or []}
    at = timestamp(seen.now)
    new = {a.verb: {"verb": a.verb, "token": a.token, "at": at, "answer": a.text[:1024]} for a in given}
    merged = kept | new
    return [merged[verb] for verb in VERBS if verb in merged]


def _answered(status: Mapping[str, Any]) -> dict[str, str]:
    return {one["verb"]: one["token"] for one in status.get("requests") or []}


def _text(seen: SeenMigration, step: Step, verb: str, token: str) -> str:
    if verb in _NOT_THERE:
        return _NOT_THERE[verb]
    if step.outcome is not None and verb != RESUME:
        return f"it has ended: {step.outcome['result']}"
    if verb == APPROVE:
        opened = step.reason is Reason.STEPPED and step.mark is not None and step.mark.approval == token
        return step.message if opened else f"nothing waits for approval: {step.reason}"
    if verb == ABORT:
        aborted = step.mark is not None and step.mark.reason == Reason.ABORTED
        return step.message if aborted else f"there is nothing to abort: {step.reason}"
    if verb == PAUSE:
        return "paused: no weight rises; harm is still rolled back"
    return "resumed" if seen.owner.status.get("paused") else "it was not paused"
