"""The flags of one run, checked. Pure: arguments in, Settings or InvalidArguments out."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from changeover.loader.failures import InvalidArguments

CLOSED, OPEN = "closed", "open"


@dataclass(frozen=True)
class Settings:
    url: str
    connections: int
    keep_alive: bool
    warm_up_seconds: int
    measure_seconds: int
    mode: str
    rate: float | None
    method: str
    headers: tuple[tuple[str, str], ...]
    host_header: str | None
    expect_status: int
    expect_body_sha256: str | None
    timeout_seconds: int

    @property
    def uses_wrk(self) -> bool:
        """wrk for the most requests a core; oha where a latency, a rate or a closed connection must be true.

        wrk counts a status of 400 and above as an error, so it cannot measure one that is meant.
        """
        return self.mode == CLOSED and self.keep_alive and self.expect_status < 400


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidArguments(message)


def parse_settings(arguments: Sequence[str]) -> Settings:
    given = _parser().parse_args(arguments)
    if given.host_header is None:
        given.host_header = next((value for name, value in given.header if name.lower() == "host"), None)
    settings = Settings(
        url=given.url,
        connections=given.connections,
        keep_alive=given.keep_alive == "true",
        warm_up_seconds=given.warm_up,
        measure_seconds=given.measure,
        mode=given.mode,
        rate=given.rate,
        method=given.method,
        headers=tuple(pair for pair in given.header if pair[0].lower() != "host"),
        host_header=given.host_header,
        expect_status=given.expect_status,
        expect_body_sha256=given.expect_body_sha256,
        timeout_seconds=given.timeout,
    )
    _check(settings)
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python3 -m changeover.loader", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--url", required=True, help="http://HOST[:PORT]/PATH")
    add("--connections", type=int, required=True)
    add("--keep-alive", choices=("true", "false"), default="true")
    add("--warm-up", type=_seconds, default=0, metavar="SECONDS", help="under the same load, thrown away")
    add("--measure", type=_seconds, required=True, metavar="SECONDS")
    add("--mode", choices=(CLOSED, OPEN), default=CLOSED)
    add("--rate", type=float, metavar="R", help="requests per second over all connections; open mode only")
    add("--method", default="GET", type=_method)
    add("--header", action="append", default=[], type=_header, metavar="'Name: value'")
    add("--host-header", help="instead of the URL's host")
    add("--expect-status", type=int, default=200)
    add("--expect-body-sha256", type=_digest, metavar="HEX")
    add("--timeout", type=int, default=10, metavar="SECONDS", help="for one request")
    return parser


def _seconds(text: str) -> int:
    """wrk knows whole seconds only, so parts of one are rounded up, for both generators alike."""
    seconds = float(text)
    if not math.isfinite(seconds):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return math.ceil(seconds)


def _method(text: str) -> str:
    if not re.fullmatch(r"[A-Z]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no HTTP method")
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or "\n" in value or "\r" in value:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 'Name: value'")
    return name, value.strip()


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no SHA-256 in hexadecimal")
    return text.lower()


def _check(settings: Settings) -> None:
    url = urlsplit(settings.url)
    names = {name.lower() for name, _ in settings.headers}
    problems = {
        "--url must be http://HOST[:PORT]/PATH": url.scheme != "http" or not url.hostname,
        "--connections must be at least 1": settings.connections < 1,
        "--warm-up must not be negative": settings.warm_up_seconds < 0,
        "--measure must be at least 1": settings.measure_seconds < 1,
        "--timeout must be at least 1": settings.timeout_seconds < 1,
        "--mode open needs --rate": settings.mode == OPEN and settings.rate is None,
        "--rate needs --mode open": settings.mode == CLOSED and settings.rate is not None,
        "--rate must be above 0": settings.rate is not None and not settings.rate > 0,
        # A server may ignore the header; only the client can close the connection for certain.
        "keep-alive is set by --keep-alive, not by a Connection header": "connection" in names,
    }
    found = [problem for problem, holds in problems.items() if holds]
    if found:
        raise InvalidArguments("; ".join(found))
