"""A proxy between one operator and the API server: it counts calls, and does to the k-th what a plan says.

Plain HTTP on loopback towards the operator, TLS towards the API server. A call may find the operator killed before it
is passed on, or after the API server has carried it out and before the operator hears of it; it may be answered with
an error, cut off, delayed, withheld, or carried out and its answer lost. Events of a watch may be hidden, alone or all
of a while, held while later ones pass, or end in 410 Gone. Reads may be answered for a while from an older prefix of
what was read before; a watch that begins then, as after a 410, tells of what came after that prefix when the while is
over.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.trust.live.calls import ANSWERED, BACK, BECAME, EVENT, Call, How, Place, Record

SLOW_SECONDS = 0.5
BLIND_SECONDS = 1.5  # in which something is deleted and made anew
REWOUND_SECONDS = 1.0  # ten passes
UPSTREAM_SECONDS = 330.0  # a watch may be silent for long
_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"})
Answer = tuple[int, list[tuple[str, str]], bytes]


@dataclass(frozen=True)
class View:
    """Reads as they were at a moment, until another (monotonic seconds); the place of the plan that asked for it."""

    moment: float
    until: float
    place: Place


class Proxy(ThreadingHTTPServer):
    """For one operator, however often it is started.

    calls    what was passed on, in order
    plan     what the n-th call or event of a name meets
    counted  how often each name came
    met      the places of the plan that came, and of views those that showed what is no longer so
    chance   what any other call meets; None, mostly
    logs     the logs of pods by name: there is no kubelet to ask for them
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, certificates: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = (host, port)
        self.tls = ssl.create_default_context(cafile=certificates)
        self.calls: list[Record] = []
        self.plan: dict[Place, How] = {}
        self.met: list[Place] = []
        self.chance: Callable[[Call], How | None] | None = None
        self.kill: Callable[[], None] = lambda: None
        self.wrote: Callable[[Call], None] = lambda call: None  # told of each write that was carried out
        self.logs: dict[str, str] = {}
        self.released = threading.Event()  # what is withheld
        self.counted: Counter[str] = Counter()
        self._seen: dict[str, list[tuple[float, Answer]]] = defaultdict(list)
        self._view: View | None = None
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self.one_at_a_time = threading.Lock()  # writes, so that the k-th is the k-th

    @property
    def url(self) -> str:
        """For the operator's kubeconfig."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def writes(self) -> list[Call]:
        """The writes that were passed on, in order."""
        return [record.call for record in list(self.calls) if record.call.is_write]

    def meets(self, what: str, call: Call | None = None) -> How | None:
        """Count one more of a name; what it meets."""
        with self._lock:
            self.counted[what] += 1
            place = what, self.counted[what]
            how = self.plan.get(place)
            if how is not None and how in BACK:
                now = time.monotonic()
                self._view = View(now - BACK[how] * (now - self._began), now + REWOUND_SECONDS, place)
            elif how is not None:
                self.met.append(place)
            elif call is not None and self.chance is not None:
                how = self.chance(call)
        return how

    def by_event(self, became: str, plural: str) -> How | None:
        """What an event meets, by its number or by what became of the object; a bookmark, or an error, is no event."""
        if became not in BECAME:
            return None
        hows = [self.meets(f"{name} {plural}") for name in (EVENT, became)]
        return hows[0] or hows[1]

    def rewound_for(self) -> float:
        """Seconds for which reads still are answered as they were."""
        return 0.0 if self._view is None else max(0.0, self._view.until - time.monotonic())

    def seen(self, path: str, present: Answer) -> Answer:
        """What a read is answered: the present, or, while reads are rewound, as it was, or as old as is known."""
        self._seen[path].append((time.monotonic(), present))
        view = self._view
        if view is None or not self.rewound_for():
            return present
        before = [answer for at, answer in self._seen[path] if at <= view.moment]
        older = before[-1] if before else self._seen[path][0][1]
        if view.place not in self.met and _substance(older) != _substance(present):
            self.met.append(view.place)
        return older

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what this is for."""


def _substance(answer: Answer) -> Any:
    """Status and what it says; the version of a list moves with whatever is written anywhere."""
    body = json.loads(answer[2])
    return answer[0], body.get("items", body)


