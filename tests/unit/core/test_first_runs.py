"""What the first runs fix is told by their time: an API server gives the keys of a ConfigMap sorted by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from changeover.core.first_runs import pinned_node

from tests.unit.core.seen import NOW


def a_run(node: str, minute: float, void: bool = False) -> dict[str, Any]:
    at = (NOW + timedelta(minutes=minute)).isoformat()
    return {"node": node, "void": ["NotReady: x"] if void else [], "at": at}


@pytest.mark.parametrize(
    ("records", "node"),
    [
        pytest.param([], "", id="no run yet"),
        pytest.param([a_run("second", 2), a_run("first", 1)], "first", id="the first by its time, not by its name"),
        pytest.param(
            [a_run("first", 0.001), a_run("zeroth", 0)], "zeroth", id="a time with fractions, and one without"
        ),
        pytest.param([a_run("void", 1, void=True), a_run("fair", 2)], "fair", id="a fair run before a void one"),
        pytest.param([a_run("void", 1, void=True)], "void", id="a void run while there is no other"),
        pytest.param([a_run("", 1), a_run("placed", 2)], "placed", id="one that never had a pod says nothing"),
    ],
)
def test_all_run_on_the_node_of_the_first_run(records: list[dict[str, Any]], node: str) -> None:
    assert pinned_node({f"r{number}": record for number, record in enumerate(records)}) == node
