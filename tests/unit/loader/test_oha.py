"""oha's JSON and samples, read from real runs kept in data/: oha 1.16.0 against the example backends on
loopback."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from changeover.api.v1alpha1.scenario import Request
from changeover.core.manifests import load_job
from changeover.loader import histogram, oha
from changeover.loader.failures import GeneratorFailed
from changeover.loader.meters import CpuTime
from changeover.loader.process import Finished
from changeover.loader.report import Measurement
from changeover.loader.settings import Settings, parse_settings
from changeover.loader.target import Target

from tests.unit.core.seen import benchmark_spec

DATA = Path(__file__).with_name("data")
TARGET = Target("10.0.0.7", 80, "/", "shop")


def settings_of(flags: str) -> Settings:
    return parse_settings(["--url", "http://shop/", "--connections", "16", "--measure", "3", *flags.split()])


OPEN = settings_of("--mode open --rate 400")
CLOSED_OFF = settings_of("--keep-alive false")


def finished_with(output: str) -> Finished:
    return Finished(output, 1_000.0, 1_001.5, 1_000.9, 1_001.6, CpuTime(0.1, 0.2), 16)


def captured(name: str) -> Finished:
    return finished_with((DATA / name).read_text())


def captured_samples() -> oha.Samples:
    rows = json.loads((DATA / "oha-open-samples.json").read_text())
    values = Counter(round(row[0] * 1e6) for row in rows)
    return oha.Samples(sorted(values.items()), sum(row[1] for row in rows) / len(rows), len(rows))


def parsed(finished: Finished, samples: oha.Samples | None, settings: Settings, seconds: int = 1) -> Measurement:
    return oha.parse_oha(finished, samples, settings, seconds)


def test_samples_give_an_exact_histogram_that_agrees_with_ohas_own_percentiles() -> None:
    exact = parsed(captured("oha-open.json"), captured_samples(), OPEN)
    own = parsed(captured("oha-open.json"), None, OPEN)
    assert (exact.histogram_kind, own.histogram_kind) == (histogram.ROUNDED, histogram.BINNED)
    assert histogram.total(exact.buckets) == histogram.total(own.buckets) == exact.requests == 400
    assert exact.latency is not None and own.latency is not None
    assert exact.latency.mean == pytest.approx(own.latency.mean, rel=0.001)
    assert exact.latency.p99 == pytest.approx(own.latency.p99, rel=0.01)
    assert exact.latency.max == pytest.approx(own.latency.max, rel=0.001)


def test_one_in_ten_with_status_500_is_an_answer_but_no_success() -> None:
    measurement = parsed(captured("oha-open.json"), captured_samples(), OPEN)
    assert (measurement.requests, measurement.succeeded, measurement.errors.status) == (400, 360, 40)


def test_the_service_time_leaves_out_the_wait_for_a_connection() -> None:
    samples = oha.Samples([(500_000, 400)], 0.1, 400)
    measurement = parsed(captured("oha-open.json"), samples, OPEN)
    assert measurement.service_mean == pytest.approx(0.1)
    assert measurement.latency is not None and measurement.latency.p50 == 0.5


def test_without_samples_only_a_closed_loop_has_a_service_time() -> None:
    closed = parsed(captured("oha-keep-alive-off.json"), None, CLOSED_OFF)
    assert closed.latency is not None and closed.service_mean == closed.latency.mean > 0
    assert parsed(captured("oha-open.json"), None, OPEN).service_mean is None


def test_the_window_starts_with_the_process_and_admits_what_it_does_not_know() -> None:
    measurement = parsed(captured("oha-open.json"), None, OPEN)
    assert measurement.window.start == 1_000.0
    assert measurement.window.end == 1_000.0 + measurement.duration
    assert measurement.window.uncertainty == pytest.approx(1.5 - measurement.duration)


def result(total: float, answers: int, slowest: float, timeouts: int = 0) -> Finished:
    """A whole JSON of oha's, with these figures in it."""
    found = json.loads((DATA / "oha-open.json").read_text())
    found["summary"] |= {"total": total, "slowest": slowest}
    found |= {"statusCodeDistribution": {"200": answers}}
    found |= {"errorDistribution": {"timeout": timeouts} if timeouts else {}}
    return finished_with(json.dumps(found))


