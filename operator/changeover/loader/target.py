"""The address under load: resolved once, and asked once whether its answer is the one the benchmark is about.

The name is resolved here and the generators get the address, with the name in the Host header: what was
verified is what is loaded, and no generator's resolver is part of a measurement.
"""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from changeover.loader.failures import TargetUnreachable, UnexpectedResponse
from changeover.loader.settings import Settings

REACH_SECONDS = 10.0
"""How long a refused connection is tried again: a Service's rules may lag behind its first ready endpoint."""

RETRY_SECONDS = 0.25


@dataclass(frozen=True)
class Target:
    address: str
    port: int
    path: str
    host_header: str

    @property
    def url(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{address}:{self.port}{self.path}"


def resolve(settings: Settings) -> Target:
    parts = urlsplit(settings.url)
    port = parts.port or 80
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TargetUnreachable(f"{parts.hostname} does not resolve: {error}") from error
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(str(found[0][4][0]), port, path, settings.host_header or parts.netloc)


def verify(target: Target, settings: Settings) -> None:
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        try:
            status, body = _ask(target, settings)
            break
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= deadline:
                raise TargetUnreachable(f"{target.url}: {type(error).__name__}: {error}") from error
            time.sleep(RETRY_SECONDS)
    if status != settings.expect_status:
        raise UnexpectedResponse(f"status {status}, expected {settings.expect_status}")
    digest = hashlib.sha256(body).hexdigest()
    if settings.expect_body_sha256 not in (None, digest):
        raise UnexpectedResponse(f"a body of {len(body)} bytes with SHA-256 {digest}")


def _ask(target: Target, settings: Settings) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(target.address, target.port, timeout=settings.timeout_seconds)
    try:
        # http.client asks for no encoding unless a header of ours does, as it then does under load.
        headers = {**dict(settings.headers), "Host": target.host_header}
        connection.request(settings.method, target.path, settings.body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
