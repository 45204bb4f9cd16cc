"""A run's record stays as it was first written: whoever would write another has an old view, or died in between."""

from __future__ import annotations

import copy

import pytest
from changeover.core.errors import Conflict
from changeover.core.plan import Manifest, Record, Ref
from changeover.reconcilers.execute import execute
from changeover.testing.builders import NAMESPACE, a_benchmark
from changeover.testing.world import World

WEB = Ref("FrameworkBenchmark", NAMESPACE, "web")
RUNS = Ref("ConfigMap", NAMESPACE, "web-runs")


def a_world(data: dict[str, str]) -> World:
    world = World(a_benchmark())
    metadata = {"name": RUNS.name, "namespace": NAMESPACE}
    world.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    return world


def kept(world: World) -> dict[str, str]:
    found: Manifest = world.cluster.peek(RUNS) or {}
    data: dict[str, str] = found["data"]
    return data


async def test_what_is_recorded_stays_and_what_is_new_comes_beside_it() -> None:
    world = a_world({"r1.fast.load": "fair"})
    records = [Record(RUNS, "r1.fast.load", "void"), Record(RUNS, "r1.lame.load", "fair")]
    assert await execute(records, WEB, None, world.dependencies()) is None
    assert kept(world) == {"r1.fast.load": "fair", "r1.lame.load": "fair"}


async def test_who_reads_what_was_there_before_the_record_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_world({})
    before = copy.deepcopy(world.cluster.peek(RUNS))
    world.cluster.patch(RUNS, {"data": {"r1.fast.load": "fair"}})

    async def get(ref: Ref) -> Manifest | None:
        return before

    monkeypatch.setattr(world.cluster, "get", get)
    failure = await execute([Record(RUNS, "r1.fast.load", "void")], WEB, None, world.dependencies())
    assert isinstance(failure, Conflict)
    assert kept(world) == {"r1.fast.load": "fair"}


async def test_a_record_whose_place_is_gone_is_a_conflict() -> None:
    failure = await execute([Record(RUNS, "key", "text")], WEB, None, World(a_benchmark()).dependencies())
    assert isinstance(failure, Conflict) and "web-runs is gone" in str(failure)
