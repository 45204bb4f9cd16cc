"""Who is to be told what, and how it is put? Pure; what was told is in status, so that a restart tells nothing anew.

An event is told once to each receiver. Killed between sending and status it is told again under the same id, by which a
receiver can drop the second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from changeover.api.v1alpha1 import API_VERSION
from changeover.api.v1alpha1.notify import Notify
from changeover.core import names
from changeover.core.conditions import parse_timestamp, timestamp
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.signature import Message

MOST_ATTEMPTS = 6
FIRST_WAIT = timedelta(seconds=5)  # twice as long after each attempt: some five minutes in all
LATE = timedelta(minutes=1)  # a chat shows when it was told: it has to be said when it happened
MOST_NOTICES = 24  # kept in status, the latest
WAITING, SENT, FAILED = "Waiting", "Sent", "Failed"


@dataclass(frozen=True)
class Happened:
    """An event as it was when it happened: by the time that it can be told, other things may be true."""

    at: datetime
    reason: str
    message: str
    weight: int | None
    generation: int
    attempt: int | None

    @classmethod
    def in_pass(cls, seen: SeenMigration, step: Step) -> Happened:
        """In this pass."""
        weight, attempt = (step.mark.weight, step.mark.attempt) if step.mark is not None else (None, None)
        return cls(seen.now, str(step.reason), step.message[:1024], weight, seen.owner.generation, attempt)

    def to_dict(self) -> dict[str, Any]:
        """As status has it; null is what is left out."""
        return {
            "at": timestamp(self.at), "reason": self.reason, "message": self.message, "generation": self.generation,
            **({"weightPercent": self.weight} if self.weight is not None else {}),
            **({"attempt": self.attempt} if self.attempt is not None else {}),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Happened:
        """Inverse of ``to_dict``."""
        return cls(
            parse_timestamp(data["at"]), data["reason"], data["message"], data.get("weightPercent"),
            data["generation"], data.get("attempt"),
        )  # fmt: skip


@dataclass(frozen=True)
class Notice:
    """One event for one receiver, and how far it got."""

    name: str
    event: str
    id: str
    state: str
    attempts: int
    at: datetime  # of the last attempt, else of the event
    message: str  # why the last attempt failed; empty when it did not
    happened: Happened | None = None  # while it waits; None: told already, or by an earlier release

    def to_dict(self) -> dict[str, Any]:
        """As status has it."""
        return {
            "name": self.name, "event": self.event, "id": self.id, "state": self.state, "attempts": self.attempts,
            "at": timestamp(self.at), "message": self.message[:512],
            **({"happened": self.happened.to_dict()} if self.happened is not None else {}),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Notice:
        """Inverse of ``to_dict``; of attempts never more than are made, since the wait grows with their power."""
        attempts = min(max(int(data["attempts"]), 0), MOST_ATTEMPTS)
        return cls(
            data["name"], data["event"], data["id"], data["state"], attempts, parse_timestamp(data["at"]),
            data.get("message", ""), Happened.from_dict(data["happened"]) if data.get("happened") else None,
        )  # fmt: skip

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be sent now."""
        return self.state == WAITING and self.seconds_left(now) == 0

    def seconds_left(self, now: datetime) -> float:
        """How long it still has to wait for its next attempt."""
        wait = FIRST_WAIT * 2 ** (self.attempts - 1) if self.attempts else timedelta(0)
        return max((self.at - now + wait).total_seconds(), 0.0)

    def after(self, now: datetime, failure: str) -> Notice:
        """After one more attempt; an empty failure is a success."""
        attempts = self.attempts + 1
        state = SENT if not failure else FAILED if attempts >= MOST_ATTEMPTS else WAITING
        happened = self.happened if state == WAITING else None
        return replace(self, state=state, attempts=attempts, at=now, message=failure, happened=happened)


