"""When will this step and the whole migration be decided, at the traffic of the last block? Pure (§3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.step import Step as StepSpec
from changeover.core.daily_peak import Coverage, earliest, wants_peak
from changeover.core.evidence import (
    SETTLE_SCRAPES,
    StepEvidence,
    bad_requests,
    cpu_design,
    is_projected,
    make_design,
    projection_design,
    targets_of,
)  # fmt: skip
from changeover.core.mark import Mark
from changeover.core.migration_state import current_step, next_step
from changeover.core.observed import Counts, Evidence
from changeover.core.sequential import expected_blocks
from changeover.core.windows import next_opening

ASSUMED_RATIO = 0.5  # of the canary's bad share to its limit, where stable shows none (§3)
LEAST_RATIO = 0.05


@dataclass(frozen=True)
class Forecast:
    """Instants; `end` is the median to optimistic, `latest_end` has every step's evidence take twice as long."""

    step_end: datetime
    end: datetime
    latest_end: datetime
    requests_per_second: float


def forecast(
    spec: MigrationSpec, mark: Mark, evidence: StepEvidence, scrape_seconds: float, peaks: tuple[int, ...] = ()
) -> Forecast | None:
    """From the last block; None without one, without traffic, or when a step would never be decided.

    `peaks` are the busiest hours of the day, which a step may have to cover.
    """
    last = evidence.last
    if last is None or mark.weight == 0 or not _requests(last):
        return None
    rate = _requests(last) / (last.end - last.start).total_seconds()
    current, coming = spec.steps[: current_step(spec, mark)][-1], spec.steps[next_step(spec, mark) - 1 :]
    lengths = [_length(spec, step, last, rate, scrape_seconds) for step in (current, *coming)]
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths):
        return None
    # What was expected and has passed is no more expected: then the next block may decide.
    next_block = evidence.until + timedelta(seconds=duration_seconds(spec.decision.block))
    ends = [max(mark.since + timedelta(seconds=known[0][at]), next_block) for at in (0, 1)]
    if wants_peak(current):
        covered = earliest(evidence.until, peaks, evidence.covered)
        if covered is None:
            return None
        ends = [max(end, covered) for end in ends]
    rest = [[(step, length[at]) for step, length in zip(coming, known[1:], strict=True)] for at in (0, 1)]
    early, late = (_chain(spec, ends[at], rest[at], peaks) for at in (0, 1))
    return Forecast(early[0], early[-1], late[-1], rate) if early and late else None


def _chain(
    spec: MigrationSpec, decided: datetime, coming: list[tuple[StepSpec, float]], peaks: tuple[int, ...]
) -> list[datetime]:
    """The ends of this step, which is decided then, and of those that come; empty when one of them never ends."""
    ends = []
    for step, length in coming:
        left = next_opening(spec.windows, decided)
        if left is None:
            return []
        ends.append(left)
        decided = left + timedelta(seconds=length)
        if wants_peak(step):
            seen = earliest(left, peaks, Coverage())
            if seen is None:
                return []
            decided = max(decided, seen)
    return [*ends, decided]


def _requests(block: Evidence) -> int:
    return sum(arm.requests for arm in (block.canary, block.stable) if arm is not None)


def _length(
    spec: MigrationSpec, step: StepSpec, last: Evidence, rate: float, scrape_seconds: float
) -> tuple[float, float] | None:
    """Seconds of a step: expected, and at twice the blocks; None when it would never end."""
    block, canary_rate = duration_seconds(spec.decision.block), rate * step.weight_percent / 100
    blocks = [_cpu_blocks(spec), *_target_blocks(spec, last, canary_rate * block)]
    if any(math.isinf(one) for one in blocks):
        return None
    settle, needed = SETTLE_SCRAPES * scrape_seconds, max(blocks)
    least = max(duration_seconds(step.min_duration), step.min_requests / canary_rate)
    return max(least, settle + needed * block), max(least, settle + 2 * needed * block)


def _target_blocks(spec: MigrationSpec, last: Evidence, requests_a_block: float) -> Iterator[float]:
    """Blocks that each latency and error target needs, when the canary is as good as stable; inf: for ever."""
    targets, design = targets_of(spec), make_design(spec)
    for objective in (o for o in spec.objectives if o.name in targets):
        q = targets[objective.name].q
        bad = bad_requests(last.stable, objective)
        ratio = _ratio(last.stable, bad, q)
        found = expected_blocks(requests_a_block, q, design, assumed_ratio=ratio)
        yield found.low if found is not None else math.inf


def _ratio(stable: Counts | None, bad: int | None, q: float) -> float:
    if stable is None or not bad or not stable.requests:
        return ASSUMED_RATIO
    return max(LEAST_RATIO, bad / stable.requests / q)


def _cpu_blocks(spec: MigrationSpec) -> int:
    """Blocks before the first look at CPU; 0 when it is no target."""
    if not any(o.cpu is not None for o in spec.objectives):
        return 0
    design = projection_design(spec) if is_projected(spec) else cpu_design(spec)
    return design.first_look
