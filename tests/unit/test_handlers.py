"""What is news to us, and what is only our own status coming back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from changeover.adapters.endpoints import Telemetry
from changeover.core.plan import Ref
from changeover.handlers import aspect_of, make_registry, make_settings, ref_of
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.migration import reconcile_migration
from changeover.scheduler import Scheduler
from changeover.testing.builders import a_benchmark, a_migration
from changeover.testing.world import World
from prometheus_client import generate_latest


def body(**metadata: Any) -> dict[str, Any]:
    found = a_migration()
    found["metadata"] |= {"uid": "u1", "generation": 1, "resourceVersion": "7", **metadata}
    return found


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({**body(), "status": {"step": {"index": 1}}}, id="our own status"),
        pytest.param(body(resourceVersion="8"), id="another version"),
        pytest.param(body(managedFields=[{}]), id="who owns which field"),
        pytest.param(body(annotations={}), id="no annotations, spelled otherwise"),
    ],
)
def test_no_news(changed: dict[str, Any]) -> None:
    assert aspect_of(changed) == aspect_of(body())


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(body(generation=2), id="another spec"),
        pytest.param(body(uid="u2"), id="deleted and made again"),
        pytest.param(body(deletionTimestamp="2030-01-01T00:00:00Z"), id="being deleted"),
        pytest.param(body(annotations={"changeover.dev/requested-retry": "1"}), id="a verb of the plugin"),
    ],
)
def test_news(changed: dict[str, Any]) -> None:
    assert aspect_of(changed) != aspect_of(body())


class FakeScheduler:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Ref]] = []

    def wake(self, ref: Ref, after: float = 0.0) -> None:
        self.heard.append(("wake", ref))


async def hear(scheduler: Any, *events: tuple[str | None, dict[str, Any]]) -> None:
    """Events, in the order in which kopf hands them to the handler."""
    handler = make_registry(scheduler)._watching.get_all_handlers()[0].fn
    for kind, found in events:
        await handler(event={"type": kind, "object": found}, logger=None, memo=None)  # type: ignore[call-arg]


async def test_events_wake_once_a_change() -> None:
    scheduler, ref = FakeScheduler(), ref_of(body())
    await hear(
        scheduler,
        (None, body()), ("MODIFIED", {**body(), "status": {"x": 1}}), ("MODIFIED", body(generation=2)),
        ("DELETED", body(generation=2)), ("ADDED", body(generation=2)),
    )  # fmt: skip
    assert scheduler.heard == [("wake", ref)] * 4


async def looked_at(world: World, *events: tuple[str | None, dict[str, Any]]) -> tuple[Scheduler, Telemetry]:
    """What is left after the events and the passes that they bring."""
    telemetry = Telemetry()
    deps = replace(world.dependencies(), show=telemetry.resources.show)
    for _, found in events:
        telemetry.resources.show(ref_of(found), {"step": {"index": 1}})
    reconcilers = {"CanaryMigration": reconcile_migration, "FrameworkBenchmark": reconcile_benchmark}
    scheduler = Scheduler({kind: partial(one, deps=deps) for kind, one in reconcilers.items()}, telemetry)
    await hear(scheduler, *events)
    work = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0.1)
    work.cancel()
    return scheduler, telemetry


async def test_what_was_made_anew_is_looked_at_though_the_end_of_the_old_is_told_after_it() -> None:
    """kopf has one queue for each uid, and does not keep the order between two."""
    world = World(body(uid="u2"))
    scheduler, telemetry = await looked_at(
        world, ("ADDED", body()), ("ADDED", body(uid="u2")), ("MODIFIED", body()), ("DELETED", body())
    )
    assert scheduler.known() == {ref_of(body())}
    assert b'name="shop"' in generate_latest(telemetry.registry)


@pytest.mark.parametrize("found", [body(), {**a_benchmark(), "metadata": {**body()["metadata"], "name": "web"}}])
async def test_of_what_is_gone_nothing_is_left(found: dict[str, Any]) -> None:
    scheduler, telemetry = await looked_at(World(), ("ADDED", found), ("DELETED", found))
    assert scheduler.known() == set()
    assert b'name="' not in generate_latest(telemetry.registry)


def test_kopf_is_told_to_write_nothing_of_its_own() -> None:
    settings = make_settings()
    assert not settings.posting.enabled
    assert settings.scanning.disabled
