"""The request that verifies the target."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from changeover.loader.settings import parse_settings
from changeover.loader.target import resolve, verify


class _Asked(BaseHTTPRequestHandler):
    """Remembers the encodings that its last request asked for."""

    encodings: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        _Asked.encodings = self.headers.get_all("Accept-Encoding", [])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("flags", "encoding"),
    [
        ([], "identity"),
        (["--header", "Accept-Encoding: gzip"], "gzip"),
        (["--header", "accept-encoding: gzip"], "gzip"),
    ],
)
def test_what_is_verified_is_asked_for_as_under_load(flags: list[str], encoding: str) -> None:
    """The digest of a compressed body is that of what is sent under load, where the user's header asks for it."""
    with HTTPServer(("127.0.0.1", 0), _Asked) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        settings = parse_settings(["--url", url, "--connections", "1", "--measure", "1", *flags])
        verify(resolve(settings), settings)
        thread.join()
    assert _Asked.encodings == [encoding]
