"""The state that is written together with the weights: on the route, in one annotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from changeover.core.conditions import UNREADABLE_JSON, parse_stored, timestamp
from changeover.core.requests import Request

REASON_LENGTH = 128  # characters that status takes; what we write has fewer
MESSAGE_LENGTH = 512  # characters of a message that the mark keeps; what is shown of it elsewhere is cut alike


class Phase(StrEnum):
    """What the migration is about."""

    PREPARING = "Preparing"  # weight 0, before the first step
    STEPPING = "Stepping"  # on a step
    ROLLING_BACK = "RollingBack"  # to weight 0, at once or in parts, and for good


@dataclass(frozen=True)
class Decision:
    """One change of weight, as ``status.history`` has it."""

    at: datetime
    came_from: int
    to: int
    reason: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """As mark and status have it."""
        return {
            "at": timestamp(self.at), "from": self.came_from, "to": self.to, "reason": str(self.reason),
            "message": self.message[:MESSAGE_LENGTH],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Decision:
        """Inverse of ``to_dict``. Raises KeyError, TypeError or ValueError for anything else."""
        came_from, to = int(data["from"]), int(data["to"])
        if not (0 <= came_from <= 100 and 0 <= to <= 100):
            raise ValueError(f"{came_from} -> {to} is no change of weight")
        reason, message = str(data["reason"])[:REASON_LENGTH], str(data["message"])[:MESSAGE_LENGTH]
        return cls(parse_stored(data["at"]), came_from, to, reason, message)


@dataclass(frozen=True)
class Mark:
    """Step, weight and why; `since` is when it was decided, `came_from` the weight before.

    `contests` counts how often somebody else's weights were replaced by ours on this step, `contested_at` is the last.
    """

    phase: Phase
    step: int
    weight: int
    since: datetime
    generation: int
    arms: str
    reason: str
    message: str
    came_from: int
    contests: int = 0
    contested_at: datetime | None = None
    attempt: int = 1  # one more with each retry; an outcome belongs to one attempt
    restarts: int | None = None  # of the canary's containers, as seen when the weight was set; None: not known
    stable_pods: int | None = None  # ready pods of stable when it carried all traffic; None: not known
    began: datetime | None = None  # of a rollback in parts: when it began
    paused: bool = False  # a person asked that the weight does not rise
    requests: tuple[Request, ...] = ()  # those that changed the mark: the last of each verb
    term: int = 0  # of leadership (``core.fence``) under which it was written; 0 without a Lease
    untold: tuple[Decision, ...] = ()  # those before it that status did not have yet when it was written

    @property
    def decision(self) -> Decision | None:
        """What led to its weight; None before the first step."""
        return Decision(self.since, self.came_from, self.weight, self.reason, self.message) if self.step > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        contested = (
            {"contests": self.contests, "contestedAt": self.contested_at.isoformat()} if self.contested_at else {}
        )
        return {
            "phase": self.phase.value,
            "step": self.step,
            "weight": self.weight,
            "since": self.since.isoformat(),
            "generation": self.generation,
            "arms": self.arms,
            "reason": str(self.reason),
            "message": self.message[:MESSAGE_LENGTH],
            "from": self.came_from,
            **contested,
            **({"began": self.began.isoformat()} if self.began else {}),
            "stablePods": self.stable_pods,
            "attempt": self.attempt,
            "restarts": self.restarts,
            "paused": self.paused,
            "requests": [request.to_dict() for request in self.requests],
            **({"term": self.term} if self.term else {}),
            **({"untold": [decision.to_dict() for decision in self.untold]} if self.untold else {}),
        }

    @classmethod
    def parse(cls, data: Mapping[str, Any] | None) -> Mark | None:
        """Inverse of ``to_dict``; None for anything else, which is then as good as no mark.

        A rollback stays one whatever weight somebody wrote beside it; one that it cannot have come to is 0.
        """
        if data is None:
            return None
        try:
            mark = cls(
                phase=Phase(data["phase"]),
                step=int(data["step"]),
                weight=int(data["weight"]),
                since=parse_stored(data["since"]),
                generation=int(data["generation"]),
                arms=str(data["arms"]),
                reason=str(data["reason"])[:REASON_LENGTH],
                message=str(data["message"])[:MESSAGE_LENGTH],
                came_from=int(data["from"]),
                contests=int(data.get("contests", 0)),
                contested_at=parse_stored(data["contestedAt"]) if "contestedAt" in data else None,
                # A mark of an earlier release has none of these.
                attempt=int(data.get("attempt", 1)),
                restarts=None if data.get("restarts") is None else int(data["restarts"]),
                stable_pods=None if data.get("stablePods") is None else int(data["stablePods"]),
                began=parse_stored(data["began"]) if "began" in data else None,
                paused=bool(data.get("paused", False)),
                requests=tuple(Request.from_dict(request) for request in data.get("requests", ())),
                term=int(data.get("term", 0)),
                untold=tuple(Decision.from_dict(decision) for decision in data.get("untold", ())),
            )
        except UNREADABLE_JSON:
            return None
        if mark.phase is Phase.ROLLING_BACK:
            fits = 0 <= mark.weight <= mark.came_from <= 100
            return (mark if fits else replace(mark, weight=0)) if mark.step >= 0 else None
        is_before_the_first = mark.weight == mark.step == 0
        on_a_step = mark.phase is Phase.STEPPING and mark.step > 0 and 0 < mark.weight <= 100
        return mark if is_before_the_first or on_a_step else None