def carried_out(*proxies: Proxy) -> list[Record]:
    """The writes that the API server took, in order: what it refuses, as decided on an old view, did nothing."""
    records = sorted((record for proxy in proxies for record in list(proxy.calls)), key=lambda record: record.done)
    taken = (record for record in records if 0 < record.status < http.HTTPStatus.BAD_REQUEST)
    return [record for record in taken if record.call.is_write]


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _upstream: http.client.HTTPSConnection | None = None

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        call = Call(self.command, self.path, json.loads(body) if body else None)
        how = self.server.meets(call.what, call)
        if how is How.SLOW:
            time.sleep(SLOW_SECONDS)
        if how in ANSWERED:
            self._refuse(call, how)
        elif how is How.RESET:
            self._cut()
        elif call.is_watch:
            self._watch(call, how)
        elif call.is_write:
            self._write(call, body, how)
        else:
            self._read(call, how)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def finish(self) -> None:
        """The operator has closed its connection; so do we ours."""
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    def _write(self, call: Call, body: bytes | None, how: How | None) -> None:
        with self.server.one_at_a_time:
            if how is How.KILLED_BEFORE:
                self.server.kill()
                self.close_connection = True
                return
            record = Record(call, time.monotonic())
            self.server.calls.append(record)
            if how is How.WITHHELD:
                self.server.released.wait()
            answer = self._asked(body)
            record.status, record.done = answer[0], time.monotonic()
            if answer[0] < http.HTTPStatus.BAD_REQUEST:
                self.server.wrote(call)
            if how is How.KILLED_AFTER:
                self.server.kill()
                self.close_connection = True
                return
        self._cut() if how is How.LOST else self._tell(*answer)

    def _read(self, call: Call, how: How | None) -> None:
        self.server.calls.append(Record(call, time.monotonic()))
        pod = call.what.removeprefix("GET pods/").removesuffix("/log")
        if call.what == f"GET pods/{pod}/log":
            answer = self._log(self.server.logs.get(pod))
        else:
            answer = self.server.seen(self.path, self._asked(None))
        self._cut() if how is How.LOST else self._tell(*answer)

    def _log(self, text: str | None) -> Answer:
        """The API server says whether it may be read, and has no kubelet to get it from."""
        answer = self._asked(None)
        if answer[0] == http.HTTPStatus.FORBIDDEN:
            return answer
        return 404 if text is None else 200, [("Content-Type", "text/plain")], (text or "").encode()

    def _watch(self, call: Call, how: How | None) -> None:
        """Passed on line by line, as it comes; a view that is rewound learns of nothing until it is so no more."""
        self.server.calls.append(Record(call, time.monotonic()))
        host, port = self.server.upstream
        upstream = http.client.HTTPSConnection(host, port, context=self.server.tls, timeout=UPSTREAM_SECONDS)
        with contextlib.closing(upstream), contextlib.suppress(OSError):
            upstream.request(self.command, self.path, headers=self._headers())
            response = upstream.getresponse()
            if how is How.LOST:
                self._cut()
                return
            self._begin(response.status, response.getheaders(), ("Transfer-Encoding", "chunked"))
            time.sleep(self.server.rewound_for())
            for line in self._events(call.what.removeprefix("WATCH "), response):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def _events(self, plural: str, response: http.client.HTTPResponse) -> Iterator[bytes]:
        held: list[bytes] = []
        blind = 0.0  # since when
        for line in response:
            how = self.server.by_event(json.loads(line)["type"], plural)
            if how is How.BLIND:
                blind = time.monotonic()
            if blind and time.monotonic() < blind + BLIND_SECONDS:
                continue
            if blind or how is How.GONE or how in BACK:
                status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
                yield json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
                return
            if how is How.HELD:
                held.append(line)
            elif how is not How.HIDDEN:
                yield line
                yield from held
                held.clear()

    def _asked(self, body: bytes | None) -> Answer:
        """The API server's answer, over a connection that is kept as long as the operator keeps its own."""
        host, port = self.server.upstream
        if self._upstream is None:
            self._upstream = http.client.HTTPSConnection(host, port, context=self.server.tls, timeout=UPSTREAM_SECONDS)
        self._upstream.request(self.command, self.path, body, self._headers())
        response = self._upstream.getresponse()
        return response.status, response.getheaders(), response.read()

    def _headers(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}

    def _refuse(self, call: Call, how: How) -> None:
        body = {"kind": "Status", "status": "Failure", "code": int(how), "message": ANSWERED[how]}
        headers = [("Content-Type", "application/json")]
        if how is How.TOO_MANY:
            headers.append(("Retry-After", "1"))
        self._tell(int(how), headers, json.dumps(body).encode())

    def _cut(self) -> None:
        """A reset, which no client takes for an answer that has ended."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _tell(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self._begin(status, headers, ("Content-Length", str(len(body))))
        self.wfile.write(body)

    def _begin(self, status: int, headers: list[tuple[str, str]], length: tuple[str, str]) -> None:
        self.send_response_only(status)
        for name, value in [*((n, v) for n, v in headers if n.lower() not in _HOP_BY_HOP), length]:
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the calls are what is kept."""
