"""A route that was written reads back as asked, whatever the API server fills in; one that somebody edited does not."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.adapters.routers.gateway_api import GatewayAPIRouter
from changeover.core.errors import InvalidSpec
from changeover.core.manifests.route import make_testers_route
from changeover.core.plan import Manifest, Ref
from changeover.core.testers import purpose
from changeover.ports import SplitTarget, shape_of

from tests.contract.ports.conftest import Site
from tests.contract.ports.test_traffic_router import MARK, route, target, write

MATCHES = (
    {"path": {"type": "PathPrefix", "value": "/items"}, "method": "GET", "headers": [
        {"type": "Exact", "name": "X-Shop", "value": "eu"}, {"type": "Exact", "name": "A-Header", "value": "b"}]},
    {"path": {"type": "Exact", "value": "/cart"}},
)  # fmt: skip
FULL: dict[str, Any] = {
    "parents": (("gateway", "public"), ("gateway", "another")), "hostnames": ("b.example.com", "*.example.com"),
    "matches": MATCHES,
}  # fmt: skip
BRIEF: dict[str, Any] = {"hostnames": (), "matches": ()}
EDITS: tuple[Manifest, ...] = (
    {"hostnames": ["other.example.com"]},
    {"parentRefs": [{"name": "another", "namespace": "gateway"}]},
    {"rules": [{"matches": [{"method": "PUT"}], "backendRefs": [
        {"name": "old", "port": 80, "weight": 90}, {"name": "new", "port": 8080, "weight": 10}]}]},
)  # fmt: skip


async def is_as_asked(site: Site, wanted: SplitTarget) -> bool:
    found = await GatewayAPIRouter(site.cluster).observe(wanted)
    assert found is not None and found.canary_percent is not None
    return found.as_asked


@pytest.mark.parametrize("more", [FULL, BRIEF], ids=["in full", "in brief"])
async def test_what_is_written_reads_back_as_asked_and_is_not_written_again(site: Site, more: dict[str, Any]) -> None:
    wanted, router = target(site, **more), GatewayAPIRouter(site.cluster)
    for percent in (0, 10):
        await write(router, wanted, percent, MARK)
        assert await is_as_asked(site, wanted)
    version = (await route(site))["metadata"]["resourceVersion"]
    await write(router, wanted, 10, MARK)
    assert (await route(site))["metadata"]["resourceVersion"] == version


async def test_what_a_user_left_out_is_as_asked(site: Site) -> None:
    """A route that was handed over: all that it does not say has the defaults that ours says."""
    backends = [{"name": "old", "port": 80, "weight": 90}, {"name": "new", "port": 8080, "weight": 10}]
    brief = {"parentRefs": [{"name": "public", "namespace": "gateway"}], "rules": [{"backendRefs": backends}]}
    metadata = {"name": "shop", "namespace": site.namespace}
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    await site.cluster.create({**kind, "metadata": metadata, "spec": brief})
    assert await is_as_asked(site, target(site, **BRIEF))
    assert not await is_as_asked(site, target(site))


@pytest.mark.parametrize("edit", EDITS, ids=["hostnames", "parentRefs", "matches"])
@pytest.mark.parametrize("more", [FULL, BRIEF], ids=["in full", "in brief"])
async def test_what_somebody_edited_is_seen_and_one_write_puts_it_right(
    site: Site, more: dict[str, Any], edit: Manifest
) -> None:
    wanted, router = target(site, **more), GatewayAPIRouter(site.cluster)
    await write(router, wanted, 10, MARK)
    await site.cluster.merge(Ref("HTTPRoute", site.namespace, "shop"), {"spec": edit})
    assert not await is_as_asked(site, wanted)
    await write(router, wanted, 10, MARK)
    assert await is_as_asked(site, wanted)


@pytest.mark.parametrize("more", [FULL, BRIEF], ids=["in full", "in brief"])
async def test_a_testers_route_reads_back_for_what_it_was_made(site: Site, more: dict[str, Any]) -> None:
    for parents in ((("gateway", "public"),), ()):
        wanted = target(site, **{**more, "parents": parents})
        made = make_testers_route(shape_of(wanted), wanted.matches or ({"method": "GET"},))
        await site.cluster.apply(made)
        found = await site.cluster.get(Ref("HTTPRoute", site.namespace, made["metadata"]["name"]))
        assert found is not None and purpose(found) == purpose(made)


@pytest.mark.apiserver
@pytest.mark.parametrize(
    "more",
    [
        {"hostnames": ("a..b",)},
        {"matches": ({"path": {"type": "PathPrefix", "value": "/a//b"}},)},
        {"parents": (("gateway", "public"), ("gateway", "public"))},
    ],
    ids=["hostnames", "matches", "parentRefs"],
)
async def test_what_our_schema_takes_and_the_gateways_refuses_keeps_no_traffic_on_the_canary(
    real: Site, more: dict[str, Any]
) -> None:
    router = GatewayAPIRouter(real.cluster)
    await write(router, target(real), 10, MARK)
    refused = target(real, **more)
    for percent, shown in ((10, 10), (50, 10), (0, 0)):
        with pytest.raises(InvalidSpec):
            await write(router, refused, percent, {**MARK, "weight": percent})
        found = await router.observe(refused)
        assert found is not None
        assert (found.canary_percent, (found.mark or {})["weight"], found.as_asked) == (shown, shown, False)
