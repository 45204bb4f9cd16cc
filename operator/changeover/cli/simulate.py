"""How long does a migration need at this traffic, and what does it do with a worse canary? The real rule, drawn.

The simulated canary is bad in a fixed share of independent requests; noise that lasts is not drawn, so the error rates
here are those of docs/decision-quality.md at best. What it is for: steps, blocks and objectives that can be decided.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from changeover.api.v1alpha1 import MigrationSpec
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core.evidence import Split, StepEvidence, fold, limit_of
from changeover.core.observed import Counts, Evidence
from changeover.core.sequential import Verdict
from changeover.core.weighing import weigh

SCRAPE_SECONDS = 15.0
STABLE_SHARE = 0.1  # of each limit that stable is bad in
CPU_SHARE = 0.5  # of the CPU target; what is simulated is about requests
PROMOTED, ROLLED_BACK, UNDECIDED = "promoted", "rolled back", "undecided"
_BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Outcome:
    """How one simulated migration ended, after how many seconds, and on which step (from 1)."""

    result: str
    seconds: float
    step: int


@dataclass(frozen=True)
class Summary:
    """Of many: the share of each result in percent, and the median of the time to the end, in seconds."""

    worse: float
    promoted: float
    rolled_back: float
    undecided: float
    seconds: float
    undecided_at: int  # the step that most of the undecided stand on; 0: none is


def summarise(spec: MigrationSpec, rate: float, worse: float, runs: int, seed: int) -> Summary:
    """`worse` is the canary's bad share as a multiple of each target's limit; `rate` is in requests/s."""
    chance = random.Random(f"{seed}/{worse}")
    found = [run(spec, rate, worse, chance) for _ in range(runs)]
    results = [one.result for one in found]
    promoted, rolled_back, undecided = (100 * results.count(one) / runs for one in (PROMOTED, ROLLED_BACK, UNDECIDED))
    stuck = [one.step for one in found if one.result == UNDECIDED]
    at = max(set(stuck), key=stuck.count) if stuck else 0
    return Summary(worse, promoted, rolled_back, undecided, median(one.seconds for one in found), at)


def row_of(one: Summary) -> tuple[str, ...]:
    """As a table shows it."""
    stuck = f"undecided on step {one.undecided_at}" if one.undecided_at else ""
    shares = (f"{one.promoted:.0f} %", f"{one.rolled_back:.0f} %", f"{one.undecided:.0f} %")
    return (f"{one.worse:g}", *shares, str(timedelta(seconds=round(one.seconds))), stuck)


def run(spec: MigrationSpec, rate: float, worse: float, chance: random.Random) -> Outcome:
    """One migration from its first weight on."""
    spec = _as_simulated(spec)
    canary, elapsed = Canary(spec, rate, worse), 0.0
    for number, step in enumerate(spec.steps, start=1):
        since = _BEGIN + timedelta(seconds=elapsed)
        evidence = StepEvidence.start(since, SCRAPE_SECONDS)
        split = Split(step.weight_percent, 1.0)
        most = since + timedelta(seconds=duration_seconds(step.max_duration))
        while True:
            block = _block(canary, evidence.until, step.weight_percent / 100, chance)
            evidence = fold(evidence, spec, [block], split)
            verdict = weigh(evidence, spec, split).verdict
            passed = (evidence.until - since).total_seconds()
            if verdict is Verdict.ROLLBACK:
                return Outcome(ROLLED_BACK, elapsed + passed, number)
            lasted, well = passed >= duration_seconds(step.min_duration), verdict is Verdict.ADVANCE
            if well and lasted and evidence.requests >= step.min_requests:
                break
            # The operator waits for minDuration and minRequests however long it takes; the latter may never come.
            if evidence.until > most and (lasted or not well):
                result = ROLLED_BACK if step.on_undecided == "Rollback" and not well else UNDECIDED
                return Outcome(result, elapsed + passed, number)
        elapsed += passed
    return Outcome(PROMOTED, elapsed, len(spec.steps))


def _as_simulated(spec: MigrationSpec) -> MigrationSpec:
    """Without projections to a multiple of the peak: they are about CPU, and what is drawn is about requests."""
    objectives = [
        o if o.cpu is None else o.model_copy(update={"cpu": o.cpu.model_copy(update={"at_traffic_multiple": 1})})
        for o in spec.objectives
    ]
    return spec.model_copy(update={"objectives": objectives})


@dataclass(frozen=True)
class Canary:
    """What is drawn: requests/s through the route, and the canary's bad share as a multiple of each limit."""

    spec: MigrationSpec
    rate: float
    worse: float


def _block(canary: Canary, start: datetime, share: float, chance: random.Random) -> Evidence:
    spec, seconds = canary.spec, duration_seconds(canary.spec.decision.block)
    requests = round(canary.rate * seconds)
    reached = binomial(requests, share, chance)
    limit_cpu = min((o.cpu.max_percent for o in spec.objectives if o.cpu is not None), default=100)
    return Evidence(
        start,
        start + timedelta(seconds=seconds),
        _counts(spec, reached, canary.worse, chance),
        _counts(spec, requests - reached, STABLE_SHARE, chance) if share < 1 else None,
        CPU_SHARE * limit_cpu / 100,
        {o.name: float(o.query.max) for o in spec.objectives if o.query is not None},
    )


def _counts(spec: MigrationSpec, requests: int, of_limit: float, chance: random.Random) -> Counts:
    limits = {o.name: limit_of(o) or 0.0 for o in spec.objectives}
    late = [o.name for o in spec.objectives if o.latency is not None]
    slow = {name: binomial(requests, _bounded(of_limit * limits[name]), chance) for name in late}
    errors = [limits[o.name] for o in spec.objectives if o.errors is not None]
    failed = binomial(requests, _bounded(of_limit * min(errors)), chance) if errors else 0
    return Counts(requests, failed, slow, {})


def _bounded(share: float) -> float:
    return min(1.0, max(0.0, share))


def binomial(n: int, p: float, chance: random.Random) -> int:
    """Successes of n draws: by waiting times where they are rare, and by the normal curve where they are many."""
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - binomial(n, 1 - p, chance)
    variance = n * p * (1 - p)
    if variance > 100:
        return min(n, max(0, round(chance.gauss(n * p, math.sqrt(variance)))))
    return sum(1 for _ in _successes(n, p, chance))


def _successes(n: int, p: float, chance: random.Random) -> Iterator[int]:
    """The numbers of the draws that succeed: from one to the next it is a geometric wait."""
    at, scale = 0, math.log1p(-p)
    while True:
        at += 1 + int(math.log(1.0 - chance.random()) / scale)
        if at > n:
            return
        yield at
