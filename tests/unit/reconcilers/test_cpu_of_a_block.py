"""CPU of a block belongs to the requests of the block, or a projection to more of them comes out too low."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from changeover.api.v1alpha1 import MigrationSpec
from changeover.core.capacity import PROJECTED
from changeover.core.observed import Evidence, NoData, Usage
from changeover.core.projection import CapacityAnswer, LoadShare, project
from changeover.reconcilers.observe_migration import EvidenceReader, Measured
from changeover.reconcilers.observe_queries import Questions
from changeover.reconcilers.target import split_target
from changeover.testing.builders import a_migration
from changeover.testing.clock import START
from changeover.testing.metrics import FakeMetrics

from tests.unit.core.seen import owner, workload

CPU = {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40, "atTrafficMultiple": 2}}
SPEC = MigrationSpec.model_validate(a_migration(objectives=[CPU])["spec"])
SCRAPE = 30
IDLE, A_REQUEST = 0.02, 0.001  # cores, and cores for each request a second


def rate(at: datetime) -> float:
    """Traffic that comes in gusts of half a minute, 100 to 300 requests/s."""
    number = int((at - START).total_seconds()) // SCRAPE
    return 100.0 + 200.0 * (number * 7919 % 101) / 100


class Gusts(FakeMetrics):
    """Both arms' requests, and CPU that follows them at once; all is scraped at the beginnings of the gusts."""

    def __init__(self) -> None:
        super().__init__(lambda service, start, end: 0.5, rate=0.0)
        self.spans: list[tuple[float, float]] = []
        # A counter's value at an edge is that of the last scrape before it.
        self.more = lambda start, end: 2 * mean_rate(scraped(start, math.floor), scraped(end, math.floor))

    async def usage(self, namespace: str, pods: Sequence[str], start: datetime, end: datetime) -> Usage | NoData:
        self.spans.append(((start - START).total_seconds(), (end - START).total_seconds()))
        inside = mean_rate(scraped(start, math.ceil), scraped(end, math.floor))
        return Usage(IDLE + A_REQUEST * inside, 1e8, (end - start).total_seconds())


def scraped(at: datetime, beside: Callable[[float], int]) -> int:
    """Number of the scrape beside an instant."""
    return beside((at - START).total_seconds() / SCRAPE)


def mean_rate(first: int, last: int) -> float:
    """Between two scrapes."""
    return sum(rate(START + timedelta(seconds=n * SCRAPE)) for n in range(first, last)) / max(1, last - first)


def reader(source: FakeMetrics, scrape: float) -> EvidenceReader:
    target = split_target(owner(), SPEC)
    return EvidenceReader(SPEC, target, Measured(source, scrape, Questions(source)), workload(1, 1))


async def test_the_load_of_a_block_is_that_of_its_cpu() -> None:
    """At 500 requests/s it will be 52 % of a core: no look may say that it is under 50."""
    source, state = Gusts(), LoadShare.start()
    reads = reader(source, SCRAPE)
    for number in range(410):
        begin = START + timedelta(minutes=number + 2, seconds=1)
        block = await reads.read(begin, begin + timedelta(minutes=1))
        assert isinstance(block, Evidence) and block.canary is not None and block.canary_cores is not None
        state = state.add(block.canary.requests / 60, block.canary_cores, PROJECTED)
        assert project(state, 500, 0.5).answer is not CapacityAnswer.PASS, f"at block {number + 1}"
    assert project(state, 500, 0.5).estimate == pytest.approx(0.52, abs=0.02)


@pytest.mark.parametrize(
    ("block", "scrape", "before"), [(60, 15, 15), (60, 30, 30), (60, 60, 120), (30, 15, 15), (20, 5, 10), (5, 5, 10)]
)
async def test_a_short_span_reaches_further_back_for_two_samples(block: int, scrape: int, before: int) -> None:
    source = Gusts()
    await reader(source, scrape).read(START, START + timedelta(seconds=block))
    assert source.spans == [(-before, block)]
