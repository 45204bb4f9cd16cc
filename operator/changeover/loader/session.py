"""One session: verify, check conformance, wait for the others, warm up, measure, report. The order is the point:
nothing is loaded that was not verified, and nothing slow lies between the barrier and the load."""

from __future__ import annotations

import dataclasses
import sys
import time
from dataclasses import dataclass
from typing import Any

from changeover.loader import conformance, drivers, meters, process, ramp, report, warmup
from changeover.loader.drivers import Run
from changeover.loader.failures import InvalidArguments
from changeover.loader.report import Surroundings
from changeover.loader.settings import OPEN, RAMP, Settings
from changeover.loader.target import Target, resolve, verify

FARTHEST_START_SECONDS = 3600.0
"""Beyond it --start-at is not a barrier but a mistake, such as milliseconds."""


def perform(settings: Settings) -> dict[str, Any]:
    """The report of one session; LoadFailure when there can be none."""
    version = drivers.version_of(settings)
    process.allow_files(settings.connections)
    target = resolve(settings)
    verify(target, settings)
    progress(f"{target.url} answers as expected")
    checks = _conformance(settings, target)
    late = await_start(settings.start_at)
    warmth = _warm_up(settings, target, version)
    context = {
        "generator": version,
        "target": target.url,
        "mode": settings.mode,
        "connections": settings.connections,
        "keepAlive": settings.keep_alive,
        "startAt": settings.start_at,
        "startedLateSeconds": late,
        "conformance": checks,
        "cpus": meters.cpus(),
        "cpuModel": meters.cpu_model(),
    }
    if settings.ramp is not None:
        return _ramp(settings, settings.ramp, target, {**context, "warmUp": warmth.as_json()})
    return _measure(settings, target, warmth, context)


def progress(text: str) -> None:
    print(f"loader: {text}", file=sys.stderr, flush=True)


def await_start(instant: float | None) -> float | None:
    """Sleeps until the instant (seconds since the epoch) and gives how late we are, in seconds; None without one."""
    if instant is None:
        return None
    if (wait := instant - time.time()) > FARTHEST_START_SECONDS:
        raise InvalidArguments(
            f"--start-at lies {wait:.0f} s ahead, at most {FARTHEST_START_SECONDS:.0f} s are allowed"
        )
    while (wait := instant - time.time()) > 0:
        time.sleep(wait)
    return abs(wait)


def _conformance(settings: Settings, target: Target) -> list[dict[str, Any]] | None:
    if not settings.conformance:
        return None
    checks = conformance.run_checks(target, settings)
    for check in checks:
        progress(f"conformance: {check.name}: {check.detail}")
    return [check.as_json() for check in checks]


@dataclass(frozen=True)
class _Warmth:
    """How the warm-up went: what each slice showed, and the rate of the last (requests a second; None without one)."""

    plan: warmup.Plan
    figures: tuple[float, ...] = ()
    rate: float | None = None

    def as_json(self, measured: float | None = None) -> dict[str, Any]:
        return warmup.as_json(self.plan, self.figures, measured)


def _warm_up(settings: Settings, target: Target, version: dict[str, str]) -> _Warmth:
    """Drives the load until its slices rise no more, or the time for it is over.

    Who begins with others awaits no answer after it: one request that hangs would tear their windows apart.
    """
    is_alone = settings.start_at is None
    load = dataclasses.replace(settings, mode=OPEN) if settings.mode == RAMP else settings
    warmth = _Warmth(warmup.plan(settings))
    if settings.warm_up_seconds:
        progress(f"warming up for {settings.warm_up_seconds} s with {version['name']} {version['version']}")
    while warmup.goes_on(warmth.plan, warmth.figures):
        found = drivers.run(load, target, warmth.plan.slice, samples=0, awaited=is_alone).measurement
        figures = (*warmth.figures, warmup.figure(settings, found))
        warmth = _Warmth(warmth.plan, figures, found.requests / found.duration)
    return warmth


def _measure(settings: Settings, target: Target, warmth: _Warmth | None, context: dict[str, Any]) -> dict[str, Any]:
    """The report of one window; without a warmth the window is a step of a ramp, which goes its own way."""
    at = f" at {settings.rate:g}/s" if settings.rate else ""
    progress(f"measuring for {settings.measure_seconds} s with {settings.connections} connections{at}")
    throttled, opened = meters.throttling(), meters.connections_opened()
    samples = drivers.samples_to_keep(settings, warmth.rate if warmth else None)
    run = drivers.run(settings, target, settings.measure_seconds, samples)
    surroundings = _surroundings(run, throttled, opened)
    asked = {"rate": settings.rate, "unsent": report.unsent(settings.rate, settings.measure_seconds, run.measurement)}
    warm = {"warmUp": warmth.as_json(warmup.figure(settings, run.measurement))} if warmth else {}
    return report.as_json(run.measurement, surroundings, {**context, **warm, **asked})


def _ramp(settings: Settings, plan: ramp.Plan, target: Target, context: dict[str, Any]) -> dict[str, Any]:
    """The report of the last good step, or of the first when none held, with all steps and the knee."""
    tried: list[tuple[ramp.Step, dict[str, Any]]] = []
    while (rate := ramp.next_rate(plan, [step for step, _ in tried])) is not None:
        found = _measure(dataclasses.replace(settings, mode=OPEN, rate=rate), target, None, context)
        tried.append((ramp.judge(plan, rate, found), found))
        progress(f"{rate:g}/s {'held' if tried[-1][0].held else '; '.join(tried[-1][0].problems)}")
    steps = [step for step, _ in tried]
    knee = ramp.knee(steps)
    shown = next((found for step, found in tried if step.held and step.rate == knee), tried[0][1])
    return {
        **shown,
        "steps": [ramp.as_json(step, found) for step, found in tried],
        "knee": knee,
        "kneeBounded": ramp.is_bounded(steps),
    }


def _surroundings(run: Run, throttled: meters.Throttling | None, opened: int | None) -> Surroundings:
    cpu, finished, opened_now = run.finished.cpu, run.finished, meters.connections_opened()
    both = (throttled, finished.throttling) if throttled and finished.throttling else None
    return Surroundings(
        user_seconds=cpu.user_seconds,
        system_seconds=cpu.system_seconds,
        cores=(cpu.user_seconds + cpu.system_seconds) / (finished.looked - finished.started),
        throttled_periods=both[1].periods - both[0].periods if both else None,
        throttled_seconds=both[1].seconds - both[0].seconds if both else None,
        connections_opened=opened_now - opened if opened is not None and opened_now is not None else None,
        connections_alive=finished.alive,
    )
