"""Errors that no objective is about: most answers of a canary may not be such (docs/decisions/0025)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.migration import decide

from tests.unit.core.seen import counts, latest, seen

LATENCY = {"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": "50ms"}}
CPU = {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}}
ERRORS = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "99"}}
ALL = latest(canary=counts(100, errors=100))


def reason_of(*objectives: dict[str, Any], **more: Any) -> Reason:
    return decide(seen({"objectives": list(objectives)}, **more)).reason


@pytest.mark.parametrize("objectives", [[LATENCY], [CPU], [LATENCY, CPU]], ids=["latency", "cpu", "both"])
def test_a_canary_that_answers_with_errors_alone_goes_back(objectives: list[dict[str, Any]]) -> None:
    step = decide(seen({"objectives": objectives}, latest=ALL))
    assert (step.reason, step.mark and step.mark.weight) == (Reason.ROLLING_BACK, 0)
    assert step.mark and step.mark.reason == Reason.ERRORS_MISSED
    assert step.message.startswith("100 of 100 requests in the last scrapes are errors, and no objective allows any")


@pytest.mark.parametrize(
    ("of_canary", "of_stable", "goes_back"),
    [
        (counts(100, errors=51), counts(900), True),
        (counts(100, errors=50), counts(900), False),
        (counts(5, errors=5), counts(900), True),
        (counts(4, errors=4), counts(900), False),
        (counts(100, errors=80), counts(900, errors=359), True),
        (counts(100, errors=80), counts(900, errors=361), False),
        (counts(100, errors=100), counts(0), True),
        (counts(0), counts(900), False),
    ],
    ids=["most", "half", "five", "four", "stable less than half of that", "stable more", "nobody on stable", "nobody"],
)
def test_most_are_errors_and_stables_are_not(of_canary: Any, of_stable: Any, goes_back: bool) -> None:
    reason = reason_of(LATENCY, latest=latest(canary=of_canary, stable=of_stable))
    assert (reason is Reason.ROLLING_BACK) is goes_back


def test_without_stable_the_canarys_alone_count() -> None:
    assert reason_of(LATENCY, latest=replace(ALL, stable=None)) is Reason.ROLLING_BACK


def test_who_asks_about_errors_is_taken_at_their_word() -> None:
    assert reason_of(LATENCY, ERRORS, latest=latest(canary=counts(100, errors=60))) is not Reason.ROLLING_BACK
