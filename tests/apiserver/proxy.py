"""A proxy between the operator and the API server that counts what changes anything, and lets the operator die at it.

Plain HTTP on loopback towards the operator, TLS towards the API server. Answers are passed on as they come, so that
watches work. When the call that is waited for comes, ``kill`` is called before it is passed on, or after the API server
has carried it out and before the operator hears of it; either way the operator is not answered.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
UPSTREAM_SECONDS = 330.0  # a watch may be silent for long
_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"})


@dataclass(frozen=True)
class Write:
    """A call that changes something, as it was sent."""

    method: str
    path: str
    body: Any

    @property
    def what(self) -> str:
        """In words: method and what it is about, without the query."""
        return f"{self.method} {self.path.split('?')[0].split('/namespaces/')[-1].split('/', 1)[-1]}"


class Proxy(ThreadingHTTPServer):
    """For one operator. `writes` are those that were passed on, in order."""

    daemon_threads = True

    def __init__(self, host: str, port: int, certificates: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = (host, port)
        self.tls = ssl.create_default_context(cafile=certificates)
        self.writes: list[Write] = []
        self.kill: Callable[[], None] = lambda: None
        self.wrote: Callable[[Write], None] = lambda write: None  # told of each write that was passed on
        self._last: tuple[str, int, bool] | None = None
        self._lock = threading.Lock()  # writes are passed on one at a time, so that the k-th is the k-th

    @property
    def url(self) -> str:
        """For the operator's kubeconfig."""
        return f"http://127.0.0.1:{self.server_port}"

    def kill_at(self, what: str, number: int, after: bool) -> None:
        """The operator dies before or after the n-th write, from 1, of that name (see ``Write.what``)."""
        self._last = what, number, after

    def pass_on(self, write: Write, send: Callable[[], Any]) -> Any:
        """The API server's answer to a write, or None when nobody is there any more to be told."""
        with self._lock:
            number = 1 + sum(one.what == write.what for one in self.writes)
            if self._last == (write.what, number, False):
                self._die()
                return None
            self.writes.append(write)
            answer = send()
            self.wrote(write)
            if self._last == (write.what, number, True):
                self._die()
                return None
            return answer

    def _die(self) -> None:
        self._last = None
        self.kill()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        if self.command in WRITES:
            write = Write(self.command, self.path, json.loads(body) if body else None)
            answer = self.server.pass_on(write, lambda: self._whole(body))
            if answer is None:
                self.close_connection = True
            else:
                self._tell(*answer)
        elif "watch=true" in self.path:
            self._watch(body)
        else:
            self._tell(*self._whole(body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    @contextlib.contextmanager
    def _asked(self, body: bytes | None) -> Iterator[http.client.HTTPResponse]:
        host, port = self.server.upstream
        connection = http.client.HTTPSConnection(host, port, context=self.server.tls, timeout=UPSTREAM_SECONDS)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        try:
            connection.request(self.command, self.path, body, headers)
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def _whole(self, body: bytes | None) -> tuple[int, list[tuple[str, str]], bytes]:
        with self._asked(body) as response:
            return response.status, response.getheaders(), response.read()

    def _watch(self, body: bytes | None) -> None:
        """Passed on as it comes."""
        with self._asked(body) as response:
            self._begin(response.status, response.getheaders(), ("Transfer-Encoding", "chunked"))
            while part := response.read1(65_536):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _tell(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self._begin(status, headers, ("Content-Length", str(len(body))))
        self.wfile.write(body)

    def _begin(self, status: int, headers: list[tuple[str, str]], length: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in [*((n, v) for n, v in headers if n.lower() not in _HOP_BY_HOP), length]:
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the writes are what is kept."""
