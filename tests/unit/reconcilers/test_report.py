"""Status is written only when something changed, and a transition has one event."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.reasons import MIGRATION_CONDITIONS, ConditionType, Reason
from changeover.core.plan import Judgement, Ref
from changeover.reconcilers.report import Summary, report
from changeover.testing.builders import NAMESPACE, a_migration
from changeover.testing.world import World

REF = Ref("CanaryMigration", NAMESPACE, "shop")


def summary(reason: Reason, message: str = "in words", **fields: Any) -> Summary:
    judged = {ConditionType.READY: Judgement(False, reason, message)}
    return Summary(reason, message, judged, {"history": [], **fields})


async def say(world: World, *summaries: Summary) -> list[tuple[str, bool]]:
    for one in summaries:
        body = await world.cluster.get(REF)
        assert body is not None
        await report(body, one, MIGRATION_CONDITIONS, world.dependencies())
        world.clock.advance(10)
    return [(event.reason, event.warning) for _, event in world.cluster.events]


@pytest.fixture
def world() -> World:
    return World(a_migration())


async def test_the_first_status_has_every_condition(world: World) -> None:
    await say(world, summary(Reason.PREPARING))
    status = (world.cluster.peek(REF) or {})["status"]
    assert [c["type"] for c in status["conditions"]] == list(MIGRATION_CONDITIONS)
    assert status["observedGeneration"] == 1


async def test_saying_the_same_again_writes_nothing(world: World) -> None:
    """Also with fields that the API server fills in by default."""
    said = summary(
        Reason.PREPARING, traffic={"desiredPercent": 0}, step={"index": 0, "text": "0/3", "weightPercent": 0}
    )
    await say(world, said)
    version, writes = (world.cluster.peek(REF) or {})["metadata"]["resourceVersion"], world.cluster.writes
    await say(world, said, said)
    assert world.cluster.writes == writes
    assert (world.cluster.peek(REF) or {})["metadata"]["resourceVersion"] == version


async def test_each_transition_has_one_event(world: World) -> None:
    events = await say(
        world,
        summary(Reason.PREPARING), summary(Reason.PREPARING, "other words"), summary(Reason.STEPPED),
        summary(Reason.STEPPED), summary(Reason.ROLLING_BACK), summary(Reason.ROLLED_BACK),
    )  # fmt: skip
    assert events == [("Preparing", False), ("Stepped", False), ("RollingBack", True), ("RolledBack", True)]


async def test_what_comes_and_goes_has_no_event(world: World) -> None:
    events = await say(world, summary(Reason.WAITING_EVIDENCE), summary(Reason.RECENTLY_BAD))
    assert events == []


async def test_a_field_that_is_said_no_more_is_dropped(world: World) -> None:
    traffic = {"desiredPercent": 10, "appliedPercent": 10}
    await say(world, summary(Reason.STEPPED, traffic=traffic), summary(Reason.STEPPED, traffic={"desiredPercent": 10}))
    assert "appliedPercent" not in (world.cluster.peek(REF) or {})["status"]["traffic"]


async def test_other_words_are_written_without_moving_the_transition_time(world: World) -> None:
    await say(world, summary(Reason.STEPPED, "one"))
    first = (world.cluster.peek(REF) or {})["status"]["conditions"][0]
    await say(world, summary(Reason.STEPPED, "two"))
    second = (world.cluster.peek(REF) or {})["status"]["conditions"][0]
    assert (first["message"], second["message"]) == ("one", "two")
    assert first["lastTransitionTime"] == second["lastTransitionTime"]
