"""A gateway's weights: written with their mark in one write, read back as written, and given back on release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from changeover.adapters.cluster import path_of
from changeover.adapters.routers.gateway_api import GatewayAPIRouter
from changeover.core import names
from changeover.core.errors import Conflict
from changeover.core.manifests.route import make_route
from changeover.core.plan import Manifest, Ref, SetSplit
from changeover.ports import BackendPort, Cluster, SplitTarget, shape_of

from tests.apiserver.harness import MERGE_PATCH, ApiServer
from tests.contract.ports.conftest import Site

MARK = {"phase": "Stepping", "weight": 10, "message": 'p99 "71ms" > 50ms; ünï'}


def target(site: Site, **more: Any) -> SplitTarget:
    base: dict[str, Any] = {
        "namespace": site.namespace, "route": "shop", "migration": "shop", "stable": BackendPort("old", 80),
        "canary": BackendPort("new", 8080), "parents": (("gateway", "public"),), "hostnames": ("shop.example.com",),
    }  # fmt: skip
    return SplitTarget(**{**base, **more})


async def route(site: Site) -> Manifest:
    found = await site.cluster.get(Ref("HTTPRoute", site.namespace, "shop"))
    assert found is not None
    return found


async def foreign(site: Site, **annotations: str) -> Manifest:
    """A user's route, made by a manager that is not ours."""
    rules = [{"backendRefs": [{"name": "old", "port": 80}]}]
    body = {
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "shop", "namespace": site.namespace, "labels": {"theirs": "x"},
                     "annotations": {"theirs": "y", **annotations}},
        "spec": {"parentRefs": [{"name": "public", "namespace": "gateway"}], "rules": rules},
    }  # fmt: skip
    return await site.cluster.apply(body)


async def write(router: GatewayAPIRouter, wanted: SplitTarget, percent: int, mark: Mapping[str, Any]) -> None:
    """As a pass does: for the version that was looked at."""
    found = await router.observe(wanted)
    await router.ensure(wanted, SetSplit(percent, mark, found.version if found is not None else ""))


async def test_no_route_is_none(site: Site) -> None:
    assert await GatewayAPIRouter(site.cluster).observe(target(site)) is None


