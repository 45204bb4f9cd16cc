"""A warm-up goes on while the target still gets faster, and no longer than three times what was asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from changeover.core.manifests import load_job
from changeover.loader import drivers, session, warmup
from changeover.loader.meters import CpuTime
from changeover.loader.process import Finished
from changeover.loader.report import Errors, Latency, Measurement, Window
from changeover.loader.settings import Settings, parse_settings
from changeover.loader.target import Target


def settings_of(*flags: str) -> Settings:
    return parse_settings(["--url", "http://shop/", "--connections", "8", "--measure", "10", *flags])


def driven(seconds: str, speed_at: Callable[[int], float], *flags: str) -> tuple[int, list[float]]:
    """Seconds and figures of a warm-up whose target has this speed after so many slices."""
    plan, figures = warmup.plan(settings_of("--warm-up", seconds, *flags)), list[float]()
    while warmup.goes_on(plan, figures):
        figures.append(speed_at(len(figures)))
    return len(figures) * plan.slice, figures


@pytest.mark.parametrize(
    ("seconds", "lasts"), [("1", 1), ("2", 4), ("3", 4), ("5", 6), ("8", 8), ("12", 12), ("13", 15)]
)
def test_a_steady_target_is_warmed_as_long_as_asked_but_for_whole_slices(seconds: str, lasts: int) -> None:
    assert driven(seconds, lambda n: 1000.0)[0] == lasts


@pytest.mark.parametrize(("seconds", "lasts"), [("1", 1), ("2", 6), ("5", 14), ("12", 36)])
def test_one_that_never_stops_rising_is_given_up_to_three_times_as_long(seconds: str, lasts: int) -> None:
    assert driven(seconds, lambda n: 100 * 1.2**n)[0] == lasts


def test_without_a_warm_up_nothing_is_driven() -> None:
    assert driven("0", lambda n: 1000.0) == (0, [])


def test_it_ends_as_soon_as_the_rise_does() -> None:
    """Five slices rise; then one is as the one before."""
    seconds, figures = driven("5", lambda n: 100.0 * min(n + 1, 5))
    assert (seconds, figures[-2:]) == (12, [500.0] * 2)


def test_noise_and_a_fall_are_no_rise() -> None:
    assert driven("5", lambda n: 1000.0 + 40 * (-1) ** n)[0] == 6
    assert driven("5", lambda n: 1000.0 * 0.9**n)[0] == 6


def test_loaders_that_begin_together_warm_up_for_one_time_all_alike() -> None:
    assert driven("5", lambda n: 100 * 1.2**n, "--start-at", "1") == (5, [100.0])


def test_more_is_asked_of_a_latency_that_falls_than_of_a_rate_that_rises() -> None:
    def rise(n: int) -> float:
        return 100 * 1.15**n

    assert driven("5", rise)[0] == 14
    assert driven("5", rise, "--mode", "open", "--rate", "50")[0] == 6


@pytest.mark.parametrize(
    ("figures", "measured", "steady"),
    [
        ([100, 130], 160, False),
        ([100, 130], 155, True),  # it had risen, but the window is much as the last slice
        ([100, 115], 160, True),  # a small rise may be an accident
        ([130, 100], 160, True),  # and this is none
        ([100], 160, None),  # too few to be judged
        ([100, 130], None, None),  # the window was of another load
    ],
)
def test_what_clearly_rises_in_the_window_too_was_not_steady(
    figures: list[float], measured: float | None, steady: bool | None
) -> None:
    plan = warmup.plan(settings_of("--warm-up", "5"))
    assert warmup.as_json(plan, figures, measured)["steady"] is steady


def test_a_figure_is_a_rate_or_a_speed_and_0_without_an_answer() -> None:
    latency = Latency(mean=0.1, p50=0.05, p90=0.2, p99=0.3, p999=0.4, max=0.5)
    measured = measurement(30, latency)
    assert warmup.figure(settings_of(), measured) == 15.0
    assert warmup.figure(settings_of("--mode", "open", "--rate", "5"), measured) == pytest.approx(20.0)
    assert warmup.figure(settings_of("--mode", "open", "--rate", "5"), measurement(0, None)) == 0.0


def measurement(requests: int, latency: Latency | None) -> Measurement:
    return Measurement(Window(0.0, 2.0, 0.0), 2.0, requests, requests, Errors(), 0, latency, None)


def test_a_load_pod_is_given_the_time_of_the_longest_warm_up() -> None:
    assert load_job.LONGEST_WARM_UP == warmup.LONGEST


@pytest.mark.parametrize(("flags", "awaited"), [("", True), ("--start-at 1000", False)])
def test_a_warm_up_beside_others_awaits_no_request(monkeypatch: pytest.MonkeyPatch, flags: str, awaited: bool) -> None:
    """One that hangs would tear their windows apart; alone its answer is awaited, lest it disturb the window."""
    seen: list[bool] = []

    def run(settings: Settings, target: Target, seconds: int, samples: int, awaited: bool) -> drivers.Run:
        seen.append(awaited)
        measurement = Measurement(Window(0.0, 1.0, 0.0), 1.0, 9, 9, Errors(), 0, None, "none")
        return drivers.Run(measurement, Finished("", 0.0, 1.0, 1.0, 1.0, CpuTime(0.1, 0.1), 4))

    monkeypatch.setattr(drivers, "run", run)
    settings = parse_settings(f"--url http://a/ --connections 4 --measure 2 --warm-up 1 {flags}".split())
    session._warm_up(settings, Target("10.0.0.7", 80, "/", "a"), {"name": "oha", "version": "1"})
    assert seen == [awaited]
