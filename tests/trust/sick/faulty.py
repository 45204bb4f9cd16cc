"""A server with the vices of a Prometheus, in a process of its own: `python -m tests.trust.sick.faulty ELSEWHERE`.

The first part of a request's path names the vice. It prints two ports: that of the vices, and one where nobody accepts.
Nothing but the standard library, and raw sockets: no server of HTTP would send most of this.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

GIGABYTE = 2**30
LONGEST_SECONDS = 30.0  # no vice outlives its test by more
BLOCK = b" " * 2**20
SERVICE = "shop-new-80@kubernetesgateway"

Vice = Callable[[socket.socket], None]
elsewhere = 0  # the port of a server that must not be asked


def head(status: str = "200 OK", **headers: Any) -> bytes:
    """Status line and headers; nothing is kept alive unless it says so."""
    lines = [f"HTTP/1.1 {status}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def saying(content: bytes, status: str = "200 OK", **headers: Any) -> Vice:
    """A whole answer."""
    return lambda conn: conn.sendall(head(status, **{"Content_Length": len(content), **headers}) + content)


def sending(first: bytes, pieces: Callable[[], Iterator[bytes]]) -> Vice:
    """A beginning, and then pieces as fast as they are taken."""

    def vice(conn: socket.socket) -> None:
        conn.sendall(first)
        for piece in pieces():
            conn.sendall(piece)

    return vice


def slowly(first: bytes, piece: bytes = b" ") -> Vice:
    """A beginning, and then a piece often enough that no read ever times out."""

    def vice(conn: socket.socket) -> None:
        conn.sendall(first)
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            conn.sendall(piece)
            time.sleep(0.03)

    return vice


def gigabyte() -> Iterator[bytes]:
    return (BLOCK for _ in range(GIGABYTE // len(BLOCK)))


def chunked() -> Iterator[bytes]:
    return (b"100000\r\n" + block + b"\r\n" for block in gigabyte())


def endless(piece: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter(lambda: piece, b"")


def nothing() -> Iterator[bytes]:
    time.sleep(LONGEST_SECONDS)
    yield b""


def deflated(times: int) -> Callable[[], Iterator[bytes]]:
    """A gigabyte of spaces as gzip: a MiB of 1 KiB; twice over it is a few KiB."""

    def pieces() -> Iterator[bytes]:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        block = packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)  # may stand any number of times
        whole = b"\x1f\x8b\x08" + bytes(7) + block * (GIGABYTE // len(BLOCK))
        yield whole if times == 1 else zlib.compress(whole, 9, 31)

    return pieces


def valid(bytes_: int) -> bytes:
    """A well-formed answer of about that size: as many series as fit, a sample every 5 s of an hour."""
    values = [[1893499200.123 + 5 * n, str(100000 + n)] for n in range(720)]
    series = {"metric": {"service": SERVICE, "code": "200", "le": "+Inf"}, "values": values}
    number = bytes_ // len(json.dumps(series))
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series] * number}}).encode()


def cookies() -> bytes:
    return b"".join(b"Set-Cookie: c%d=%b\r\n" % (time.monotonic_ns() + n, b"x" * 4000) for n in range(90))


def reset(conn: socket.socket) -> None:
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


HALF = b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"le":"+I'
BUSY = "503 Service Unavailable"
VICES: dict[str, Vice] = {
    "hangs": lambda conn: time.sleep(LONGEST_SECONDS),
    "sends headers, then hangs": sending(head(Content_Length=9), nothing),
    "drips its body": slowly(head(Content_Length=10**9)),
    "drips its headers": slowly(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "drips lines of headers": slowly(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n"),
    "drips chunks": slowly(head(Transfer_Encoding="chunked"), b"1\r\n \r\n"),
    "headers without an end": sending(b"HTTP/1.1 200 OK\r\n", endless(b"X-More: 1\r\n" * 1000)),
    "a header without an end": sending(b"HTTP/1.1 200 OK\r\nX: ", endless(b"x" * 2**16)),
    "100 Continue without an end": sending(b"", endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)),
    "503, Retry-After 3600": saying(b"busy", BUSY, Retry_After=3600),
    "503 with a gigabyte": sending(head(BUSY, Content_Length=GIGABYTE), gigabyte),
    "1 GB": sending(head(Content_Length=GIGABYTE), gigabyte),
    "1 GB in chunks": sending(head(Transfer_Encoding="chunked"), chunked),
    "1 GB as gzip": sending(head(Content_Encoding="gzip"), deflated(1)),
    "1 GB as gzip of gzip": sending(head(Content_Encoding="gzip, gzip"), deflated(2)),
    "gzip that is none": saying(b"\x1f\x8b nonsense", Content_Encoding="gzip"),
    "redirects elsewhere": lambda conn: saying(b"", "302 Found", Location=f"http://127.0.0.1:{elsewhere}/")(conn),
    "redirects to 169.254.169.254": saying(b"", "307 Temporary Redirect", Location="http://169.254.169.254/latest/"),
    "redirects to a file": saying(b"", "302 Found", Location="file:///etc/passwd"),
    "redirects with a gigabyte": sending(head("302 Found", Location="/", Content_Length=GIGABYTE), gigabyte),
    "half a JSON": saying(HALF),
    "breaks off": sending(head(Content_Length=10**6) + HALF, lambda: iter(())),
    "resets the connection": reset,
    "chunks of nonsense": sending(head(Transfer_Encoding="chunked") + b"zz\r\n" + HALF, lambda: iter(())),
    "a chunk of 2^63": sending(head(Transfer_Encoding="chunked") + b"7fffffffffffffff\r\n", gigabyte),
    "a length that is none": sending(head(Content_Length="-1") + HALF, lambda: iter(())),
    "no HTTP": sending(b"\xff\x00SSH-2.0-OpenSSH_9.9\r\n", lambda: iter(())),
    "a login page": saying(b"<html><form>password</form></html>", Content_Type="text/html"),
    "7 MiB of bytes as an image": saying(bytes(range(256)) * 28 * 2**10, Content_Type="image/png"),
    "7 MiB of brackets": saying(b"[" * 7 * 2**20, Content_Type="application/json"),
    "100,000 brackets": saying(b'{"status":"success","data":' + b"[" * 100_000, Content_Type="application/json"),
    "7 MiB of empty lists": saying(b'{"status":"success","data":[' + b"[]," * 2_400_000 + b"1]}"),
    "7 MiB of good samples": saying(valid(7 * 2**20), Content_Type="application/json"),
    "cookies, always new": lambda conn: conn.sendall(head()[:-2] + cookies() + b"\r\n{}"),
}


def serve(conn: socket.socket) -> None:
    """One request; who goes away is none of our concern. What is no HTTP is a greeting of TLS: answered in plain."""
    with conn:
        try:
            words = conn.recv(65536).decode("latin-1").split(" ")
            if len(words) < 2 or not words[1].startswith("/"):
                conn.sendall(head("400 Bad Request"))
                return
            VICES[list(VICES)[int(words[1].split("/")[1])]](conn)
            conn.shutdown(socket.SHUT_WR)
        except OSError:
            return


def run() -> None:
    """Until it is ended."""
    global elsewhere
    elsewhere = int(sys.argv[1])
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]  # they fill the queue, so that nobody else gets through
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(listening.getsockname()[1], full.getsockname()[1], flush=True)
    while True:
        conn, _ = listening.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


if __name__ == "__main__":
    run()
