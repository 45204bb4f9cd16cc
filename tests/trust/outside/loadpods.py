"""Requests of a benchmark, or of own load, whose author would lead a load pod elsewhere: from spec to generator.

Each goes the whole way: through the API's types, into the Job's arguments, through the kubelet's ``$(NAME)``, into the
loader's flags, and into the command of each generator, which is read as the generator reads it.
"""

from __future__ import annotations

import getopt
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from changeover.api.v1alpha1.scenario import Request
from changeover.core.manifests.load_job import request_arguments
from changeover.loader import h2load, oha, wrk
from changeover.loader.failures import InvalidArguments
from changeover.loader.settings import Settings, parse_settings
from changeover.loader.target import Target, resolve
from pydantic import ValidationError

from tests.trust.outside.addresses import ELSEWHERE

HOST, PORT, ADDRESS = "shop.demo.svc", 8080, "198.51.100.7"
URL = f"http://{HOST}:{PORT}"
BASE = ["--connections=1", "--measure=1"]
KUBELET = {"JOB_COMPLETION_INDEX": "0", "HOME": "/root"}  # what the container has, and what a spec must not read
FLAGS = ("-h", "--proxy=http://evil.test", "-x http://evil.test", "--connect-to=a:80:evil.test:80", "--urls-from-file",
         "--unix-socket=/tmp/x", "--debug", "-D/etc/passwd", "--", "-", "-sevil.lua", "--base-uri=http://evil.test",
         "-oout", "--db-url=/etc/x", "--rand-regex-url")  # fmt: skip

PATHS = (
    "{evil}", "//{evil}/", "/@{evil}/", "/:80@{evil}/", "/\\{evil}/", "/..//{evil}/", "/?http://{evil}/",
    "/#@{evil}/", "/ HTTP/1.1\r\nHost: {evil}\r\n\r\n", "/%0d%0aHost:%20{evil}", "/\thttp://{evil}/", "@{evil}/",
    ":1@{evil}/", ".{evil}/", "http://{evil}/",
)  # fmt: skip
"""Behind the Service's address; {evil} is put in."""

ODD_PATHS = (
    "/$(HOME)",
    "/$$(HOME)",
    "/$$$(HOME)",
    "/$(JOB_COMPLETION_INDEX)",
    "/$",
    "/$$",
    "/\x00",
    "/ä",
    "/" + "a" * 2_000,
)
ODD_HOSTS = ("", " ", "a b", "evil.test/x?", "evil.test#", "u@evil.test", "a\r\nX: y", "[::1", "-x", "a:b")
ODD_VALUES = ("a\r\nHost: evil.test", "a\nb", "a\x00b", "$(HOME)", "$$", "ä", "a" * 2_000, "", " ")
ODD_NAMES = ("Host ", "Ho\r\nst", "X:Y", "", "Content-Length", "Transfer-Encoding", "Connection", "ä", "$(HOME)")
ODD_BODIES = ("@/etc/passwd", "$(HOME)", "\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", "\x00", "ä")
ODD_METHODS = ("get", "GET /x", "CONNECT", "TRACE", "-X", "GET\r\nHost: evil.test", "")


@dataclass(frozen=True)
class Payload:
    """A request as its author writes it."""

    kind: str
    request: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """Who refused it, or what is wrong with where it leads."""

    payload: Payload
    refused: str
    wrong: str


def payloads() -> Iterator[Payload]:
    """The table."""
    paths = [path.format(evil=evil) for path in PATHS for evil in ELSEWHERE[:24]]
    yield from (Payload("path", {"path": path}) for path in (*paths, *ODD_PATHS))
    yield from (Payload("host", _header("Host", host)) for host in (*ELSEWHERE[:24], *FLAGS, *ODD_HOSTS))
    yield from (Payload("value", _header("X-A", value)) for value in (*FLAGS, *ODD_VALUES))
    yield from (Payload("name", _header(name, "1")) for name in (*FLAGS, *ODD_NAMES))
    yield from (Payload("body", {"method": "POST", "body": body}) for body in (*FLAGS, *ODD_BODIES))
    yield from (Payload("method", {"method": method}) for method in ODD_METHODS)


def _header(name: str, value: str) -> dict[str, Any]:
    return {"headers": [{"name": name, "value": value}]}


def outcomes() -> list[Outcome]:
    """Of all of the table."""
    return [outcome(payload) for payload in payloads()]


