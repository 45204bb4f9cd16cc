"""What an HTTPRoute says about our split."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from changeover.adapters.routers.gateway_api import GatewayAPIRouter, parse_route
from changeover.core import names
from changeover.core.errors import Conflict, InvalidSpec
from changeover.core.manifests.route import Arm, RouteShape, make_route
from changeover.core.plan import Ref, SetSplit
from changeover.ports import BackendPort, SplitTarget
from changeover.testing.clock import FakeClock
from changeover.testing.cluster import FakeCluster

from tests.unit.core.seen import mark

TARGET = SplitTarget("shop", "shop", "shop", BackendPort("old", 80), BackendPort("new", 80), (("gw", "public"),))
SHAPE = RouteShape("shop", "shop", "shop", Arm("old", 80), Arm("new", 80), (("gw", "public"),), ())
REF = Ref("HTTPRoute", "shop", "shop")


def route(percent: int = 10, generation: int = 3, **more: Any) -> dict[str, Any]:
    made = make_route(SHAPE, percent, mark(percent).to_dict())
    made["metadata"]["generation"] = generation
    conditions = [condition("Accepted", generation), condition("ResolvedRefs", generation)]
    made["status"] = {"parents": [{"parentRef": {"name": "public"}, "conditions": conditions}]}
    return {**made, **more}


def condition(name: str, generation: int, status: str = "True") -> dict[str, Any]:
    return {"type": name, "status": status, "observedGeneration": generation, "reason": "R", "message": "in words"}


def with_backends(*backends: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(route())
    changed["spec"]["rules"][0]["backendRefs"] = list(backends)
    return changed


def backend(name: str, weight: int | None = None, port: int = 80) -> dict[str, Any]:
    return {"name": name, "port": port} | ({} if weight is None else {"weight": weight})


def test_our_own_route_reads_back() -> None:
    found = parse_route(route(), TARGET)
    assert (found.ours, found.canary_percent, found.accepted, found.why_not) == (True, 10, True, "")
    assert found.mark == mark(10).to_dict()


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(with_backends(backend("old", 100)), id="only stable"),
        pytest.param(with_backends(backend("old", 90), backend("other", 10)), id="another backend"),
        pytest.param(with_backends(backend("old", 90), backend("new", 10), backend("x", 0)), id="a third backend"),
        pytest.param(with_backends(backend("old", 9), backend("new", 1)), id="weights that do not sum to 100"),
        pytest.param(with_backends(backend("old"), backend("new")), id="weights left out, which means 1 each"),
        pytest.param(with_backends(backend("old", 90), backend("new", 10, port=81)), id="another port"),
        pytest.param(with_backends(), id="no backends"),
        pytest.param({**route(), "spec": {"rules": []}}, id="no rules"),
        pytest.param({**route(), "spec": {"rules": route()["spec"]["rules"] * 2}}, id="two rules"),
        pytest.param({**route(), "spec": {}}, id="an empty spec"),
    ],
)
def test_foreign_rules_have_no_weight_of_ours(found: dict[str, Any]) -> None:
    assert parse_route(found, TARGET).canary_percent is None


def spec_with(**more: Any) -> dict[str, Any]:
    return {**route(), "spec": {**route()["spec"], **more}}


def matching(*matches: dict[str, Any]) -> dict[str, Any]:
    return spec_with(rules=[{**route()["spec"]["rules"][0], "matches": list(matches)}])


ROOT = {"type": "PathPrefix", "value": "/"}
PARENT = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "gw", "name": "public"}
HEADERS = [{"name": "X-Shop", "value": "eu"}]


@pytest.mark.parametrize(
    ("found", "as_asked"),
    [
        pytest.param(route(), True, id="as we write it"),
        pytest.param(route(90), True, id="at another weight"),
        pytest.param(spec_with(hostnames=None), True, id="no hostnames"),
        pytest.param(spec_with(parentRefs=[{"name": "public", "namespace": "gw"}]), True, id="a Gateway by name"),
        pytest.param(matching(), True, id="no matches: all"),
        pytest.param(matching({}), True, id="an empty match: all"),
        pytest.param(matching({"path": {"value": "/"}, "headers": []}), True, id="a path without a type"),
        pytest.param(spec_with(rules=[{**route()["spec"]["rules"][0], "filters": [{}]}]), True, id="a filter"),
        pytest.param(spec_with(hostnames=["shop.example.com"]), False, id="a hostname"),
        pytest.param(spec_with(parentRefs=[]), False, id="on no Gateway"),
        pytest.param(spec_with(parentRefs=[{"name": "public"}]), False, id="a Gateway of its own namespace"),
        pytest.param(spec_with(parentRefs=[PARENT, {"name": "other"}]), False, id="a second Gateway"),
        pytest.param(spec_with(parentRefs=[{**PARENT, "sectionName": "http"}]), False, id="a listener"),
        pytest.param(matching({"path": {"value": "/items"}}), False, id="another path"),
        pytest.param(matching({"path": {"type": "Exact"}}), False, id="another type of path"),
        pytest.param(matching({"method": "GET"}), False, id="a method"),
        pytest.param(matching({"headers": HEADERS}), False, id="a header"),
        pytest.param(matching({"path": ROOT}, {"path": {"value": "/items"}}), False, id="a second match"),
        pytest.param({**route(), "spec": {}}, False, id="an empty spec"),
    ],
)
def test_a_route_is_as_asked_whatever_the_api_server_filled_in(found: dict[str, Any], as_asked: bool) -> None:
    assert parse_route(found, TARGET).as_asked is as_asked


def test_of_a_route_in_full_what_is_left_out_is_no_difference() -> None:
    header = {"type": "Exact", "name": "X-Shop", "value": "eu"}
    match = {"path": {"type": "PathPrefix", "value": "/items"}, "method": "GET", "headers": [header]}
    target = replace(TARGET, hostnames=("a.example.com", "b.example.com"), matches=(match,))
    brief = {"path": {"value": "/items"}, "method": "GET", "headers": HEADERS}
    found = matching(brief)
    found["spec"]["hostnames"] = ["a.example.com", "b.example.com"]
    assert parse_route(found, target).as_asked
    assert not parse_route(found, TARGET).as_asked
    assert not parse_route(found, replace(target, hostnames=())).as_asked


def test_of_an_adopted_route_nothing_but_weights_is_asked() -> None:
    target = replace(TARGET, adopted=True, parents=())
    assert parse_route(spec_with(hostnames=["shop.example.com"]), target).as_asked


@pytest.mark.parametrize(("percent", "shown"), [(0, 0), (5, 5), (10, 10), (50, 10)])
async def test_hostnames_that_are_refused_let_the_weight_fall_or_stay_and_not_rise(percent: int, shown: int) -> None:
    cluster = FakeCluster(FakeClock())
    version = cluster.put(route())["metadata"]["resourceVersion"]

    def refused(verb: str, kind: str, name: str) -> None:
        if verb == "apply":
            raise InvalidSpec("spec.hostnames[0]: Invalid value")

    cluster.fault = refused
    target = replace(TARGET, hostnames=("a..b",))
    with pytest.raises(InvalidSpec, match="hostnames"):
        await GatewayAPIRouter(cluster).ensure(target, SetSplit(percent, mark(percent, paused=True).to_dict(), version))
    found = parse_route(cluster.peek(REF) or {}, target)
    assert found.canary_percent == shown
    assert found.mark == mark(shown, paused=percent == shown).to_dict(), "weights and mark are one write"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "42"])
def test_a_broken_mark_is_no_mark(text: str) -> None:
    found = route()
    found["metadata"]["annotations"][names.ANNOTATION_MARK] = text
    assert parse_route(found, TARGET).mark is None


def accepted(*conditions: dict[str, Any], parent: str = "public") -> dict[str, Any]:
    return route(status={"parents": [{"parentRef": {"name": parent}, "conditions": list(conditions)}]})


@pytest.mark.parametrize(
    ("found", "why"),
    [
        pytest.param(route(status={}), "no gateway has answered", id="no gateway"),
        pytest.param(accepted(), "not seen the latest weights", id="no conditions"),
        pytest.param(accepted(condition("Accepted", 3)), "ResolvedRefs", id="references not resolved yet"),
        pytest.param(
            accepted(condition("Accepted", 2), condition("ResolvedRefs", 3)), "latest weights", id="an older generation"
        ),
        pytest.param(accepted(condition("Accepted", 3, "False")), "R: in words", id="refused, in its words"),
        pytest.param(
            accepted(condition("Accepted", 3), condition("ResolvedRefs", 3), parent="internal"),
            "public has not answered", id="another gateway answered",
        ),
    ],
)  # fmt: skip
def test_not_accepted_says_why(found: dict[str, Any], why: str) -> None:
    parsed = parse_route(found, TARGET)
    assert not parsed.accepted and why in parsed.why_not


def test_ours_is_what_we_made_or_what_was_handed_over_to_this_very_migration() -> None:
    plain = route()
    plain["metadata"] = {"name": "shop", "namespace": "shop", "generation": 1}
    assert not parse_route(plain, TARGET).ours
    plain["metadata"]["annotations"] = {names.ANNOTATION_HAND_OVER: "another"}
    assert not parse_route(plain, TARGET).ours
    plain["metadata"]["annotations"] = {names.ANNOTATION_HAND_OVER: "shop"}
    assert parse_route(plain, TARGET).ours


def test_what_another_migration_has_cannot_be_handed_over_to_a_second_one() -> None:
    theirs = route()
    theirs["metadata"]["labels"] = {names.LABEL_MIGRATION: "another"}
    theirs["metadata"]["annotations"][names.ANNOTATION_HAND_OVER] = "shop"
    parsed = parse_route(theirs, TARGET)
    assert (parsed.ours, parsed.migration) == (False, "another")


def written(manager: str, at: str, fields: str = "f:spec", **more: str) -> dict[str, Any]:
    return {"manager": manager, "time": at, "fieldsV1": {fields: {}}, **more}


OURS = written(names.FIELD_MANAGER, "2030-01-01T00:00:05Z")


@pytest.mark.parametrize(
    ("entries", "who"),
    [
        pytest.param([], "", id="not noted"),
        pytest.param([OURS], "", id="us"),
        pytest.param([OURS, written("kubectl-edit", "2030-01-01T00:00:09Z")], "kubectl-edit", id="somebody after us"),
        pytest.param([OURS, written("flux", "2030-01-01T00:00:05Z")], "flux", id="somebody in the same second"),
        pytest.param([written("argocd", "2030-01-01T00:00:01Z"), OURS], "", id="somebody before us"),
        pytest.param([OURS, written("x", "2030-01-01T00:00:09Z", "f:metadata")], "", id="only labelled by them"),
        pytest.param([OURS, written("traefik", "2030-01-01T00:00:09Z", subresource="status")], "", id="the gateway"),
    ],
)
def test_who_wrote_the_spec_last_is_read_off_the_managed_fields(entries: list[dict[str, Any]], who: str) -> None:
    found = route()
    found["metadata"]["managedFields"] = entries
    assert parse_route(found, TARGET).changed_by == who


@pytest.mark.parametrize("percent", [-1, 101])
def test_no_manifest_has_a_weight_out_of_range(percent: int) -> None:
    with pytest.raises(ValueError, match="outside 0 to 100"):
        make_route(SHAPE, percent, {})


async def test_a_foreign_route_is_never_written() -> None:
    cluster = FakeCluster(FakeClock())
    foreign = route()
    foreign["metadata"] = {"name": "shop", "namespace": "shop"}
    before = cluster.put(foreign)
    with pytest.raises(Conflict):
        await GatewayAPIRouter(cluster).ensure(TARGET, SetSplit(10, {}))
    assert cluster.peek(REF) == before
