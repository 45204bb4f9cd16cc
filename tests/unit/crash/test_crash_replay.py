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
    for k in range(0, reference.writes, story.stride):
        for after in (False, True):
            await replay(story, reference, k, after)


@pytest.mark.parametrize(
    ("story", "reason", "runs"),
    [
        ("void runs are repeated", "Published", {"r3.lame.keep-alive.2"}),
        ("void runs make it unreliable", "Unreliable", {"r1.fast.keep-alive.3", "r3.lame.keep-alive.2"}),
        ("one drops out", "Published", {"r4.lame.keep-alive", "r5.fast.keep-alive", "r5.twin.keep-alive"}),
    ],
)
async def test_what_the_uninterrupted_story_holds(story: str, reason: str, runs: set[str]) -> None:
    """Each run is on record once, also the repeats; who dropped out has none in later rounds."""
    end = (await run_reference(BENCHMARKS[story])).end
    recorded = max(end["records"], key=len)  # the other ConfigMaps hold one histogram each
    assert runs <= set(recorded)
    assert "r5.lame.keep-alive" not in recorded
    assert ("Finished", "True", reason) in end["statuses"][0]["conditions"]
    published = reason == "Published"
    assert bool(end["statuses"][0]["ranking"]) is published
