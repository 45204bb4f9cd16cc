"""A Prometheus that hangs, drips, redirects, lies or is down makes us say Unavailable, soon, and after one question."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from changeover.adapters.metrics.prometheus import PrometheusSource, SourceSettings, siblings
from changeover.adapters.metrics.traefik import quoted, traefik_service
from changeover.core.errors import Unavailable
from changeover.core.observed import Counts, NoData, Peak, Usage
from changeover.ports import BackendPort, Bound, CountQuery
from changeover.testing.clock import START

from tests.unit import loopback
from tests.unit.loopback import Handler

TIMEOUT_SECONDS = 30.0  # a busy machine is slow now and then
IMPATIENT_SECONDS = 2.0  # with a server whose answer has no end; even so it must have been asked by then
BOUNDED_SECONDS = 20.0  # generous for a busy machine, and less than the timeout; a hang would be for ever
QUERY = CountQuery("shop", "shop", BackendPort("new", 80), {"latency": Bound(0.05, 99.0)})
END = START + timedelta(seconds=60)
SERVICE = "shop-new-80@kubernetesgateway"

Answer = Callable[["Handler"], None]


class Server(loopback.Server):
    answer: Answer

    def __init__(self) -> None:
        super().__init__()
        self.stop = threading.Event()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


def source(server: Server, timeout: float = TIMEOUT_SECONDS) -> PrometheusSource:
    return PrometheusSource(SourceSettings("default", f"http://127.0.0.1:{server.server_port}", timeout, 5.0))


def success(result: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def hang(handler: Handler) -> None:
    handler.server.stop.wait(10)


def drip(handler: Handler) -> None:
    """A byte often enough that no read ever times out."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.server.stop.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def break_off(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"status":')
    handler.close_connection = True


def huge(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"x" * 2**16)