def outcome(payload: Payload) -> Outcome:
    """The whole way of one."""
    asked: list[tuple[Any, Any]] = []

    def look_up(host: Any, port: Any, **_: Any) -> list[Any]:
        asked.append((host, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ADDRESS, port))]

    try:
        request = Request.model_validate(payload.request)
        settings = parse_settings(BASE + [as_kubelet(one) for one in request_arguments(request, URL)])
    except (ValidationError, InvalidArguments) as error:
        return Outcome(payload, type(error).__name__, "")
    with patch("socket.getaddrinfo", look_up):
        target = resolve(settings)
    wrong = [f"asked {asked}"] if asked != [(HOST, PORT)] else []
    return Outcome(payload, "", "; ".join([*wrong, *_unmeant(request, settings), *_commands(settings, target)]))


def as_kubelet(argument: str) -> str:
    """What a container gets: ``$(NAME)`` is its variable, ``$$`` is a dollar."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda m: "$" if m[1] is None else KUBELET.get(m[1], m[0]), argument)


def _unmeant(request: Request, settings: Settings) -> Iterator[str]:
    """What has changed on the way from the spec to the loader."""
    headers = [(h.name, h.value.strip()) for h in request.headers if h.name.lower() != "host"]
    meant = (f"{URL}{request.path}", request.method, request.body.encode(), tuple(headers))
    if (got := (settings.url, settings.method, settings.body, settings.headers)) != meant:
        yield f"meant {meant}, got {got}"


def _commands(settings: Settings, target: Target) -> Iterator[str]:
    """What is wrong with a command: where it leads, or a flag of which we know nothing."""
    place = f"{ADDRESS}:{PORT}"
    if target.url != f"http://{place}{target.path}" or not target.path.startswith("/"):
        yield f"leads to {target.url}"
    makers: dict[str, Callable[[], list[str]]] = {
        "wrk": lambda: wrk.make_command(settings, target, 1),
        "oha": lambda: oha.make_command(settings, target, 1, None),
        "h2load": lambda: h2load.make_command(settings, target, 1),
    }
    for name, make in makers.items():
        yield from (f"{name}: {why}" for why in READERS[name](make(), settings, target))


def _as_wrk(command: list[str], settings: Settings, target: Target) -> Iterator[str]:
    flags, rest = getopt.gnu_getopt(command[1:], "t:c:d:s:H:", ["timeout="])
    if rest != [target.url]:
        yield f"asks {rest}"
    wanted = [*settings.headers, ("Host", target.host_header)]
    yield from _headers([value for flag, value in flags if flag == "-H"], wanted)


def _as_h2load(command: list[str], settings: Settings, target: Target) -> Iterator[str]:
    long = ["h1", "connection-inactivity-timeout=", "connect-to="]
    flags, rest = getopt.gnu_getopt(command[1:], "t:c:D:H:", long)
    if dict(flags)["--connect-to"] != f"{ADDRESS}:{PORT}":
        yield f"connects to {dict(flags)['--connect-to']}"
    if len(rest) != 1 or not re.fullmatch(r"http://[][\w.:-]+" + re.escape(target.path), rest[0], re.ASCII):
        yield f"asks {rest}"
    yield from _headers([value for flag, value in flags if flag == "-H"], list(settings.headers))


def _as_oha(command: list[str], settings: Settings, target: Target) -> Iterator[str]:
    """clap takes a word with a dash for a flag wherever it stands, so what others wrote must hang on its flag."""
    given = {f"-H={name}: {value}" for name, value in settings.headers}
    given |= {f"--host={target.host_header}", f"-d={settings.body.decode()}"}
    known = {"--no-tui", "--no-color", "--output-format", "--disable-compression", "-w", "-z", "-c", "-t", "-m"}
    known |= {"--worker-threads", "--redirect=0"}
    flags = [word for word in command[1:] if word.startswith("-")]
    if unknown := [word for word in flags if word not in known | given]:
        yield f"flags {unknown}"
    if command[-1] != target.url:
        yield f"asks {command[-1]}"
    yield from _headers([word[3:] for word in flags if word.startswith("-H=")], list(settings.headers))


def _headers(found: list[str], wanted: list[tuple[str, str]]) -> Iterator[str]:
    if found != [f"{name}: {value}" for name, value in wanted] or any("\n" in one or "\r" in one for one in found):
        yield f"headers {found}"


READERS: dict[str, Callable[[list[str], Settings, Target], Iterator[str]]] = {
    "wrk": _as_wrk, "oha": _as_oha, "h2load": _as_h2load,
}  # fmt: skip
