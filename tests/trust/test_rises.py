"""Each rule that speaks against a rise of the weight does, and none of them against one that is right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.testing.clock import START

from tests.trust.tenant.leaves import Steps, changed
from tests.trust.tenant.rises import Edit, Rise, why_not
from tests.trust.tenant.starts import Start, starts

Case = tuple[Edit, Rise, Start]
FIRST, NEXT = ("steps", 0), ("steps", 1)
AGAINST: list[tuple[Steps, Any, str]] = [
    (("suspend",), True, "suspends"),
    (("stable", "workload", "name"), "nobody", "stable's Deployment"),
    (("stable", "service", "name"), "nobody", "stable's Service"),
    (("canary", "workload", "workload", "name"), "nobody", "canary's Deployment"),
    (("metrics", "source"), "nobody", "the metric source"),
    (("windows", "allowed"), ["0 1 * * *"], "no window"),
    ((*NEXT, "weightPercent"), 60, "the next step is 60 %"),
    ((*NEXT, "approval"), "Manual", "nobody has approved"),
    ((*FIRST, "minDuration"), "3h", "it stood for"),
    ((*FIRST, "minRequests"), 10**9, "requests were made"),
    (("decision", "baseline", "window"), "999h", "stable is known"),
    (("decision", "block"), "9h", "evidence of"),
    (("objectives", 0, "latency", "percentile"), "99.99", "are slow"),
    (("objectives", 0, "latency", "max"), "1ms", "evidence of 0 s"),
    (("objectives", 2, "cpu", "maxPercent"), 1, "it takes 20 %"),
    (("objectives", 3, "query", "promQL"), "up", "has no value"),
    (("objectives", 3, "query", "max"), "0", "the query gives"),
    (("gates", 0, "name"), "another", "gate another was not asked"),
]


@pytest.fixture(scope="module")
def case() -> Case:
    """What the next pass does when nothing is changed, but for its rise: from 10 to 50 %, two hours after the first."""
    start = next(one for one in asyncio.run(starts()) if one.name == "a migration on its first step")
    assert start.watch.edit is not None
    at = start.world.clock.now()
    rise = Rise(10, 50, at - timedelta(hours=2), at, ("WaitingForGate", "Stepped"))
    return start.watch.edit, rise, start


def test_nothing_speaks_against_a_rise_that_is_right(case: Case) -> None:
    edit, rise, start = case
    assert why_not(rise, edit, start.world) == "" and start.world.clock.now() > START


@pytest.mark.parametrize(("place", "value", "why"), AGAINST, ids=[why for _, _, why in AGAINST])
def test_a_spec_that_forbids_it_is_told(case: Case, place: Steps, value: Any, why: str) -> None:
    edit, rise, start = case
    edited = Edit(edit.generation, rise.at, edit.spec, changed(edit.spec, place, "set", value))
    assert why in why_not(rise, edited, start.world)


def wrong_rises(rise: Rise) -> Iterator[tuple[Rise, str]]:
    yield replace(rise, said=("RolledBack", "Stepped")), "RolledBack before"
    yield replace(rise, said=("WaitingForGate", "WaitingEvidence")), "it says WaitingEvidence"
    yield replace(rise, before=100), "no step is above 100 %"
    yield replace(rise, after=100), "the next step is 50 %"
    yield replace(rise, since=rise.at - timedelta(minutes=119)), "it stood for"


def test_a_rise_that_is_wrong_under_any_spec_is_told(case: Case) -> None:
    edit, rise, start = case
    for wrong, why in wrong_rises(rise):
        assert why in why_not(wrong, edit, start.world)
