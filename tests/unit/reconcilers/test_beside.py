"""Whole passes with own load, acceptance and testers: beside the weights, and never in their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from changeover.core.errors import InvalidSpec, Unavailable
from changeover.core.observed import Counts, NoData, Peak, Usage
from changeover.core.plan import Manifest, Ref
from changeover.ports import DAY, CountQuery
from changeover.reconcilers.beside import sooner
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.metrics import FakeMetrics
from changeover.testing.world import World

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
TESTERS = Ref("HTTPRoute", NAMESPACE, "shop-testers")
STEPS = [{"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h"} for weight in (10, 100)]
LOADED: dict[str, Any] = {"load": {"requestsPerSecond": 50}, "acceptance": {"duration": "1m"}}


def a_world(**spec: Any) -> World:
    return World(a_deployment("old"), a_deployment("new"), a_migration(**{"steps": STEPS, **spec}))


async def passes(world: World, number: int, seconds: float = 30.0) -> None:
    for _ in range(number):
        await reconcile_migration(MIGRATION, world.dependencies())
        world.advance(seconds)


def status(world: World) -> dict[str, Any]:
    found = (world.cluster.peek(MIGRATION) or {}).get("status", {})
    assert isinstance(found, dict)
    return found


async def test_load_that_is_refused_keeps_no_weight_from_rising(monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_world(**LOADED)
    usual = world.cluster.apply

    async def no_jobs(manifest: Manifest) -> Manifest:
        if manifest["kind"] == "Job":
            raise InvalidSpec("jobs.batch is forbidden")
        return await usual(manifest)

    monkeypatch.setattr(world.cluster, "apply", no_jobs)
    await passes(world, 60)
    told = status(world)
    assert told["outcome"]["result"] == "Promoted"
    assert told["acceptance"]["state"] == "Waiting" and "forbidden" in told["acceptance"]["message"]


async def test_own_load_runs_while_the_steps_last_and_no_longer() -> None:
    world, seen = a_world(load={"requestsPerSecond": 50}), set()
    for _ in range(60):
        await passes(world, 1)
        seen.add((bool(status(world).get("outcome")), len(list(world.cluster.all("Job")))))
    assert (False, 1) in seen and (True, 0) in seen
    assert max(number for _, number in seen) == 1, "two loads at once"
    assert status(world)["load"]["state"] == "Stopped"


@pytest.mark.parametrize(("kind", "name"), [("HTTPRoute", "shop"), ("Deployment", "old"), ("Deployment", "new")])
async def test_one_read_that_fails_ends_no_load_and_takes_no_tester_off(kind: str, name: str) -> None:
    world = a_world(load={"requestsPerSecond": 50}, match={"headers": [{"name": "X-Canary", "value": "always"}]})
    await passes(world, 4)
    assert [one["metadata"]["name"] for one in world.cluster.all("Job")]
    before = (
        list(world.cluster.all("Job")),
        world.cluster.peek(TESTERS),
        status(world)["load"],
        status(world)["testers"],
    )

    def slow(verb: str, *what: str) -> None:
        if (verb, *what) == ("get", kind, name):
            raise Unavailable("one slow answer")

    world.cluster.fault = slow
    await reconcile_migration(MIGRATION, world.dependencies())
    after = list(world.cluster.all("Job")), world.cluster.peek(TESTERS), status(world)["load"], status(world)["testers"]
    assert after == before
    assert "one slow answer" in next(c for c in status(world)["conditions"] if c["type"] == "Ready")["message"]


async def test_what_somebody_made_of_the_testers_route_is_put_right_in_the_next_pass() -> None:
    world = a_world(match={"headers": [{"name": "X-Canary", "value": "always"}]})
    await passes(world, 4)
    before = (world.cluster.peek(TESTERS) or {})["spec"]
    world.cluster.patch(TESTERS, {"spec": {"rules": [{"backendRefs": [{"name": "new", "port": 80}]}]}})
    await passes(world, 1)
    assert (world.cluster.peek(TESTERS) or {})["spec"] == before
    generation = (world.cluster.peek(TESTERS) or {})["metadata"]["generation"]
    await passes(world, 2)
    assert (world.cluster.peek(TESTERS) or {})["metadata"]["generation"] == generation


async def test_a_peak_is_a_costly_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked seldom before the first weight, though the peak was hours ago; and not after the verdict."""
    world = a_world(
        acceptance={"duration": "1m"}, steps=[{"weightPercent": 100, "minDuration": "2m", "approval": "Manual"}]
    )
    asked: list[datetime] = []

    async def peak(queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        asked.append(at)
        return Peak(100.0, at - timedelta(hours=5), 60.0)

    monkeypatch.setattr(world.metrics, "peak", peak)
    await passes(world, 20)
    assert 2 <= len(asked) <= 6, "ten minutes"
    asked.clear()
    await passes(world, 80)
    assert len(asked) <= 5, "40 minutes"
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {"changeover.dev/requested-approve": "now"}}})
    await passes(world, 40)
    assert status(world)["acceptance"]["state"] == "Met"
    before = len(asked)
    await passes(world, 20)
    assert len(asked) == before


