"""A day of stable is many large answers: a source that refuses them is asked now and then, and what it said is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from changeover.core.errors import Unavailable
from changeover.core.observed import Counts, NoData
from changeover.core.plan import Ref
from changeover.ports import CountQuery
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
WHY = "AnswerRefused: the answer is larger than 8388608 bytes"


class Large:
    """A world whose metric source refuses hours while ``refuses``; ``asked`` are when it was."""

    def __init__(self, **spec: Any) -> None:
        self.world = World(a_deployment("old"), a_deployment("new"), a_migration(**spec))
        self.world.splits.known.insert(0, (self.world.clock.now() - timedelta(days=3), {"old": 1.0}))
        self.usual, self.world.metrics.counts = self.world.metrics.counts, self.counts  # type: ignore[method-assign]
        self.refuses, self.asked = True, list[datetime]()

    async def counts(self, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        if end - start > timedelta(minutes=15):
            self.asked.append(self.world.clock.now())
            if self.refuses:
                raise Unavailable(WHY)
        return await self.usual(query, start, end)

    async def passes(self, number: int, seconds: float) -> dict[str, Any]:
        for _ in range(number):
            await reconcile_migration(MIGRATION, self.world.dependencies())
            self.world.advance(seconds)
        found = (self.world.cluster.peek(MIGRATION) or {})["status"]
        assert isinstance(found, dict)
        return found


@pytest.mark.parametrize("policy", ["UseWhenPresent", "Require"])
async def test_who_refuses_hours_is_asked_once_a_minute_and_its_words_are_told(policy: str) -> None:
    large = Large(decision={"baseline": {"policy": policy}})
    told = await large.passes(150, 2)
    assert len(large.asked) <= 5, "five minutes"
    assert told["baseline"]["message"].endswith(WHY)
    ready = next(one for one in told["conditions"] if one["type"] == "Ready")
    assert (WHY in ready["message"]) is (policy == "Require"), ready
    large.refuses = False
    told = await large.passes(40, 2)
    assert told["baseline"]["hours"] == 24 and told["step"]["weightPercent"] == 10


async def test_of_what_has_ended_no_day_is_asked_for() -> None:
    large = Large(decision={"baseline": {"policy": "Require"}})
    await large.passes(2, 2)
    abort = {"metadata": {"annotations": {"changeover.dev/requested-abort": "1"}}}
    large.world.cluster.patch(MIGRATION, abort)
    assert (await large.passes(3, 2))["outcome"]["result"] == "RolledBack"
    large.asked.clear()
    await large.passes(10, 60)
    assert large.asked == []


async def test_a_day_after_a_rollback_the_quiet_hours_are_stables_again() -> None:
    """Nobody asks between 4 and 10 hours before noon; a bound was edited, so that the day is read anew."""
    large = Large(decision={"baseline": {"policy": "Require"}})
    large.refuses = False
    taken = (("-26", 0, 10), ("-25", 10, 0))
    now = large.world.clock.now()
    history = [
        {"at": (now + timedelta(hours=int(at))).strftime("%Y-%m-%dT%H:%M:%SZ"), "from": was, "to": to,
         "reason": "Stepped", "message": "m"}
        for at, was, to in taken
    ]  # fmt: skip
    await large.world.cluster.apply_status(MIGRATION, {"history": history})
    quiet = (now - timedelta(hours=10), now - timedelta(hours=4))

    async def counts(query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        found = await large.counts(query, start, end)
        idle = quiet[0] <= start < quiet[1] and isinstance(found, Counts)
        return Counts(0, 0, {name: 0 for name in found.slow}, {}) if idle and isinstance(found, Counts) else found

    large.world.metrics.counts = counts  # type: ignore[method-assign]
    told = await large.passes(5, 2)
    assert told["baseline"]["hours"] == 24, told["baseline"]["message"]


async def test_of_what_was_promoted_and_is_edited_no_day_is_asked_for_either() -> None:
    """It does not start again: with a source that refuses hours it was asked once a minute, for ever."""
    large = Large(decision={"baseline": {"policy": "Require"}})
    large.refuses = False
    assert (await large.passes(120, 30))["outcome"]["result"] == "Promoted"
    large.asked.clear()
    stricter = {"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": "40ms"}}
    edit = {"spec": {"objectives": [stricter]}, "metadata": {"generation": 2}}
    large.world.cluster.patch(MIGRATION, edit)
    told = await large.passes(10, 60)
    assert next(one for one in told["conditions"] if one["type"] == "Ready")["reason"] == "AlreadyPromoted"
    assert large.asked == []


async def test_why_the_busiest_hour_is_not_known_is_told_in_the_sources_words() -> None:
    """To lengthen the window, as was told, would make the answers that it refuses larger still."""
    covering = [{"weightPercent": 10, "minDuration": "2m", "covers": ["DailyPeak"]}]
    large = Large(steps=covering)
    large.refuses = False

    async def counts(query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        large.refuses = query.together and not large.world.clock.now() >= mended
        return await large.counts(query, start, end)

    mended = large.world.clock.now() + timedelta(minutes=2)
    large.world.metrics.counts = counts  # type: ignore[method-assign]
    ready = next(one for one in (await large.passes(20, 5))["conditions"] if one["type"] == "Ready")
    assert ready["reason"] == "WaitingForDailyPeak" and WHY in ready["message"], ready
    assert "longer" not in ready["message"] and len(large.asked) <= 24 + 2
    told = await large.passes(20, 5)
    assert told["baseline"]["busiest"] and told["step"]["weightPercent"] == 10, "within a minute or so"
