"""Own load while the steps last: only then, only where the operator knows the way, and never two at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.conditions import timestamp
from changeover.core.manifests.route_load import longest
from changeover.core.mark import Phase
from changeover.core.migration_state import SeenLoad, SeenMigration, Step
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning, Unreadable
from changeover.core.own_load import aim_of, drive
from changeover.core.plan import Apply, Delete

from tests.unit.core.seen import NOW, mark, owner, route, seen, workload

SPEC: dict[str, Any] = {"load": {"requestsPerSecond": 200}, "request": {"path": "/items", "headers": []}}
STEPPING = Step(Reason.WAITING_EVIDENCE, "too little", mark=mark())
KNOWN = SeenLoad({"gateway/public": "http://traefik.gateway.svc"}, "loader:1")


def world(load: SeenLoad = KNOWN, spec: dict[str, Any] | None = None, **more: Any) -> SeenMigration:
    on_route = route(gateways=("gateway/other", "gateway/public"), hostnames=("shop.example.com",))
    return replace(seen({**SPEC, **(spec or {})}, route=on_route, load=load), **more)


def kinds(told: SeenMigration, step: Step = STEPPING) -> list[type]:
    return [type(action) for action in drive(told, step).actions]


def test_it_runs_while_a_step_is_judged() -> None:
    driven = drive(world(), STEPPING)
    [action] = driven.actions
    assert isinstance(action, Apply)
    arguments = action.manifest["spec"]["template"]["spec"]["containers"][0]["args"]
    wanted = {
        "--mode=open", "--rate=200", "--connections=50", "--measure=600", "--url=http://traefik.gateway.svc/items",
        "--host-header=shop.example.com",
    }  # fmt: skip
    assert wanted <= set(arguments)
    assert driven.status is not None and driven.status["state"] == "Running"


def test_a_step_that_waits_for_a_person_goes_on_being_watched() -> None:
    assert kinds(world(), replace(STEPPING, reason=Reason.UNDECIDED, stalled=True)) == [Apply]


def test_before_the_first_weight_it_runs_too() -> None:
    """Else stable, which is judged first, would have no requests either."""
    assert kinds(world(), replace(STEPPING, mark=mark(0, 0, Phase.PREPARING))) == [Apply]


@pytest.mark.parametrize("state", [LoadRunning(), Unreadable("timed out")])
def test_what_runs_or_cannot_be_seen_is_left_alone(state: Any) -> None:
    assert kinds(world(replace(KNOWN, of_steps=state))) == []


@pytest.mark.parametrize("unread", ["route", "stable", "canary"])
def test_one_answer_that_does_not_come_ends_nothing(unread: str) -> None:
    """What cannot be read is not gone: load that ended for it would be missing from the evidence."""
    before = {"state": "Running", "at": "2030-01-01T11:00:00Z", "message": "200 requests/s"}
    told = world(replace(KNOWN, of_steps=LoadRunning()), owner=owner(status={"load": before}))
    driven = drive(replace(told, **{unread: Unreadable("timed out")}), STEPPING)
    assert (driven.status, driven.actions) == (before, ())


@pytest.mark.parametrize(
    ("more", "step"),
    [
        ({}, replace(STEPPING, mark=mark(0, 1, Phase.ROLLING_BACK))),
        ({}, replace(STEPPING, outcome={"result": "Promoted"})),
        ({}, replace(STEPPING, stalled=True, mark=mark(0, 0, Phase.PREPARING))),
        ({}, replace(STEPPING, mark=None)),
        ({"spec": {"suspend": True}}, STEPPING),
        ({"spec": {"load": None}}, STEPPING),
        ({"canary": workload(0)}, STEPPING),
        ({"stable": workload(0)}, STEPPING),
        ({"route": route(accepted=False)}, STEPPING),
    ],
)
def test_otherwise_it_is_ended(more: dict[str, Any], step: Step) -> None:
    told = world(replace(KNOWN, of_steps=LoadRunning()), owner=owner(status={"load": {"state": "Running", "at": "x"}}))
    told = replace(told, **{key: value for key, value in more.items() if key != "spec"})
    if "spec" in more:
        told = replace(told, spec=seen({**SPEC, **more["spec"]}).spec)
    driven = drive(told, step)
    assert [type(action) for action in driven.actions] == [Delete]
    assert driven.status is not None and driven.status["state"] == "Stopped"


def test_the_next_window_follows_when_the_last_is_gone() -> None:
    assert kinds(world(replace(KNOWN, of_steps=LoadReport({})))) == [Delete]
    assert kinds(world()) == [Apply]


def test_a_failure_is_said_and_tried_again_after_a_minute() -> None:
    failed = replace(KNOWN, of_steps=LoadFailed("connection refused"))
    first = drive(world(failed), STEPPING)
    assert first.actions == () and first.status is not None and "connection refused" in first.status["message"]
    before = {**first.status, "at": timestamp(NOW - timedelta(seconds=61))}
    again = drive(world(failed, owner=owner(status={"load": before})), STEPPING)
    assert [type(action) for action in again.actions] == [Delete]


def test_only_the_operators_own_configuration_gives_an_address() -> None:
    driven = drive(world(SeenLoad()), STEPPING)
    assert driven.actions == () and driven.status is not None and driven.status["state"] == "Failed"
    assert "gateway/other, gateway/public" in driven.status["message"]
    assert "set gateways in the chart's values" in driven.status["message"]


def test_a_route_that_cannot_be_read_has_no_address() -> None:
    assert isinstance(aim_of(replace(world(), route=Unreadable("timed out"))), str)


@pytest.mark.parametrize(("rate", "seconds", "most"), [(200, 600, 600), (10_000, 600, 300), (10_000_000, 600, 1)])
def test_load_is_bounded_in_number(rate: int, seconds: float, most: int) -> None:
    assert longest(rate, seconds) == most
