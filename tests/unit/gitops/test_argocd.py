"""Argo CD's health checks and actions, run by a real Lua on objects as the operator leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lupa
import pytest
import yaml
from changeover.core.requests import VERBS

from tests.unit.gitops.states import DONE, FAILED, STATES, State

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/gitops/argocd-cm.yaml"
DATA: dict[str, str] = yaml.safe_load(EXAMPLE.read_text())["data"]
PREFIX = "resource.customizations"
HEALTHS = {DONE: "Healthy", FAILED: "Degraded"}
ACTIONS: dict[str, Any] = yaml.safe_load(DATA[f"{PREFIX}.actions.changeover.dev_CanaryMigration"])


def run(script: str, body: dict[str, Any]) -> Any:
    """What a script returns for an object, as plain Python."""
    runtime = lupa.LuaRuntime(unpack_returned_tuples=True)
    runtime.globals()["obj"] = runtime.table_from(body, recursive=True)
    return plain(runtime.execute(script))


def plain(value: Any) -> Any:
    """Tables as dictionaries."""
    return {key: plain(one) for key, one in value.items()} if lupa.lua_type(value) == "table" else value


def health_of(body: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = run(DATA[f"{PREFIX}.health.changeover.dev_{body['kind']}"], body)
    return found


@pytest.mark.parametrize("name", STATES)
def test_the_health_of_every_state(name: str) -> None:
    state: State = STATES[name]
    found = health_of(state.body())
    wanted = HEALTHS.get(state.means, "Suspended" if state.waits_for_a_person else "Progressing")
    assert found["status"] == wanted, found
    assert found["message"]


@pytest.mark.parametrize(
    ("name", "enabled"),
    [
        ("on a step", {"promote", "abort", "pause"}),
        ("waiting for approval", {"approve", "promote", "abort", "pause"}),
        ("paused", {"promote", "abort", "resume"}),
        ("promoted", set()),
        ("rolled back", {"retry"}),
        ("new", {"promote", "abort", "pause"}),
    ],
)
def test_the_actions_that_make_sense_are_offered(name: str, enabled: set[str]) -> None:
    found = run(ACTIONS["discovery.lua"], STATES[name].body())
    assert set(found) == set(VERBS)
    assert {verb for verb, one in found.items() if not one["disabled"]} == enabled


@pytest.mark.parametrize("definition", ACTIONS["definitions"], ids=lambda one: str(one["name"]))
def test_an_action_asks_for_its_verb_and_changes_nothing_else(definition: dict[str, str]) -> None:
    body = STATES["on a step"].body()
    after = run(definition["action.lua"], body)
    asked = after["metadata"].pop("annotations")
    assert list(asked) == [f"changeover.dev/requested-{definition['name']}"]
    assert asked[f"changeover.dev/requested-{definition['name']}"].startswith("argocd-2")
    assert after["spec"]["canary"] == body["spec"]["canary"]


def test_every_verb_has_an_action() -> None:
    assert {one["name"] for one in ACTIONS["definitions"]} == set(VERBS)
