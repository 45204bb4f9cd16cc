"""How long a migration will take, from the traffic of its last block."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.core.evidence import make_design
from changeover.core.forecast import Forecast, forecast
from changeover.core.migration import decide
from changeover.core.migration_status import summarise
from changeover.core.observed import Counts
from changeover.core.sequential import expected_blocks

from tests.unit.core.seen import SCRAPE, blocks, counts, kept, mark, migration_spec, owner, seen

SETTLE = 2 * SCRAPE
ERRORS = [{"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}}]


def told(
    stable: Counts | None = None, blocks_seen: int = 3, peaks: tuple[int, ...] = (), **spec: Any
) -> Forecast | None:
    """Of a canary that gets 600 of 6,000 requests a minute, or as `stable` has it."""
    wanted = migration_spec(**{"objectives": ERRORS, **spec})
    evidence = kept(blocks_seen)
    assert evidence.last is not None
    last = replace(evidence.last, stable=stable) if stable is not None else evidence.last
    return forecast(wanted, mark(), replace(evidence, last=last), SCRAPE, peaks)


def minutes(requests_a_block: float, ratio: float = 0.5) -> int:
    design = make_design(migration_spec(objectives=ERRORS))
    found = expected_blocks(requests_a_block, 0.01, design, assumed_ratio=ratio)
    assert found is not None
    return found.low


def test_the_step_ends_when_its_evidence_is_expected_to_suffice() -> None:
    found = told()
    assert found is not None and found.requests_per_second == 100
    assert found.step_end == mark().since + timedelta(seconds=SETTLE, minutes=minutes(600))


def test_the_whole_ends_after_all_steps_each_at_its_own_share_of_the_traffic() -> None:
    found = told()
    assert found is not None
    each = [minutes(n) for n in (600, 3000, 6000)]
    assert found.end == mark().since + 3 * timedelta(seconds=SETTLE) + timedelta(minutes=sum(each))
    assert found.latest_end == mark().since + 3 * timedelta(seconds=SETTLE) + timedelta(minutes=2 * sum(each))


def test_a_long_least_duration_and_many_least_requests_count() -> None:
    one = {"weightPercent": 10, "minDuration": "12h"}
    found = told(steps=[one])
    assert found is not None and found.end == mark().since + timedelta(hours=12)
    many = told(steps=[{"weightPercent": 10, "minRequests": 360_000}])  # at 10 a second
    assert many is not None and many.end == mark().since + timedelta(hours=10)


def test_a_stable_that_is_nearly_as_bad_as_the_limit_makes_it_long_and_one_beyond_it_endless() -> None:
    near, far = told(counts(5400, errors=43)), told(counts(5400, errors=54))
    assert near is not None and near.step_end == mark().since + timedelta(
        seconds=SETTLE, minutes=minutes(600, ratio=43 / 5400 / 0.01)
    )
    assert far is None


def test_what_should_have_ended_may_end_with_the_next_block() -> None:
    late = told(blocks_seen=600)
    assert late is not None and late.step_end == kept(600).until + timedelta(minutes=1)


@pytest.mark.parametrize(("multiple", "first_look"), [(1, 4), (3, 24)])
def test_a_cpu_target_is_not_decided_before_its_first_look(multiple: int, first_look: int) -> None:
    cpu = {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40, "atTrafficMultiple": multiple}}
    found = told(objectives=[cpu], blocks_seen=1)
    assert found is not None and found.step_end == mark().since + timedelta(seconds=SETTLE, minutes=first_look)


def test_no_traffic_no_forecast() -> None:
    wanted = migration_spec(objectives=ERRORS)
    evidence = kept(3)
    assert evidence.last is not None
    silent = replace(evidence, last=replace(evidence.last, canary=counts(0), stable=counts(0)))
    assert forecast(wanted, mark(), silent, SCRAPE) is None
    assert forecast(wanted, mark(), replace(evidence, last=None), SCRAPE) is None
    assert forecast(wanted, mark(0), evidence, SCRAPE) is None


def status_of(**more: Any) -> dict[str, Any]:
    world = seen(**more)
    return summarise(world, decide(world), None)[3]


def test_status_keeps_the_forecast_between_two_blocks_and_drops_it_with_the_weight() -> None:
    first = status_of()
    assert first["estimatedEnd"] == first["forecast"]["end"]
    later = status_of(owner=owner(status=first), blocks=(), evidence=kept(3).parse(kept(3).to_text(), mark().since))
    assert later["forecast"] == first["forecast"]
    bad = status_of(owner=owner(status=first), blocks=blocks(5, counts(600, slow=200)))
    assert "forecast" not in bad and "estimatedEnd" not in bad
