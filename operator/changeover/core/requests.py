"""What did a person ask for? Verbs as annotations, each with a token, and the answer that status gives.

A request that changes the mark is remembered in the mark, by the write that carries it out: killed at any instant, it
is neither lost nor carried out twice. Status repeats those, and remembers the requests that were refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from changeover.core import names
from changeover.core.conditions import parse_timestamp, timestamp

# In the order in which they are taken up when several are asked for at once: the careful ones first.
VERBS = ("abort", "pause", "retry", "resume", "approve", "promote")
ACCEPTED, REFUSED = "Accepted", "Refused"
MAX_TOKEN = 1024  # characters of a token that are kept and compared
MAX_ANSWER = 512  # characters
MOST_ANSWERS = 16  # the verbs that there are, and a few that are misspelt


@dataclass(frozen=True)
class Request:
    """One request and what came of it."""

    verb: str
    token: str
    at: datetime  # when it was taken up
    result: str  # Accepted or Refused
    answer: str

    def to_dict(self) -> dict[str, Any]:
        """As the mark and status have it."""
        return {
            "verb": self.verb, "token": self.token, "at": timestamp(self.at), "result": self.result,
            "answer": self.answer[:MAX_ANSWER],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Request:
        """Inverse of ``to_dict``. Raises KeyError, TypeError or ValueError for anything else."""
        verb, token, result, answer = (str(data[key]) for key in ("verb", "token", "result", "answer"))
        return cls(verb, token, parse_timestamp(data["at"]), result, answer)


def parse_requests(annotations: Mapping[str, str]) -> dict[str, str]:
    """Token by verb of everything that is asked for, misspelt verbs too; an empty token asks for nothing."""
    prefix = names.ANNOTATION_REQUESTED
    asked = {key.removeprefix(prefix): token for key, token in annotations.items() if key.startswith(prefix)}
    return {verb: token[:MAX_TOKEN] for verb, token in asked.items() if token}


def pending(asked: Mapping[str, str], *taken: Iterable[Request]) -> list[tuple[str, str]]:
    """Verb and token of what was never taken up, the careful verbs first, misspelt ones last."""
    known = {(request.verb, request.token) for requests in taken for request in requests}
    order = [*VERBS, *sorted(set(asked) - set(VERBS))]
    return [(verb, asked[verb]) for verb in order if verb in asked and (verb, asked[verb]) not in known]


def with_request(before: Iterable[Request], new: Request) -> tuple[Request, ...]:
    """One entry a verb: the last."""
    return (*(request for request in before if request.verb != new.verb), new)


def told(status: Mapping[str, Any]) -> tuple[Request, ...]:
    """The answers that status holds."""
    return tuple(Request.from_dict(entry) for entry in status.get("requests") or ())


def answers(asked: Mapping[str, str], *sources: Sequence[Request]) -> list[dict[str, Any]]:
    """What status says: for each verb the answer that was given last; at one second, that to what is asked now.

    Misspelt verbs go with their annotations, so that the list is bounded.
    """
    latest: dict[str, Request] = {}
    for request in (request for source in sources for request in source):
        other = latest.get(request.verb)
        if other is None or _rank(request, asked) >= _rank(other, asked):
            latest[request.verb] = request
    shown = [verb for verb in VERBS if verb in latest] + sorted(v for v in latest if v in asked and v not in VERBS)
    return [latest[verb].to_dict() for verb in shown[:MOST_ANSWERS]]


def _rank(request: Request, asked: Mapping[str, str]) -> tuple[datetime, bool]:
    return request.at.replace(microsecond=0), asked.get(request.verb) == request.token
