"""Stories on routes of their own, which mostly wait: they run beside the others of test_canary_faults.py."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.demo import acts
from tests.demo.kube import CommandFailed, Kube
from tests.e2e import faults
from tests.e2e.faults import STABLE, STEPS, Lane
from tests.e2e.release import install_and_wait, uninstall
from tests.e2e.watching import (
    END_SECONDS,
    FEW_ERRORS,
    LENIENT,
    ask,
    looked_back_at,
    migrating,
    reason_of,
    rolled_back,
)

ENOUGH_REQUESTS = 200  # more than a step needs here
SHARE_POINTS = 2.0  # that the measured share may be off
UNSEEN_STEPS = 1  # a busy machine looks seldom, and a step may be over before it was looked at with its own share


def adopted(shop: Kube, folder: Path) -> str:
    """Two weights of a route change and nothing else, though it has parts that the operator does not know."""
    name, lane = "faults-adopted", Lane("adopted", STABLE, rate=100)
    route = faults.route_to_stable(lane)
    header = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-by", "value": "shop"}]}}
    both = [{"name": STABLE, "port": 80, "weight": 1}, {"name": name, "port": 80, "weight": 0}]
    elsewhere = {"matches": [{"path": {"type": "PathPrefix", "value": "/else"}}], "backendRefs": []}
    route["spec"]["rules"] = [{"filters": [header], "backendRefs": both}, elsewhere]
    faults.apply(shop, *faults.backend(name), route)
    faults.ready(shop, name)
    before = shop.get("httproute", lane.route)["spec"]
    move = faults.migration(lane, name, (100,), LENIENT, FEW_ERRORS)
    move["spec"]["traffic"] = {"gatewayAPI": {"mode": "Adopted", "route": {"name": lane.route}}}
    time.sleep(3)  # the gateway takes the route
    with faults.loaded(shop, lane):
        try:
            helm = install_and_wait(shop, name, move)
            status = acts.status_of(shop, "cmig", name)
            looked_back_at(shop, name, folder)
        finally:
            uninstall(shop, name)
    after = shop.get("httproute", lane.route)
    assert helm.code == 0, helm.said
    assert status["outcome"]["result"] == "Promoted", "helm did not wait for the end"
    assert [b.pop("weight") for b in after["spec"]["rules"][0]["backendRefs"]] == [0, 100]
    assert [b.pop("weight") for b in before["rules"][0]["backendRefs"]] == [1, 0]
    assert after["spec"] == before
    assert not [key for key in after["metadata"].get("labels", {}) if "changeover" in key]
    return f"helm install --wait ended with {helm.code} after {helm.seconds:.0f} s"


def quiet(shop: Kube, _: Path) -> str:
    """Nobody asks it; an autoscaler (played by us) has taken half of stable's pods when a person aborts."""
    name, lane = "faults-quiet", Lane("quiet", "faults-quiet-stable", rate=0)
    faults.apply(shop, *faults.backend(lane.stable), *faults.backend(name))
    faults.ready(shop, lane.stable, name)
    move = faults.migration(lane, name, (10, 100), LENIENT, FEW_ERRORS)
    move["spec"]["steps"][-1]["minDuration"] = "20m"
    where = {"load": {"nodeSelector": {"changeover.dev/role": "load"}}}
    move["spec"] |= {"load": {"requestsPerSecond": 100, "connections": 10}, "placement": where}
    faults.apply(shop, move)
    seen: list[int] = []
    try:
        acts.wait_until("all traffic is on it", 240, lambda: share_of(shop, lane, name) == 100)
        step = acts.status_of(shop, "cmig", name)
        assert step["load"]["state"] == "Running", step["load"]
        shop.kubectl("scale", "deployment", lane.stable, "--replicas=1")
        acts.wait_until("a pod of stable is gone", 60, lambda: len(shop.items("pods", f"app={lane.stable}")) == 1)
        ask(shop, name, "abort", "enough")
        acts.wait_until("it goes back in parts", 30, lambda: reason_of(shop, name) == "StableTooSmall")
        seen.append(share_of(shop, lane, name))
        said = said_of(shop, name)
        shop.kubectl("scale", "deployment", lane.stable, "--replicas=2")
        status = rolled_back(shop, name)
        seen.append(share_of(shop, lane, name))
        acts.wait_until("its load ends", 30, lambda: not shop.items("jobs", "changeover.dev/migration"))
    finally:
        shop.kubectl("delete", "cmig", name, "--wait", "--timeout=30s")
    assert seen == [25, 0], "one of two pods takes 1.5 times its half"
    assert "stable has 1 ready pods where 2 carry all traffic" in said
    assert [entry["to"] for entry in status["history"]] == [10, 100, 25, 0]
    assert status["outcome"]["reason"] == "Aborted"
    return f"100 -> {seen}; {said}"


