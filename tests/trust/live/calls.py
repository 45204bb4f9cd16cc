"""What the operator asks of the API server, and what may happen to it on the way."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class How(enum.StrEnum):
    """What a call or an event meets."""

    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    CONFLICT = "409"
    INVALID = "422"
    TOO_MANY = "429"
    BROKEN = "500"
    AWAY = "503"
    RESET = "reset"  # cut off, not passed on
    LOST = "lost"  # carried out, and the answer lost
    SLOW = "slow"
    WITHHELD = "withheld"  # a write that is on its way until it is released
    REWOUND_LITTLE = "rewound a little"  # from here on reads, and new watches, are answered from an older prefix
    REWOUND = "rewound"  # further
    REWOUND_FAR = "rewound far"
    HIDDEN = "hidden"  # an event that nobody is told of
    HELD = "held"  # an event that comes after those that were later
    GONE = "410"  # the watch ends with it
    BLIND = "blind"  # from here on nothing is told for a while; what comes then ends the watch with 410


ANSWERED = {
    How.CONFLICT: "the object has been modified", How.INVALID: "invalid", How.TOO_MANY: "too many requests",
    How.BROKEN: "internal error", How.AWAY: "the server is currently unable to handle the request",
}  # fmt: skip
FAULTS = (*ANSWERED, How.RESET, How.LOST, How.SLOW)
"""The eight that any call may meet."""
UNSEEN = (How.HIDDEN, How.HELD, How.GONE, How.BLIND)
"""What an event may meet that the operator is not told of when it should be."""
BACK = {How.REWOUND_LITTLE: 0.2, How.REWOUND: 0.5, How.REWOUND_FAR: 0.8}
"""The share of the time so far that a view goes back."""


@dataclass(frozen=True)
class Call:
    """A request as it was sent."""

    method: str
    path: str
    body: Any = None

    @property
    def what(self) -> str:
        """In words: what it does to what, without the query. What is made under a name that was chosen has it."""
        tail = urlsplit(self.path).path.split("/namespaces/")[-1].split("/", 1)[-1]
        name = ((self.body or {}).get("metadata") or {}).get("name") if self.method == "POST" else None
        if name and tail != "events":
            tail += f"/{name}"
        return f"{'WATCH' if self.is_watch else self.method} {tail}"

    @property
    def is_watch(self) -> bool:
        """Whether its answer has no end."""
        return self.method == "GET" and "watch=true" in self.path

    @property
    def is_write(self) -> bool:
        """Whether it may change something."""
        return self.method in WRITES


@dataclass
class Record:
    """A call that was passed on, when, and when answered (monotonic seconds); the status is 0 until it is."""

    call: Call
    at: float
    status: int = 0
    done: float = 0.0


Place = tuple[str, int]
"""The n-th, from 1, of a name: of a call (``Call.what``), or of an event, of any kind (``EVENT canarymigrations``), or
by what became of the object (``DELETED canarymigrations``), whose number is the same however often status is written.

``(ONE_OF_TEN, n)``, n from 1 to 10, is a call of each ten in a row, whatever their names; together they are all calls.
"""
ONE_OF_TEN = "one of each ten calls"
TEN = 10
EVENT = "EVENT"
BECAME = frozenset({"ADDED", "MODIFIED", "DELETED"})


def is_of_set_up(what: str) -> bool:
    """Discovery, which the operator asks once at its start."""
    return what.startswith(("GET api", "GET apis"))


def is_of_events(what: str) -> bool:
    """Whether a name is of events, not of calls."""
    return what.split()[0] in BECAME | {EVENT}