def test_one_request_that_hangs_takes_nothing_from_the_rate_of_the_others() -> None:
    """oha's total ends with the last request that it awaited: here one of 12,000 that ran into its timeout."""
    samples = oha.Samples([(1_000, 11_999)], 0.001, 11_999)
    found = parsed(result(39.9, 11_999, 0.001, timeouts=1), samples, OPEN, 30)
    assert found.requests / found.duration == pytest.approx(400, rel=0.001)
    assert found.window.end == pytest.approx(1_030.0)
    assert found.errors.timeout == 1
    assert (found.awaited, found.window.uncertainty) == (39.9, 0.0)


def test_one_late_answer_takes_nothing_from_the_rate_of_the_others() -> None:
    samples = oha.Samples([(1_000, 11_999), (9_000_000, 1)], 0.00175, 11_999)
    found = parsed(result(38.9, 12_000, 9.0), samples, OPEN, 30)
    assert found.requests / found.duration == pytest.approx(400, rel=0.001)


def test_an_overload_is_not_made_fast_by_what_was_answered_after_the_window() -> None:
    """10 s, 300 of 1,000 answered after it: the rate is that of the window."""
    samples = oha.Samples([(1_000, 1_000)], 2.0, 700)
    found = parsed(result(14.3, 1_000, 4.3), samples, OPEN, 10)
    assert found.requests / found.duration == pytest.approx(70)


def test_without_samples_the_slowest_answer_bounds_how_long_answers_came() -> None:
    found = parsed(result(39.9, 11_999, 0.5, timeouts=1), None, CLOSED_OFF, 30)
    assert found.duration == pytest.approx(30.5)
    assert parsed(result(31.0, 11_999, 9.0), None, CLOSED_OFF, 30).duration == 31.0


@pytest.mark.parametrize(
    ("name", "requests", "kind", "count"),
    [
        ("oha-killed.json", 98, "connect", 102),
        ("oha-timeouts.json", 285, "timeout", 15),
        ("oha-refused.json", 0, "connect", 20),
    ],
)
def test_failures_are_counted_by_kind(name: str, requests: int, kind: str, count: int) -> None:
    measurement = parsed(captured(name), None, OPEN)
    assert measurement.errors.total() - measurement.errors.status == count
    assert getattr(measurement.errors, kind) == count
    assert sum(measurement.error_messages.values()) == count
    assert measurement.requests == pytest.approx(requests, abs=2)


def test_no_answer_at_all_is_a_result_without_latency() -> None:
    measurement = parsed(captured("oha-refused.json"), oha.Samples([], None, 0), OPEN)
    assert (measurement.requests, measurement.latency, measurement.buckets) == (0, None, [])
    assert measurement.latency_refused == "no request was completed"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Connection refused (os error 111)", "connect"),
        ("Cannot assign requested address (os error 99)", "connect"),
        ("Network is unreachable (os error 101)", "connect"),
        ("No record returned from DNS", "connect"),
        ("timeout", "timeout"),
        ("Connection timed out (os error 110)", "timeout"),
        ("aborted due to deadline", "timeout"),
        ("Broken pipe (os error 32)", "write"),
        ("connection closed before message completed", "read"),
        ("Connection reset by peer (os error 104)", "read"),
        ("connection error", "read"),
    ],
)
def test_each_message_has_a_kind(message: str, kind: str) -> None:
    assert oha.kind_of(message) == kind


@pytest.mark.parametrize("output", ["", "[]", "{}", '{"summary": {"total": null}}'])
def test_what_is_no_result_fails(output: str) -> None:
    with pytest.raises(GeneratorFailed):
        parsed(finished_with(output), None, OPEN)


def test_missing_samples_fail_instead_of_bending_the_percentiles() -> None:
    few = captured_samples().buckets
    value, count = few[0]
    with pytest.raises(GeneratorFailed, match="399 samples of 400"):
        parsed(captured("oha-open.json"), oha.Samples([(value, count - 1), *few[1:]], 0.1, 399), OPEN)


def test_the_version() -> None:
    assert oha.parse_version("oha 1.16.0\n") == "1.16.0"
    with pytest.raises(GeneratorFailed):
        oha.parse_version("error: unexpected argument")