def edited(shop: Kube, _: Path) -> str:
    """10 becomes 37 by hand; every step is held, none is skipped, and each gives the canary its share."""
    name, lane = "faults-edited", Lane("edited", STABLE, rate=200)
    shares, meddled = dict[int, float](), False
    with faults.traffic(shop, lane), migrating(shop, lane, (name, ""), LENIENT, FEW_ERRORS):
        for status in acts.follow(shop, "cmig", name, END_SECONDS):
            ready, traffic = acts.condition(status, "Ready"), status.get("traffic", {})
            if traffic.get("measuredPercent") and ready.get("reason") != "WeightPutBack":
                percent, share = traffic["desiredPercent"], float(traffic["measuredPercent"])
                # The nearest: it approaches what is asked for, and a busy machine shows an early look last.
                shares[percent] = min(share, shares.get(percent, share), key=lambda one: abs(one - percent))
            if not meddled and share_of(shop, lane, name) == 10:
                edit_by_hand(shop, lane, 37, "the-night-shift")
                meddled = True
        said = event_of(shop, uid_of(shop, name), "WeightPutBack")
    assert said.startswith("the-night-shift changed the route, which is at 37 %; 10 % is put back")
    assert status["outcome"]["result"] == "Promoted", status["outcome"]
    assert [entry["to"] for entry in status["history"]] == [*STEPS, 100]
    assert [entry["from"] for entry in status["history"]] == [0, *STEPS], "a foreign weight was adopted"
    shares.pop(0, None)  # which may last for less than a look
    off = [percent for percent in (*STEPS, 100) if abs(shares.get(percent, 0) - percent) > SHARE_POINTS]
    assert len(off) <= UNSEEN_STEPS, shares
    return f"{said}\n  share of the canary in each step: {shares}"


def mistyped(shop: Kube, _: Path) -> str:
    """A Service that is not there is named for stable: the route stays, and a canary that goes is taken back."""
    name, lane, typo = "faults-mistyped", Lane("mistyped", STABLE, rate=50), "faults-stabel"
    with faults.traffic(shop, lane), migrating(shop, lane, (name, ""), LENIENT, FEW_ERRORS, weights=(10, 100)):
        acts.wait_until("weight 10", 240, lambda: share_of(shop, lane, name) == 10)
        patch_spec(shop, name, {"stable": {"service": {"name": typo}}})
        acts.wait_until("it says so", 30, lambda: reason_of(shop, name) == "WaitingForWorkloads")
        said = said_of(shop, name)
        with pytest.raises(CommandFailed, match=r"route.name cannot be changed"):
            patch_spec(shop, name, {"traffic": {"gatewayAPI": {"route": {"name": "another"}}}})
        before = backends_of(shop, lane)
        shop.kubectl("scale", "deployment", name, "--replicas=0")
        status = rolled_back(shop, name)
        after = backends_of(shop, lane)
    assert f"there is no Service {typo}" in said
    assert (before, after) == ({STABLE: 90, name: 10}, {STABLE: 100, name: 0})
    assert status["outcome"]["reason"] == "CanaryNotReady"
    return f"{said}\n  {status['outcome']['message']}"