def drip_headers(handler: Handler) -> None:
    """Each read gets something, and the headers never end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.stop.wait(0.05):
        handler.wfile.write(b"x")


def redirect_without_an_end(handler: Handler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.end_headers()
    while not handler.server.stop.is_set():
        handler.wfile.write(b"x" * 2**16)


def telling(**more: Any) -> Answer:
    return lambda h: h.send(json.dumps({**json.loads(success([samples("+Inf", "1")])), **more}).encode())


ENDLESS: dict[str, Answer] = {
    "hangs": hang,
    "drips": drip,
    "drips its headers": drip_headers,
    "redirects with a body without an end": redirect_without_an_end,
}
MISBEHAVIOURS: dict[str, Answer] = {
    **ENDLESS,
    "breaks off": break_off,
    "warns that a store did not answer": telling(warnings=["receive series from Addr: store-1:10901: Unavailable"]),
    "warns of the expression": telling(warnings=["PromQL warning: bucket label"]),
    "is partial, as VictoriaMetrics says": telling(isPartial=True),
    "has data and an error": telling(status="error", error="exceeded limits"),
    "nests too deep": lambda h: h.send(b'{"status":"success","data":' + b"[" * 100_000),
    "sends much that is no text": lambda h: h.send(bytes(range(256)) * 4096, Content_Type="image/png"),
    "sends a huge body": huge,
    "redirects to itself": lambda h: h.send(b"", 302, Location=f"http://127.0.0.1:{h.server.server_port}/elsewhere"),
    "is overloaded and asks to come back": lambda h: h.send(b"busy", 503, Retry_After="1"),
    "has too many requests": lambda h: h.send(b"", 429, Retry_After="1"),
    "refuses the query": lambda h: h.send(b'{"status":"error","error":"parse error"}', 400),
    "wants a password": lambda h: h.send(b"", 401),
    "sends a web page": lambda h: h.send(b"<html>login</html>"),
    "sends an empty body": lambda h: h.send(b""),
    "sends half a JSON": lambda h: h.send(b'{"status":"success","data":{"result":[{'),
    "sends a number": lambda h: h.send(b"42"),
    "sends null": lambda h: h.send(b"null"),
    "has no data": lambda h: h.send(b'{"status":"success"}'),
    "has null for data": lambda h: h.send(b'{"status":"success","data":null}'),
    "answers a scalar": lambda h: h.send(success([1893499200, "1"])),
    "answers an instant vector": lambda h: h.send(success([{"metric": {}, "value": [1, "1"]}])),
    "has samples that are no pairs": lambda h: h.send(
        success([{"metric": {"le": "+Inf", "service": SERVICE}, "values": [[1]]}])
    ),
    "has samples that are no lists": lambda h: h.send(
        success([{"metric": {"le": "+Inf", "service": SERVICE}, "values": ["x"]}])
    ),
    "has times that are no numbers": lambda h: h.send(
        success([{"metric": {"le": "+Inf", "service": SERVICE}, "values": [["a", "1"]]}])
    ),
    "has values that are no numbers": lambda h: h.send(success([samples("+Inf", "many")])),
    "has buckets that are no numbers": lambda h: h.send(success([samples("wide", "1")])),
}


def samples(bound: str, *values: str) -> dict[str, Any]:
    times = [END.timestamp() - 5 * n for n in reversed(range(14))]
    told = list(values) * 14 if len(values) == 1 else list(values)
    labels = {"le": bound, "instance": "gw", "service": SERVICE}
    return {"metric": labels, "values": [[t, v] for t, v in zip(times, told, strict=False)]}


@pytest.mark.parametrize("how", MISBEHAVIOURS)
async def test_misbehaviour_is_unavailable_soon_after_one_question(server: Server, how: str) -> None:
    server.answer = MISBEHAVIOURS[how]
    began = time.monotonic()
    with pytest.raises(Unavailable, match="metric source default"):
        await source(server, IMPATIENT_SECONDS if how in ENDLESS else TIMEOUT_SECONDS).counts(QUERY, START, END)
    assert time.monotonic() - began < BOUNDED_SECONDS
    assert len(server.asked) == 1, "asked again, or followed a redirect"


async def test_a_closed_port_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings = SourceSettings("default", f"http://127.0.0.1:{probe.getsockname()[1]}", TIMEOUT_SECONDS, 5.0)
        with pytest.raises(Unavailable):
            await PrometheusSource(settings).usage("shop", ["a"], START, END)


async def test_many_dripping_answers_leave_no_thread_behind(server: Server) -> None:
    """Otherwise a few of them would use up the pool, and a Prometheus that recovers would not be heard."""
    server.answer = drip
    used = source(server, IMPATIENT_SECONDS)
    results = await asyncio.gather(*(used.counts(QUERY, START, END) for _ in range(10)), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    server.answer = lambda h: h.send(success([]))
    await asyncio.sleep(IMPATIENT_SECONDS)
    assert await used.counts(QUERY, START, END) == NoData("no series")


@pytest.mark.parametrize("more", [{"infos": ["PromQL info: x"]}, {"warnings": ["PromQL info: x"]}, {"warnings": []}])
async def test_remarks_do_not_spoil_an_answer(server: Server, more: dict[str, Any]) -> None:
    """Prometheus 2 has them among the warnings."""
    server.answer = telling(**more)
    assert isinstance(await source(server).counts(QUERY, START, END), Counts | NoData)


async def test_a_time_that_is_none_is_unavailable_and_no_crash(server: Server) -> None:
    server.answer = lambda h: h.send(success([{"metric": {}, "values": [[1e20, "3"]]}]))
    with pytest.raises(Unavailable, match="nonsense"):
        await source(server).peak([QUERY], END)


async def test_cookies_are_not_kept(server: Server) -> None:
    """They would add up."""
    heard = []

    def answer(handler: Handler) -> None:
        heard.append(handler.headers.get("Cookie"))
        handler.send(success([]), Set_Cookie="a=b")

    server.answer, used = answer, source(server)
    for _ in range(2):
        await used.counts(QUERY, START, END)
    assert heard == [None, None]


async def test_of_many_who_ask_a_source_that_hangs_only_the_first_wait(server: Server) -> None:
    """Another kind of question is asked all the same; and when it answers again, so is this one."""
    server.answer, used = hang, source(server, IMPATIENT_SECONDS)
    with pytest.raises(Unavailable):
        await used.counts(QUERY, START, END)
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(Unavailable, match=r"metric source default: .*not asked again yet"):
            await used.counts(QUERY, START, END)
    assert time.monotonic() - began < IMPATIENT_SECONDS
    assert len(server.asked) == 1
    server.answer = lambda h: h.send(success([]))
    assert isinstance(await used.value("x", END), NoData)
    await asyncio.sleep(IMPATIENT_SECONDS)
    assert await used.counts(QUERY, START, END) == NoData("no series")


async def test_the_event_loop_goes_on_while_prometheus_hangs(server: Server) -> None:
    server.answer = hang
    asked = asyncio.create_task(source(server, IMPATIENT_SECONDS).counts(QUERY, START, END))
    ticks = 0
    while not asked.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert isinstance(asked.exception(), Unavailable)
    assert ticks >= 5


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_good_answer_is_read_whole(server: Server, chunked: bool) -> None:
    body = success([samples("0.05", "90"), samples("+Inf", "100")])

    def answer(handler: Handler) -> None:
        if not chunked:
            handler.send(body)
            return
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for start in range(0, len(body), 100):
            piece = body[start : start + 100]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    server.answer = answer
    assert await source(server).counts(QUERY, START, END) == Counts(0, 0, {"latency": 0}, {})


async def test_it_asks_for_raw_samples_that_reach_back_over_the_start(server: Server) -> None:
    server.answer = lambda h: h.send(success([]))
    await source(server).counts(QUERY, START, END)
    asked = parse_qs(urlsplit(server.asked[0]).query)
    assert asked["time"] == [f"{END.timestamp():.3f}"]
    assert asked["query"][0].endswith("[75s]")
    assert asked["query"][0].startswith('traefik_service_request_duration_seconds_bucket{service=~"')


def renamed(series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As a ServiceMonitor without honorLabels hands them on."""
    labels = [{**one["metric"], "service": "traefik", "exported_service": one["metric"]["service"]} for one in series]
    return [{**one, "metric": metric} for one, metric in zip(series, labels, strict=True)]


