"""The conformance checks can fail: a server with one flaw fails the checks for that flaw and no others."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.contract.backends import conformance

BODY = b"Hello, World!"


class FlawedServer:
    """HTTP/1.1 by hand, right in everything but the flaw it is given."""

    def __init__(self, flaw: str) -> None:
        self.flaw = flaw
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.listener.getsockname()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # the listener was closed
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):  # the client has left, or the flaw garbled its request
            self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        pending = b""
        close = False
        while not close:
            while b"\r\n\r\n" not in pending:
                data = connection.recv(65536)
                if not data:
                    return
                pending = pending + data if self.flaw != "split" else data
            head, pending = pending.split(b"\r\n\r\n", 1)
            # The checks send a body in one piece with its head.
            pending = pending[self._body_length(head) :]
            if self.flaw == "pipelining":
                pending = b""
            answer, close = self._answer(head)
            connection.sendall(answer)

    def _body_length(self, head: bytes) -> int:
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return int(length[1]) if length and self.flaw != "request body" else 0

    def _answer(self, head: bytes) -> tuple[bytes, bool]:
        first, *fields = head.decode().split("\r\n")
        method, path, version = first.split(" ")
        malformed = any(":" not in field for field in fields) and self.flaw != "malformed"
        close = malformed or "connection: close" in head.decode().lower() or version == "HTTP/1.0"
        if self.flaw == "close" or (self.flaw == "http/1.0" and version == "HTTP/1.0"):
            close = False
        if self.flaw == "keep-alive":
            close = True
        status = "400 Bad Request" if malformed else "200 OK" if path == "/" else "404 Not Found"
        if self.flaw == "404" and not malformed:
            status = "200 OK"
        body = BODY + b"\n" if self.flaw == "body" else BODY
        kind = "text/html" if self.flaw == "type" else "text/plain"
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        lines += ["Connection: close"] if close else []
        answer = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return (answer if method == "HEAD" and self.flaw != "head" else answer + body), close


@contextmanager
def serving(flaw: str) -> Iterator[conformance.Address]:
    server = FlawedServer(flaw)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.address
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On loopback what has not come in this time, beside a silence of 0.3 s, does not come."""
    monkeypatch.setattr(conformance, "READ_TIMEOUT_SECONDS", 0.8)


def failed_checks(flaw: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    with serving(flaw) as address:
        count = conformance.run_checks(address)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(conformance.CHECKS)
    failed = {line.removeprefix("Fail  ").partition(": ")[0] for line in lines if line.startswith("Fail")}
    assert count == len(failed)
    return {next(name for name in conformance.CHECKS if name.startswith(start)) for start in failed}


def test_a_right_server_passes_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert failed_checks("none", capsys) == set()


@pytest.mark.parametrize(
    ("flaw", "check"),
    [
        ("404", "404 elsewhere"),
        ("head", "HEAD"),
        ("close", "Connection: close"),
        ("split", "request split over two packets"),
        ("pipelining", "pipelined requests"),
        ("request body", "request with a body"),
        ("http/1.0", "HTTP/1.0"),
        ("malformed", "400 for a malformed request"),
        ("keep-alive", "keep-alive"),
        ("type", "status, type and body"),
        ("body", "status, type and body"),
    ],
)
def test_each_flaw_is_found(flaw: str, check: str, capsys: pytest.CaptureFixture[str]) -> None:
    failed = failed_checks(flaw, capsys)
    assert check in failed
    alone = {"head", "split", "request body", "malformed"}  # the others break what further checks rely on, too
    assert flaw not in alone or failed == {check}
