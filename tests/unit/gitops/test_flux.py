"""Flux's health expressions, evaluated by a real CEL on objects as the operator leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import celpy
import pytest
import yaml

from tests.unit.gitops.states import DONE, FAILED, STATES, State

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/gitops/flux-kustomization.yaml"
SPEC: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())["spec"]
EXPRESSIONS: dict[str, dict[str, str]] = {one["kind"]: one for one in SPEC["healthCheckExprs"]}


def judge(body: dict[str, Any]) -> str:
    """As Flux does: in progress first, then failed, then current; none of them is in progress."""
    environment = celpy.Environment()
    for name in ("inProgress", "failed", "current"):
        program = environment.program(environment.compile(EXPRESSIONS[body["kind"]][name]))
        seen = {key: celpy.json_to_cel(body.get(key, {})) for key in ("metadata", "status", "spec")}
        if bool(program.evaluate(seen)):
            return name
    return "inProgress"


@pytest.mark.parametrize("name", STATES)
def test_every_state_is_judged_rightly(name: str) -> None:
    state: State = STATES[name]
    assert judge(state.body()) == {DONE: "current", FAILED: "failed"}.get(state.means, "inProgress")


def test_flux_is_told_to_look_at_all() -> None:
    """Without `wait`, or `healthChecks`, it judges nothing, and the expressions are never evaluated."""
    assert SPEC["wait"] is True
