"""What somebody else made under a name of ours is neither changed nor deleted."""

from __future__ import annotations

import copy
from typing import Any
from unittest import mock

import pytest
from changeover.core import names
from changeover.core.errors import Conflict, InvalidSpec, Unavailable
from changeover.core.manifests.common import labels_of
from changeover.core.plan import Apply, Delete, Manifest, Ref
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.execute import execute
from changeover.testing.builders import NAMESPACE, a_benchmark
from changeover.testing.world import World

WEB = Ref("FrameworkBenchmark", NAMESPACE, "web")
TAKEN = Ref("Service", NAMESPACE, "web-fast")
ANOTHERS = [{"app": "fast"}, labels_of(benchmark="other"), labels_of(migration="web"), {names.LABEL_BENCHMARK: "web"}]


def a_service(labels: dict[str, str]) -> Manifest:
    metadata = {"name": TAKEN.name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": {"app": "fast"}}}


@pytest.mark.parametrize("labels", ANOTHERS, ids=str)
async def test_a_service_that_is_there_already_is_left_alone_and_the_benchmark_says_so(labels: dict[str, str]) -> None:
    world = World(a_benchmark(), a_service(labels))
    before: Any = copy.deepcopy(world.cluster.peek(TAKEN))
    for _ in range(14):
        await reconcile_benchmark(WEB, world.dependencies())
        world.advance(10.0)
    status = (world.cluster.peek(WEB) or {})["status"]
    assert "Service web-fast exists and was not made by this FrameworkBenchmark" in status["conditions"][0]["message"]
    world.cluster.patch(WEB, {"spec": {"suspend": True}})  # which removes its candidates
    await reconcile_benchmark(WEB, world.dependencies())
    assert world.cluster.peek(TAKEN) == before
    assert not list(world.cluster.all("Deployment"))


@pytest.mark.parametrize("labels", [labels_of(benchmark="web"), labels_of(candidate="fast")], ids=str)
async def test_its_own_is_changed_and_deleted(labels: dict[str, str]) -> None:
    world = World(a_benchmark(), a_service(labels))
    deps = world.dependencies()
    assert await execute([Apply(a_service(labels_of(benchmark="web")))], WEB, None, deps) is None
    assert await execute([Delete(TAKEN)], WEB, None, deps) is None
    assert world.cluster.peek(TAKEN) is None


async def test_a_deployment_is_no_more_taken_over_than_a_service() -> None:
    theirs = {**a_service({"app": "fast"}), "kind": "Deployment", "apiVersion": "apps/v1"}
    theirs["spec"] = {"replicas": 0, "template": {}, "selector": {}}
    world = World(a_benchmark(), theirs)
    failure = await execute([Apply(theirs)], WEB, None, world.dependencies())
    assert isinstance(failure, InvalidSpec) and "rename one of them" in str(failure)


async def test_what_a_deleted_benchmark_of_this_name_left_is_waited_for() -> None:
    """Deleted and made anew with the same spec: its records and runs are not those of the one before."""
    world = World(a_benchmark())
    for _ in range(4):
        await reconcile_benchmark(WEB, world.dependencies())
        world.advance(5.0)
    world.cluster.patch(WEB, {"metadata": {"uid": "made-anew"}})
    for kind in ("ConfigMap", "Deployment", "Job"):  # which the garbage collector takes in any order
        [left] = [copy.deepcopy(one) for one in world.cluster.all(kind)]
        await reconcile_benchmark(WEB, world.dependencies())
        waits = (world.cluster.peek(WEB) or {})["status"]["conditions"][0]
        name = left["metadata"]["name"]
        assert waits["reason"] == "Unreadable"
        assert f"{kind} {name} is of a FrameworkBenchmark of this name that was deleted" in waits["message"]
        assert world.cluster.peek(Ref(kind, NAMESPACE, name)) == left
        world.cluster.discard(Ref(kind, NAMESPACE, name))
    await reconcile_benchmark(WEB, world.dependencies())
    [made] = world.cluster.all("ConfigMap")
    assert [owner["uid"] for owner in made["metadata"]["ownerReferences"]] == ["made-anew"]


async def test_what_is_about_to_go_is_not_taken_over() -> None:
    left = a_service(labels_of(benchmark="web"))
    left["metadata"]["ownerReferences"] = [{"kind": WEB.kind, "name": WEB.name, "uid": "before"}]
    world = World(a_benchmark(), left)
    wanted = copy.deepcopy(left)
    wanted["metadata"]["ownerReferences"][0]["uid"] = "made-anew"
    failure = await execute([Apply(wanted)], WEB, None, world.dependencies())
    assert isinstance(failure, Unavailable) and "Service web-fast belongs to what was deleted" in str(failure)
    assert world.cluster.peek(TAKEN)["metadata"]["ownerReferences"][0]["uid"] == "before"  # type: ignore[index]


async def test_records_that_an_old_view_does_not_show_are_not_written_over() -> None:
    """Another's of the same name, as of one that was deleted, would have two owners, and be taken for this one's."""
    place = {"name": "web-runs-1", "namespace": NAMESPACE, "labels": labels_of(benchmark="web")}
    owner = {"kind": WEB.kind, "name": WEB.name}
    there = {"kind": "ConfigMap", "metadata": {**place, "ownerReferences": [{**owner, "uid": "before"}]}}
    world = World(a_benchmark(), there)
    before = copy.deepcopy(world.cluster.peek(Ref("ConfigMap", NAMESPACE, "web-runs-1")))
    wanted = {"kind": "ConfigMap", "metadata": {**place, "ownerReferences": [{**owner, "uid": "made-anew"}]}}
    with mock.patch.object(world.cluster, "get", mock.AsyncMock(return_value=None)):
        failure = await execute([Apply(wanted)], WEB, None, world.dependencies())
    assert isinstance(failure, Conflict)
    assert world.cluster.peek(Ref("ConfigMap", NAMESPACE, "web-runs-1")) == before


async def test_a_pod_and_a_job_with_some_of_our_labels_end_no_pass() -> None:
    world = World(a_benchmark())
    for kind, role in (("Pod", names.ROLE_CANDIDATE), ("Job", names.ROLE_LOAD)):
        metadata = {"name": "stray", "namespace": NAMESPACE, "labels": labels_of(benchmark="web", role=role)}
        stray = {"containers": []} if kind == "Pod" else {"template": {}}
        world.cluster.put({"kind": kind, "metadata": metadata, "spec": stray, "status": {"phase": "Running"}})
    for _ in range(2):
        await reconcile_benchmark(WEB, world.dependencies())
    assert (world.cluster.peek(WEB) or {})["status"]["conditions"][0]["reason"] == "Measuring"


async def test_a_node_that_says_nothing_of_itself_ends_no_pass() -> None:
    world = World(a_benchmark())
    world.cluster.patch(Ref("Node", "", "node-1"), {"status": None})
    for _ in range(14):
        await reconcile_benchmark(WEB, world.dependencies())
        world.advance(10.0)
    assert (world.cluster.peek(WEB) or {})["status"]["environment"]["cores"] == ""