async def test_a_renamed_label_changes_no_count() -> None:
    """Two gateways, two names of the backend and the other arm: told apart, and not taken for doubles."""
    told = [
        {"metric": {**one["metric"], "pod": pod, "service": name}, "values": one["values"]}
        for pod in ("gw-1", "gw-2")
        for name in (SERVICE, "shop-new-http-80@kubernetesgateway", "shop-old-80@kubernetesgateway")
        for one in (
            samples("0.05", *(str(9 * n) for n in range(14))),
            samples("+Inf", *(str(10 * n) for n in range(14))),
        )
    ]
    asked: list[str] = []
    found = []
    query = replace(QUERY, beside=BackendPort("old", 80))
    for label, series in (("service", told), ("exported_service", renamed(told))):
        settings = SourceSettings("default", "http://unused", TIMEOUT_SECONDS, 5.0, label)
        used = PrometheusSource(settings, lambda query, at, series=series: asked.append(query) or series)
        found.append(await used.counts(query, START, END))
        await used.peak([query], END)
    plain, other = found
    assert isinstance(plain, Counts) and (plain.requests, plain.slow) == (480, {"latency": 48}), plain
    assert other == plain
    assert [one.count("exported_service=~") for one in asked] == [0, 0, 1, 1]


async def test_both_arms_together_are_all_that_the_route_was_asked_and_what_spoils_one_spoils_the_sum() -> None:
    def told(pod: str, backend: str, begins: int = 0) -> Any:
        one = samples("+Inf", *(str(10 * n) for n in range(14)))
        labels = {**one["metric"], "pod": pod, "service": f"shop-{backend}-80@kubernetesgateway"}
        return {"metric": labels, "values": one["values"][begins:]}

    async def counted(*series: Any) -> Counts | NoData:
        settings = SourceSettings("default", "http://unused", TIMEOUT_SECONDS, 5.0)
        query = replace(QUERY, bounds={}, beside=BackendPort("old", 80), together=True)
        return await PrometheusSource(settings, lambda query, at: list(series)).counts(query, START, END)

    arm = await counted(told("gw-1", "old"))
    both = await counted(told("gw-1", "old"), told("gw-1", "new"))
    assert isinstance(arm, Counts) and isinstance(both, Counts) and both.requests == 2 * arm.requests > 0
    grown = await counted(told("gw-1", "old"), told("gw-2", "new", begins=8))
    assert isinstance(grown, NoData), "a gateway more, of which the other arm knows nothing"


