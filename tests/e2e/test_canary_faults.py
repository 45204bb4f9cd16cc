"""Canaries that fail in the ways in which a peer was measured, at its steps and rate, on real parts.

The peer took 58 to 61 s from the first bad answer to weight 0, let three of five canaries through that crash after they
had become ready, and went from a hand-edited weight of 37 to 100 (docs/beside-a-peer.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.demo import acts
from tests.demo.kube import ROOT, Kube
from tests.e2e import faults
from tests.e2e.aside import adopted, edited, mistyped, quiet, rolled_out
from tests.e2e.asked import asked
from tests.e2e.faults import STABLE, STEPS, Lane, errors_below, latency_below
from tests.e2e.opened import waits
from tests.e2e.plugin import changeover
from tests.e2e.release import Installed, install_and_wait
from tests.e2e.watching import (
    FEW_ERRORS,
    LENIENT,
    first_answers,
    instant,
    looked_back_at,
    mark,
    migrating,
    reason_of,
    rolled_back,
    weight,
)

pytestmark = pytest.mark.usefixtures("aside")

LANE = Lane("faults", STABLE, rate=200)
ERRORS_SECONDS = 10  # from the first bad answer to weight 0
CRASH_SECONDS = 10  # from the end of the first container to weight 0
HELM_SECONDS = 240  # it makes ready, measures stable and rolls back; helm's timeout is nine minutes
LATE_SECONDS = 10  # from the first late answer to weight 0
# From the weight at which the CPU is too much to weight 0: some nine blocks of 5 s after two scrapes, and more where a
# shared machine takes the CPU away from the canary, which then uses less of it.
TOIL_SECONDS = 150

# So many at once, in this order: the first tests are timed, and one more story beside them would be in their way.
ASIDE, AT_ONCE = (adopted, quiet, edited, mistyped, rolled_out, asked, waits), 3


@pytest.fixture(scope="module")
def shop(open_operator: Kube) -> Iterator[Kube]:
    """A stable backend under live load; the route is made by the first migration and handed from one to the next."""
    faults.apply(open_operator, *faults.backend(STABLE))
    faults.ready(open_operator, STABLE)
    with faults.traffic(open_operator, LANE):
        yield open_operator
    acts.clear(open_operator)


@pytest.fixture(scope="module")
def aside(shop: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[str]]]:
    """Stories that begin with the first test and have ended before Prometheus is taken away."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {one.__name__: pool.submit(one, shop, tmp_path_factory.mktemp(one.__name__)) for one in ASIDE}


def crashes(kube: Kube, name: str) -> list[float]:
    """When containers of a backend ended, as the kubelet says, in whole seconds."""
    states = [
        container.get(state, {}).get("terminated", {}).get("finishedAt")
        for pod in kube.items("pods", f"app={name}")
        for container in pod["status"]["containerStatuses"]
        for state in ("state", "lastState")
    ]
    return sorted(instant(at.rstrip("Z")) for at in states if at)


def test_a_canary_that_only_fails_is_at_weight_0_within_ten_seconds(shop: Kube) -> None:
    name = "faults-errors"
    with migrating(shop, LANE, (name, "all-errors"), LENIENT, errors_below("1")):
        status = rolled_back(shop, name)
        took = datetime.fromisoformat(mark(shop, LANE)["since"]).timestamp() - first_answers(shop, name)[0]
    print(f"\n  first bad answer to weight 0: {took:.1f} s; {status['outcome']['message']}")
    assert status["outcome"]["reason"] == "ErrorsObjectiveMissed"
    assert [entry["to"] for entry in status["history"]] == [STEPS[0], 0]
    assert took <= ERRORS_SECONDS


def test_a_canary_that_crashes_after_it_became_ready_is_rolled_back_at_the_first_crash(shop: Kube) -> None:
    name = "faults-crash"
    with migrating(shop, LANE, (name, "crashes-later"), LENIENT, errors_below("1")):
        status = rolled_back(shop, name)
        # The kubelet may tell that a pod is not ready before it tells that its container has ended.
        acts.wait_until("the kubelet tells of the crash", 30, lambda: bool(crashes(shop, name)))
        took = datetime.fromisoformat(mark(shop, LANE)["since"]).timestamp() - crashes(shop, name)[0]
    print(f"\n  first crash to weight 0: {took:.1f} s; {status['outcome']['message']}")
    assert status["outcome"]["reason"] in ("CanaryCrashed", "CanaryNotReady")
    assert took <= CRASH_SECONDS


