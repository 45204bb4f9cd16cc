"""The flags of one run, checked. Pure: arguments in, Settings or InvalidArguments out."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from changeover.loader.failures import InvalidArguments
from changeover.loader.ramp import Plan
from changeover.loader.report import FRACTIONS
from changeover.loader.share import Share

CLOSED, OPEN, RAMP = "closed", "open", "ramp"
AUTO, WRK, OHA, H2LOAD = "auto", "wrk", "oha", "h2load"
NOT_MODIFIED = 304  # like any answer to HEAD it has no body, but may have the Content-Length of one

TAKE_A_BODY = ("POST", "PUT", "PATCH")
"""Methods of which a request says its length even without a body; a server may refuse it otherwise (411)."""

MAX_SAMPLES = 500_000
"""Requests of one oha run whose samples are kept: 50 MB of scratch, less than the 64 MB of a pod's /dev/shm."""

_HOST = re.compile(r"([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")

_RAMP_DEFAULTS: dict[str, Any] = {
    "factor": 1.5,
    "max_steps": 10,
    "percentile": "p99",
    "max_p99_ms": None,
    "max_error_percent": 1.0,
    "bisect": 0,
}


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
    body: bytes
    headers: tuple[tuple[str, str], ...]
    host_header: str | None
    expect_status: int
    expect_body_sha256: str | None
    timeout_seconds: int
    driver: str
    max_samples: int
    start_at: float | None
    conformance: bool
    ramp: Plan | None

    @property
    def generator(self) -> str:
        """wrk for the most requests a core; oha where a latency, a rate or a closed connection must be true.

        wrk counts a status of 400 and above as an error, so it cannot measure one that is meant.
        """
        if self.driver != AUTO:
            return self.driver
        return WRK if self._fits_all() else OHA

    def _fits_all(self) -> bool:
        """What every generator can do truthfully; oha can do the rest, too.

        After an answer to HEAD, or a 304, the others wait for the body that its Content-Length speaks of.
        """
        has_body = self.method != "HEAD" and self.expect_status != NOT_MODIFIED
        return self.mode == CLOSED and self.keep_alive and self.expect_status < 400 and has_body


def _plan(given: argparse.Namespace) -> Plan | None:
    named = {name: getattr(given, name) for name in _RAMP_DEFAULTS}
    if given.mode != RAMP:
        if wrong := [f"--{name.replace('_', '-')}" for name, value in named.items() if value is not None]:
            raise InvalidArguments(f"{', '.join(wrong)}: only with --mode ramp")
        return None
    if given.rate is None:
        raise InvalidArguments("--mode ramp needs --rate, the first step's")
    chosen = {name: named[name] if named[name] is not None else default for name, default in _RAMP_DEFAULTS.items()}
    return Plan(
        start=given.rate,
        factor=chosen["factor"],
        max_steps=chosen["max_steps"],
        percentile=chosen["percentile"],
        max_latency=chosen["max_p99_ms"] / 1000 if chosen["max_p99_ms"] is not None else None,
        max_error_share=chosen["max_error_percent"] / 100,
        bisections=chosen["bisect"],
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidArguments(message)


def parse_settings(arguments: Sequence[str]) -> Settings:
    given = _parser().parse_args(arguments)
    if given.host_header is None:
        given.host_header = next((value for name, value in given.header if name.lower() == "host"), None)
    share = _share(given)
    settings = Settings(
        url=given.url,
        connections=share.of_connections(given.connections),
        keep_alive=given.keep_alive == "true",
        warm_up_seconds=given.warm_up,
        measure_seconds=given.measure,
        mode=given.mode,
        rate=share.of_rate(given.rate, given.connections) if given.rate is not None else None,
        method=given.method,
        # argparse before Python 3.13 makes an empty list of a value that is "--".
        body=(given.body if isinstance(given.body, str) else "--").encode(),
        headers=tuple(pair for pair in given.header if pair[0].lower() != "host"),
        host_header=given.host_header,
        expect_status=given.expect_status,
        expect_body_sha256=given.expect_body_sha256,
        timeout_seconds=given.timeout,
        driver=given.driver,
        max_samples=given.max_samples,
        start_at=given.start_at,
        conformance=given.conformance,
        ramp=_plan(given),
    )
    _refuse({**_problems(settings), **_ramp_problems(settings.ramp)})
    return settings


def _share(given: argparse.Namespace) -> Share:
    """Checked first, since everything that is shared is divided by it."""
    share = Share(given.instance, given.instances)
    _refuse({"--connections must be at least 1": given.connections < 1, **share.problems(given.connections)})
    return share


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python3 -m changeover.loader", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--url", required=True, help="http://HOST[:PORT]/PATH")
    add("--connections", type=int, required=True)
    add("--keep-alive", choices=("true", "false"), default="true")
    add("--warm-up", type=_seconds, default=0, metavar="SECONDS", help="under the same load, thrown away")
    add("--measure", type=_seconds, required=True, metavar="SECONDS")
    add("--mode", choices=(CLOSED, OPEN, RAMP), default=CLOSED)
    add("--rate", type=float, metavar="R", help="requests per second over all connections; ramp: of its first step")
    add("--method", default="GET", type=_method)
    add("--body", default="", metavar="TEXT", help="sent as UTF-8 with its Content-Length")
    add("--header", action="append", default=[], type=_header, metavar="'Name: value'")
    add("--host-header", help="instead of the URL's host")
    add("--expect-status", type=int, default=200)
    add("--expect-body-sha256", type=_digest, metavar="HEX")
    add("--timeout", type=int, default=10, metavar="SECONDS", help="for one request")
    add("--driver", choices=(AUTO, WRK, OHA, H2LOAD), default=AUTO)
    add("--max-samples", type=int, default=MAX_SAMPLES, metavar="N", help="for a mergeable histogram from oha")
    add("--instances", type=int, default=1, metavar="N", help="loaders that share --connections and --rate")
    add("--instance", type=int, default=0, metavar="I", help="which of them this is, from 0")
    add("--start-at", type=float, metavar="EPOCH_SECONDS", help="when the warm-up begins; at once when it is past")
    add("--conformance", action="store_true", help="check the protocol before the warm-up, and report it")
    _add_ramp(parser.add_argument_group("ramp", "open-loop steps of --measure seconds each; only with --mode ramp"))
    return parser


