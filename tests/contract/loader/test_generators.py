"""Known answers: servers that stall, fail or have a known capacity, and what the real generators say of them."""

from __future__ import annotations

import pytest
from changeover.core.merge import Merged, merge_reports

from tests.contract.loader.conftest import Load
from tests.contract.loader.servers import ANSWER, BROKEN, serving, stall


@pytest.mark.generators("oha")
def test_an_open_loop_shows_the_stall_that_a_server_makes(load: Load) -> None:
    """Half of the requests arrive in a stall, at even times, so they wait 0 to 500 ms evenly: the median is
    about 0, p75 250 ms, p90 400 ms and p99 490 ms. A third of a period is a lost margin for a busy machine."""
    with serving(stall) as server:
        url = f"http://127.0.0.1:{server.port}/"
        # 4 connections carry 100 requests a second only by queueing in the generator: the correction counts that wait.
        found = load("--url", url, "--mode", "open", "--rate", "100", "--connections", "4", "--measure", "4")
    latency = found["latency"]
    assert found["requests"] == pytest.approx(400, abs=40)
    assert latency["p90"] == pytest.approx(0.4, abs=0.08)
    assert 0.4 <= latency["p99"] < 1.0
    assert latency["mean"] == pytest.approx(0.125, abs=0.04)
    waited = sum(count for value, count in found["histogram"] if value > 50_000)
    assert waited / found["requests"] == pytest.approx(0.45, abs=0.07)  # all in a stall but its last 50 ms
    assert (found["histogramMergeable"], sum(count for _, count in found["histogram"])) == (True, found["requests"])


@pytest.mark.generators("wrk", "oha")
@pytest.mark.parametrize("driver", ["wrk", "oha"])
def test_a_closed_loop_hides_the_stall(load: Load, driver: str) -> None:
    """Each connection is caught once a second, however many hundred requests it made: p90 sees nothing."""
    with serving(stall) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = load("--url", url, "--driver", driver, "--connections", "2", "--measure", "3")
    latency = found["latency"]
    assert found["generator"]["name"] == driver
    assert latency["p50"] < 0.05 and latency["p90"] < 0.1
    assert latency["max"] >= 0.4
    caught = sum(count for value, count in found["histogram"] if value > 300_000)
    assert 2 <= caught <= 2 * 5  # connections × stalls that a window of 3 s can touch, with one to spare


@pytest.mark.generators("oha")
def test_merged_halves_show_what_the_whole_shows(load: Load) -> None:
    """Two runs one after the other, put into one window: the merge is about their requests, not their time."""
    with serving(stall) as server:
        url = f"http://127.0.0.1:{server.port}/"
        flags = ("--url", url, "--mode", "open", "--rate", "60", "--connections", "30", "--measure", "2")
        first, second = load(*flags), load(*flags)
    for name in ("windowStart", "windowEnd"):
        second[name] = first[name]
    found = merge_reports([first, second])
    assert isinstance(found, Merged)
    assert found.content["requests"] == first["requests"] + second["requests"]
    assert found.content["rate"] == 120
    assert 0.4 <= found.content["latency"]["p99"] < 1.0


