"""After a rollback a canary of ours goes when it has no traffic and its time is over; nobody else's is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.core import names
from changeover.core.mark import Phase
from changeover.core.migration import decide
from changeover.core.migration_state import CanaryChoice
from changeover.core.observed import NoData
from changeover.core.plan import Apply, Ref, Scale

from tests.unit.core.seen import NOW, counts, latest, mark, owner, route, seen, workload

SPEC = {"canary": {"type": "Benchmark", "benchmark": {"ref": {"name": "web"}}}, "drain": {"timeout": "5m"}}
OURS = {names.LABEL_MIGRATION: "shop"}
ROLLED = mark(0, 1, Phase.ROLLING_BACK)
GONE = Scale(Ref("Deployment", "shop", "shop-canary"), 0)


def ended(minutes_ago: float = 10, result: str = "RolledBack") -> dict[str, Any]:
    at = (NOW - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"outcome": {"result": result, "at": at, "generation": 1, "attempt": 1, "reason": "R", "message": "m"}}


WELL: dict[str, Any] = {
    "owner": owner(status=ended()),
    "route": route(ROLLED),
    "canary": workload(name="shop-canary", labels=OURS),
    "latest": latest(counts(0), counts(1000)),
}


def test_it_goes_when_its_traffic_is_zero_and_its_time_is_over() -> None:
    step = decide(seen(SPEC, **WELL))
    assert step.actions == (GONE,)
    assert step.message == "m; the canary shop-canary is scaled to 0"


@pytest.mark.parametrize(
    ("why", "odd", "spec"),
    [
        ("the time for its connections is not over", {"owner": owner(status=ended(4.9))}, {}),
        ("it still has requests", {"latest": latest(counts(1), counts(1000))}, {}),
        ("its requests are not seen", {"latest": NoData("none")}, {}),
        ("it has no counters", {"latest": replace(latest(), canary=None)}, {}),
        ("the gateway has not taken weight 0", {"route": route(ROLLED, accepted=False)}, {}),
        (
            "another migration made it",
            {"canary": workload(name="shop-canary", labels={names.LABEL_MIGRATION: "x"})},
            {},
        ),
        ("its user made it", {"canary": workload(name="shop-canary")}, {}),
        ("it was promoted", {"owner": owner(status=ended(result="Promoted")), "route": route(mark(100, 3))}, {}),
        ("it is scaled away already", {"canary": workload(0, 0, name="shop-canary", labels=OURS)}, {}),
        ("a longer time was asked for", {}, {"drain": {"timeout": "1h"}}),
    ],
)
def test_it_stays_when(why: str, odd: dict[str, Any], spec: dict[str, Any]) -> None:
    assert decide(seen({**SPEC, **spec}, **{**WELL, **odd})).actions == (), why


def test_weights_that_are_somebody_elses_are_put_back_before() -> None:
    [action] = decide(seen(SPEC, **{**WELL, "route": route(ROLLED, canary_percent=10)})).actions
    assert not isinstance(action, Scale)


def test_a_retry_starts_it_again() -> None:
    deployment = {"kind": "Deployment", "metadata": {"labels": {**OURS, names.LABEL_CANDIDATE: "fast"}}}
    canary = workload(0, 0, name="shop-canary", labels={**OURS, names.LABEL_CANDIDATE: "fast"})
    before = route(mark(0, 0, Phase.PREPARING, attempt=2))
    step = decide(seen(SPEC, choice=CanaryChoice(manifests=(deployment,)), canary=canary, route=before, blocks=()))
    assert step.actions == (Apply(deployment),)