def _add_ramp(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--factor", type=float, metavar="F", help="from one step's rate to the next's (1.5)")
    add("--max-steps", type=int, metavar="N", help="on the way up (10)")
    add("--percentile", choices=tuple(FRACTIONS), help="that --max-p99-ms is about (p99)")
    add("--max-p99-ms", type=float, metavar="M", help="of the percentile; without it latency is no objective")
    add("--max-error-percent", type=float, metavar="E", help="(1)")
    add("--bisect", type=int, metavar="K", help="steps between the last good and the first bad rate (0)")


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


def _refuse(problems: Mapping[str, bool]) -> None:
    found = [problem for problem, holds in problems.items() if holds]
    if found:
        raise InvalidArguments("; ".join(found))


def _problems(settings: Settings) -> dict[str, bool]:
    url = urlsplit(settings.url)
    names = {name.lower() for name, _ in settings.headers}
    return {
        "--url must be http://HOST[:PORT]/PATH": url.scheme != "http" or not url.hostname,
        "--warm-up must not be negative": settings.warm_up_seconds < 0,
        "--measure must be at least 1": settings.measure_seconds < 1,
        "--timeout must be at least 1": settings.timeout_seconds < 1,
        "--mode open needs --rate": settings.mode == OPEN and settings.rate is None,
        "--rate needs --mode open or ramp": settings.mode == CLOSED and settings.rate is not None,
        "--start-at must be a number of seconds": settings.start_at is not None
        and not math.isfinite(settings.start_at),
        "--max-samples must not be negative": settings.max_samples < 0,
        "--driver wrk and h2load are for --mode closed, --keep-alive true, an expected status below 400 and answers "
        "with a body, so not for --method HEAD or status 304": (
            settings.driver in (WRK, H2LOAD) and not settings._fits_all()
        ),
        "--driver h2load knows only GET": settings.driver == H2LOAD and settings.method != "GET",
        "--body is not for --method GET or HEAD": settings.body != b"" and settings.method in ("GET", "HEAD"),
        "--rate must be above 0": settings.rate is not None and not 0 < settings.rate < math.inf,
        # h2load is given it within its address, where more than a host would be another path than the one checked.
        "--host-header and a Host header must be HOST[:PORT]": bool(settings.host_header)
        and not _HOST.fullmatch(settings.host_header or ""),
        # A server may ignore the header; only the client can close the connection for certain.
        "keep-alive is set by --keep-alive, not by a Connection header": "connection" in names,
        "the body's length is counted, not set by a Content-Length or Transfer-Encoding header": bool(
            names & {"content-length", "transfer-encoding"}
        ),
    }


def _ramp_problems(plan: Plan | None) -> dict[str, bool]:
    if plan is None:
        return {}
    return {
        "--factor must be above 1": not 1 < plan.factor < math.inf,
        "--max-steps must be at least 1": plan.max_steps < 1,
        "--max-p99-ms must be above 0": plan.max_latency is not None and not plan.max_latency > 0,
        "--max-error-percent must be 0 to 100": not 0 <= plan.max_error_share <= 1,
        "--bisect must not be negative": plan.bisections < 0,
    }
