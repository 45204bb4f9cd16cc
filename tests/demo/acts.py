"""The acts of the main job: install, rank, migrate, roll back. The demonstration narrates, the tests assert."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.demo.kube import ROOT, CommandFailed, Kube

OPERATOR_NAMESPACE = "changeover-system"
GATEWAYS = [{"namespace": "gateway", "name": "public", "url": "http://traefik.gateway.svc"}]  # for own load
POLL_SECONDS = 2.0
BEFORE_SECONDS = 40  # of traffic on the old backend alone, for the figures before
Status = dict[str, Any]


def install(kube: Kube, *flags: str) -> None:
    """The operator, by its chart, as a user installs it; its pod is renewed so that it runs the image just built.

    Flags of helm add values to the chart's own; without them, an installation is put back to those.
    """
    kube.run(
        "helm", "upgrade", "--install", "changeover", "charts/changeover", "--namespace", OPERATOR_NAMESPACE,
        "--create-namespace", "--wait", "--timeout", "3m", "--set-string", f"podAnnotations.demo/at={int(time.time())}",
        "--set-json", f"gateways={json.dumps(GATEWAYS)}", *flags,
    )  # fmt: skip


def make_namespace(kube: Kube) -> None:
    """The namespace of the job, restricted as a careful cluster would have it."""
    labels = "pod-security.kubernetes.io/enforce: restricted"
    text = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {kube.namespace}, labels: {{{labels}}}}}\n"
    kube.run("kubectl", "apply", "--filename", "-", stdin=text)


def clear(kube: Kube) -> None:
    """Remove what an earlier run left, migrations first so that they give their routes back."""
    for kind in ("canarymigrations", "frameworkbenchmarks"):
        kube.kubectl("delete", kind, "--all", "--wait", "--timeout=60s", "--ignore-not-found")
    everything = "httproute,deployment,service,job,pod"
    kube.kubectl("delete", everything, "--all", "--wait", "--timeout=90s", "--grace-period=5")


def status_of(kube: Kube, kind: str, name: str) -> Status:
    """Status of one of our resources; empty before the first."""
    status: Status = kube.get(kind, name).get("status", {})
    return status


def condition(status: Status, name: str) -> dict[str, Any]:
    """One condition; empty when absent."""
    return next((c for c in status.get("conditions", []) if c["type"] == name), {})


def is_finished(status: Status) -> bool:
    """Whether it ended, either way."""
    return condition(status, "Finished").get("status") == "True"


def follow(kube: Kube, kind: str, name: str, seconds: float) -> Iterator[Status]:
    """Status again and again until it ends. Raises CommandFailed, and prints it, when it takes longer than that."""
    deadline = time.monotonic() + seconds
    while True:
        status = status_of(kube, kind, name)
        yield status
        if is_finished(status):
            return
        if time.monotonic() > deadline:
            print(json.dumps(status))
            why = condition(status, "Ready").get("message", "no status")
            raise CommandFailed(f"{kind} {name} has not ended after {seconds:.0f} s: {why}")
        time.sleep(POLL_SECONDS)


def acceptance(kube: Kube, name: str, seconds: float) -> Status:
    """status.acceptance of a promoted migration, when it has been judged. Raises CommandFailed."""
    found: Status = {}

    def judged() -> bool:
        found.update(status_of(kube, "cmig", name).get("acceptance", {}))
        return found.get("state") in ("Met", "NotMet", "Void")

    wait_until(f"the acceptance of {name} is judged", seconds, judged)
    return found


def wait_until(what: str, seconds: float, question: Callable[[], bool]) -> None:
    """Ask until the answer is yes. Raises CommandFailed."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise CommandFailed(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)


def start_shop(kube: Kube) -> None:
    """The shop on Express, reachable through the gateway, with its slow twin beside it."""
    kube.apply("examples/shop.yaml")
    for name in ("shop-express", "shop-slow"):
        kube.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")


def start_traffic(kube: Kube, rate: int | None = None) -> None:
    """Live load through the gateway, requests/s as in the example or as given; it begins when the gateway serves."""
    kube.kubectl("delete", "pod", "traffic", "--ignore-not-found", "--wait")
    time.sleep(3)  # the gateway takes a new route within a second; a first 404 would be ours, not the migration's
    example = (ROOT / "examples/traffic.yaml").read_text()
    stated = '-q, "400"'
    assert stated in example
    kube.kubectl(
        "apply", "--filename", "-", stdin=example if rate is None else example.replace(stated, f'-q, "{rate}"')
    )
    kube.kubectl("wait", "pod/traffic", "--for=condition=Ready", "--timeout=60s")


def stop_traffic(kube: Kube) -> dict[str, Any]:
    """Interrupt the load and return its report: oha's JSON."""
    interrupt = "import os, signal; os.kill(1, signal.SIGINT)"
    kube.kubectl("exec", "traffic", "--", "python3", "-c", interrupt)
    kube.kubectl("wait", "pod/traffic", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    report: dict[str, Any] = json.loads(kube.kubectl("logs", "traffic"))
    return report


def sent_and_failed(report: dict[str, Any]) -> tuple[int, int]:
    """Requests answered or failed, and those of them that were not answered 200.

    Requests in flight when the load is interrupted are counted by oha as errors 'aborted due to deadline': at most one
    a connection, and no failure of the service.
    """
    errors = {k: n for k, n in report["errorDistribution"].items() if "aborted due to deadline" not in k}
    answered = report["statusCodeDistribution"]
    failed = sum(n for code, n in answered.items() if code != "200") + sum(errors.values())
    return sum(answered.values()) + sum(errors.values()), failed


def migrate_to_winner(kube: Kube) -> str:
    """Apply the example. Returns the candidate that had to be chosen by hand because the first ones tie, or nothing.

    On a noisy machine three rounds may not tell two candidates apart, and the operator refuses to guess.
    """
    kube.apply("examples/migrate-to-winner.yaml")
    winner = status_of(kube, "fb", "web-frameworks")["winner"]
    if not winner.get("tiedWith"):
        return ""
    chosen: str = winner["candidate"]
    choice = {"spec": {"canary": {"benchmark": {"candidate": chosen}}}}
    kube.kubectl("patch", "cmig", "migrate-to-winner", "--type=merge", "--patch", json.dumps(choice))
    return chosen


def hand_over(kube: Kube, migration: str) -> None:
    """The owner of the route allows another migration to take it."""
    kube.kubectl("annotate", "httproute", "shop", f"changeover.dev/hand-over-to={migration}", "--overwrite")
