"""Killed before or after any write and restarted with nothing but the cluster's state, every story ends the same."""

from __future__ import annotations

from itertools import groupby

import pytest
from changeover.core import record_store

from tests.unit.crash.replay import Scenario, replay, run_reference
from tests.unit.crash.scenarios import BENCHMARKS, MIGRATIONS, reason_of, status_of

STORIES = MIGRATIONS | BENCHMARKS
CHECKED = ("fast", "lame")


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_killed_before_or_after_any_write_it_ends_the_same(story: Scenario) -> None:
    reference = await run_reference(story)
    assert reference.writes >= 8
    for k in range(0, reference.writes, story.stride):
        for after in (False, True):
            await replay(story, reference, k, after)


async def test_records_that_fill_several_config_maps_survive_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_store, "FULL_BYTES", 1500)  # two records
    story = BENCHMARKS["published"]
    reference = await run_reference(story)
    report = reference.end["statuses"][0]["report"]
    assert len(report["configMaps"]) == 3
    for k in range(0, reference.writes, 3):
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


UP = [(0, 10, "Stepped"), (10, 100, "Stepped")]


@pytest.mark.parametrize(
    ("story", "history", "requests"),
    [
        ("approved", UP, [("approve", "step 2")]),
        ("aborted mid-step", [UP[0], (10, 0, "Aborted")], [("abort", "please")]),
        ("aborted before any weight", [], [("abort", "please")]),
        ("promoted by hand", [UP[0], (10, 100, "PromotedByHand")], [("promote", "please")]),
        ("paused then resumed", UP, [("pause", "please"), ("resume", "please")]),
        ("rolled back while paused", [UP[0], (10, 0, "CanaryNotReady")], [("pause", "please")]),
        ("retried after rollback", [UP[0], (10, 0, "LatencyObjectiveMissed"), *UP], [("retry", "please")]),
        ("retried in vain", 2 * [UP[0], (10, 0, "LatencyObjectiveMissed")], [("retry", "please")]),
    ],
)
async def test_what_the_stories_of_the_verbs_hold(
    story: str, history: list[tuple[int, int, str]], requests: list[tuple[str, str]]
) -> None:
    status = (await run_reference(MIGRATIONS[story])).end["statuses"][0]
    assert status["history"] == history
    assert status["requests"] == [(verb, token, "Accepted") for verb, token in requests]
    assert (status["attempt"], status["paused"]) == (2 if "retried" in story else 1, False)
    assert status["outcome"]["attempt"] == status["attempt"]


async def test_a_story_in_windows_waits_for_the_busiest_hour_and_for_each_opening() -> None:
    """The first weight in the first window, at 12:02; the second in the second, at 13:10, the hour being over."""
    story = MIGRATIONS["promoted in windows, past the busiest hour"]
    reference = await run_reference(story)
    waits = [reason_of(world) for _, world in reference.starts]
    wanted = ["WaitingForWindow", "WaitingForDailyPeak", "WaitingForWindow"]
    assert [one for one, _ in groupby(waits) if one in wanted] == wanted
    rises = [entry["at"] for entry in status_of(reference.starts[-1][1])["history"]]
    assert rises == ["2030-01-01T12:02:00Z", "2030-01-01T13:10:00Z"]


async def test_a_story_of_a_query_ends_for_it() -> None:
    status = (await run_reference(MIGRATIONS["rolled back for a query"])).end["statuses"][0]
    assert status["history"] == [UP[0], (10, 0, "QueryObjectiveMissed")]


@pytest.mark.parametrize(
    ("story", "reason", "winner"),
    [("cross-checked", "Published", "fast"), ("contradicted", "CrossCheckContradicted", None)],
)
async def test_the_cross_check_is_made_to_its_end(story: str, reason: str, winner: str | None) -> None:
    end = (await run_reference(BENCHMARKS[story])).end
    again = {"r1.lame.keep-alive_h2load.2", *(f"r{n}.{name}.keep-alive_h2load" for n in (1, 2, 3) for name in CHECKED)}
    assert again <= set(max(end["records"], key=len))
    status = end["statuses"][0]
    assert ("Finished", "True", reason) in status["conditions"]
    assert (status["winner"]["candidate"], status["progress"]) == (winner, "12/12")
    assert [row["candidate"] for row in status["ranking"]] == ["fast", "lame"]