def test_a_canary_that_answers_late_is_at_weight_0_within_ten_seconds_and_helm_fails_at_once(
    shop: Kube, tmp_path: Path
) -> None:
    name, installed = "faults-late", list[Installed]()

    def by_helm(kube: Kube, move: dict[str, Any]) -> None:
        installed.append(install_and_wait(kube, name, move))

    with migrating(shop, LANE, (name, "late"), latency_below("100ms", percentile="99"), FEW_ERRORS, by=by_helm):
        status = rolled_back(shop, name)
        took = datetime.fromisoformat(mark(shop, LANE)["since"]).timestamp() - first_answers(shop, name)[0]
        looked_back_at(shop, name, tmp_path)
    print(f"\n  first late answer to weight 0: {took:.1f} s; {status['outcome']['message']}")
    assert status["outcome"]["reason"] == "LatencyObjectiveMissed"
    assert [entry["to"] for entry in status["history"]] == [STEPS[0], 0]
    assert took <= LATE_SECONDS
    [helm] = installed
    print(f"  helm install --wait ended with {helm.code} after {helm.seconds:.0f} s: {helm.said.strip()[-200:]}")
    assert helm.code != 0 and "CanaryMigration" in helm.said
    assert helm.seconds < HELM_SECONDS, "it waited for its timeout"


def test_a_canary_that_needs_too_much_cpu_is_rolled_back_in_a_few_blocks(shop: Kube) -> None:
    """6 ms an answer of two pods with 300m each: half of the limit at weight 25."""
    name, cpu = "faults-toils", {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}}
    with migrating(shop, LANE, (name, "toils"), LENIENT, FEW_ERRORS, cpu, weights=(25, 50, 100)):
        status = rolled_back(shop, name)
    raised, back = (instant(entry["at"].rstrip("Z")) for entry in status["history"][-2:])
    print(f"\n  weight {status['history'][-2]['to']} to 0: {back - raised:.1f} s; {status['outcome']['message']}")
    assert status["outcome"]["reason"] == "CPUObjectiveMissed"
    assert [entry["to"] for entry in status["history"]] == [25, 0]
    assert back - raised <= TOIL_SECONDS


def test_files_are_checked_and_tried_out_without_a_cluster(shop: Kube) -> None:
    example = str(ROOT / "examples/migrate-to-slow.yaml")
    code, text, _ = changeover(shop, "lint", "-f", example)
    assert code == 0 and "CanaryMigration migrate-to-slow" in text
    code, text, _ = changeover(shop, "simulate", "-f", example, "--rate=400", "--worse=0.1", "--worse=3", "--runs=5")
    print(f"\n{text}")
    shares = {line.split()[0]: line.split()[1] for line in text.splitlines() if line[:1].isdigit() and "%" in line}
    assert code == 0 and shares == {"0.1": "100", "3": "0"}


@pytest.mark.parametrize("story", [one.__name__ for one in ASIDE])
def test_a_story_aside(aside: Mapping[str, Future[str]], story: str) -> None:
    """Each has its route and its asserts; see there."""
    told = aside[story].result()  # raises what the story raised
    print(f"\n  {told}")
    assert told


def test_without_prometheus_the_weight_stays_and_the_reason_is_said(shop: Kube) -> None:
    name, monitoring = "faults-blind", ("kubectl", "--namespace", "monitoring")
    with migrating(shop, LANE, (name, ""), LENIENT, FEW_ERRORS, weights=(5, 50, 100)):
        acts.wait_until("weight 5", 200, lambda: weight(shop, LANE) == 5)
        shop.run(*monitoring, "scale", "deployment/prometheus", "--replicas=0")
        try:
            acts.wait_until("blind", 60, lambda: reason_of(shop, name) == "Blind")
            assert weight(shop, LANE) == 5
            status = rolled_back(shop, name)
        finally:
            shop.run(*monitoring, "scale", "deployment/prometheus", "--replicas=1")
            shop.run(*monitoring, "rollout", "status", "deployment/prometheus", "--timeout=120s")
    print(f"\n  {status['outcome']['message']}")
    assert status["outcome"]["reason"] == "Blind"
    assert max(entry["to"] for entry in status["history"]) == 5
