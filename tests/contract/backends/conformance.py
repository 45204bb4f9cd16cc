"""Does a backend speak HTTP/1.1 well enough to be compared? Raw sockets, standard library only.

    python3 conformance.py HOST:PORT                 check a server that is running
    python3 conformance.py --start COMMAND [ARG ...]  start it (PORT in its environment), check it, end it with SIGTERM

Speed is compared only between candidates that do the same work: the same answer, the protocol kept where generators,
gateways and probes rely on it. Every check prints Pass or Fail with what was seen; the exit code counts the failures.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":  # run as a script it finds the package by itself
    sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "operator"))

from changeover.loader import http1
from changeover.loader.http1 import Answer, Nonconforming

BODY = b"Hello, World!"
READ_TIMEOUT_SECONDS = 5.0  # for all that is done on one connection
START_TIMEOUT_SECONDS = 15.0
DRAIN_SECONDS = 2  # how long a server under test serves on after SIGTERM
EXIT_GRACE_SECONDS = 5.0  # how long after the drain it may take to finish and exit
WATCHDOG_SECONDS = 120.0  # a server that hangs in its shutdown must not hang the check

Address = tuple[str, int]


class Client(http1.Client):
    """One connection to a backend."""

    def __init__(self, address: Address) -> None:
        super().__init__(address, READ_TIMEOUT_SECONDS)

    def request(self, method: str = "GET", path: str = "/", headers: str = "") -> bytes:
        return f"{method} {path} HTTP/1.1\r\nHost: backend\r\n{headers}\r\n".encode()

    def is_silent(self, seconds: float = 0.3) -> bool:
        return super().is_silent(seconds)


def require(holds: bool, seen: str) -> None:
    if not holds:
        raise Nonconforming(seen)


def require_hello(answer: Answer) -> None:
    require(answer.status == 200, f"status {answer.status}")
    kind, length = answer.headers.get("content-type"), answer.headers.get("content-length")
    require(kind == "text/plain" and length == str(len(BODY)), f"type {kind!r}, length {length!r}")
    require(answer.body == BODY, f"body {answer.body!r}")


def require_close(answer: Answer) -> None:
    said = answer.headers.get("connection", "")
    require(said.lower() == "close", f"the answer says Connection: {said!r}")


def check_answer(address: Address) -> None:
    with Client(address) as client:
        client.send(client.request())
        require_hello(client.answer())


def check_keep_alive(address: Address) -> None:
    with Client(address) as client:
        for _ in range(3):
            client.send(client.request())
            require_hello(client.answer())
        require(client.is_silent(), "the connection did not stay open and silent after three answers")


def check_not_found(address: Address) -> None:
    with Client(address) as client:
        client.send(client.request(path="/elsewhere"))
        answer = client.answer()
        require(answer.status == 404, f"status {answer.status}")
        client.send(client.request())  # a 404 whose body overruns its length would spoil this one
        require_hello(client.answer())


def check_head(address: Address) -> None:
    with Client(address) as client:
        client.send(client.request("HEAD"))
        answer = client.answer(has_body=False)
        require(answer.status == 200, f"status {answer.status}")
        length = answer.headers.get("content-length")
        require(length in (None, str(len(BODY))), f"length {length!r}")
        require(client.is_silent(), "bytes followed the header block of the answer to HEAD")
        client.send(client.request())
        require_hello(client.answer())


def check_connection_close(address: Address) -> None:
    with Client(address) as client:
        client.send(client.request(headers="Connection: close\r\n"))
        answer = client.answer()
        require_hello(answer)
        require_close(answer)
        require(client.is_closed(), "the server left the connection open")


def check_split(address: Address) -> None:
    """Two packets, cut within the request line, within a header and within the blank line after the head."""
    for cut in (7, 20, -1):
        with Client(address) as client:
            client.send(client.request()[:cut])
            time.sleep(0.1)
            client.send(client.request()[cut:])
            require_hello(client.answer())


def check_pipelined(address: Address) -> None:
    with Client(address) as client:
        client.send(client.request() + client.request(path="/elsewhere") + client.request())
        require_hello(client.answer())
        second = client.answer()
        require(second.status == 404, f"the second answer has status {second.status}: out of order?")
        require_hello(client.answer())
        require(client.is_silent(), "more than three answers came")


def check_request_body(address: Address) -> None:
    """What stands in a body is no request, whatever it looks like; the answer to a POST is the server's to choose."""
    with Client(address) as client:
        body = client.request(path="/elsewhere")
        client.send(client.request("POST", headers=f"Content-Length: {len(body)}\r\n") + body)
        client.answer()
        client.send(client.request())
        require_hello(client.answer())
        require(client.is_silent(), "the body of a request was answered")


