"""A gateway's weights: written with their mark in one write, read back as written, and given back on release."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.adapters.cluster import path_of
from changeover.adapters.routers.gateway_api import GatewayAPIRouter
from changeover.core import names
from changeover.core.errors import Conflict
from changeover.core.plan import Manifest, Ref
from changeover.ports import BackendPort, SplitTarget

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


async def test_no_route_is_none(site: Site) -> None:
    assert await GatewayAPIRouter(site.cluster).observe(target(site)) is None


async def test_what_is_ensured_is_observed(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    for percent in (0, 10, 100):
        mark = {**MARK, "weight": percent}
        await router.ensure(target(site), percent, mark)
        found = await router.observe(target(site))
        assert found is not None
        assert (found.ours, found.canary_percent, found.mark) == (True, percent, mark)
        assert not found.accepted and "no gateway has answered" in found.why_not


async def test_ensuring_the_same_again_writes_nothing(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await router.ensure(target(site), 10, MARK)
    version = (await route(site))["metadata"]["resourceVersion"]
    await router.ensure(target(site), 10, MARK)
    assert (await route(site))["metadata"]["resourceVersion"] == version


async def test_acceptance_counts_for_the_generation_that_it_speaks_of(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await router.ensure(target(site), 10, MARK)
    made = await route(site)
    await site.set_status(Ref("HTTPRoute", site.namespace, "shop"), acceptance(made))
    found = await router.observe(target(site))
    assert found is not None and found.accepted, found
    await router.ensure(target(site), 50, MARK)
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
    await router.ensure(target(site), 10, MARK)
    generation = (await route(site))["metadata"]["generation"]
    await router.ensure(target(site), 10, {**MARK, "message": "other"})
    assert (await route(site))["metadata"]["generation"] == generation


async def test_a_foreign_route_is_a_conflict(site: Site) -> None:
    before = await foreign(site)
    with pytest.raises(Conflict):
        await GatewayAPIRouter(site.cluster).ensure(target(site), 10, MARK)
    assert (await route(site))["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    found = await GatewayAPIRouter(site.cluster).observe(target(site))
    assert found is not None and (found.ours, found.canary_percent) == (False, None)


@pytest.mark.apiserver
async def test_who_edited_the_weights_is_known_from_the_api_server(real: Site, api_server: ApiServer) -> None:
    router = GatewayAPIRouter(real.cluster)
    await router.ensure(target(real), 10, MARK)
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
    await router.ensure(target(real), 10, MARK)
    found = await router.observe(target(real))
    assert found is not None and (found.canary_percent, found.changed_by) == (10, "")


async def test_a_route_that_was_handed_over_is_taken_with_what_is_theirs(site: Site) -> None:
    await foreign(site)
    handed = {"metadata": {"annotations": {names.ANNOTATION_HAND_OVER: "shop"}}}
    await site.cluster.merge(Ref("HTTPRoute", site.namespace, "shop"), handed)
    router = GatewayAPIRouter(site.cluster)
    await router.ensure(target(site), 10, MARK)
    found = await router.observe(target(site))
    assert found is not None and (found.ours, found.canary_percent) == (True, 10)


async def test_release_leaves_the_weights_and_takes_our_marks_off(site: Site) -> None:
    router = GatewayAPIRouter(site.cluster)
    await router.ensure(target(site), 10, MARK)
    before = await route(site)
    await router.release(target(site))
    after = await route(site)
    assert after["spec"] == before["spec"]
    assert names.LABEL_MIGRATION not in after["metadata"].get("labels", {})
    assert names.ANNOTATION_MARK not in after["metadata"].get("annotations", {})
    found = await router.observe(target(site))
    assert found is not None and not found.ours


async def test_releasing_what_is_gone_is_a_conflict_that_the_next_pass_sees(site: Site) -> None:
    with pytest.raises(Conflict):
        await GatewayAPIRouter(site.cluster).release(target(site))
