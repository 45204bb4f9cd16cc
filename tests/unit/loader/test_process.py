"""What a generator may take, and what is read beside it."""

from __future__ import annotations

import resource

import pytest
from changeover.loader import drivers, meters, process, session
from changeover.loader.failures import GeneratorFailed
from changeover.loader.meters import CpuTime, Throttling
from changeover.loader.process import Finished
from changeover.loader.report import Errors, Measurement, Window


def files_allowed(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, connections: int) -> list[tuple[int, int]]:
    """What limits of open files are set before so many connections are opened."""
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: set_to.append(limits))
    process.allow_files(connections)
    return set_to


def test_each_connection_may_have_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may begin with 1,024 of them; wrk would do without the rest and call the target the loser."""
    assert files_allowed(monkeypatch, 1_024, 524_288, 5_000) == [(2 * 5_000 + process.FILES_BESIDE, 524_288)]
    assert files_allowed(monkeypatch, 1_024, resource.RLIM_INFINITY, 5_000)[0][0] > 5_000
    assert files_allowed(monkeypatch, 1_048_576, 1_048_576, 5_000) == []
    assert files_allowed(monkeypatch, resource.RLIM_INFINITY, resource.RLIM_INFINITY, 5_000) == []


def test_a_connection_that_is_closing_has_its_file_beside_the_one_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keep-alive oha had too few with one for each of its connections: 64 of 4,600 requests, of 300."""
    assert files_allowed(monkeypatch, 1_024, 8_192, 1_000) == [(2_000 + process.FILES_BESIDE, 8_192)]
    assert files_allowed(monkeypatch, 1_024, 1_500, 1_000) == [(1_500, 1_500)]  # as many as there are


def test_too_few_files_are_no_failure_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        GeneratorFailed, match="4096 files may be open, 5000 connections need 5064; lower the connections"
    ):
        files_allowed(monkeypatch, 1_024, 4_096, 5_000)


def test_what_is_throttled_after_the_window_is_not_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """oha writes its samples when the window is over, at full speed: a CPU limit holds back that, and no request."""
    before, as_of_the_look, after = (Throttling(periods, periods / 10) for periods in (1, 3, 40))
    measurement = Measurement(Window(0.0, 1.0, 0.0), 1.0, 9, 9, Errors(), 0, None, "none")
    finished = Finished("", 0.0, 1.0, 1.0, 1.0, CpuTime(0.1, 0.1), 4, as_of_the_look)
    monkeypatch.setattr(meters, "throttling", lambda: after)
    found = session._surroundings(drivers.Run(measurement, finished), before, None)
    assert (found.throttled_periods, found.throttled_seconds) == (2, pytest.approx(0.2))
