"""A benchmark ends, by its deadline or by a person's word, though one part of its world cannot be read any more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from changeover.core.conditions import is_true
from changeover.core.errors import Unavailable
from changeover.core.plan import Manifest, Ref
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.testing.builders import NAMESPACE, a_benchmark, a_deployment
from changeover.testing.world import World

from tests.unit.reconcilers.served import served_with

BENCHMARK = Ref("FrameworkBenchmark", NAMESPACE, "web")
TEMPLATE = Ref("Deployment", NAMESPACE, "site")
RESOURCES = {"limits": {"cpu": "500m", "memory": "64Mi"}}
CANDIDATES = [
    {"name": "copy", "templateFrom": {"deploymentRef": {"name": TEMPLATE.name}}, "resources": RESOURCES},
    {"name": "lame", "image": "localhost/lame:1", "resources": RESOURCES},
]


async def passes(world: World, number: int, seconds: float = 1.0) -> float | None:
    after: float | None = None
    for _ in range(number):
        after = await reconcile_benchmark(BENCHMARK, world.dependencies())
        world.advance(seconds)
    return after


def status_of(world: World) -> Manifest:
    found: Manifest = (world.cluster.peek(BENCHMARK) or {})["status"]
    return found


def said(world: World) -> tuple[str, bool]:
    """The reason, and whether it has ended."""
    conditions = status_of(world)["conditions"]
    return next(c["reason"] for c in conditions if c["type"] == "Ready"), is_true(conditions, "Finished")


def left(world: World) -> list[str]:
    """Candidates and loads that are there."""
    found = [*world.cluster.all("Deployment"), *world.cluster.all("Job")]
    return [one["metadata"]["name"] for one in found if one["metadata"]["name"] != TEMPLATE.name]


def suspend(world: World) -> None:
    world.cluster.patch(BENCHMARK, {"spec": {"suspend": True}})


async def without_its_template(**spec: Any) -> World:
    """Its template was deleted while a candidate was measured."""
    world = World(a_deployment(TEMPLATE.name), a_benchmark(candidates=CANDIDATES, **spec))
    await passes(world, 30)
    assert left(world)
    world.cluster.discard(TEMPLATE)
    await passes(world, 1)
    assert said(world) == ("Unreadable", False)
    return world


async def without_its_report() -> World:
    """A load pod's node was lost just after the Job was complete."""
    world = World(a_benchmark())
    while not world.cluster.logs:
        await passes(world, 1)
    world.cluster.logs.clear()
    await passes(world, 1)
    assert said(world) == ("Unreadable", False)
    return world


async def test_without_its_template_it_ends_by_the_deadline_and_leaves_nothing() -> None:
    world = await without_its_template()
    await passes(world, 24, 600)
    assert said(world) == ("Unreadable", False) and left(world), "a template may come yet"
    await passes(world, 2, 600)
    assert (said(world), left(world)) == (("DeadlineExceeded", True), [])
    await passes(world, 3, 600)
    assert said(world) == ("DeadlineExceeded", True)


async def test_a_template_that_comes_back_in_time_goes_on_where_it_was() -> None:
    world = await without_its_template()
    done = status_of(world)["progress"]["done"]
    world.cluster.put(a_deployment(TEMPLATE.name))
    await passes(world, 1)
    assert said(world) == ("Measuring", False) and status_of(world)["progress"]["done"] == done > 0


async def test_without_its_template_it_is_suspended_and_leaves_nothing() -> None:
    world = await without_its_template()
    suspend(world)
    assert await passes(world, 2) is None
    assert (said(world), left(world)) == (("Suspended", False), [])
    assert status_of(world)["progress"]["done"] > 0, "what was measured is forgotten"


async def test_a_retry_of_what_ended_without_its_template_waits_for_the_template() -> None:
    world = await without_its_template()
    await passes(world, 27, 600)
    world.cluster.patch(BENCHMARK, {"metadata": {"annotations": {"changeover.dev/requested-retry": "again"}}})
    await passes(world, 2)
    assert said(world) == ("DeadlineExceeded", True), "an end is taken back before anything can begin"
    world.cluster.put(a_deployment(TEMPLATE.name))
    await passes(world, 3)
    assert said(world) == ("Measuring", False)


async def test_a_run_whose_report_cannot_be_read_is_void_after_a_while_and_repeated() -> None:
    world = await without_its_report()
    await passes(world, 200, 2)
    records = next(found for found in world.cluster.all("ConfigMap") if "runs" in found["metadata"]["name"])
    void = [why for text in records["data"].values() for why in json.loads(text)["void"]]
    assert [why.split(": pod")[0] for why in void] == ["LoadFailed: its report cannot be read"]
    await passes(world, 200, 4)
    assert said(world) == ("Published", True)


async def test_a_report_that_cannot_be_read_is_not_taken_for_none_and_ends_with_a_suspension() -> None:
    world = await without_its_report()
    [*_, job] = left(world)
    suspend(world)
    assert await passes(world, 2) is not None, "nobody looks again"
    assert (said(world), left(world)) == (("Suspended", False), [job])
    await passes(world, 2, 301)
    assert (left(world), await passes(world, 1)) == ([], None)


@pytest.mark.parametrize("hidden", ["Deployment", "Job", "ConfigMap"])
async def test_what_cannot_be_listed_at_the_end_is_removed_once_it_can(hidden: str) -> None:
    world = World(a_benchmark())
    await passes(world, 12)
    assert len(left(world)) == 2

    def fault(verb: str, kind: str, name: str) -> None:
        if kind == hidden:
            raise Unavailable("timed out")

    world.cluster.fault = fault
    await passes(world, 27, 600)
    assert said(world) == ("DeadlineExceeded", True)
    world.cluster.fault = lambda verb, kind, name: None
    await passes(world, 3)
    assert (said(world), left(world)) == (("DeadlineExceeded", True), [])


