"""HTTP/1.1 by hand over one socket: it sends exactly the bytes that it is given, and reads one answer at a time.

For conformance checks; http.client would hide what they look for. Nothing here waits beyond the client's deadline.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

WITHOUT_BODY = (204, 304)  # statuses whose answers end with their headers, whatever these say (RFC 9112, 6.3)


class Nonconforming(Exception):
    """The answer is not the one that was due; the text says what was seen."""


@dataclass(frozen=True)
class Answer:
    """`headers` by lower-case name, the last one of each; `body` as the application wrote it, without chunks."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection; all it does must be over `seconds` after it was opened (TimeoutError)."""

    def __init__(self, address: tuple[str, int], seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._socket = socket.create_connection(address, timeout=seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def answer(self, has_body: bool = True) -> Answer:
        """The next answer; Nonconforming when the connection ends within it."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [line.partition(":") for line in lines[1:]]
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        words = lines[0].split(" ")
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise Nonconforming(f"no status line: {lines[0][:60]!r}")
        status = int(words[1])
        return Answer(status, headers, self._body(headers) if has_body and status not in WITHOUT_BODY else b"")

    def is_closed(self) -> bool:
        """Whether the server ends the connection, without another byte, before the deadline."""
        try:
            return not self._pending and not self._receive()
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True

    def is_silent(self, seconds: float) -> bool:
        """Neither more bytes nor the end of the connection arrive within the seconds."""
        self._socket.settimeout(min(seconds, self._left()))
        try:
            self._socket.recv(1)
        except TimeoutError:
            return not self._pending
        return False

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        while self._receive():  # without a length the end of the connection is the end of the body
            pass
        body, self._pending = self._pending, b""
        return body

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            body += self._exactly(size)
            self._exactly(2)
        while self._until(b"\r\n"):
            pass  # trailers
        return body

    def _until(self, end: bytes) -> bytes:
        while end not in self._pending:
            self._more()
        found, self._pending = self._pending.split(end, 1)
        return found

    def _exactly(self, length: int) -> bytes:
        while len(self._pending) < length:
            self._more()
        found, self._pending = self._pending[:length], self._pending[length:]
        return found

    def _more(self) -> None:
        if not self._receive():
            raise Nonconforming("the server closed the connection before the answer was whole")

    def _receive(self) -> bool:
        self._socket.settimeout(self._left())
        data = self._socket.recv(65536)
        self._pending += data
        return bool(data)

    def _left(self) -> float:
        if (left := self._deadline - time.monotonic()) <= 0:
            raise TimeoutError("no answer in time")
        return left
