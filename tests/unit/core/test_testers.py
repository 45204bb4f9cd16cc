"""Testers: by a header or a cookie all their requests go to the canary, on a route of their own, until it ends."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.errors import Conflict
from changeover.core.manifests.route import Arm, RouteShape
from changeover.core.mark import Phase
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import Unreadable
from changeover.core.plan import Apply, Manifest
from changeover.core.testers import PARKED, matches_of_testers, purpose, take_testers, told

from tests.unit.core.seen import mark, migration_spec, seen, workload

SHAPE = RouteShape(
    "shop", "shop", "shop", Arm("old", 80), Arm("new", 80), (("gateway", "public"),), ("shop.example.com",)
)
MATCH: dict[str, Any] = {"headers": [{"name": "X-Canary", "value": "always"}]}
PREPARING = Step(Reason.WAITING_FOR_APPROVAL, "waits", mark=mark(0, 0, Phase.PREPARING))


def world(match: dict[str, Any] | None = MATCH, **more: Any) -> SeenMigration:
    return replace(seen({"match": match} if match else {}), **more)


def applied(told_: SeenMigration, step: Step = PREPARING) -> Manifest | None:
    actions = take_testers(told_, step, SHAPE)
    return actions[0].manifest if actions else None


def about(manifest: Manifest | None) -> str:
    assert manifest is not None
    return str(manifest["metadata"]["annotations"]["changeover.dev/about"])


def test_a_ready_canary_has_its_testers_before_any_weight() -> None:
    made = applied(world())
    assert made is not None and made["metadata"]["name"] == "shop-testers"
    [rule] = made["spec"]["rules"]
    path, sign = {"type": "PathPrefix", "value": "/"}, {"type": "Exact", "name": "X-Canary", "value": "always"}
    assert rule["matches"] == [{"path": path, "headers": [sign]}]
    assert [(b["name"], b["weight"]) for b in rule["backendRefs"]] == [("new", 1)]
    assert [p["name"] for p in made["spec"]["parentRefs"]] == ["public"]
    assert made["metadata"]["ownerReferences"][0]["name"] == "shop"


def test_it_is_written_once() -> None:
    assert applied(world(testers=about(applied(world())))) is None


def test_another_spec_writes_it_anew() -> None:
    before = about(applied(world()))
    assert applied(world({"headers": [{"name": "X-Canary", "value": "never"}]}, testers=before)) is not None


@pytest.mark.parametrize(
    "step",
    [
        replace(PREPARING, mark=mark(0, 1, Phase.ROLLING_BACK)),
        replace(PREPARING, outcome={"result": "Promoted"}),
        replace(PREPARING, reason=Reason.ROUTE_NOT_OURS),
        replace(PREPARING, mark=None),
    ],
)
def test_at_the_end_it_is_parked_and_not_deleted(step: Step) -> None:
    there = about(applied(world()))
    parked = applied(world(testers=there), step)
    assert about(parked) == PARKED and parked is not None and parked["spec"]["parentRefs"] == []
    assert applied(world(testers=PARKED), step) is None
    assert applied(world(), step) is None


def test_without_a_ready_canary_nobody_is_sent_to_it() -> None:
    assert applied(world(canary=workload(0))) is None
    assert about(applied(world(canary=workload(0), testers="x"))) == PARKED


@pytest.mark.parametrize("unread", ["route", "stable", "canary"])
def test_one_answer_that_does_not_come_takes_nobody_off_it(unread: str) -> None:
    there = world(testers=about(applied(world())))
    unknown = replace(there, **{unread: Unreadable("timed out")})
    assert applied(unknown, replace(PREPARING, mark=None)) is None
    assert told(unknown, (), None) == {"route": "shop-testers", "state": "OnCanary"}


@pytest.mark.parametrize(
    "edit",
    [
        {"hostnames": ["other.example.com"]},
        {"parentRefs": [{"name": "other"}]},
        {"rules": [{"backendRefs": [{"name": "new", "port": 80}]}]},
        {"rules": [{"matches": matches_of_testers(migration_spec(match=MATCH)), "backendRefs": []}]},
    ],
)
def test_what_somebody_made_of_it_is_put_right(edit: dict[str, Any]) -> None:
    made = applied(world())
    assert made is not None
    found = purpose({**made, "spec": {**made["spec"], **edit}})
    assert found != purpose(made) == about(made)
    assert applied(world(testers=found)) == made


def test_what_somebody_put_on_a_gateway_again_is_parked_again() -> None:
    made = applied(world())
    assert made is not None
    parked = applied(world(testers=purpose(made)), replace(PREPARING, mark=None))
    assert parked is not None and purpose(parked) == PARKED
    assert purpose({**parked, "spec": {**parked["spec"], "parentRefs": [{"name": "public"}]}}) != PARKED


def test_left_out_of_the_spec_it_is_parked() -> None:
    assert about(applied(world(None, testers="x"))) == PARKED
    assert applied(world(None)) is None


def test_what_cannot_be_read_is_not_touched() -> None:
    somebody = world(testers=Unreadable("HTTPRoute shop-testers is somebody else's"))
    assert applied(somebody) is None
    said = told(somebody, (), None)
    assert said is not None and (said["state"], "somebody else's" in said["message"]) == ("Failed", True)


def test_what_is_said_of_it() -> None:
    actions = take_testers(world(), PREPARING, SHAPE)
    assert all(isinstance(action, Apply) for action in actions)
    assert told(world(), actions, None) == {"route": "shop-testers", "state": "OnCanary"}
    assert told(world(testers="x"), (), None) == {"route": "shop-testers", "state": "OnCanary"}
    assert told(world(testers=PARKED), (), None) == {"route": "shop-testers", "state": "Parked"}
    assert told(world(), (), None) == {"route": "shop-testers", "state": "Waiting"}
    assert told(world(None), (), None) is None
    failed = told(world(), actions, Conflict("refused"))
    assert failed is not None and failed["state"] == "Failed"


def test_each_match_of_the_route_goes_with_each_sign() -> None:
    gateway = {
        "route": {"name": "shop"}, "parentRefs": [{"name": "public"}],
        "matches": [
            {"path": {"value": "/items"}, "method": "GET", "headers": [{"name": "X-Shop", "value": "eu"}]},
            {"path": {"type": "Exact", "value": "/cart"}},
        ],
    }  # fmt: skip
    match = {"headers": MATCH["headers"], "cookies": [{"name": "canary", "value": "always"}]}
    found = matches_of_testers(migration_spec(match=match, traffic={"gatewayAPI": gateway}))
    assert [(one["path"]["value"], [h["name"] for h in one["headers"]]) for one in found] == [
        ("/items", ["X-Shop", "X-Canary"]), ("/items", ["X-Shop", "Cookie"]), ("/cart", ["X-Canary"]),
        ("/cart", ["Cookie"]),
    ]  # fmt: skip
    assert found[0]["method"] == "GET" and "method" not in found[2]


@pytest.mark.parametrize(
    ("header", "is_tester"),
    [
        ("canary=a.b", True), ("x=1; canary=a.b", True), ("canary=a.b; x=1", True), ("x=1;canary=a.b;y=2", True),
        ("canary=aXb", False), ("mycanary=a.b", False), ("canary=a.bc", False), ("canary=", False),
    ],
)  # fmt: skip
def test_a_cookie_is_found_among_others_and_only_the_whole_of_it(header: str, is_tester: bool) -> None:
    [found] = matches_of_testers(migration_spec(match={"cookies": [{"name": "canary", "value": "a.b"}]}))
    assert bool(re.search(found["headers"][0]["value"], header)) is is_tester
