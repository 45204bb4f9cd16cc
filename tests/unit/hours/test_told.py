"""Receivers are told soon after each other, whoever does not answer, and not without end while status is refused."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from changeover.core.errors import ChangeoverError, Conflict, Unavailable
from changeover.core.migration_end import LOOK_AFTER_SECONDS
from changeover.core.notices import MOST_ATTEMPTS, Ahead
from changeover.core.plan import Manifest, Ref
from changeover.ports import Dependencies
from changeover.reconcilers import notify
from changeover.reconcilers.migration import reconcile_migration
from changeover.reconcilers.notify import TIMEOUT_SECONDS
from changeover.scheduler import UNFINISHED_SECONDS
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
WAITS = (5, 10, 20, 40, 80)  # as docs/decisions/0014 promises


class Receivers:
    """Each notes when it was asked, in seconds since the first was; some never answer."""

    def __init__(self, world: World, silent: Sequence[str]) -> None:
        self.world, self.silent = world, silent
        self.asked: list[tuple[float, str]] = []
        self._begun = world.clock.now()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        """The port ``Outgoing``."""
        if not self.asked:
            self._begun = self.world.clock.now()
        name = url.removeprefix("https://").partition(".")[0]
        self.asked.append(((self.world.clock.now() - self._begun).total_seconds(), name))
        if name in self.silent:
            self.world.clock.advance(seconds)
            raise Unavailable("could not be told: TimeoutError")
        return 200

    def times(self, name: str) -> list[float]:
        """When one was asked."""
        return [at for at, who in self.asked if who == name]


def with_secret(world: World, name: str) -> None:
    data = {"url": base64.b64encode(f"https://{name}.example.com/x".encode()).decode()}
    world.cluster.put({"kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data})


async def failing_canary(*receivers: str, silent: Sequence[str] = ()) -> tuple[World, Receivers, Dependencies]:
    """With weight on a canary that has only errors from now on."""
    notify = [{"name": name, "type": "Slack", "secretRef": {"name": name}} for name in receivers]
    world = World(a_deployment("old"), a_deployment("new"), a_migration(notify=notify))
    for name in receivers:
        with_secret(world, name)
    asked = Receivers(world, silent)
    world.outgoing.post = asked.post  # type: ignore[method-assign]
    deps = world.dependencies()
    while world.weight_of("shop", "new") != 10:
        await reconcile_migration(MIGRATION, deps)
        world.advance(10)
    world.metrics.behaviours["new"] = Behaviour(error_share=1.0)
    return world, asked, deps


async def as_scheduled(world: World, deps: Dependencies, seconds: float) -> None:
    """Passes as the scheduler makes them."""
    end = world.clock.now() + timedelta(seconds=seconds)
    while world.clock.now() < end:
        try:
            after = await reconcile_migration(MIGRATION, deps)
        except ChangeoverError:
            after = UNFINISHED_SECONDS
        world.advance(max(after if after is not None else seconds, 0.05))


def refuse_status(world: World, failure: ChangeoverError) -> Callable[[], None]:
    """What can be read can still be read; call the answer, and status can be written again."""
    taken = world.cluster.apply_status

    async def refused(ref: Ref, status: Mapping[str, object], version: str = "") -> None:
        raise failure

    def take() -> None:
        world.cluster.apply_status = taken  # type: ignore[method-assign]

    world.cluster.apply_status = refused  # type: ignore[method-assign]
    return take


def status_of(world: World) -> Manifest:
    found: Manifest = (world.cluster.peek(MIGRATION) or {})["status"]
    return found


def states(world: World) -> list[tuple[str, str, int]]:
    return [(one["name"], one["state"], one["attempts"]) for one in status_of(world)["notifications"]]


async def test_eight_receivers_are_told_of_a_rollback_within_seconds() -> None:
    names = [f"r{number}" for number in range(8)]
    world, asked, deps = await failing_canary(*names)
    await as_scheduled(world, deps, 60)
    assert [who for _, who in asked.asked] == names
    assert asked.asked[-1][0] < 3


async def test_one_that_does_not_answer_holds_up_the_others_by_one_timeout_and_is_tried_as_promised() -> None:
    world, asked, deps = await failing_canary("audit", "on-call", "third", silent=["audit"])
    await as_scheduled(world, deps, 300)
    assert max(asked.times("on-call") + asked.times("third")) <= TIMEOUT_SECONDS + 1
    tried = asked.times("audit")
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits == pytest.approx(WAITS, abs=1)
    assert states(world) == [("audit", "Failed", MOST_ATTEMPTS), ("on-call", "Sent", 1), ("third", "Sent", 1)]


async def test_two_that_do_not_answer_hold_up_a_third_by_one_timeout_each() -> None:
    world, asked, deps = await failing_canary("audit", "second", "on-call", silent=["audit", "second"])
    await as_scheduled(world, deps, 60)
    assert asked.times("on-call")[0] <= 2 * TIMEOUT_SECONDS + 1


async def test_what_is_suspended_while_a_receiver_is_away_is_told_all_the_same() -> None:
    world, asked, deps = await failing_canary("audit", silent=["audit"])
    world.metrics.behaviours["new"] = Behaviour()
    world.cluster.patch(MIGRATION, {"spec": {"metrics": {"source": "elsewhere"}}})
    while not asked.asked:
        await as_scheduled(world, deps, 0.01)
    world.cluster.patch(MIGRATION, {"spec": {"metrics": {"source": "default"}, "suspend": True}})
    await as_scheduled(world, deps, 300)
    assert [c["reason"] for c in status_of(world)["conditions"] if c["type"] == "Ready"] == ["Suspended"]
    assert states(world) == [("audit", "Failed", MOST_ATTEMPTS)]


async def test_when_all_are_told_nothing_is_written_and_the_next_look_is_as_far_as_ever() -> None:
    world, _, deps = await failing_canary("audit", "on-call", silent=["audit"])
    await as_scheduled(world, deps, 400)
    version = (world.cluster.peek(MIGRATION) or {})["metadata"]["resourceVersion"]
    for fresh in (deps, world.dependencies()):
        for _ in range(20):
            assert await reconcile_migration(MIGRATION, fresh) == LOOK_AFTER_SECONDS
            world.advance(LOOK_AFTER_SECONDS)
    assert (world.cluster.peek(MIGRATION) or {})["metadata"]["resourceVersion"] == version


REFUSALS = (Unavailable("etcdserver: mvcc: database space exceeded"), Conflict("was changed"))


@pytest.mark.parametrize("failure", REFUSALS, ids=("full", "changed"))
async def test_what_was_told_while_status_is_refused_is_told_once_and_said_later(failure: ChangeoverError) -> None:
    world, asked, deps = await failing_canary("on-call")
    take = refuse_status(world, failure)
    await as_scheduled(world, deps, 120)
    assert asked.times("on-call") == [0]
    take()
    await as_scheduled(world, deps, 120)
    assert states(world) == [("on-call", "Sent", 1)]
    assert (asked.times("on-call"), deps.ahead) == ([0], {})


async def test_who_does_not_answer_while_status_is_refused_is_tried_as_promised_and_given_up() -> None:
    world, asked, deps = await failing_canary("audit", silent=["audit"])
    take = refuse_status(world, REFUSALS[0])
    await as_scheduled(world, deps, 600)
    waits = [later - earlier for earlier, later in pairwise(asked.times("audit"))]
    assert len(waits) == len(WAITS)
    for wait, promised in zip(waits, WAITS, strict=True):
        assert promised <= wait <= promised + TIMEOUT_SECONDS + UNFINISHED_SECONDS
    take()
    await as_scheduled(world, deps, 120)
    assert (states(world), len(asked.asked)) == ([("audit", "Failed", MOST_ATTEMPTS)], MOST_ATTEMPTS)


async def test_what_is_tried_on_after_status_is_taken_again_begins_where_it_was() -> None:
    world, asked, deps = await failing_canary("audit", silent=["audit"])
    take = refuse_status(world, REFUSALS[0])
    await as_scheduled(world, deps, 30)
    take()
    await as_scheduled(world, deps, 600)
    assert (len(asked.asked), deps.ahead) == (MOST_ATTEMPTS, {})


async def test_what_was_kept_is_forgotten_with_the_migration() -> None:
    world, asked, deps = await failing_canary("on-call")
    refuse_status(world, REFUSALS[0])
    await as_scheduled(world, deps, 60)
    assert asked.asked and MIGRATION in deps.ahead
    world.cluster.remove(MIGRATION)
    assert await reconcile_migration(MIGRATION, deps) is None
    assert deps.ahead == {}


async def test_what_was_kept_of_one_that_is_made_anew_under_its_name_is_not_its_own() -> None:
    world, asked, deps = await failing_canary("on-call", silent=["on-call"])
    take = refuse_status(world, REFUSALS[0])
    await as_scheduled(world, deps, 30)
    assert asked.asked
    world.cluster.remove(MIGRATION)
    world.cluster.remove(Ref("HTTPRoute", NAMESPACE, "shop"))
    world.cluster.put(a_migration())
    take()
    await as_scheduled(world, deps, 60)
    assert (status_of(world)["notifications"], deps.ahead) == ([], {})


async def test_what_was_kept_in_an_earlier_term_says_nothing_after_another_led() -> None:
    world, asked, deps = await failing_canary("on-call")
    refuse_status(world, REFUSALS[0])
    await as_scheduled(world, deps, 60)
    await as_scheduled(world, replace(deps, term=lambda: 2), 60)
    assert len(asked.asked) == 2


async def test_what_is_kept_is_bounded_and_the_latest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MOST_AHEAD", 2)
    world, _, deps = await failing_canary("on-call")
    refuse_status(world, REFUSALS[0])
    old = [Ref("CanaryMigration", NAMESPACE, f"gone-{number}") for number in range(2)]
    deps.ahead.update({ref: Ahead("", 0, ()) for ref in old})
    await as_scheduled(world, deps, 60)
    assert list(deps.ahead) == [old[1], MIGRATION]