async def test_figures_of_pods_that_are_gone_are_taken_of_those_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stable was rolled out since its peak: the CPU of that minute is nobody's any more."""
    world, usual = a_world(acceptance={}), FakeMetrics.usage

    async def usage(
        self: FakeMetrics, namespace: str, pods: Sequence[str], start: datetime, end: datetime
    ) -> Usage | NoData:
        is_old = end < clock() - timedelta(minutes=1)
        return NoData("fewer than two samples") if is_old else await usual(self, namespace, pods, start, end)

    async def peak(queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        return Peak(100.0, at - timedelta(minutes=2), 60.0)

    clock = world.clock.now
    world.splits.known.insert(0, (world.clock.now() - timedelta(days=2), {"old": 1.0}))
    monkeypatch.setattr(FakeMetrics, "usage", usage)
    monkeypatch.setattr(world.metrics, "peak", peak)
    await passes(world, 4, seconds=5.0)
    rows = {row["figure"]: row["before"] for row in status(world)["acceptance"]["table"]}
    assert rows["requests"] == "100" and rows["cpu"] != ""


async def test_the_cpu_of_a_peak_that_more_pods_carried_is_not_that_of_those_that_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An autoscaler took them away since: their requests are in the counters, their CPU would not be."""
    world, usual = a_world(acceptance={}), FakeMetrics.usage
    clock = world.clock.now

    async def usage(
        self: FakeMetrics, namespace: str, pods: Sequence[str], start: datetime, end: datetime
    ) -> Usage | NoData:
        found = await usual(self, namespace, pods, start, end)
        assert isinstance(found, Usage)
        return replace(found, others=8, cpu_cores=0.001) if end < clock() - timedelta(minutes=1) else found

    async def peak(queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        return Peak(100.0, at - timedelta(minutes=2), 60.0)

    world.splits.known.insert(0, (world.clock.now() - timedelta(days=2), {"old": 1.0}))
    monkeypatch.setattr(FakeMetrics, "usage", usage)
    monkeypatch.setattr(world.metrics, "peak", peak)
    await passes(world, 4, seconds=5.0)
    rows = {row["figure"]: row["before"] for row in status(world)["acceptance"]["table"]}
    assert rows["requests"] == "100" and float(rows["cpuPerRequest"]) > 100, rows


async def test_without_a_whole_minute_what_was_counted_last_is_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traffic that is younger than a minute; else the table would have no figures before, ever."""
    world = a_world(acceptance={})

    async def peak(queries: Sequence[CountQuery], at: datetime, lookback: timedelta = DAY) -> Peak | NoData:
        return NoData("no series")

    world.splits.known.insert(0, (world.clock.now() - timedelta(days=2), {"old": 1.0}))
    monkeypatch.setattr(world.metrics, "peak", peak)
    await passes(world, 4, seconds=5.0)
    told = status(world)["acceptance"]
    rows = {row["figure"]: row["before"] for row in told["table"]}
    assert float(rows["requests"]) > 0 and rows["requests"] == told["peakRequestsPerSecond"]


@pytest.mark.parametrize(("lacking", "state"), [(0.0, "Met"), (15.0, "Met"), (15.5, "Void")])
async def test_the_cpu_of_pods_that_came_under_the_load_is_not_known(
    monkeypatch: pytest.MonkeyPatch, lacking: float, state: str
) -> None:
    """An autoscaler's: the pods at the end would be taken for those of the whole, and the CPU for a fraction of it."""
    world, usual = a_world(acceptance={"duration": "2m"}), FakeMetrics.usage

    async def usage(
        self: FakeMetrics, namespace: str, pods: Sequence[str], start: datetime, end: datetime
    ) -> Usage | NoData:
        found = await usual(self, namespace, pods, start, end)
        assert isinstance(found, Usage)
        return replace(found, span_seconds=found.span_seconds - lacking)

    world.splits.known.insert(0, (world.clock.now() - timedelta(days=2), {"old": 1.0}))
    monkeypatch.setattr(FakeMetrics, "usage", usage)
    await passes(world, 60)
    told = status(world)["acceptance"]
    cpu = {
        row["figure"]: row.get("after", "")
        for row in told["table"]
        if "cpu" in row["figure"] or "cost" in row["figure"]
    }
    assert (told["state"], "not known: cpu" in told["message"]) == (state, state == "Void"), told
    assert len(cpu) == 3 and all(bool(value) is (state == "Met") for value in cpu.values()), cpu


@pytest.mark.parametrize(("duration", "seconds"), [("10s", 5), ("33s", 20), ("1m", 50), ("66s", 55)])
async def test_the_load_is_judged_over_whole_scrapes(
    monkeypatch: pytest.MonkeyPatch, duration: str, seconds: float
) -> None:
    """Over 36 s with a scrape each 15 s the counters grow by 30 s or 45 s of load: 300/s were told as 250 or 375."""
    world, usual, asked = a_world(acceptance={"duration": duration}), FakeMetrics.counts, list[timedelta]()

    async def counts(self: FakeMetrics, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        if query.backend.service == "new" and "shown/50" in query.bounds:
            asked.append(end - start)
        return await usual(self, query, start, end)

    monkeypatch.setattr(FakeMetrics, "counts", counts)
    await passes(world, 60)
    assert status(world)["acceptance"]["state"] in ("Met", "Void") and asked
    assert {span.total_seconds() for span in asked} == {seconds}


async def test_what_was_not_known_before_the_first_weight_is_read_as_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric source that was away for this question alone, until after the step; it still knows."""
    world, usual, asked = a_world(acceptance={}), FakeMetrics.counts, list[datetime]()

    async def counts(self: FakeMetrics, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        if query.backend.service != "old" or "shown/50" not in query.bounds:  # not of the figures before
            return await usual(self, query, start, end)
        if not status(world).get("history"):
            return NoData("fewer than two samples")
        asked.append(end)
        return await usual(self, query, start, end)

    world.splits.known.insert(0, (world.clock.now() - timedelta(days=2), {"old": 1.0}))
    monkeypatch.setattr(FakeMetrics, "counts", counts)
    for _ in range(60):
        await passes(world, 1, seconds=5.0)
        if not status(world).get("history"):
            assert not status(world).get("acceptance", {}).get("table")
    told = status(world)
    first = datetime.fromisoformat(told["history"][0]["at"])
    assert told["acceptance"]["table"] and set(asked) <= {first, first - timedelta(minutes=1)}, asked
    assert len(asked) <= 3, "once it is known it is asked no more"


async def test_testers_come_before_the_first_weight_and_go_with_the_end() -> None:
    world = a_world(match={"headers": [{"name": "X-Canary", "value": "always"}]})
    await passes(world, 3, seconds=2.0)
    route = world.cluster.peek(TESTERS)
    assert route is not None and route["spec"]["parentRefs"], "the canary is ready"
    await passes(world, 150)
    route = world.cluster.peek(TESTERS)
    assert status(world)["outcome"]["result"] == "Promoted"
    assert route is not None and route["spec"]["parentRefs"] == [] and status(world)["testers"]["state"] == "Parked"


async def test_a_route_of_that_name_that_is_somebody_elses_is_not_touched() -> None:
    world = a_world(match={"headers": [{"name": "X-Canary", "value": "always"}]})
    theirs = {"kind": "HTTPRoute", "metadata": {"name": TESTERS.name, "namespace": NAMESPACE}, "spec": {
        "parentRefs": [{"name": "public"}], "rules": [{"backendRefs": [{"name": "theirs", "port": 80}]}],
    }}  # fmt: skip
    world.cluster.put({"apiVersion": "gateway.networking.k8s.io/v1", **theirs})
    await passes(world, 3)
    left = world.cluster.peek(TESTERS)
    assert left is not None and left["spec"]["rules"][0]["backendRefs"][0]["name"] == "theirs"
    assert status(world)["testers"]["state"] == "Failed"


@pytest.mark.parametrize(
    ("one", "other", "both"), [(None, None, None), (2.0, None, 2.0), (None, 2.0, 2.0), (30.0, 2.0, 2.0)]
)
def test_the_earlier_look_counts(one: float | None, other: float | None, both: float | None) -> None:
    assert sooner(one, other) == both