@pytest.mark.generators("oha")
def test_a_ramp_ends_where_the_errors_begin(load: Load) -> None:
    """The first 70 requests are answered with 200, then every second one with 500: the third step breaks."""

    def answer(number: int) -> bytes:
        return BROKEN if number > 70 and number % 2 else ANSWER

    with serving(answer=answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        flags = "--mode ramp --rate 10 --factor 2 --max-steps 5 --max-error-percent 5 --connections 8 --measure 2"
        found = load("--url", url, *flags.split())
    rates = [(step["rate"], step["held"]) for step in found["steps"]]
    assert rates == [(10, True), (20, True), (40, False)]
    assert found["steps"][-1]["errors"]["status"] > 0
    assert "requests failed" in found["steps"][-1]["why"]
    assert (found["knee"], found["kneeBounded"], found["rate"], found["mode"]) == (20, True, 20, "ramp")
    assert found["windowStart"] == found["steps"][1]["windowStart"]


@pytest.mark.generators("oha")
def test_a_ramp_ends_at_the_capacity_of_the_server(load: Load) -> None:
    """2 connections and 50 ms for each request make 40 a second: a quarter is held, though the machine may stall for a
    while, and 80 are offered in vain."""
    with serving(delay=lambda now: 0.05) as server:
        url = f"http://127.0.0.1:{server.port}/"
        flags = "--mode ramp --rate 10 --factor 8 --connections 2 --measure 4 --max-p99-ms 5000"
        found = load("--url", url, *flags.split())
    assert [step["held"] for step in found["steps"]] == [True, False]
    assert found["knee"] == 10
    assert 20 < found["steps"][1]["achieved"] <= 42
    assert "of the offered rate" in found["steps"][1]["why"]


@pytest.mark.generators("h2load", "wrk")
def test_another_code_base_comes_to_the_same_rate(load: Load) -> None:
    """4 connections and 20 ms for each request: at most 200 a second, whoever counts."""
    with serving(delay=lambda now: 0.02) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = {
            driver: load("--url", url, "--driver", driver, "--connections", "4", "--measure", "2")
            for driver in ("wrk", "h2load")
        }
    for driver, report in found.items():
        assert report["generator"]["name"] == driver and report["generator"]["version"]
        assert 100 < report["requestsPerSecond"] <= 202
    assert found["h2load"]["requestsPerSecond"] == pytest.approx(found["wrk"]["requestsPerSecond"], rel=0.2)
    assert found["h2load"]["latency"] is None and "rate alone" in found["h2load"]["latencyRefused"]


@pytest.mark.generators("h2load")
def test_h2load_counts_a_wrong_status_and_sends_our_headers(load: Load) -> None:
    with serving(
        delay=lambda now: 0.005, answer=lambda number: ANSWER if number == 1 or number % 4 else BROKEN
    ) as server:
        url = f"http://127.0.0.1:{server.port}/x"
        flags = "--driver h2load --connections 2 --measure 1 --header X-A:b --header Host:shop"
        found = load("--url", url, *flags.split())
    assert found["errors"]["status"] / found["requests"] == pytest.approx(0.25, abs=0.1)
    lines = server.head.decode().lower().split("\r\n")
    assert lines[0] == "get /x http/1.1"
    assert "x-a: b" in lines
    assert [line for line in lines if line.startswith("host:")] == ["host: shop"]


@pytest.mark.generators("oha", "wrk")
@pytest.mark.parametrize("body", ['{"price": "$(PRICE) €"}', "=a&b", "-d", "two\nlines\n"])
@pytest.mark.parametrize(("driver", "keep_alive"), [("wrk", "true"), ("oha", "true"), ("oha", "false")])
def test_a_body_arrives_as_it_is(load: Load, driver: str, keep_alive: str, body: str) -> None:
    """Each request is looked at: one that is cut short or run together with the next would be answered with 500."""
    sent = body.encode()

    def answer(number: int) -> bytes:
        return ANSWER if (server.body, server.head[:4]) == (sent, b"PUT ") else BROKEN

    with serving(delay=lambda now: 0.005, answer=answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        flags = f"--driver {driver} --keep-alive {keep_alive} --connections 1 --measure 1 --method PUT --conformance"
        found = load("--url", url, *flags.split(), f"--body={body}")
    assert found["requests"] > 20
    assert (found["succeeded"], found["errors"]["status"]) == (found["requests"], 0)
    checks = {check["name"]: check["passed"] for check in found["conformance"]}
    assert checks["request split over two packets"] and checks["pipelined requests"]


@pytest.mark.generators("oha", "wrk")
@pytest.mark.parametrize(("driver", "keep_alive"), [("wrk", "true"), ("oha", "true"), ("oha", "false")])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_empty_body_says_its_length(load: Load, driver: str, keep_alive: str, method: str) -> None:
    """As the request does that verifies the target: a server may answer 411 to one without."""

    def answer(number: int) -> bytes:
        lengths = [line for line in server.head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return ANSWER if lengths == [b"content-length: 0"] else BROKEN

    with serving(delay=lambda now: 0.005, answer=answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        flags = f"--driver {driver} --keep-alive {keep_alive} --connections 1 --measure 1 --method {method}"
        found = load("--url", url, *flags.split())
    assert found["requests"] > 20
    assert (found["succeeded"], found["errors"]["status"]) == (found["requests"], 0)
