"""What was seen of a migration or a benchmark, as tests say it: only what matters to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1 import BenchmarkSpec, MigrationSpec
from changeover.core import names
from changeover.core.benchmark import SeenBenchmark
from changeover.core.evidence import Split, StepEvidence, fold
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import CanaryChoice, SeenMigration
from changeover.core.observed import Counts, Evidence, LoadReport, Owner, Pod, Route, Usage, Workload
from changeover.core.record_store import Place
from changeover.testing.builders import a_benchmark, a_migration, a_report
from changeover.testing.clock import START

NOW = START
SCRAPE = 5.0
ARMS = "arms"


def owner(kind: str = "CanaryMigration", **more: Any) -> Owner:
    base = Owner(kind, "shop", "shop", "uid-1", 1, False, (names.FINALIZER,), {})
    return replace(base, **more)


def pod(**more: Any) -> Pod:
    return replace(Pod("pod-1", True, False, "node-1", "sha256:1", 0, ""), **more)


def workload(ready: int = 2, replicas: int = 2, **more: Any) -> Workload:
    pods = tuple(pod(name=f"pod-{n}", ready=n < ready) for n in range(replicas))
    return replace(Workload("new", {}, NOW - timedelta(hours=1), False, replicas, pods, 0.5), **more)


def mark(weight: int = 10, step: int = 1, phase: Phase = Phase.STEPPING, **more: Any) -> Mark:
    since = NOW - timedelta(minutes=30)
    return replace(Mark(phase, step, weight, since, 1, ARMS, Reason.STEPPED, "why", 0), **more)


def route(of: Mark | None = None, **more: Any) -> Route:
    told = of or mark()
    return replace(Route(True, told.weight, told.to_dict(), True, ""), **more)


def counts(requests: int = 600, slow: int = 0, errors: int = 0) -> Counts:
    return Counts(requests, errors, {"latency": slow}, {"latency": 0.02})


def latest(canary: Counts | None = None, stable: Counts | None = None) -> Evidence:
    return Evidence(NOW - timedelta(seconds=10), NOW, canary or counts(100), stable or counts(900), 0.2)


def blocks(number: int, canary: Counts | None = None, cores: float | None = 0.2) -> tuple[Evidence, ...]:
    """Whole blocks since the default mark has settled."""
    start = mark().since + timedelta(seconds=2 * SCRAPE)
    minute = timedelta(minutes=1)
    return tuple(
        Evidence(start + n * minute, start + (n + 1) * minute, canary or counts(), counts(5400), cores)
        for n in range(number)
    )


def migration_spec(**spec: Any) -> MigrationSpec:
    return MigrationSpec.model_validate(a_migration(**spec)["spec"])


def seen(spec: dict[str, Any] | None = None, **more: Any) -> SeenMigration:
    """On the first step at 10 %, all well, with too little evidence."""
    base = SeenMigration(
        now=NOW,
        owner=owner(),
        spec=migration_spec(**(spec or {})),
        arms=ARMS,
        choice=CanaryChoice(),
        stable=workload(name="old"),
        canary=workload(),
        route=route(),
        evidence=None,
        blocks=blocks(3),
        latest=latest(),
        scrape_seconds=SCRAPE,
    )
    return replace(base, **more)


def kept(number: int, canary: Counts | None = None, cores: float | None = 0.2) -> StepEvidence:
    """The evidence of so many blocks, as status kept it."""
    start = StepEvidence.start(mark().since, SCRAPE)
    return fold(start, migration_spec(), blocks(number, canary, cores), Split(mark().weight, 1.0, 2))


def benchmark_spec(**spec: Any) -> BenchmarkSpec:
    return BenchmarkSpec.model_validate(a_benchmark(**spec)["spec"])


def seen_benchmark(spec: dict[str, Any] | None = None, **more: Any) -> SeenBenchmark:
    """Nothing measured yet, nothing running."""
    base = SeenBenchmark(
        now=NOW,
        owner=owner("FrameworkBenchmark", name="web", finalizers=()),
        spec=benchmark_spec(**(spec or {})),
        fingerprint="f00dcafe",
        loader_image="localhost/loader:1",
        scrape_seconds=SCRAPE,
        records={},
        places=(Place("web-runs-f00dcafe", "uid-7", is_full=False),),
        started=NOW - timedelta(minutes=5),
        last_record=None,
        workloads=(),
        loads={},
        usage=None,
        step_usages=(),
        environment={},
    )
    return replace(base, **more)


def ended_load(seconds_ago: float = 60.0, **more: Any) -> LoadReport:
    end = NOW.timestamp() - seconds_ago
    return LoadReport(a_report(windowStart=end - 8, windowEnd=end, **more))


USAGE = Usage(0.4, 64e6, 7.0)


def a_step(rate: float, why: str | None = None, **more: Any) -> dict[str, Any]:
    """One step of a ramp as the loader reports it; ``why`` it broke, None when it held."""
    p99 = rate / 1e5
    latency = {"mean": p99 / 2, "p50": p99 / 2, "p90": p99, "p99": p99, "p999": p99, "max": p99}
    whole = a_report(rate, latency=latency, windowStart=rate, windowEnd=rate + 8)
    whole.pop("histogram")
    return {**whole, "rate": rate, "achieved": rate, "held": why is None, "why": why, **more}


def a_ramp(*steps: dict[str, Any], is_bounded: bool = True) -> dict[str, Any]:
    """As the loader reports it: the fields of the last good step, or of the first when none held."""
    held = [step for step in steps if step["held"]]
    best = max(held, key=lambda step: float(step["rate"])) if held else steps[0]
    return {
        **a_report(best["rate"], mode="ramp", connections=360),
        **{key: best[key] for key in ("rate", "latency", "windowStart", "windowEnd")},
        "steps": list(steps), "knee": best["rate"] if held else None, "kneeBounded": is_bounded,
    }  # fmt: skip
