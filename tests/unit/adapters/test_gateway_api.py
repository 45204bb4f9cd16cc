"""What an HTTPRoute says about our split."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from changeover.adapters.routers.gateway_api import GatewayAPIRouter, parse_route
from changeover.core import names
from changeover.core.errors import Conflict
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
