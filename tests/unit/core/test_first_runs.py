"""What the first runs fix is told by their time: an API server gives the keys of a ConfigMap sorted by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from changeover.core.first_runs import fixed_for, image_of, pinned_node

from tests.unit.core.seen import NOW


def a_run(node: str, minute: float, void: bool = False, image: str = "", candidate: str = "fast") -> dict[str, Any]:
    at = (NOW + timedelta(minutes=minute)).isoformat()
    why = ["NotReady: x"] if void else []
    return {"node": node, "void": why, "at": at, "imageID": image, "candidate": candidate}


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


FIXED_LATER = {
    "r1.fast": a_run("node-1", 3, image="third"),
    "r1.lame": a_run("node-1", 0, image="another's", candidate="lame"),
    "r2.fast": a_run("node-1", 2, image="second"),
    "r3.fast": a_run("node-1", 1, void=True, image="first"),
}


def test_a_candidates_image_is_that_of_its_first_fair_run() -> None:
    assert (image_of(FIXED_LATER, "fast"), fixed_for(FIXED_LATER, "fast").image) == ("second", "second")


def test_runs_that_were_void_fix_no_image_and_are_shown_while_there_is_no_other() -> None:
    only = {"r3.fast": FIXED_LATER["r3.fast"]}
    assert (image_of(only, "fast"), fixed_for(only, "fast").image) == ("first", "")
