"""Killed before or after any write and restarted with nothing but the cluster's state, every story ends the same."""

from __future__ import annotations

import pytest

from tests.unit.crash.replay import Scenario, replay, run_reference
from tests.unit.crash.scenarios import BENCHMARKS, MIGRATIONS

STORIES = MIGRATIONS | BENCHMARKS


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_killed_before_or_after_any_write_it_ends_the_same(story: Scenario) -> None:
    reference = await run_reference(story)
    assert reference.writes >= 8
    for k in range(reference.writes):
        for after in (False, True):
            await replay(story, reference, k, after)