@pytest.mark.parametrize(("lookback", "span"), [({}, 86_400), ({"lookback": timedelta(hours=1)}, 3600)])
async def test_a_peak_is_the_highest_finite_sample_of_the_time_before(
    server: Server, lookback: dict[str, timedelta], span: int
) -> None:
    values = [[1000, "3"], [1060, "7.5"], [1120, "NaN"], [1180, "5"]]
    server.answer = lambda h: h.send(success([{"metric": {}, "values": values}]))
    found = await source(server).peak([QUERY], END, **lookback)
    assert found == Peak(7.5, datetime.fromtimestamp(1060, UTC), 60.0)
    query = parse_qs(urlsplit(server.asked[0]).query)["query"][0]
    assert query.startswith("sum(rate(") and query.endswith(f"[60s]))[{span}s:1m]")


async def test_usage_is_asked_by_exact_pod_names(server: Server) -> None:
    server.answer = lambda h: h.send(success([]))
    assert isinstance(await source(server).usage("shop", ["a.b", "c"], START, END), NoData | Usage)
    query = parse_qs(urlsplit(server.asked[0]).query)["query"][0]
    assert 'namespace="shop"' in query
    assert 'pod=~"a\\\\.b|c"' in query


@pytest.mark.parametrize(
    ("pod", "sibling"),
    [("old-7d9f8c6b5-x2x9z", True), ("old-b.c-7d9f8c6b5-x2x9z", True), ("old-agent-x2x9z", False), ("old-0", False)],
)
def test_siblings_are_the_pods_of_the_same_replica_set(pod: str, sibling: bool) -> None:
    found = siblings([pod, pod])
    assert len(found) == sibling
    others = [f"{pod[:-5]}zzzzz", pod]
    assert all(re.fullmatch(one, other) for one in found for other in others)
    strangers = [f"{pod[:-5]}web-zzzzz", f"x{pod}", f"{pod}x", pod.replace(".", "x").replace("7d9f8c6b5", "6c8b5")]
    assert not any(re.fullmatch(one, other) for one in found for other in strangers)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", '"plain"'),
        ('a"b', '"a\\"b"'),
        ("a\\b", '"a\\\\b"'),
        ("a\nb", '"a\\nb"'),
        ('"} or up{x="', '"\\"} or up{x=\\""'),
    ],
)
def test_matchers_are_quoted(text: str, literal: str) -> None:
    assert quoted(text) == literal


def test_names_of_services_match_this_route_only() -> None:
    import re

    pattern = re.compile(traefik_service(QUERY))
    assert pattern.fullmatch("shop-new-80@kubernetesgateway")
    assert pattern.fullmatch("shop-new-http-80@kubernetesgateway")
    assert pattern.fullmatch("httproute-shop-shop-gw-gateway-public-ep-web-0-abc-svc-shop-new-0@kubernetesgateway")
    for other in (
        "shop-new-8080@kubernetesgateway",
        "shop-newer-80@kubernetesgateway",
        "xshop-new-80@kubernetesgateway",
    ):
        assert not pattern.fullmatch(other)
