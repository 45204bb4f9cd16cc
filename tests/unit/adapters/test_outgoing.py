"""HTTP to the outside goes where it may, in little time, and tells no secret."""

from __future__ import annotations

import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from changeover.adapters.outgoing import HttpOutgoing
from changeover.core.errors import InvalidSpec, Unavailable

Answer = Callable[["_Handler"], None]


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, body, self.headers["webhook-id"]))
        self.server.answer(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, bytes, str]] = []
        self.answer: Answer = with_status(200)

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def with_status(status: int, **headers: str) -> Answer:
    def answer(handler: _Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


def never(handler: _Handler) -> None:
    time.sleep(1)


def endless(handler: _Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    for _ in range(2**10):
        handler.wfile.write(b"x" * 2**20)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_what_is_sent_arrives(receiver: Receiver) -> None:
    await HttpOutgoing([receiver.host]).post(f"{receiver.host}/hook?a=b", b"{}", {"webhook-id": "x"}, 3)
    assert receiver.got == [("/hook?a=b", b"{}", "x")]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
async def test_the_status_is_told_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = with_status(status, Location=f"{receiver.host}/elsewhere")
    assert await HttpOutgoing([receiver.host]).post(f"{receiver.host}/hook", b"{}", {}, 3) == status
    assert len(receiver.got) == 1


async def test_one_that_never_answers_costs_its_time_and_no_more(receiver: Receiver) -> None:
    receiver.answer = never
    with pytest.raises(Unavailable, match="TimeoutError"):
        await HttpOutgoing([receiver.host]).post(f"{receiver.host}/hook", b"{}", {}, 0.2)


async def test_of_an_endless_answer_little_is_read(receiver: Receiver) -> None:
    receiver.answer = endless
    started = time.monotonic()
    await HttpOutgoing([receiver.host]).post(f"{receiver.host}/hook", b"{}", {}, 3)
    assert time.monotonic() - started < 3


async def test_nobody_there_is_told_without_the_address() -> None:
    url = "http://127.0.0.1:9/services/T000/B000/secret"
    with pytest.raises(Unavailable) as failure:
        await HttpOutgoing(["http://127.0.0.1:9"]).post(url, b"{}", {}, 3)
    assert "127.0.0.1:9 could not be told" in str(failure.value)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x", "http://hooks.example.com/x", "https://hooks.example.com.evil.example/",
        "https://hooks.example.com:444/", "https://evil.example/@hooks.example.com", "http://169.254.169.254/latest",
        "file:///etc/passwd", "ftp://hooks.example.com/", "//hooks.example.com/", "hooks.example.com", "", "https://[::1",
        "https://hooks.example.com\\@evil.example/", "https://hoo\u212as.example.com/", "https://hooks.example.com:x/",
        "https://hooks.example.com/" + "x" * 2_048,
    ],
)  # fmt: skip
async def test_an_address_that_is_not_allowed_is_refused_and_never_asked(url: str) -> None:
    allowed = HttpOutgoing(["hooks.example.com"])
    with pytest.raises(InvalidSpec):
        await allowed.post(url, b"{}", {}, 3)


async def test_by_default_nothing_is_allowed(receiver: Receiver) -> None:
    with pytest.raises(InvalidSpec, match=r"notifications\.allowedHosts"):
        await HttpOutgoing([]).post(f"{receiver.host}/hook", b"{}", {}, 3)
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    [
        "https://bot:1234/cret@hooks.example.com/", "https://hooks.example.com\\services\\cret", "cret.example.com/x",
        "https://hooks.example.com\tcret/", "https://hooks.example.com:cret/",
    ],
)  # fmt: skip
async def test_a_refused_address_tells_no_part_that_may_be_secret(url: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        await HttpOutgoing(["hooks.example.com"]).post(url, b"{}", {}, 3)
    assert "cret" not in str(refusal.value).replace("Secret", "") and "1234" not in str(refusal.value)


async def test_a_refusal_is_short_however_long_the_host_is() -> None:
    """Status cuts a message off, and the mend stands at its end."""
    for host in ("a" * 254, "a." * 500 + "example.com", "b" * 253):
        with pytest.raises(InvalidSpec) as refusal:
            await HttpOutgoing(["hooks.example.com"]).post(f"https://{host}/", b"{}", {}, 3)
        assert len(str(refusal.value)) < 512


async def test_a_packed_answer_is_not_unpacked(receiver: Receiver) -> None:
    bomb = zlib.compress(bytes(2**25))

    def packed(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "deflate")
        handler.send_header("Content-Length", str(len(bomb)))
        handler.end_headers()
        handler.wfile.write(bomb)

    receiver.answer = packed
    tracemalloc.start()
    assert await HttpOutgoing([receiver.host]).post(f"{receiver.host}/hook", b"{}", {}, 3) == 200
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21
