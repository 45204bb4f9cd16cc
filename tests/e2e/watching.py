"""What the tests of migrations ask of the cluster, and the objectives that no fault of theirs is about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.demo import acts
from tests.demo.kube import Kube
from tests.e2e import faults
from tests.e2e.faults import STEPS, Lane, errors_below, latency_below
from tests.e2e.plugin import changeover

END_SECONDS = 600
# One hiccup of a shared machine makes a tighter bound wait for minutes: the rule takes it for noise that would be as
# wild at the limit (docs/decision-quality.md, One burst). What is about latency says so by a bound of its own.
LENIENT = latency_below("1s", percentile="95")
# To show fewer errors than 1 % takes some 370 requests (10 a block, decided as in faults.py), which are minutes at the
# first weight; 5 % takes 110.
FEW_ERRORS = errors_below("5")


@contextmanager
def migrating(
    kube: Kube,
    lane: Lane,
    canary: tuple[str, str],
    *objectives: dict[str, Any],
    weights: Sequence[int] = (*STEPS, 100),
    by: Callable[[Kube, dict[str, Any]], None] = faults.apply,
    **spec: Any,
) -> Iterator[None]:
    """A canary (name, fault), and the migration to it; afterwards the route is given back, and the canary goes."""
    name, fault = canary
    faults.apply(kube, *faults.backend(name, fault))
    faults.ready(kube, name)
    kube.kubectl("annotate", "httproute", lane.route, f"changeover.dev/hand-over-to={name}", "--overwrite")
    move = faults.migration(lane, name, weights, *objectives)
    move["spec"] |= spec
    try:
        by(kube, move)
        yield
    finally:
        kube.kubectl("delete", "cmig", name, "--wait", "--timeout=30s")
        kube.kubectl("delete", "deployment,service", name, "--wait")


def mark(kube: Kube, lane: Lane) -> dict[str, Any]:
    """The state that was written together with the weights."""
    found: dict[str, Any] = json.loads(
        kube.get("httproute", lane.route)["metadata"]["annotations"]["changeover.dev/mark"]
    )
    return found


def weight(kube: Kube, lane: Lane) -> int:
    """The weight that was decided; 0 before the route is the migration's."""
    annotations = kube.get("httproute", lane.route)["metadata"].get("annotations", {})
    return int(mark(kube, lane)["weight"]) if "changeover.dev/mark" in annotations else 0


def instant(text: str) -> float:
    """Seconds since the epoch of a time in UTC, to the microsecond."""
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()


def first_answers(kube: Kube, name: str) -> list[float]:
    """When each pod of a backend was first asked, by its log."""
    pods = [pod["metadata"]["name"] for pod in kube.items("pods", f"app={name}")]
    lines = [line for pod in pods for line in kube.kubectl("logs", pod, "--timestamps").splitlines()]
    return sorted(instant(line.split()[0]) for line in lines if "first request" in line)


def rolled_back(kube: Kube, name: str) -> acts.Status:
    status = list(acts.follow(kube, "cmig", name, END_SECONDS))[-1]
    assert status["outcome"]["result"] == "RolledBack", status["outcome"]
    return status


def reason_of(kube: Kube, name: str) -> str:
    return str(acts.condition(acts.status_of(kube, "cmig", name), "Ready").get("reason"))


def ask(kube: Kube, name: str, verb: str, token: str) -> None:
    """As a person does: the plugin annotates, and waits for the operator's answer."""
    code, said, wrong = changeover(kube, verb, f"cmig/{name}", "--token", token)
    assert (code, wrong) == (0, ""), wrong
    assert said.startswith(f"canarymigration/{name} {verb}: accepted: ")


def looked_back_at(kube: Kube, name: str, folder: Path) -> None:
    """A migration that has ended, by the commands for that: its evidence says now what was decided, and it is told."""
    code, text, wrong = changeover(kube, "replay", f"cmig/{name}")
    print(f"\n{text}{wrong}")
    assert code == 0 and "✖" not in text, "the evidence says now what was decided then"
    page = folder / "report.html"
    code, text, wrong = changeover(kube, "report", f"cmig/{name}", "-o", str(page))
    assert (code, wrong) == (0, ""), wrong
    assert name in page.read_text() and "could not be asked" not in page.read_text()
