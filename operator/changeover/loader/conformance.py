"""Does the target speak HTTP/1.1 well enough for its speed to be compared? Seven checks of at most a second each.

The request is the benchmark's own (path, method, headers); only its protocol is varied. What fails here may be fast
because it leaves work out: it is ranked in a class of its own, not refused, so a failed check does not end the run.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from changeover.loader.http1 import Answer, Client, Nonconforming
from changeover.loader.settings import TAKE_A_BODY, Settings
from changeover.loader.target import Target

CHECK_SECONDS = 1.0
"""For one check, from its connection to its last byte."""

PAUSE_SECONDS = 0.1
"""Between the two packets of a split request, and of the silence that shows that an answer is over."""

ELSEWHERE = "/changeover-conformance/no-such-path-6f1d"


@dataclass(frozen=True)
class Check:
    """`passed` is None when the check does not apply to the benchmark's request; `detail` says what was seen."""

    name: str
    passed: bool | None
    detail: str

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "passed": self.passed, "detail": self.detail}


class _NotApplicable(Exception):
    """The check says nothing of this request."""


class _Subject:
    """The target, the request that it is asked, and the answer that is due."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target, self._settings = target, settings
        self.method, self.path = settings.method, target.path
        self._digest = settings.expect_body_sha256

    def connect(self) -> Client:
        return Client((self._target.address, self._target.port), CHECK_SECONDS)

    def request(self, *, method: str = "", path: str = "", version: str = "1.1", close: bool = False) -> bytes:
        """The bytes of the benchmark's request with what differs from it."""
        body, method = self._settings.body, method or self.method
        lines = [f"{method} {path or self.path} HTTP/{version}", f"Host: {self._target.host_header}"]
        lines += [f"{name}: {value}" for name, value in self._settings.headers]
        lines += [f"Content-Length: {len(body)}"] if body or method in TAKE_A_BODY else []
        lines += ["Connection: close"] if close else []
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

    def answer(self, client: Client) -> Answer:
        """The next answer to the benchmark's own method; one to HEAD is its headers alone."""
        return client.answer(has_body=self.method != "HEAD")

    def require_due(self, answer: Answer) -> None:
        """The expected status, and the body of the first answer seen, or the one that was given by its digest."""
        require(answer.status == self._settings.expect_status, f"status {answer.status}")
        digest = hashlib.sha256(answer.body).hexdigest()
        self._digest = self._digest or digest
        require(digest == self._digest, f"another body: {len(answer.body)} bytes with SHA-256 {digest}")


def run_checks(target: Target, settings: Settings) -> list[Check]:
    """All checks in order, each on fresh connections; never raises for what a target does."""
    subject = _Subject(target, settings)
    return [_run(name, check, subject) for name, check in _CHECKS.items()]


def _run(name: str, check: Callable[[_Subject], str], subject: _Subject) -> Check:
    try:
        return Check(name, True, check(subject))
    except _NotApplicable as reason:
        return Check(name, None, str(reason))
    except Nonconforming as seen:
        return Check(name, False, str(seen))
    except TimeoutError:
        return Check(name, False, f"no answer within {CHECK_SECONDS:g} s")
    except (OSError, ValueError) as error:
        return Check(name, False, f"{type(error).__name__}: {error}")


def require(holds: bool, seen: str) -> None:
    """Nonconforming with what was seen, unless it holds."""
    if not holds:
        raise Nonconforming(seen)


def _same_body(subject: _Subject) -> str:
    for _ in range(2):
        with subject.connect() as client:
            client.send(subject.request())
            subject.require_due(answer := subject.answer(client))
    return f"{len(answer.body)} bytes, the same on two fresh connections"


def _elsewhere(subject: _Subject) -> str:
    with subject.connect() as client:
        client.send(subject.request(path=ELSEWHERE))
        answer = subject.answer(client)
        require(answer.status == 404, f"status {answer.status} for a path that no application has")
    return "404"


def _head(subject: _Subject) -> str:
    if subject.method != "GET":
        raise _NotApplicable(f"the benchmark's method is {subject.method}")
    with subject.connect() as client:
        client.send(subject.request(method="HEAD"))
        answer = client.answer(has_body=False)
        require(client.is_silent(PAUSE_SECONDS), "bytes or the connection's end follow the header block")
        client.send(subject.request())
        subject.require_due(subject.answer(client))
    return f"status {answer.status} without a body"


def _close(subject: _Subject) -> str:
    with subject.connect() as client:
        client.send(subject.request(close=True))
        subject.require_due(subject.answer(client))
        require(client.is_closed(), "the server left the connection open")
    return "the server closed the connection"


def _split(subject: _Subject) -> str:
    with subject.connect() as client:
        request = subject.request()
        client.send(request[:7])
        time.sleep(PAUSE_SECONDS)
        client.send(request[7:])
        subject.require_due(subject.answer(client))
    return "answered once it was whole"


def _pipelined(subject: _Subject) -> str:
    with subject.connect() as client:
        client.send(subject.request() * 2)
        subject.require_due(subject.answer(client))
        subject.require_due(subject.answer(client))
        require(client.is_silent(PAUSE_SECONDS), "something follows the second answer")
    return "two answers to two requests in one packet"


def _http_1_0(subject: _Subject) -> str:
    with subject.connect() as client:
        client.send(subject.request(version="1.0"))
        answer = subject.answer(client)
        subject.require_due(answer)
        require("transfer-encoding" not in answer.headers, "chunks, which HTTP/1.0 does not know")
        require(client.is_closed(), "the server left the connection open")
    return "answered and closed"


_CHECKS: dict[str, Callable[[_Subject], str]] = {
    "same body": _same_body,
    "404 elsewhere": _elsewhere,
    "HEAD": _head,
    "Connection: close": _close,
    "request split over two packets": _split,
    "pipelined requests": _pipelined,
    "HTTP/1.0": _http_1_0,
}

NAMES = tuple(_CHECKS)
"""Of the checks, in the order of the report."""