def rolled_out(shop: Kube, _: Path) -> str:
    """Another build in the canary's Deployment mid-step: what the pods of before have shown counts no more."""
    name, lane = "faults-rolled", Lane("rolled", STABLE, rate=100)
    with faults.traffic(shop, lane), migrating(shop, lane, (name, ""), LENIENT, FEW_ERRORS, weights=(10, 100)):
        steps = shop.get("cmig", name)["spec"]["steps"]
        patch_spec(shop, name, {"steps": [{**steps[0], "minDuration": "90s"}, steps[1]]})
        acts.wait_until("the first weight has evidence", 240, lambda: judged(shop, name) > ENOUGH_REQUESTS)
        before = judged(shop, name)
        # Each new pod is to be ready for so long, else both builds would be there for less than a look.
        template = {"metadata": {"annotations": {"build": "another"}}}
        patch = json.dumps({"spec": {"minReadySeconds": 5, "template": template}})
        shop.kubectl("patch", "deployment", name, "--type=merge", "--patch", patch)
        acts.wait_until("it waits for the new pods", 30, lambda: "being replaced" in said_of(shop, name))
        assert judged(shop, name) >= before, "while they are replaced it stays as it is"
        shop.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
        replaced = datetime.now(UTC).replace(microsecond=0)
        acts.wait_until("it begins anew", 60, lambda: judged(shop, name) < before)
        after = judged(shop, name)
        status = list(acts.follow(shop, "cmig", name, END_SECONDS))[-1]
    assert status["outcome"]["result"] == "Promoted", status["outcome"]
    first, second = status["history"][:2]
    assert (first["to"], second["to"]) == (10, 100)
    assert datetime.fromisoformat(second["at"]) > replaced
    return f"{before} requests had been judged when its pods were replaced; {after} afterwards"


def judged(kube: Kube, name: str) -> int:
    """Requests of the canary that were judged in this step."""
    return max((one.get("requests", 0) for one in acts.status_of(kube, "cmig", name).get("objectives", [])), default=0)


def said_of(kube: Kube, name: str) -> str:
    """What a migration says of itself."""
    return str(acts.condition(acts.status_of(kube, "cmig", name), "Ready").get("message", ""))


def patch_spec(kube: Kube, name: str, spec: dict[str, Any]) -> None:
    """A person edits a migration."""
    kube.kubectl("patch", "cmig", name, "--type=merge", "--patch", json.dumps({"spec": spec}))


def edit_by_hand(kube: Kube, lane: Lane, percent: int, who: str) -> None:
    """A person sets the canary's weight."""
    rules = kube.get("httproute", lane.route)["spec"]["rules"]
    for one, share in zip(rules[0]["backendRefs"], (100 - percent, percent), strict=True):
        one["weight"] = share
    patch = json.dumps({"spec": {"rules": rules}})
    kube.kubectl("patch", "httproute", lane.route, "--type=merge", f"--field-manager={who}", "--patch", patch)


def uid_of(kube: Kube, name: str) -> str:
    """A migration's own; another run's events may be there still."""
    return str(kube.get("cmig", name)["metadata"]["uid"])


def event_of(kube: Kube, uid: str, reason: str) -> str:
    """What an event said last of whom; empty when none did. The state that it tells of may last for one pass only."""
    mine = [e for e in kube.items("events") if e["involvedObject"]["uid"] == uid and e["reason"] == reason]
    return str(mine[-1]["message"]) if mine else ""


def share_of(kube: Kube, lane: Lane, canary: str) -> int:
    """The canary's weight in a lane's route; 0 before there is one."""
    return backends_of(kube, lane).get(canary, 0)


def backends_of(kube: Kube, lane: Lane) -> dict[str, int]:
    """Weights by Service of a lane's route; none before there is one."""
    rules = kube.get("httproute", lane.route).get("spec", {}).get("rules", [])
    return {backend["name"]: backend.get("weight", 1) for rule in rules for backend in rule["backendRefs"]}
