"""What has ended is put back to, but never to nobody: who moved the traffic by hand may have had to."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.mark import Mark
from changeover.core.migration import decide
from changeover.core.observed import Unreadable

from tests.unit.core.seen import mark, owner, route, seen, workload
from tests.unit.core.test_migration_ladder import LONG_ROLLING, ended, written

FULL = mark(100, 3)
NONE_READY = [workload(0), None]


@pytest.mark.parametrize("dead", NONE_READY, ids=["none is ready", "no Deployment"])
@pytest.mark.parametrize("shown", [0, 40, None])
@pytest.mark.parametrize(
    ("result", "of", "arm"), [("Promoted", FULL, "canary"), ("RolledBack", LONG_ROLLING, "stable")]
)
def test_no_traffic_is_given_back_to_who_has_no_ready_pod(
    result: str, of: Mark, arm: str, shown: int | None, dead: Any
) -> None:
    if shown == of.weight:
        shown = 100
    base: dict[str, Any] = {"owner": owner(status=ended(result)), "route": route(of, canary_percent=shown)}
    left = decide(seen(**{**base, arm: dead}))
    assert (left.reason, left.actions) == (Reason[{"Promoted": "PROMOTED", "RolledBack": "ROLLED_BACK"}[result]], ())
    assert "has no ready pod" in left.message and left.recheck_after == 30.0
    assert written(decide(seen(**{**base, arm: workload(1)}))) == of.weight
    unread = decide(seen(**{**base, arm: Unreadable("GET: 503")}))
    assert (unread.reason, unread.actions) == (left.reason, ()), "one read that fails says nothing of its pods"
    assert "GET: 503" in unread.message and unread.recheck_after == 30.0
    other = {"canary": "stable", "stable": "canary"}[arm]
    assert written(decide(seen(**{**base, other: dead}))) == of.weight


def test_a_route_that_was_deleted_is_made_again_all_the_same() -> None:
    step = decide(seen(owner=owner(status=ended("RolledBack")), route=None, stable=workload(0)))
    assert written(step) == 0


def test_a_mark_that_was_taken_off_comes_back_though_stable_was_scaled_away() -> None:
    """After a promotion stable's last pods go; then a tool applies the route without our annotation."""
    base: dict[str, Any] = {"owner": owner(status=ended("Promoted")), "stable": workload(0, 0)}
    step = decide(seen(**base, route=route(FULL, mark="")))
    assert (written(step), step.message) == (100, "m"), "no weight is changed by it"
