"""Canaries that are 25 % over their p99 budget, beside each other as a peer had them: how many are promoted?

The peer (docs/beside-a-peer.md) promoted 6 of 18: steps 20, 22, 24, 26, 30 at 100 requests a
second, 1.25 % of the answers at 160 ms against a budget of p99 <= 100 ms, decided after 85 to 119 s. A lane has twice
that time here; one that has not ended by then is undecided.
"""

from __future__ import annotations

import time
from typing import Any

from tests.demo import acts
from tests.demo.kube import Kube
from tests.e2e import faults
from tests.e2e.faults import Lane

STABLE, RATE, WEIGHTS = "lanes-stable", 100, (20, 22, 24, 26, 30, 100)
OBJECTIVES = (faults.latency_below("100ms", percentile="99"), faults.errors_below("1"))
SIDE_BY_SIDE = 6
SECONDS = 240.0
POLL_SECONDS = 5


def measure(kube: Kube, times: int, fault: str = "seldom-late") -> None:
    """Print each lane's end, and how many were promoted."""
    ends: list[str] = []
    while len(ends) < times:
        ends += _round(kube, min(SIDE_BY_SIDE, times - len(ends)), len(ends) + 1, fault)
    counts = {end: ends.count(end) for end in ("Promoted", "RolledBack", "undecided")}
    print(f"of {times}: " + ", ".join(f"{count} {end}" for end, count in counts.items()))


def _round(kube: Kube, lanes: int, first: int, fault: str) -> list[str]:
    """So many lanes at once. Returns their ends."""
    names = [f"lane-{first + number}" for number in range(lanes)]
    each = {name: Lane(name, STABLE, RATE) for name in names}
    faults.apply(kube, *faults.backend(STABLE))
    for name, lane in each.items():
        faults.apply(kube, *faults.backend(name, fault, replicas=1), faults.route_to_stable(lane))
    faults.ready(kube, STABLE, *names)
    time.sleep(3)  # the gateway takes the routes
    for name, lane in each.items():
        kube.kubectl("annotate", "httproute", name, f"changeover.dev/hand-over-to={name}")
        move = faults.migration(lane, name, WEIGHTS, *OBJECTIVES, false_advance_percent=1)
        faults.apply(kube, faults.load(lane), move)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not all(_has_ended(kube, name) for name in names):
        time.sleep(POLL_SECONDS)
    ends = [_tell(name, acts.status_of(kube, "cmig", name)) for name in names]
    acts.clear(kube)
    return ends


def _has_ended(kube: Kube, name: str) -> bool:
    return acts.is_finished(acts.status_of(kube, "cmig", name))


def _tell(name: str, status: dict[str, Any]) -> str:
    end = str(status.get("outcome", {}).get("result", "undecided"))
    latency = next((one for one in status.get("objectives", []) if one["name"] == "latency"), {})
    weights = [entry["to"] for entry in status.get("history", [])]
    print(
        f"{name}: {end}, weights {weights}; {latency.get('why') or status.get('outcome', {}).get('message')}",
        flush=True,
    )
    return end
