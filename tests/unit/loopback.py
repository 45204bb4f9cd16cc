"""An HTTP server on loopback whose answers a test decides."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

Serving = TypeVar("Serving", bound=ThreadingHTTPServer)


class Handler(BaseHTTPRequestHandler):
    """Hands every GET to its server's ``answer``, and keeps the question."""

    server: Any

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.answer(self)

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """On a free port; a client that goes away is none of its concern."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def serving(server: Serving) -> Iterator[Serving]:
    """A server, answering for as long as the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