async def test_what_is_ensured_is_observed(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    for percent in (0, 10, 100):
        mark = {**MARK, "weight": percent}
        await write(router, target(site), percent, mark)
        found = await router.observe(target(site))
        assert found is not None
        assert (found.ours, found.canary_percent, found.mark) == (True, percent, mark)
        assert not found.accepted and "no gateway has answered" in found.why_not


async def test_ensuring_the_same_again_writes_nothing(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    version = (await route(site))["metadata"]["resourceVersion"]
    await write(router, target(site), 10, MARK)
    assert (await route(site))["metadata"]["resourceVersion"] == version


async def test_what_was_decided_on_an_older_version_is_a_conflict_however_late_it_comes(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    seen = await router.observe(target(site))
    assert seen is not None
    late = make_route(shape_of(target(site)), 50, MARK)
    late["metadata"]["resourceVersion"] = seen.version
    await write(router, target(site), 0, {**MARK, "phase": "RollingBack", "weight": 0})
    with pytest.raises(Conflict):
        await router.ensure(target(site), SetSplit(50, MARK, seen.version))
    with pytest.raises(Conflict):
        await site.cluster.apply(late)  # it was on its way already: the API server itself must refuse it
    found = await router.observe(target(site))
    assert found is not None and found.canary_percent == 0


async def test_a_route_that_came_since_none_was_seen_is_a_conflict(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    with pytest.raises(Conflict):
        await router.ensure(target(site), SetSplit(0, MARK))


class Earlier:
    """The same cluster as it was when there was no route, or that one, to those who read; what they write is late."""

    def __init__(self, cluster: Cluster, route: Manifest | None = None) -> None:
        self._cluster, self._route = cluster, route

    async def get(self, ref: Ref) -> Manifest | None:
        return self._route

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)


async def test_a_first_write_that_comes_late_undoes_nothing(site: Site) -> None:
    await write(GatewayAPIRouter(site.cluster), target(site), 10, MARK)
    before = await route(site)
    with pytest.raises(Conflict):
        await GatewayAPIRouter(cast(Cluster, Earlier(site.cluster))).ensure(target(site), SetSplit(0, MARK))
    assert await route(site) == before


async def test_a_route_that_is_gone_is_not_made_anew_with_a_weight_that_was_decided_on_it(site: Site) -> None:
    """Found by ``make trust-views``: the next to be made of that name went on from there."""
    await write(GatewayAPIRouter(site.cluster), target(site), 10, MARK)
    gone = await route(site)
    await site.cluster.delete(gone)
    late = SetSplit(50, MARK, gone["metadata"]["resourceVersion"])
    with pytest.raises(Conflict):
        await GatewayAPIRouter(cast(Cluster, Earlier(site.cluster, gone))).ensure(target(site), late)
    assert await GatewayAPIRouter(site.cluster).observe(target(site)) is None


async def test_of_what_was_written_first_all_can_be_taken_back(site: Site) -> None:
    """Two ways of writing have two owners of what they wrote, and a field stays while one of them has it."""
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    await write(router, target(site, hostnames=()), 10, MARK)
    assert not (await route(site))["spec"].get("hostnames")
    await router.release(target(site))
    metadata = (await route(site))["metadata"]
    assert names.LABEL_MANAGED_BY not in (metadata.get("labels") or {})


async def test_acceptance_counts_for_the_generation_that_it_speaks_of(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    made = await route(site)
    await site.set_status(Ref("HTTPRoute", site.namespace, "shop"), acceptance(made))
    found = await router.observe(target(site))
    assert found is not None and found.accepted, found
    await write(router, target(site), 50, MARK)
    found = await router.observe(target(site))
    assert found is not None and not found.accepted


def acceptance(made: Manifest) -> dict[str, Any]:
    conditions = [
        {"type": name, "status": "True", "reason": name, "message": "",
         "observedGeneration": made["metadata"]["generation"], "lastTransitionTime": "2030-01-01T00:00:00Z"}
        for name in ("Accepted", "ResolvedRefs")
    ]  # fmt: skip
    parent = {"parentRef": made["spec"]["parentRefs"][0], "controllerName": "example.com/gateway"}
    return {"parents": [{**parent, "conditions": conditions}]}


async def test_a_mark_alone_is_no_new_generation(site: Site) -> None:
    """Else the gateway would have to answer anew for a word of ours."""
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    generation = (await route(site))["metadata"]["generation"]
    await write(router, target(site), 10, {**MARK, "message": "other"})
    assert (await route(site))["metadata"]["generation"] == generation


async def test_a_foreign_route_is_a_conflict(site: Site) -> None:
    before = await foreign(site)
    with pytest.raises(Conflict):
        await write(GatewayAPIRouter(site.cluster), target(site), 10, MARK)
    assert (await route(site))["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    found = await GatewayAPIRouter(site.cluster).observe(target(site))
    assert found is not None and (found.ours, found.canary_percent) == (False, None)


@pytest.mark.apiserver
async def test_who_edited_the_weights_is_known_from_the_api_server(real: Site, api_server: ApiServer) -> None:
    router = GatewayAPIRouter(real.cluster)
    await write(router, target(real), 10, MARK)
    rules = (await route(real))["spec"]["rules"]
    for backend, weight in zip(rules[0]["backendRefs"], (63, 37), strict=True):
        backend["weight"] = weight
    path = path_of("HTTPRoute", real.namespace, "shop")
    with api_server.client() as client:
        edited = client.request(
            "PATCH", f"{path}?fieldManager=kubectl-edit", {"spec": {"rules": rules}}, {"Content-Type": MERGE_PATCH}
        )
    assert edited.ok, edited.message
    found = await router.observe(target(real))
    assert found is not None and (found.canary_percent, found.changed_by) == (37, "kubectl-edit")
    await write(router, target(real), 10, MARK)
    found = await router.observe(target(real))
    assert found is not None and (found.canary_percent, found.changed_by) == (10, "")


async def test_a_route_that_was_handed_over_is_taken_with_what_is_theirs(site: Site) -> None:
    await foreign(site)
    handed = {"metadata": {"annotations": {names.ANNOTATION_HAND_OVER: "shop"}}}
    await site.cluster.merge(Ref("HTTPRoute", site.namespace, "shop"), handed)
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    found = await router.observe(target(site))
    assert found is not None and (found.ours, found.canary_percent) == (True, 10)


async def test_release_leaves_the_weights_and_takes_our_marks_off(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    before = await route(site)
    await router.release(target(site))
    after = await route(site)
    assert after["spec"] == before["spec"]
    assert names.LABEL_MIGRATION not in after["metadata"].get("labels", {})
    assert names.ANNOTATION_MARK not in after["metadata"].get("annotations", {})
    found = await router.observe(target(site))
    assert found is not None and not found.ours


async def test_a_release_that_comes_late_takes_nothing_off_whoever_has_the_route_by_now(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site), 10, MARK)
    earlier = await route(site)
    await write(router, target(site), 50, {**MARK, "weight": 50})
    before = await route(site)
    with pytest.raises(Conflict):
        await GatewayAPIRouter(cast(Cluster, Earlier(site.cluster, earlier))).release(target(site))
    assert await route(site) == before


async def test_what_another_migration_has_is_not_released(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await write(router, target(site, migration="other"), 10, MARK)
    before = await route(site)
    with pytest.raises(Conflict):
        await router.release(target(site))
    assert await route(site) == before


async def test_releasing_what_is_gone_is_a_conflict_that_the_next_pass_sees(site: Site) -> None:
    with pytest.raises(Conflict):
        await GatewayAPIRouter(site.cluster).release(target(site))


RICH: list[dict[str, Any]] = [
    {
        "name": "shop",
        "matches": [{"path": {"type": "PathPrefix", "value": "/shop"}, "headers": [{"name": "x", "value": "y"}]}],
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "a", "value": "b"}]}}],
        "timeouts": {"request": "10s"},
        "backendRefs": [{"name": "old", "port": 80, "weight": 1}, {"name": "new", "port": 8080, "weight": 0}],
    },
    {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [{"name": "else", "port": 80}]},
]  # fmt: skip


async def theirs(site: Site) -> Manifest:
    """A route of its users with more in it than two weights."""
    body = {
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "shop", "namespace": site.namespace, "labels": {"app.kubernetes.io/managed-by": "argo"}},
        "spec": {"parentRefs": [{"name": "public", "namespace": "gateway"}], "hostnames": ["a.example"], "rules": RICH},
    }  # fmt: skip
    return await site.cluster.apply(body)


