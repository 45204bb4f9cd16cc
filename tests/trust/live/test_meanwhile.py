"""A person who acts between what a pass reads of a migration and the weight that it raises, on a real API server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product, takewhile

from changeover.testing.world import weights

from tests.trust.live.calls import Call, Record
from tests.trust.live.objects import RealObjects
from tests.trust.live.stage import a_stage, play_until
from tests.trust.live.stories import MIGRATION, STORIES
from tests.trust.live.trials import Bench, side_by_side
from tests.unit.reconcilers.test_changed_meanwhile import CHANGES

ACTS: dict[str, Callable[[RealObjects], None]] = {
    **{name: partial(RealObjects.patch, ref=MIGRATION, patch=change) for name, change in CHANGES.items()},
    "deleted": partial(RealObjects.discard, ref=MIGRATION),
}
BEFORE = {1: 0, 2: 10}  # percent on the canary before the first rise, and before the second
READ = "GET canarymigrations/shop"
PATIENCE = 120.0  # seconds, beside the other samples
AFTERWARDS = 3.0  # seconds, a minute of the operator's clock: a step lasts a sixth of it


@dataclass(frozen=True)
class Race:
    """What a person does, and before which of the two rises."""

    change: str
    rise: int


def asks(call: Call) -> bool:
    """Whether the migration is written with nothing but its version, as it is before a weight rises."""
    return call.what == "PATCH canarymigrations/shop" and set(call.body["metadata"]) == {"resourceVersion"}


def run(bench: Bench, race: Race) -> list[Record]:
    """What the operator asked, from the question that came after the change until seconds after the next look."""
    story = STORIES["migration, promoted"]
    with a_stage(bench.mirror, bench.folder, story) as stage, bench.mirror.server.client() as client:
        person = RealObjects(bench.mirror, client, stage.objects.namespace, stage.world.clock)
        asked: list[Call] = []

        def meanwhile(call: Call) -> None:
            if asks(call):
                asked.append(call)
                if len(asked) == race.rise:
                    ACTS[race.change](person)

        stage.proxy.chance = meanwhile
        stage.play()
        play_until(stage, story, lambda: len(asked) >= race.rise, "it asks", PATIENCE)
        seen, until = stage.proxy.counted[READ], time.monotonic() + AFTERWARDS
        play_until(stage, story, lambda: stage.proxy.counted[READ] > seen and time.monotonic() > until, "it looks")
        records = list(stage.proxy.calls)
    return records[next(i for i, one in enumerate(records) if one.call is asked[race.rise - 1]) :]


def written(records: list[Record]) -> list[int]:
    """The canary's weights that were written, in percent."""
    calls = (one.call for one in records if one.call.what == "PATCH httproutes/shop" and "spec" in one.call.body)
    return [weights(call.body)["new"] for call in calls]


def test_no_weight_rises_on_what_a_migration_said_before(bench: Bench) -> None:
    """The API server refuses the question before the rise, and the pass ends; the next one reads what was changed."""
    races = [Race(change, rise) for change, rise in product(ACTS, BEFORE)]
    came = dict(side_by_side(lambda race: run(bench, race), races, float("inf")))
    assert set(came) == set(races)
    for race, records in came.items():
        told = f"{race}: {[(one.call.what, one.status) for one in records]}"
        assert records[0].status == 409, told
        assert written(list(takewhile(lambda one: one.call.what != READ, records))) == [], told
        if race.change != "edited":  # its steps are others, and it goes on
            assert all(weight <= BEFORE[race.rise] for weight in written(records)), told