@dataclass(frozen=True)
class Ahead:
    """Notices that status may not have yet, since it could not be written: a process's floor under what status says.

    Only for what it was kept for: a migration that was made anew is another, and another process may have led since.
    """

    uid: str
    term: int
    notices: tuple[Notice, ...]

    def over(self, stored: Sequence[Notice]) -> list[Notice]:
        """What status has, but of each notice what got further; behind it, what status has not."""
        furthest = {notice.id: notice for notice in stored}
        for notice in self.notices:
            if notice.id not in furthest or notice.attempts > furthest[notice.id].attempts:
                furthest[notice.id] = notice
        return list(furthest.values())


def notices(seen: SeenMigration, step: Step, ahead: Ahead | None = None) -> list[Notice]:
    """All that were told or are to be told, with what has happened in this pass."""
    known = [Notice.from_dict(entry) for entry in seen.owner.status.get("notifications") or ()]
    if ahead is not None:
        known = ahead.over(known)
    happened = _event_of(seen, step)
    if happened is None:
        return known[-MOST_NOTICES:]
    event, key = happened
    told = {notice.id for notice in known}
    new = [
        Notice(one.name, event, identity, WAITING, 0, seen.now, "", Happened.in_pass(seen, step))
        for one in seen.spec.notify
        if event in one.events and (identity := names.digest([seen.owner.uid, key, one.name])) not in told
    ]
    return [*known, *new][-MOST_NOTICES:]


def first_due(known: Sequence[Notice], now: datetime) -> Notice | None:
    """The one to be sent now: of the fewest attempts, so that who does not answer holds up nobody who was not tried."""
    return min((one for one in known if one.is_due(now)), key=lambda one: one.attempts, default=None)


def seconds_until_due(known: Sequence[Notice], now: datetime) -> float | None:
    """When the next one is to be sent; None when none waits."""
    return min((one.seconds_left(now) for one in known if one.state == WAITING), default=None)


def _event_of(seen: SeenMigration, step: Step) -> tuple[str, str] | None:
    """What has happened, and what tells it from every other time; None when there is nothing to tell."""
    if step.outcome is not None:
        outcome = step.outcome
        return outcome["result"], f"{outcome['result']} {outcome['generation']} {outcome.get('attempt', 1)}"
    if step.stalled:
        where = f"{step.mark.attempt} {step.mark.step}" if step.mark is not None else ""
        return "Held", f"{step.reason} {seen.owner.generation} {where}"
    return None


def message_of(seen: SeenMigration, step: Step, notice: Notice, receiver: Notify) -> Message:
    """What is sent: a CloudEvent in structured mode, or what Slack and Teams take."""
    happened = notice.happened or Happened.in_pass(seen, step)
    text = f"{seen.owner.namespace}/{seen.owner.name}: {notice.event}: {happened.message}"
    if seen.now - happened.at > LATE:
        text += f" (at {timestamp(happened.at)}, told late)"
    if receiver.type == "Slack":
        return Message(notice.id, _json({"text": text}), is_signed=False)
    if receiver.type == "Teams":
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
            "body": [{"type": "TextBlock", "text": text, "wrap": True}],
        }  # fmt: skip
        content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        return Message(notice.id, _json({"type": "message", "attachments": [content]}), is_signed=False)
    data = {
        "namespace": seen.owner.namespace, "name": seen.owner.name, "event": notice.event, "reason": happened.reason,
        "message": happened.message, "weightPercent": happened.weight, "generation": happened.generation,
        "attempt": happened.attempt,
    }  # fmt: skip
    source = f"/apis/{API_VERSION}/namespaces/{seen.owner.namespace}/canarymigrations/{seen.owner.name}"
    event = {
        "specversion": "1.0", "id": notice.id, "source": source, "time": timestamp(happened.at),
        "type": f"dev.changeover.canarymigration.{notice.event.lower()}", "datacontenttype": "application/json",
        "data": data,
    }  # fmt: skip
    return Message(notice.id, _json(event))


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def receiver_of(notice: Notice, receivers: Sequence[Notify]) -> Notify | None:
    """Whom a notice is for; None when the spec has no such receiver any more."""
    return next((one for one in receivers if one.name == notice.name), None)
