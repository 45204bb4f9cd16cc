"""Killed before or after any write and restarted with nothing but the cluster's state, every story ends the same."""

from __future__ import annotations

import pytest

from tests.unit.crash.replay import Scenario, replay, run_reference
from tests.unit.crash.scenarios import BENCHMARKS, MIGRATIONS

STORIES = MIGRATIONS | BENCHMARKS


@pytest.mark.parametrize("after", [False, True], ids=["killed before", "killed after"])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_killed_at_any_write_it_ends_the_same(story: Scenario, after: bool) -> None:
    reference = await run_reference(story)
    assert reference.writes >= 8
    for k in range(reference.writes):
        await replay(story, reference, k, after)