async def without_its_source(monkeypatch: pytest.MonkeyPatch, **spec: Any) -> World:
    """While a candidate was measured, the operator was started again, with a configuration that lacks its source."""
    world = World(a_benchmark(**spec))
    await passes(world, 30)
    assert left(world)
    configured = world.dependencies()
    monkeypatch.setattr(world, "dependencies", lambda: replace(configured, sources={}, scrape_seconds={}))
    await passes(world, 3)
    return world


async def test_without_its_source_it_says_so_measures_nothing_and_ends_by_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await without_its_source(monkeypatch)
    stalled = next(c for c in status_of(world)["conditions"] if c["type"] == "Stalled")
    assert (said(world), left(world), stalled["status"]) == (("InvalidSpec", False), [], "True")
    assert "'default' is not configured" in stalled["message"]
    await passes(world, 30, 600)
    assert said(world) == ("DeadlineExceeded", True)


async def test_with_its_source_again_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await without_its_source(monkeypatch)
    monkeypatch.undo()
    await passes(world, 80, 4.0)
    assert said(world) == ("Published", True)


async def test_without_its_source_a_suspended_one_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await without_its_source(monkeypatch)
    suspend(world)
    await passes(world, 2)
    assert said(world) == ("Suspended", False)


async def test_what_has_ended_needs_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(a_benchmark())
    await passes(world, 80, 4.0)
    configured = world.dependencies()
    monkeypatch.setattr(world, "dependencies", lambda: replace(configured, sources={}, scrape_seconds={}))
    await passes(world, 2)
    assert said(world) == ("Published", True)


async def under_way(**spec: Any) -> World:
    """A candidate is under load, and one is a copy of a Deployment."""
    world = World(a_deployment(TEMPLATE.name), a_benchmark(candidates=CANDIDATES, **spec))
    await passes(world, 30)
    assert len(left(world)) == 2
    return world


def mount_the_hosts_files(world: World) -> None:
    volumes = [{"name": "logs", "hostPath": {"path": "/var/log"}}]
    world.cluster.patch(TEMPLATE, {"spec": {"template": {"spec": {"volumes": volumes}}}})


async def test_an_edit_that_is_refused_leaves_nothing_of_the_runs_before() -> None:
    world = await under_way()
    world.cluster.patch(BENCHMARK, {"spec": {"schedule": {"measure": "6s"}}})
    assert await passes(world, 1) is not None, "nobody looks whether they are gone"
    await passes(world, 2)
    assert (said(world), left(world), await passes(world, 1)) == (("InvalidSpec", False), [], None)


async def test_a_template_that_cannot_be_copied_any_more_leaves_nothing_and_is_named() -> None:
    world = await under_way()
    mount_the_hosts_files(world)
    await passes(world, 3)
    ready = next(c for c in status_of(world)["conditions"] if c["type"] == "Ready")
    assert (said(world), left(world)) == (("InvalidSpec", False), [])
    assert "mounts the host's files (volume logs)" in ready["message"]


async def test_a_template_that_can_be_copied_again_goes_on_where_it_was() -> None:
    world = await under_way()
    done = status_of(world)["progress"]["done"]
    mount_the_hosts_files(world)
    await passes(world, 3)
    world.cluster.patch(TEMPLATE, {"spec": {"template": {"spec": {"volumes": None}}}})
    await passes(world, 3)
    assert said(world) == ("Measuring", False) and status_of(world)["progress"]["done"] == done > 0


async def test_what_cannot_be_copied_is_suspended_all_the_same() -> None:
    world = await under_way()
    suspend(world)
    mount_the_hosts_files(world)
    await passes(world, 2)
    assert (said(world), left(world)) == (("Suspended", False), [])


async def test_what_was_published_goes_in_its_time_though_its_template_cannot_be_copied_any_more() -> None:
    world = World(a_deployment(TEMPLATE.name), a_benchmark(candidates=CANDIDATES, ttlAfterFinished="1h"))
    await passes(world, 90, 4.0)
    mount_the_hosts_files(world)
    assert 0 < (await passes(world, 1) or 0) <= 3600, "nobody looks when its time is over"
    assert said(world) == ("InvalidSpec", True) and status_of(world)["winner"]
    await passes(world, 2, 3601)
    assert world.cluster.peek(BENCHMARK) is None


async def test_under_a_field_of_a_later_release_nothing_is_measured_and_the_deadline_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = served_with(await under_way(), BENCHMARK, monkeypatch, later=True)
    await passes(world, 3)
    ready = next(c for c in status_of(world)["conditions"] if c["type"] == "Ready")
    assert (said(world), left(world)) == (("InvalidSpec", False), [])
    assert ready["message"].startswith("spec.later: ") and "later release" in ready["message"]
    await passes(world, 30, 600)
    assert said(world) == ("DeadlineExceeded", True)


async def test_under_a_field_of_a_later_release_it_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    world = served_with(await under_way(), BENCHMARK, monkeypatch, later=True, suspend=True)
    await passes(world, 3)
    assert (said(world), left(world)) == (("Suspended", False), [])


async def test_under_a_field_of_a_later_release_a_result_stays_and_goes_in_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(a_benchmark(ttlAfterFinished="1h"))
    await passes(world, 90, 4.0)
    winner = status_of(world)["winner"]
    served_with(world, BENCHMARK, monkeypatch, later=True)
    await passes(world, 3)
    assert (said(world), status_of(world)["winner"]) == (("Published", True), winner)
    await passes(world, 2, 3601)
    assert world.cluster.peek(BENCHMARK) is None
