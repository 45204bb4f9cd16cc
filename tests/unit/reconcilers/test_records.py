"""A run's record stays as it was first written: whoever would write another has an old view, or died in between."""

from __future__ import annotations

import copy
import json

import pytest
from changeover.core.errors import Conflict
from changeover.core.plan import Manifest, Record, Ref
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.execute import execute
from changeover.testing.builders import NAMESPACE, a_benchmark
from changeover.testing.cluster import ref_of
from changeover.testing.world import World

WEB = Ref("FrameworkBenchmark", NAMESPACE, "web")
RUNS = Ref("ConfigMap", NAMESPACE, "web-runs")
SCENARIO = {"type": "Closed", "closed": {"connections": 360}}


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


async def test_all_run_on_the_node_of_the_first_run_and_not_of_the_first_key() -> None:
    """``big-body`` is measured second and sorts first; in between the candidate's pod went to another node."""
    world = World(a_benchmark(scenarios=[{**SCENARIO, "name": name} for name in ("keep-alive", "big-body")]))

    def measured() -> dict[str, str]:
        kept = [one.get("data") or {} for one in world.cluster.all("ConfigMap")]
        return {key: json.loads(text)["node"] for data in kept for key, text in data.items() if '"node"' in text}

    while len(measured()) < 2:
        await reconcile_benchmark(WEB, world.dependencies())
        world.advance(1)
        if measured():
            [pod] = [pod for pod in world.cluster.all("Pod") if "load" not in pod["metadata"]["name"]]
            world.cluster.patch(ref_of(pod), {"spec": {"nodeName": "node-2"}})
    assert measured() == {"r1.lame.big-body": "node-2", "r1.lame.keep-alive": "node-1"}
    assert list(measured()) == sorted(measured()), "an API server sorts the keys"
    while not any(one["metadata"]["name"] == "web-fast" for one in world.cluster.all("Deployment")):
        await reconcile_benchmark(WEB, world.dependencies())
        world.advance(1)
    fast = world.cluster.peek(Ref("Deployment", NAMESPACE, "web-fast")) or {}
    assert "node-1" in json.dumps(fast["spec"]["template"]["spec"]["affinity"])