def test_an_open_loop_is_corrected_and_awaited() -> None:
    command = " ".join(oha.make_command(OPEN, TARGET, 3, Path("/dev/shm/x/samples.db")))
    assert "-q 400.000000 --latency-correction" in command
    assert " -w " in command and "--disable-keepalive" not in command
    assert "--db-url /dev/shm/x/samples.db" in command


def test_who_has_to_go_on_with_others_awaits_nothing() -> None:
    assert "-w" not in oha.make_command(OPEN, TARGET, 3, None, awaited=False)


def test_keep_alive_off_is_enforced_by_the_client() -> None:
    command = oha.make_command(CLOSED_OFF, TARGET, 3, None)
    assert "--disable-keepalive" in command
    assert "-q" not in command and "--latency-correction" not in command and "--db-url" not in command


def test_the_command_names_every_setting() -> None:
    flags = "--connections 5 --timeout 4 --keep-alive false --method POST --body=-x --header X-A:b"
    settings = settings_of(flags)
    command = " ".join(oha.make_command(settings, TARGET, 7, None))
    assert "-z 7s -c 5 -t 4s" in command
    assert "-m POST --redirect=0 --host=shop -H=X-A: b -d=-x" in command
    assert command.endswith(" http://10.0.0.7:80/")


@pytest.mark.parametrize(
    ("flags", "is_said"),
    [("--method POST", True), ("--method PUT", True), ("--method DELETE", False), ("--method POST --body=x", False)],
)
def test_an_empty_body_says_its_length_as_the_request_that_was_verified_did(flags: str, is_said: bool) -> None:
    """A server may answer 411 to a POST without a length (RFC 9110, 8.6): under load alone, that would be its error."""
    command = oha.make_command(settings_of(f"--keep-alive false {flags}"), TARGET, 3, None)
    assert ("-H=Content-Length: 0" in command) is is_said


@pytest.mark.parametrize(("length", "measured"), [(1, 49), (300, 374), (1_000, 1_370)])
def test_a_row_has_room_for_its_path(length: int, measured: int) -> None:
    """Bytes a row of a real database of 5,000 answers; where there are too few oha fails when the window is over."""
    path = "/" + "x" * (length - 1)
    assert measured <= oha.row_bytes(path) <= max(100, 1.5 * measured)
    assert load_job.row_bytes(Request(path=path)) == oha.row_bytes(path)


def test_a_long_path_has_its_room_in_the_pod() -> None:
    """3,000,000 answers of a path of 1,000 characters: 4.1 GB of rows, and oha's own 350 bytes for each."""
    scenario = {"name": "constant", "type": "Open", "open": {"requestsPerSecond": 100_000}}
    spec = benchmark_spec(
        scenarios=[scenario],
        schedule={"measure": "30s"},
        request={"path": "/" + "x" * 999},
        ranking={"scenario": "constant"},
    )
    assert load_job.scratch_bytes(spec, spec.scenarios[0]) > 3_000_000 * 1_370
    assert load_job.memory_bytes(spec, spec.scenarios[0]) > 3_000_000 * (1_370 + 350)


@pytest.mark.parametrize(
    "request_", [{"method": "HEAD"}, {"expectStatus": 304}, {"expectStatus": 404}, {}], ids=lambda one: str(one)
)
def test_what_auto_drives_with_oha_has_room_for_its_samples(request_: dict[str, object]) -> None:
    """Closed with keepAlive is wrk's, which keeps none, but for answers that it cannot count."""
    closed = {"name": "full", "type": "Closed", "closed": {"connections": 64}}
    spec = benchmark_spec(
        scenarios=[closed], schedule={"measure": "60s"}, request=request_, ranking={"scenario": "full"}
    )
    arguments = load_job.request_arguments(spec.request, "http://shop")
    is_oha = parse_settings([*arguments, "--connections=64", "--measure=60"]).generator == "oha"
    samples = 3_000_000 if is_oha else 0
    assert load_job.scratch_bytes(spec, spec.scenarios[0]) == load_job.LEAST_SCRATCH + samples * 100
    assert load_job.memory_bytes(spec, spec.scenarios[0]) >= samples * 350
