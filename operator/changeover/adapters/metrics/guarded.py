"""HTTP to a metric source that is not trusted: it may hang, drip, send without an end, redirect, or tell a part only.

requests' timeouts are per read, so that a server that drips outlives them; what it does beside the request (it reads
the whole body of a redirect, keeps all cookies, guesses encodings) costs what the server likes. Here one deadline
covers the whole answer, and nothing of it is kept but the body, up to a cap.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from changeover.adapters.metrics.answer import AnswerRefused, parsed

MAX_BODY_BYTES = 8 * 2**20
LARGE_BYTES = 2**20  # of a larger answer there is one at a time: as Python objects it takes some eight times as much
MOST_BEGINNINGS = 10  # of one answer
_CHUNK = 64 * 2**10

_request = threading.local()  # its ``deadline``: until when the request of this thread is to be over, monotonic seconds


class GuardedSession(requests.Session):
    """A session that follows no redirect, and reads no more than a cap in no more than a time (seconds)."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.trust_env = False  # no proxy or .netrc of the pod's environment
        self.cookies.set_policy(
            DefaultCookiePolicy(allowed_domains=[])
        )  # they would add up, and be sent with each question
        self._seconds = seconds
        self._adapter = _Adapter()
        self._buffer = bytearray(MAX_BODY_BYTES)  # costs nothing until it is used
        self._large = threading.Lock()  # who has it may use the buffer, until ``done``
        self._held = threading.local()

    def get_adapter(self, url: str | bytes) -> _Adapter:
        """Ours, whatever was mounted."""
        return self._adapter

    def get_redirect_target(self, resp: requests.Response) -> None:
        """There is none: even to see where it goes, requests would read the whole body."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """One request. The answer's JSON is looked at: whoever calls must call ``done`` when it has no use any more."""
        _request.deadline = time.monotonic() + self._seconds
        kwargs.update(stream=True, allow_redirects=False)
        response = super().request(*args, **kwargs)
        try:
            if response.status_code != 200:
                response._content = _read_some(response)  # the beginning, for the message
                return response
            return _Told(parsed(self._read(response)))
        finally:
            # A connection whose answer was not read to its end is of no use; one that was is back in the pool.
            response.close()

    def done(self) -> None:
        """This thread has no use for its answer any more."""
        if getattr(self._held, "large", False):
            self._held.large = False
            self._large.release()

    def _read(self, response: requests.Response) -> memoryview:
        """The body. A large one goes into the one buffer that there is: one that grows leaves the heap in fragments."""
        body, used = bytearray(LARGE_BYTES), 0
        while chunk := _read_some(response):
            if used + len(chunk) > len(body):
                body = self._larger(body)
            body[used : used + len(chunk)] = chunk
            used += len(chunk)
        return memoryview(body)[:used]

    def _larger(self, body: bytearray) -> bytearray:
        if body is self._buffer:
            raise AnswerRefused(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        self._held.large = self._large.acquire(timeout=max(0.0, _request.deadline - time.monotonic()))
        if not self._held.large:
            raise AnswerRefused("another large answer took too long")
        self._buffer[: len(body)] = body
        return self._buffer


class _Told(requests.Response):
    """An answer whose JSON is known."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self.status_code = 200
        self._told = told

    def json(self, **kwargs: Any) -> Any:
        return self._told


def _read_some(response: requests.Response) -> bytes:
    """What has arrived of the body, decoded; empty at its end."""
    try:
        return bytes(response.raw.read1(_CHUNK, decode_content=True))
    except urllib3.exceptions.HTTPError as error:
        raise requests.RequestException(f"the body broke off: {error}") from error


class _TimedReads(io.RawIOBase):
    """Reads of a socket that all end by one moment."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(min(left, self._sock.gettimeout() or left))
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Status, headers and body by the deadline of the thread's request."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._beginnings = 0
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_TimedReads(raw, sock, _request.deadline))

    def _read_status(self) -> Any:
        """http.client skips any number of "100 Continue", which is work for nothing."""
        self._beginnings += 1
        if self._beginnings > MOST_BEGINNINGS:
            raise http.client.HTTPException("an answer that only ever begins")
        return super()._read_status()  # type: ignore[misc]


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """No second try, as is requests' default; connections that keep the deadline."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
