"""The backend with one fault has that fault, whenever it is asked: the end-to-end tests of unfair runs stand on it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from changeover.loader import http1, meters
from changeover.loader.http1 import Answer, Nonconforming

from tests.cluster import images
from tests.contract.backends import conformance
from tests.contract.backends.conformance import Address
from tests.contract.backends.test_backends import build_go

ASK = b"GET / HTTP/1.1\r\nHost: backend\r\n\r\n"
READY = b"GET /ready HTTP/1.1\r\nHost: backend\r\n\r\n"
SECONDS_ON_A_CONNECTION = 10.0
LOSS_AFTER_SECONDS = 6.0
CRASH_AFTER_SECONDS = 25.0

pytestmark = pytest.mark.backends


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_go(images.TEST_BACKENDS / "faulty", tmp_path_factory.mktemp("faulty"))[0]


class Backend:
    """It runs, and this is where."""

    def __init__(self, process: subprocess.Popen[bytes], address: Address) -> None:
        self.process, self.address = process, address

    def connect(self, seconds: float = SECONDS_ON_A_CONNECTION) -> http1.Client:
        return http1.Client(self.address, seconds)

    def asked(self, request: bytes = ASK) -> Answer:
        with self.connect() as client:
            client.send(request)
            return client.answer()


@contextmanager
def backend(program: str, fault: str, **environment: str) -> Iterator[Backend]:
    address = ("127.0.0.1", conformance.free_port())
    variables = {**os.environ, "FAULT": fault, "PORT": str(address[1]), **environment}
    process = subprocess.Popen([program], env=variables, stderr=subprocess.DEVNULL)
    try:
        conformance.wait_until_open(address, process)
        yield Backend(process, address)
    finally:
        process.kill()
        process.wait()


def test_without_a_fault_it_answers_and_ends_when_told(program: str) -> None:
    with backend(program, "") as one:
        assert {(one.asked().status, one.asked().body) for _ in range(20)} == {(200, conformance.BODY)}
        assert one.asked(READY).status == 200
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(5) == 0


def test_a_fault_that_is_not_known_is_refused(program: str) -> None:
    done = subprocess.run([program], env={**os.environ, "FAULT": "eros"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "eros" in done.stderr


def test_every_answer_is_an_error_and_it_is_ready_all_the_same(program: str) -> None:
    with backend(program, "all-errors") as one:
        assert {one.asked().status for _ in range(20)} == {500}
        assert one.asked(READY).status == 200


def test_it_crashes_after_it_has_served_for_a_while(program: str) -> None:
    with backend(program, "crashes-later") as one:
        assert one.asked(READY).status == 200
        began = time.monotonic()
        assert one.asked().status == 200
        assert one.process.wait(CRASH_AFTER_SECONDS + 5) == 1
        assert time.monotonic() - began == pytest.approx(CRASH_AFTER_SECONDS, abs=2)


def test_every_tenth_answer_is_an_error(program: str) -> None:
    with backend(program, "errors") as one:
        assert one.asked(READY).status == 200  # is not counted
        assert [number for number in range(1, 31) if one.asked().status == 500] == [10, 20, 30]


def test_the_body_is_wrong(program: str) -> None:
    with backend(program, "wrong-body") as one:
        assert one.asked().status == 200 and one.asked().body != conformance.BODY


def test_it_is_ready_and_hangs_up_on_every_request(program: str) -> None:
    with backend(program, "hangs-up") as one:
        assert one.asked(READY).status == 200
        with pytest.raises(Nonconforming, match="closed the connection"):
            one.asked()


def test_it_is_never_ready(program: str) -> None:
    with backend(program, "never-ready") as one:
        assert one.asked(READY).status == 503


def test_the_first_process_of_a_pod_dies_and_the_second_serves(program: str, tmp_path: Path) -> None:
    variables = {**os.environ, "FAULT": "restarts", "PORT": "0", "TMPDIR": str(tmp_path)}
    assert subprocess.run([program], env=variables, timeout=10, check=False).returncode == 1
    with backend(program, "restarts", TMPDIR=str(tmp_path)) as one:
        assert one.asked().status == 200


def test_every_answer_closes_its_connection_after_a_pause_that_differs(program: str) -> None:
    took = []
    with backend(program, "closes") as one:
        for _ in range(8):
            with one.connect() as client:
                began = time.monotonic()
                client.send(ASK)
                assert client.answer().headers["connection"] == "close"
                took.append(time.monotonic() - began)
                assert client.is_closed()
    # Never sooner than its pause; and one of the first sooner than the last may be, even on a machine that stalls.
    assert all(seconds >= 0.5 + 0.01 * number for number, seconds in enumerate(took, 1)), took
    assert min(took[:-1]) < 0.5 + 0.01 * len(took), took


def test_every_answer_is_slow(program: str) -> None:
    with backend(program, "slow") as one:
        began = time.monotonic()
        assert one.asked().status == 200
        assert time.monotonic() - began >= 2


def test_it_answers_faster_the_longer_it_is_asked(program: str) -> None:
    with backend(program, "warms") as one, one.connect() as client:
        took = []
        for pause in (0.0, 0.0, 4.0, 0.0, 0.0):
            time.sleep(pause)
            began = time.monotonic()
            client.send(ASK)
            client.answer()
            took.append(time.monotonic() - began)
    assert min(took[2:]) < 0.17 < 0.18 <= took[0], took  # one of three, on a machine that stalls


def test_it_burns_cpu_in_a_part_of_each_second(program: str) -> None:
    began = time.monotonic()
    with backend(program, "bursts") as one:
        time.sleep(3.2)
        used = meters.cpu_time(one.process.pid)
        lived = time.monotonic() - began
    assert used is not None
    # A quarter of each second; a busy machine may give it much less of that.
    assert 0.1 < used.user_seconds + used.system_seconds < 0.25 * lived + 0.15


def test_it_says_goodbye_and_lets_nobody_in_again(program: str) -> None:
    with backend(program, "loses") as one, one.connect() as client:
        client.send(ASK)
        assert "connection" not in client.answer().headers
        time.sleep(LOSS_AFTER_SECONDS + 0.5)
        client.send(ASK)
        assert client.answer().headers["connection"] == "close"
        locked_out = 0
        kept = []  # a knock that is answered by the kernel stays in the queue, and fills it
        for _ in range(6):
            try:
                kept.append(one.connect(seconds=0.5))
            except TimeoutError:
                locked_out += 1
        for other in kept:
            other.__exit__()
    assert locked_out >= 3
