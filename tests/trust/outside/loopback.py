"""Servers on loopback that count what reaches them: one that is allowed, and one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.unit.loopback import serving


class _Handler(BaseHTTPRequestHandler):
    server: Any
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append((self.command, self.path, dict(self.headers)))
        self.send_response(self.server.status)
        for name, value in {"Content-Length": "0", **self.server.answer}.items():
            self.send_header(name, value)
        self.end_headers()

    do_POST = do_CONNECT = do_HEAD = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Counting(ThreadingHTTPServer):
    """Answers with a status and headers, and keeps what it got; ``opened`` counts connections, even silent ones."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, str, dict[str, str]]] = []
        self.opened = 0
        self.status = 200
        self.answer: dict[str, str] = {}

    @property
    def host(self) -> str:
        """With its scheme, as the allow-list has it."""
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.opened += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def counting() -> Iterator[Counting]:
    """A server for as long as it is needed."""
    with serving(Counting()) as server:
        yield server
