"""Undecided is who has not been decided for so long: not who was, and waited for a person, a window or a gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.evidence import Split, StepEvidence, fold
from changeover.core.migration import decide
from changeover.core.observed import Evidence

from tests.unit.core.seen import NOW, kept, mark, migration_spec, pod, route, seen, workload

FIRST = {"weightPercent": 10, "minDuration": "2m", "maxDuration": "20m"}
MANUAL: dict[str, Any] = {"steps": [FIRST, {"weightPercent": 100, "approval": "Manual"}]}
GATE = {"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}}
WAITS: dict[str, tuple[dict[str, Any], bool]] = {
    "a person": (MANUAL, False),
    "a window": ({"steps": [FIRST, {"weightPercent": 100}], "windows": {"allowed": ["0 9 1 1 *"]}}, False),
    "a gate": ({"steps": [FIRST, {"weightPercent": 100}], "gates": [GATE]}, False),
    "a person who paused it": ({"steps": [FIRST, {"weightPercent": 100}]}, True),
}


def waiting(spec: dict[str, Any], is_paused: bool) -> StepEvidence:
    """After ten minutes beyond the step's limit, as status keeps it; nothing was raised and nobody called."""
    step = decide(seen(spec, route=route(mark(paused=is_paused)), evidence=kept(28), blocks=()))
    assert step.weighing is not None and (step.actions, step.stalled) == ((), False), step.message
    return told(step.weighing.evidence)


def told(evidence: StepEvidence) -> StepEvidence:
    found = StepEvidence.parse(evidence.to_text(), evidence.since)
    assert found is not None
    return found


def missing(evidence: StepEvidence) -> Evidence:
    return Evidence(evidence.until, evidence.until + timedelta(minutes=1), None, None, None)


@pytest.mark.parametrize("policy", ["Rollback", "Hold"])
@pytest.mark.parametrize(("spec", "is_paused"), WAITS.values(), ids=WAITS)
def test_one_block_that_is_missing_makes_nobody_undecided(spec: dict[str, Any], is_paused: bool, policy: str) -> None:
    spec = {**spec, "steps": [{**spec["steps"][0], "onUndecided": policy}, *spec["steps"][1:]]}
    before = waiting(spec, is_paused)
    step = decide(seen(spec, evidence=before, blocks=(missing(before),)))
    assert (step.reason, step.actions, step.stalled) == (Reason.BLIND, (), False), step.message


@pytest.mark.parametrize(("policy", "reason"), [("Rollback", Reason.ROLLING_BACK), ("Hold", Reason.UNDECIDED)])
@pytest.mark.parametrize("was", [None, NOW - timedelta(minutes=21)], ids=["never", "long ago"])
def test_who_was_never_decided_or_long_ago_is(policy: str, reason: Reason, was: Any) -> None:
    spec = {**MANUAL, "steps": [{**FIRST, "onUndecided": policy}, *MANUAL["steps"][1:]]}
    assert decide(seen(spec, evidence=replace(kept(3), decided=was), blocks=())).reason is reason


def test_another_build_has_the_time_of_a_step_to_be_decided() -> None:
    before = replace(waiting(MANUAL, False), build="a")
    other = workload(pods=(pod(build="b"), pod(build="b")))
    step = decide(seen({**MANUAL, "steps": [{**FIRST, "onUndecided": "Rollback"}]}, canary=other, evidence=before,
                       blocks=()))  # fmt: skip
    assert step.weighing is not None and step.weighing.evidence.states == {}
    assert step.reason is Reason.WAITING_EVIDENCE, step.message


def test_a_decision_is_noted_by_its_block_so_that_status_is_written_no_oftener() -> None:
    once = waiting(MANUAL, False)
    later = decide(replace(seen(MANUAL, evidence=once, blocks=()), now=NOW + timedelta(seconds=30)))
    assert later.weighing is not None
    assert (once.decided, later.weighing.evidence.to_text()) == (once.until, once.to_text())
    assert fold(once, migration_spec(**MANUAL), (), Split(10, 1.0, 2)).decided == once.decided
