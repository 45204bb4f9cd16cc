"""The first run: `kubectl changeover demo` promotes and rolls back on a cluster that stands, in a few minutes."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from changeover.cli.demo import NAMESPACE

from tests.demo import acts
from tests.demo.kube import Kube
from tests.e2e.plugin import changeover

MOST_SECONDS = 300  # issue 6: five minutes on a cluster that stands


@pytest.fixture
def stage(operator: Kube) -> Kube:
    """No demo is there; what it leaves is removed with its namespace, as it says."""
    operator.run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    return replace(operator, namespace=NAMESPACE)


def test_the_demo_promotes_and_rolls_back_within_five_minutes(stage: Kube) -> None:
    begun = time.monotonic()
    code, said, wrong = changeover(stage, "demo")
    took = time.monotonic() - begun
    print(f"\n{said}{wrong}\n  {took:.0f} s")
    assert (code, wrong) == (0, "")
    assert took < MOST_SECONDS
    moves = {name: acts.status_of(stage, "cmig", name)["outcome"] for name in ("to-new", "to-broken")}
    assert (moves["to-new"]["result"], moves["to-broken"]["result"]) == ("Promoted", "RolledBack")
    assert moves["to-broken"]["reason"] == "ErrorsObjectiveMissed"
    code, _, wrong = changeover(stage, "demo")
    assert code == 1 and f"kubectl delete namespace {NAMESPACE}" in wrong, "it is not played over another"
    stage.run("kubectl", "delete", "namespace", NAMESPACE, "--timeout=120s")
