"""h2load's text, read from a real run of h2load nghttp2/1.52.0 kept in data/."""

from __future__ import annotations

from pathlib import Path

import pytest
from changeover.loader import h2load
from changeover.loader.failures import GeneratorFailed
from changeover.loader.meters import CpuTime
from changeover.loader.process import Finished
from changeover.loader.report import Errors
from changeover.loader.settings import parse_settings
from changeover.loader.target import Target

OUTPUT = (Path(__file__).with_name("data") / "h2load.txt").read_text()


def finished_with(output: str) -> Finished:
    return Finished(output, 1_000.0, 1_000.0, 1_001.9, 1_002.25, CpuTime(0.1, 0.2), 4)


def test_a_real_run_gives_its_rate_and_no_latency() -> None:
    found = h2load.parse_h2load(finished_with(OUTPUT))
    assert (found.requests, found.succeeded, found.errors) == (113_054, 113_054, Errors())
    assert (found.duration, found.bytes_received) == (2.0, 4_522_160)
    assert (found.latency, found.buckets, found.latency_refused) == (None, [], h2load.REFUSED)
    assert (found.window.start, found.window.end) == (1_000.0, 1_002.0)
    assert found.window.uncertainty == pytest.approx(0.25)


def test_failed_holds_errored_which_holds_timeout() -> None:
    counts = "100 done, 60 succeeded, 40 failed, 15 errored, 5 timeout"
    output = OUTPUT.replace("113054 done, 113054 succeeded, 0 failed, 0 errored, 0 timeout", counts)
    found = h2load.parse_h2load(finished_with(output))
    assert found.errors == Errors(status=25, read=10, timeout=5)
    assert (found.requests, found.succeeded) == (85, 60)
    assert found.errors.total() == 40


@pytest.mark.parametrize(("text", "seconds"), [("2.00s", 2.0), ("950.00ms", 0.95)])
def test_durations_have_units(text: str, seconds: float) -> None:
    assert h2load.parse_h2load(finished_with(OUTPUT.replace("2.00s", text))).duration == pytest.approx(seconds)


@pytest.mark.parametrize("output", ["", "starting benchmark...", OUTPUT.replace("requests:", "answers:")])
def test_what_is_no_result_fails(output: str) -> None:
    with pytest.raises(GeneratorFailed):
        h2load.parse_h2load(finished_with(output))


def test_the_version() -> None:
    assert h2load.parse_version("h2load nghttp2/1.52.0\n") == "1.52.0"
    with pytest.raises(GeneratorFailed):
        h2load.parse_version("h2load: unknown option")


def test_the_command_names_every_setting() -> None:
    flags = "--url http://shop:81/ --connections 36 --measure 30 --timeout 4 --header X-A:b --driver h2load"
    settings = parse_settings(flags.split())
    command = h2load.make_command(settings, Target("10.0.0.7", 81, "/", "shop:81"), 30)
    assert command[:5] == ["h2load", "--h1", "-t1", "-c36", "-D30"]
    assert [command[i + 1] for i, word in enumerate(command) if word == "-H"] == ["X-A: b"]
    assert "--connection-inactivity-timeout=4" in command
    assert command[-2:] == ["--connect-to=10.0.0.7:81", "http://shop:81/"]
