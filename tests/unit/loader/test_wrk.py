"""wrk's dump, read from real runs kept in data/: wrk 4.1.0 against the example backends on loopback."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from changeover.loader import histogram, wrk
from changeover.loader.failures import GeneratorFailed
from changeover.loader.report import Errors
from changeover.loader.settings import parse_settings
from changeover.loader.target import Target

DATA = Path(__file__).with_name("data")


def dump_of(name: str) -> wrk.Dump:
    return wrk.parse_wrk((DATA / name).read_text())


@pytest.mark.parametrize(
    ("name", "connections"),
    [("wrk-go-net-http.txt", 8), ("wrk-slow-rust.txt", 16), ("wrk-status-errors.txt", 4)],
)
def test_every_completed_request_is_recovered(name: str, connections: int) -> None:
    dump = dump_of(name)
    assert histogram.total(dump.buckets) > dump.requests  # wrk did rewrite: the test would prove nothing otherwise
    measurement = wrk.measurement_of(dump, connections)
    assert measurement.latency_refused is None
    assert histogram.total(measurement.buckets) == dump.requests
    assert all(count > 0 for _, count in measurement.buckets)


def test_the_slow_share_is_what_the_server_did_and_not_what_wrk_made_of_it() -> None:
    """slow-rust delays one request in twenty by 80 ms; wrk's own table shows a mean of 21.6 ms for it."""
    dump = dump_of("wrk-slow-rust.txt")
    measurement = wrk.measurement_of(dump, 16)
    slow = sum(count for value, count in measurement.buckets if value >= 80_000)
    assert slow == pytest.approx(dump.requests / 20, abs=16)  # those in flight at the end are not completed
    assert measurement.latency is not None
    assert measurement.latency.mean == pytest.approx(0.0039, rel=0.02)
    assert measurement.latency.p90 < 0.001 < 0.08 < measurement.latency.p99
    assert histogram.mean_seconds(dump.buckets) == pytest.approx(0.0216, rel=0.01)


def test_the_window_starts_at_setup_and_lasts_as_long_as_wrk_says() -> None:
    dump = dump_of("wrk-go-net-http.txt")
    measurement = wrk.measurement_of(dump, 8)
    assert measurement.window.start == dump.prepared_us / 1e6
    assert measurement.window.end - measurement.window.start == pytest.approx(measurement.duration, abs=1e-6)
    assert 0 < measurement.window.uncertainty < 0.01
    assert measurement.duration == pytest.approx(1.0, abs=0.15)


def test_timeouts_leave_no_latency_but_true_counts() -> None:
    measurement = wrk.measurement_of(dump_of("wrk-timeouts.txt"), 16)
    assert measurement.errors.timeout == 31
    assert measurement.latency is None and measurement.buckets == []
    assert "31 requests exceeded the timeout" in (measurement.latency_refused or "")
    assert measurement.requests == measurement.succeeded > 0


def test_status_errors_are_completed_but_not_succeeded() -> None:
    measurement = wrk.measurement_of(dump_of("wrk-status-errors.txt"), 4)
    assert measurement.errors.status == pytest.approx(measurement.requests / 10, abs=4)  # connections
    assert measurement.succeeded == measurement.requests - measurement.errors.status


def test_a_histogram_that_does_not_add_up_is_refused_with_its_reason() -> None:
    dump = dump_of("wrk-go-net-http.txt")
    value, count = dump.buckets[-1]
    spoilt = wrk.Dump(**{**vars(dump), "buckets": [*dump.buckets[:-1], (value, count + 1)]})
    measurement = wrk.measurement_of(spoilt, 8)
    assert measurement.latency is None
    assert "cannot be inverted" in (measurement.latency_refused or "")


def test_no_request_at_all_is_a_result() -> None:
    dump = wrk.Dump(1_000_000, 2_000_000, 1_000_000, 0, 0, Errors(write=9), [])
    measurement = wrk.measurement_of(dump, 8)
    assert (measurement.requests, measurement.latency) == (0, None)
    assert measurement.latency_refused == "no request was completed"


@pytest.mark.parametrize("output", ["", "unable to connect", "{", '{"requests": 1}', '{"buckets": [[1]]}'])
def test_what_is_no_dump_fails(output: str) -> None:
    with pytest.raises(GeneratorFailed):
        wrk.parse_wrk(output)


def test_the_version_of_debians_build() -> None:
    assert wrk.parse_version("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer\nUsage:") == "4.1.0"
    with pytest.raises(GeneratorFailed):
        wrk.parse_version("command not found")


def test_the_command_names_every_setting() -> None:
    flags = "--url http://shop:81/ --connections 360 --measure 30 --timeout 4 --method POST --body é --header X-A:b"
    settings = parse_settings(flags.split())
    command = wrk.make_command(settings, Target("10.0.0.7", 81, "/", "shop:81"), 30)
    assert command[:4] == ["wrk", "-t1", "-c360", "-d30s"]
    assert command[-1] == "http://10.0.0.7:81/"
    assert "--timeout 4s" in " ".join(command)
    assert [command[i + 1] for i, word in enumerate(command) if word == "-H"] == ["X-A: b", "Host: shop:81"]
    assert Path(command[command.index("-s") + 1]).is_file()
    assert wrk.make_environment(settings) == {"CHANGEOVER_METHOD": "POST", "CHANGEOVER_BODY": "é"}


def test_the_dump_and_its_reader_name_the_same_fields() -> None:
    """dump.lua is read by no test here, so a renamed field must not wait for a cluster to be seen."""
    written = set(re.findall(r'"(\w+)":', wrk.DUMP_SCRIPT.read_text()))
    captured = json.loads((DATA / "wrk-go-net-http.txt").read_text().splitlines()[-1])
    assert written == captured.keys() | captured["errors"].keys()