def check_http_1_0(address: Address) -> None:
    with Client(address) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: backend\r\n\r\n")
        require_hello(client.answer())
        require(client.is_closed(), "the server left an HTTP/1.0 connection open")


def check_malformed(address: Address) -> None:
    with Client(address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nno colon in this line\r\n\r\n")
        answer = client.answer()
        require(answer.status == 400, f"status {answer.status}")
    check_answer(address)


CHECKS: dict[str, Callable[[Address], None]] = {
    "status, type and body": check_answer,
    "keep-alive": check_keep_alive,
    "404 elsewhere": check_not_found,
    "HEAD": check_head,
    "Connection: close": check_connection_close,
    "request split over two packets": check_split,
    "pipelined requests": check_pipelined,
    "request with a body": check_request_body,
    "HTTP/1.0": check_http_1_0,
    "400 for a malformed request": check_malformed,
}


def run_checks(address: Address) -> int:
    return sum(not passes(name, check, address) for name, check in CHECKS.items())


def passes(name: str, check: Callable[[Address], None], address: Address) -> bool:
    problem = ""
    try:
        check(address)
    except (Nonconforming, OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        problem = f"{type(error).__name__}: {error}"
    print(f"Fail  {name}: {problem}" if problem else f"Pass  {name}", flush=True)
    return not problem


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until_open(address: Address, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        require(process.poll() is None, f"exited with {process.returncode} before it listened")
        with contextlib.suppress(OSError):
            return socket.create_connection(address, timeout=1).close()
        time.sleep(0.05)
    raise Nonconforming(f"did not listen within {START_TIMEOUT_SECONDS:.0f} s")


def check_termination(address: Address, process: subprocess.Popen[bytes]) -> None:
    """SIGTERM: serves on and says close, then exits 0; no request meets a reset before the drain is over."""
    with Client(address) as idle:
        idle.send(idle.request())
        require_hello(idle.answer())
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        served = 0
        while time.monotonic() < started + DRAIN_SECONDS - 0.3:
            with Client(address) as client:
                client.send(client.request())
                answer = client.answer()
            require_hello(answer)
            served += 1
            if time.monotonic() > started + 0.5:  # the signal has reached it by then
                require_close(answer)
            time.sleep(0.05)
        require(served > 1, "nothing was served during the drain")
        code = process.wait(DRAIN_SECONDS + EXIT_GRACE_SECONDS)
        took = time.monotonic() - started
        require(code == 0, f"exit code {code}")
        require(took >= DRAIN_SECONDS - 0.1, f"exited {took:.1f} s after SIGTERM, before the drain was over")


def start_and_check(command: list[str]) -> int:
    address = ("127.0.0.1", free_port())
    environment = os.environ | {"PORT": str(address[1]), "DRAIN_SECONDS": str(DRAIN_SECONDS)}
    process = subprocess.Popen(command, env=environment)
    (watchdog := threading.Timer(WATCHDOG_SECONDS, process.kill)).start()
    try:
        if not passes("starts and listens", lambda where: wait_until_open(where, process), address):
            return 1
        failed = run_checks(address)
        clean = passes("SIGTERM: drain and clean exit", lambda where: check_termination(where, process), address)
        return failed + (not clean)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", metavar="HOST:PORT")
    parser.add_argument("--start", nargs=argparse.REMAINDER, metavar="COMMAND")
    arguments = parser.parse_args()
    if arguments.start:
        return start_and_check(arguments.start)
    if not arguments.address:
        parser.error("give HOST:PORT or --start COMMAND")
    host, _, port = arguments.address.rpartition(":")
    return run_checks((host.strip("[]"), int(port)))


if __name__ == "__main__":
    sys.exit(main())