async def test_of_an_adopted_route_two_weights_are_written_and_no_more(site: Site) -> None:
    router, adopted = GatewayAPIRouter(site.cluster), target(site, adopted=True, parents=(), hostnames=())
    before = await theirs(site)
    await write(router, adopted, 10, MARK)
    after = await route(site)
    weights = [backend.pop("weight") for backend in after["spec"]["rules"][0]["backendRefs"]]
    assert weights == [90, 10]
    for backend in before["spec"]["rules"][0]["backendRefs"]:
        backend.pop("weight")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "argo", names.LABEL_MIGRATION: "shop"}
    found = await router.observe(adopted)
    assert found is not None and (found.ours, found.canary_percent, found.mark) == (True, 10, MARK)


async def test_an_adopted_route_that_is_given_back_keeps_its_weights_and_all_that_is_theirs(site: Site) -> None:
    router, adopted = GatewayAPIRouter(site.cluster), target(site, adopted=True, parents=(), hostnames=())
    await theirs(site)
    await write(router, adopted, 100, MARK)
    await router.release(adopted)
    after = await route(site)
    assert [b["weight"] for b in after["spec"]["rules"][0]["backendRefs"]] == [0, 100]
    assert after["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "argo"}
    assert names.ANNOTATION_MARK not in after["metadata"].get("annotations", {})


async def test_a_route_that_another_migration_has_adopted_is_a_conflict(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await theirs(site)
    await write(router, target(site, adopted=True, parents=(), hostnames=()), 10, MARK)
    other = target(site, adopted=True, parents=(), hostnames=(), migration="other")
    with pytest.raises(Conflict):
        await write(router, other, 50, MARK)
    found = await router.observe(other)
    assert found is not None and (found.ours, found.migration) == (False, "shop")


async def test_what_its_users_change_between_reading_and_writing_is_not_lost(site: Site) -> None:
    adopted = target(site, adopted=True, parents=(), hostnames=())
    await theirs(site)
    edited: list[Manifest] = []

    class Slow:
        """The cluster, in which somebody edits the route while we think."""

        async def get(self, ref: Ref) -> Manifest | None:
            found = await site.cluster.get(ref)
            rules = [RICH[0], {**RICH[1], "timeouts": {"request": "3s"}}]
            await site.cluster.merge(ref, {"spec": {"rules": rules}})
            edited.append(await route(site))
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(site.cluster, name)

    seen = await GatewayAPIRouter(site.cluster).observe(adopted)
    assert seen is not None
    with pytest.raises(Conflict):
        await GatewayAPIRouter(cast(Cluster, Slow())).ensure(adopted, SetSplit(10, MARK, seen.version))
    assert (await route(site))["spec"] == edited[0]["spec"]
