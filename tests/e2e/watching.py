"""What the tests of migrations ask of the cluster, and the objectives that no fault of theirs is about."""

from __future__ import annotations

from pathlib import Path

from tests.demo import acts
from tests.demo.kube import Kube
from tests.e2e.faults import errors_below, latency_below
from tests.e2e.plugin import changeover

END_SECONDS = 600
# One hiccup of a shared machine makes a tighter bound wait for minutes, or a whole hour: the rule takes it for noise
# that would be as wild at the limit. What is about latency says so by a bound of its own.
LENIENT = latency_below("1s", percentile="95")
# To show fewer errors than 1 % takes some 300 requests, which are minutes at the first weight; 5 % takes a fifth.
FEW_ERRORS = errors_below("5")


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
