"""The loader's checks can fail: a server with one flaw fails the checks for that flaw, within their time."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from changeover.loader import conformance
from changeover.loader.settings import parse_settings
from changeover.loader.target import Target

from tests.contract.backends.test_conformance import BODY, serving
from tests.contract.loader import servers


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what a check may take: enough on loopback, and every flaw that is a silence costs it."""
    monkeypatch.setattr(conformance, "CHECK_SECONDS", 0.5)


def run(address: tuple[str, int], *flags: str) -> dict[str, dict[str, Any]]:
    settings = parse_settings(["--url", "http://shop/", "--connections", "1", "--measure", "1", *flags])
    checks = conformance.run_checks(Target(*address, "/", "shop"), settings)
    assert [check.name for check in checks] == list(conformance.NAMES)
    return {check.name: check.as_json() for check in checks}


def failed(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, check in found.items() if check["passed"] is False}


def test_a_right_server_passes_everything() -> None:
    with serving("none") as address:
        found = run(address, "--expect-body-sha256", hashlib.sha256(BODY).hexdigest())
    assert [check["passed"] for check in found.values()] == [True] * 7
    assert found["same body"]["detail"] == "13 bytes, the same on two fresh connections"


@pytest.mark.parametrize(
    ("flaw", "checks"),
    [
        ("404", {"404 elsewhere"}),
        ("head", {"HEAD"}),
        ("close", {"Connection: close", "HTTP/1.0"}),
        ("split", {"request split over two packets"}),
        ("pipelining", {"pipelined requests"}),
        ("http/1.0", {"HTTP/1.0"}),
        ("keep-alive", {"HEAD", "pipelined requests"}),
    ],
)
def test_each_flaw_is_found_and_no_other(flaw: str, checks: set[str]) -> None:
    with serving(flaw) as address:
        found = run(address)
    assert failed(found) >= checks
    assert failed(found) == checks or flaw == "close"
    assert all(check["detail"] for check in found.values())


def test_a_body_that_is_not_the_expected_one_fails() -> None:
    with serving("body") as address:
        found = run(address, "--expect-body-sha256", hashlib.sha256(BODY).hexdigest())
    assert "same body" in failed(found)
    assert "another body: 14 bytes" in found["same body"]["detail"]


def test_a_body_that_changes_fails() -> None:
    def answer(number: int) -> bytes:
        return servers.ANSWER.replace(b"World", f"W{number:04}".encode())

    with servers.serving(answer=answer) as server:
        found = run(("127.0.0.1", server.port))
    assert "another body" in found["same body"]["detail"]


@pytest.mark.parametrize(
    ("answer", "flags"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n", ("--method", "HEAD")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ("--method", "DELETE", "--expect-status", "204")),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 13\r\n\r\n", ("--expect-status", "304")),
    ],
    ids=["HEAD", "204", "304"],
)
def test_an_answer_that_has_no_body_is_over_with_its_headers(answer: bytes, flags: tuple[str, ...]) -> None:
    with servers.serving(answer=lambda number: answer) as server:
        found = run(("127.0.0.1", server.port), *flags)
    assert failed(found) <= {"404 elsewhere", "Connection: close", "HTTP/1.0"}  # this server knows neither
    assert all(found[name]["passed"] for name in ("same body", "pipelined requests", "request split over two packets"))


def test_head_says_nothing_of_another_method() -> None:
    with serving("none") as address:
        found = run(address, "--method", "POST")
    assert (found["HEAD"]["passed"], failed(found)) == (None, set())


def test_a_server_that_never_answers_costs_its_seconds_and_no_more() -> None:
    before = time.monotonic()
    with servers.serving(delay=lambda now: 3600.0) as server:
        found = run(("127.0.0.1", server.port))
    assert failed(found) == set(conformance.NAMES)
    assert {check["detail"] for check in found.values()} == {"no answer within 0.5 s"}
    assert time.monotonic() - before < 7 * 3


def test_a_drip_of_bytes_does_not_prolong_a_check() -> None:
    """A deadline for every read would be met by a byte now and then; the deadline is the check's."""
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3
    with servers.serving(answer=lambda number: endless) as server:
        found = run(("127.0.0.1", server.port))
    assert found["same body"]["detail"] == "no answer within 0.5 s"


def test_chunks_are_a_body_but_not_for_http_1_0() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nHello\r\n3\r\n!!!\r\n0\r\nT: x\r\n\r\n"
    digest = hashlib.sha256(b"Hello!!!").hexdigest()
    with servers.serving(answer=lambda number: chunked) as server:
        found = run(("127.0.0.1", server.port), "--expect-body-sha256", digest)
    assert found["same body"]["passed"] and found["pipelined requests"]["passed"]
    assert "chunks" in found["HTTP/1.0"]["detail"]


@pytest.mark.parametrize("nonsense", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_fails_with_what_was_seen(nonsense: bytes) -> None:
    with servers.serving(answer=lambda number: nonsense) as server:
        found = run(("127.0.0.1", server.port))
    assert "no status line" in found["same body"]["detail"]


def test_nobody_there_fails() -> None:
    with servers.serving() as server:
        pass
    assert "Refused" in run(("127.0.0.1", server.port))["same body"]["detail"]
