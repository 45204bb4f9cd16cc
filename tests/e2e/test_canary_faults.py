"""Canaries that fail in the ways in which a peer was measured, at its steps and rate, on real parts.

The peer took 58 to 61 s from the first bad answer to weight 0, let three of five canaries through that crash after they
had become ready, and went from a hand-edited weight of 37 to 100 (shared/research/peer-flagger.md).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.demo import acts
from tests.demo.kube import ROOT, Kube
from tests.e2e import faults
from tests.e2e.aside import STABLE, STEPS, adopted, edited, quiet
from tests.e2e.faults import Lane, errors_below, latency_below
from tests.e2e.plugin import changeover
from tests.e2e.release import Installed, install_and_wait
from tests.e2e.watching import FEW_ERRORS, LENIENT, ask, looked_back_at, reason_of, rolled_back

pytestmark = pytest.mark.usefixtures("aside")

LANE = Lane("faults", STABLE, rate=200)
ERRORS_SECONDS = 10  # from the first bad answer to weight 0
CRASH_SECONDS = 10  # from the end of the first container to weight 0
HELM_SECONDS = 240  # it makes ready, measures stable and rolls back; helm's timeout is nine minutes
LATE_SECONDS = 10  # from the first late answer to weight 0
# From the weight at which the CPU is too much to weight 0: some nine blocks of 5 s after two scrapes, and more where a
# shared machine takes the CPU away from the canary, which then uses less of it.
TOIL_SECONDS = 150


@pytest.fixture(scope="module")
def shop(operator: Kube) -> Iterator[Kube]:
    """A stable backend under live load; the route is made by the first migration and handed from one to the next."""
    faults.apply(operator, *faults.backend(LANE.stable), faults.route_to_stable(LANE))
    faults.ready(operator, LANE.stable)
    time.sleep(3)  # the gateway takes the route
    load = faults.traffic(LANE)
    faults.apply(operator, load)
    operator.kubectl("wait", f"pod/{load['metadata']['name']}", "--for=condition=Ready", "--timeout=60s")
    yield operator
    acts.clear(operator)


@pytest.fixture(scope="module")
def aside(shop: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[str]]]:
    """Stories that begin with the first test and have ended long before the operator is installed anew."""
    with ThreadPoolExecutor() as pool:
        stories = (adopted, quiet, edited)
        yield {one.__name__: pool.submit(one, shop, tmp_path_factory.mktemp(one.__name__)) for one in stories}


@contextmanager
def migrating(
    kube: Kube,
    name: str,
    fault: str = "",
    *objectives: dict[str, Any],
    weights: Sequence[int] = (*STEPS, 100),
    by: Callable[[Kube, dict[str, Any]], None] = faults.apply,
    **spec: Any,
) -> Iterator[None]:
    """A canary with a fault, and the migration to it; afterwards the route is given back, and the canary goes."""
    faults.apply(kube, *faults.backend(name, fault))
    faults.ready(kube, name)
    kube.kubectl("annotate", "httproute", LANE.route, f"changeover.dev/hand-over-to={name}", "--overwrite")
    move = faults.migration(LANE, name, weights, *objectives)
    move["spec"] |= spec
    try:
        by(kube, move)
        yield
    finally:
        kube.kubectl("delete", "cmig", name, "--wait", "--timeout=30s")
        kube.kubectl("delete", "deployment,service", name, "--wait")


def mark(kube: Kube) -> dict[str, Any]:
    """The state that was written together with the weights."""
    found: dict[str, Any] = json.loads(
        kube.get("httproute", LANE.route)["metadata"]["annotations"]["changeover.dev/mark"]
    )
    return found


def weight(kube: Kube) -> int:
    """The weight that was decided; 0 before the route is the migration's."""
    annotations = kube.get("httproute", LANE.route)["metadata"].get("annotations", {})
    return int(mark(kube)["weight"]) if "changeover.dev/mark" in annotations else 0


def instant(text: str) -> float:
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()


def first_answers(kube: Kube, name: str) -> list[float]:
    """When each pod of a backend was first asked, by its log."""
    pods = [pod["metadata"]["name"] for pod in kube.items("pods", f"app={name}")]
    lines = [line for pod in pods for line in kube.kubectl("logs", pod, "--timestamps").splitlines()]
    return sorted(instant(line.split()[0]) for line in lines if "first request" in line)


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
    with migrating(shop, name, "all-errors", LENIENT, errors_below("1")):
        status = rolled_back(shop, name)
        took = datetime.fromisoformat(mark(shop)["since"]).timestamp() - first_answers(shop, name)[0]
    print(f"\n  first bad answer to weight 0: {took:.1f} s; {status['outcome']['message']}")
    assert status["outcome"]["reason"] == "ErrorsObjectiveMissed"
    assert [entry["to"] for entry in status["history"]] == [STEPS[0], 0]
    assert took <= ERRORS_SECONDS


def test_a_canary_that_crashes_after_it_became_ready_is_rolled_back_at_the_first_crash(shop: Kube) -> None:
    name = "faults-crash"
    with migrating(shop, name, "crashes-later", LENIENT, errors_below("1")):
        status = rolled_back(shop, name)
        # The kubelet may tell that a pod is not ready before it tells that its container has ended.
        acts.wait_until("the kubelet tells of the crash", 30, lambda: bool(crashes(shop, name)))
        took = datetime.fromisoformat(mark(shop)["since"]).timestamp() - crashes(shop, name)[0]
    print(f"\n  first crash to weight 0: {took:.1f} s; {status['outcome']['message']}")
    assert status["outcome"]["reason"] in ("CanaryCrashed", "CanaryNotReady")
    assert took <= CRASH_SECONDS


def test_a_canary_that_answers_late_is_at_weight_0_within_ten_seconds_and_helm_fails_at_once(
    shop: Kube, tmp_path: Path
) -> None:
    name, installed = "faults-late", list[Installed]()

    def by_helm(kube: Kube, move: dict[str, Any]) -> None:
        installed.append(install_and_wait(kube, name, move))

    with migrating(shop, name, "late", latency_below("100ms", percentile="99"), FEW_ERRORS, by=by_helm):
        status = rolled_back(shop, name)
        took = datetime.fromisoformat(mark(shop)["since"]).timestamp() - first_answers(shop, name)[0]
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
    with migrating(shop, name, "toils", LENIENT, FEW_ERRORS, cpu, weights=(25, 50, 100)):
        status = rolled_back(shop, name)
    raised, back = (instant(entry["at"].rstrip("Z")) for entry in status["history"][-2:])
    print(f"\n  weight {status['history'][-2]['to']} to 0: {back - raised:.1f} s; {status['outcome']['message']}")
    assert status["outcome"]["reason"] == "CPUObjectiveMissed"
    assert [entry["to"] for entry in status["history"]] == [25, 0]
    assert back - raised <= TOIL_SECONDS


def test_a_person_approves_pauses_resumes_aborts_retries_and_promotes(shop: Kube) -> None:
    name = "faults-asked"
    testers = {"headers": [{"name": "X-Canary", "value": "always"}], "cookies": [{"name": "canary", "value": "a.b"}]}
    with migrating(shop, name, "", LENIENT, FEW_ERRORS, match=testers):
        steps = shop.get("cmig", name)["spec"]["steps"]
        patch = json.dumps({"spec": {"steps": [{**step, "approval": "Manual"} for step in steps]}})
        shop.kubectl("patch", "cmig", name, "--type=merge", "--patch", patch)
        acts.wait_until("it waits", 60, lambda: reason_of(shop, name) == "WaitingForApproval")
        only_testers_get_to(shop, name)
        look_at_what_waits(shop, name)
        ask(shop, name, "approve", "release-7")
        acts.wait_until("the first weight", 30, lambda: weight(shop) == STEPS[0])
        code, said, why = changeover(shop, "resume", f"cmig/{name}")
        assert (code, said) == (1, "") and "refused: it is not paused" in why
        ask(shop, name, "pause", "lunch")
        acts.wait_until("paused", 30, lambda: acts.status_of(shop, "cmig", name)["paused"])
        ask(shop, name, "resume", "back")
        acts.wait_until("resumed", 30, lambda: not acts.status_of(shop, "cmig", name)["paused"])
        ask(shop, name, "abort", "enough")
        aborted = rolled_back(shop, name)
        assert (aborted["outcome"]["reason"], weight(shop)) == ("Aborted", 0)
        assert changeover(shop, "wait", f"cmig/{name}", "--timeout=10s")[0] == 2
        assert fate_of_testers(shop, name) == "Parked"
        time.sleep(3)
        assert answer(shop, "X-Canary: always") == 200, "testers are on stable again"
        assert asked_by_testers(shop, name) in (0, 2)  # the gateway forgets counters of a route that is gone
        ask(shop, name, "retry", "again")
        acts.wait_until("the second attempt waits", 60, lambda: reason_of(shop, name) == "WaitingForApproval")
        ask(shop, name, "promote", "the-boss")
        code, lines, _ = changeover(shop, "get", f"cmig/{name}", "-w")
        print(lines)
        assert code == 0 and "✔ Promoted" in lines.splitlines()[-1] and "\x1b" not in lines
        assert changeover(shop, "wait", f"cmig/{name}", "--timeout=10s")[0] == 0
        promoted = acts.status_of(shop, "cmig", name)
    assert [entry["to"] for entry in promoted["history"]] == [STEPS[0], 0, 100]
    assert (promoted["outcome"]["result"], promoted["outcome"]["attempt"]) == ("Promoted", 2)
    answers = {one["verb"]: (one["token"], one["result"], one["answer"]) for one in promoted["requests"]}
    print(f"\n  {answers}")
    assert {verb: (token, result) for verb, (token, result, _) in answers.items()} == {
        "approve": ("release-7", "Accepted"), "pause": ("lunch", "Accepted"), "resume": ("back", "Accepted"),
        "abort": ("enough", "Accepted"), "retry": ("again", "Accepted"), "promote": ("the-boss", "Accepted"),
    }  # fmt: skip
    assert answers["approve"][2].startswith("step 1/6 approved: 0 % -> 1 %")


def only_testers_get_to(kube: Kube, name: str) -> None:
    """Before any weight two testers are answered by the canary, and nobody else."""
    acts.wait_until("testers", 30, lambda: fate_of_testers(kube, name) == "OnCanary")
    time.sleep(3)  # the gateway takes their route
    for _ in range(20):
        assert answer(kube, "Cookie: x=1; canary=aXb") == 200
    assert (weight(kube), first_answers(kube, name)) == (0, []), "only testers get to the canary"
    assert answer(kube, "X-Canary: always") == answer(kube, "Cookie: x=1; canary=a.b; y=2") == 200
    acts.wait_until("testers are answered by the canary", 30, lambda: asked_by_testers(kube, name) == 2)
    assert weight(kube) == 0 and first_answers(kube, name)


def fate_of_testers(kube: Kube, name: str) -> str:
    """What has become of the testers' route; empty before the first status of it."""
    return str(acts.status_of(kube, "cmig", name).get("testers", {}).get("state", ""))


def answer(kube: Kube, header: str) -> int:
    """The status of one request to the lane with a header, from inside the cluster."""
    name, _, value = header.partition(": ")
    program = (
        "import urllib.request as u\n"
        f"request = u.Request('http://traefik.gateway.svc/', headers={{'Host': {LANE.host!r}, {name!r}: {value!r}}})\n"
        "print(u.urlopen(request, timeout=5).status)"
    )
    return int(kube.kubectl("exec", f"traffic-{LANE.route}", "--", "python3", "-c", program))


def asked_by_testers(kube: Kube, name: str) -> int:
    """Requests that the gateway has sent to a canary by its testers' route, as far as they were scraped."""
    service = f"httproute-{kube.namespace}-{name}-testers-gw-.+@kubernetesgateway"
    found = kube.prometheus(f'sum(traefik_service_requests_total{{service=~"{service}"}})')
    return round(float(found[0]["value"][1])) if found else 0


def look_at_what_waits(kube: Kube, name: str) -> None:
    """Every command that only looks, while the first step waits for a person."""
    code, text, _ = changeover(kube, "get", f"cmig/{name}", "-o", "wide")
    print(f"\n{text}")
    assert code == 0 and "WaitingForApproval" in text and f"Deployment {name}: 2/2 ready" in text
    assert f"HTTPRoute {name}-testers: {name} 1" in text
    code, text, _ = changeover(kube, "explain", name)
    print(text)
    assert code == 0 and "approval of step 1" in text and f"svc-demo-{name}-[0-9]+" in text
    code, text, _ = changeover(kube, "preflight", f"cmig/{name}")
    print(text)
    assert code == 0 and "container_cpu_usage_seconds_total" in text and "is this migration's" in text
    path = f"/api/v1/namespaces/{acts.OPERATOR_NAMESPACE}/services/changeover:8080/proxy/metrics"
    mine = [line for line in kube.run("kubectl", "get", "--raw", path).splitlines() if f'name="{name}"' in line]
    assert any('reason="WaitingForApproval"' in line and line.endswith(" 1.0") for line in mine), mine
    assert any(line.startswith("changeover_migration_weight_percent") and 'of="asked"' in line for line in mine)
    code, text, _ = changeover(kube, "wait", f"cmig/{name}", "--timeout=1s")
    assert code == 124 and "WaitingForApproval" in text
    code, text, wrong = changeover(kube, "get", "cmig/nobody")
    assert (code, text) == (1, "") and 'canarymigrations.changeover.dev "nobody" not found' in wrong


def test_files_are_checked_and_tried_out_without_a_cluster(shop: Kube) -> None:
    example = str(ROOT / "examples/migrate-to-slow.yaml")
    code, text, _ = changeover(shop, "lint", "-f", example)
    assert code == 0 and "CanaryMigration migrate-to-slow" in text
    code, text, _ = changeover(shop, "simulate", "-f", example, "--rate=400", "--worse=0.1", "--worse=3", "--runs=5")
    print(f"\n{text}")
    shares = {line.split()[0]: line.split()[1] for line in text.splitlines() if line[:1].isdigit() and "%" in line}
    assert code == 0 and shares == {"0.1": "100", "3": "0"}


@pytest.mark.parametrize("story", ["adopted", "quiet", "edited"])
def test_a_story_aside(aside: Mapping[str, Future[str]], story: str) -> None:
    """A route that stays its users', by Helm; a service that nobody asks, and its way back in parts; 37 by hand."""
    told = aside[story].result()  # raises what the story raised
    print(f"\n  {told}")
    assert told


@pytest.mark.usefixtures("open_operator")
def test_no_weight_rises_before_its_window_and_a_query_rolls_back_and_that_is_told(shop: Kube) -> None:
    name, opens = "faults-waits", (datetime.now(UTC) + timedelta(seconds=90)).replace(second=0, microsecond=0)
    last = opens.minute + 20  # of each hour twenty minutes, and this one is none of them
    parts = [(opens.minute, min(last, 59)), *([(0, last - 60)] if last > 59 else [])]
    hours = {"allowed": [f"{first}-{end} * * * *" for first, end in parts], "timeZone": "Europe/Berlin"}
    queue = {"name": "queue", "type": "Query", "query": {"promQL": "vector(12)", "max": "100", "unit": "jobs"}}
    faults.apply(shop, *faults.receiver(shop))
    shop.kubectl("wait", "pod/receiver", "--for=condition=Ready", "--timeout=60s")
    notify = [{"name": "on-call", "type": "Webhook", "secretRef": {"name": "hooks"}}]
    gates = [{"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}, "timeout": "2s"}]
    with migrating(shop, name, "", LENIENT, FEW_ERRORS, queue, windows=hours, notify=notify, gates=gates):
        acts.wait_until("it waits", 60, lambda: reason_of(shop, name) == "WaitingForWindow")
        acts.wait_until("the first weight", 240, lambda: weight(shop) == STEPS[0])
        assert datetime.fromisoformat(mark(shop)["since"]) >= opens
        objectives = shop.get("cmig", name)["spec"]["objectives"]
        objectives[-1]["query"]["promQL"] = "vector(200)"
        shop.kubectl("patch", "cmig", name, "--type=merge", "--patch", json.dumps({"spec": {"objectives": objectives}}))
        rolled_back(shop, name)
        acts.wait_until("it was told", 30, lambda: bool(told_of(shop, name)))
        status = acts.status_of(shop, "cmig", name)
    print(f"\n  {status['outcome']['message']}")
    assert status["outcome"]["reason"] == "QueryObjectiveMissed"
    first, *_, last_line = shop.kubectl("logs", "receiver").splitlines()
    asked, heard = json.loads(first), json.loads(last_line)
    question = json.loads(asked["body"])
    print(f"  the gate was asked: {question['type']} about {question['data']}")
    assert (question["type"], status["gates"][0]["state"]) == ("dev.changeover.canarymigration.gate", "Passed")
    assert datetime.fromisoformat(question["time"]) >= opens, "asked before its window"
    headers, event = heard["headers"], json.loads(heard["body"])
    assert (event["type"], event["data"]["name"]) == ("dev.changeover.canarymigration.rolledback", name)
    assert event["data"]["message"].startswith(status["outcome"]["message"])
    assert event["id"] == headers["webhook-id"] == status["notifications"][0]["id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{heard['body']}".encode()
    signature = base64.b64encode(hmac.new(faults.SIGNING_KEY.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"


def told_of(kube: Kube, name: str) -> list[str]:
    """Whom a migration has told."""
    told = acts.status_of(kube, "cmig", name).get("notifications", [])
    return [one["name"] for one in told if one["state"] == "Sent"]


def test_without_prometheus_the_weight_stays_and_the_reason_is_said(shop: Kube) -> None:
    name, monitoring = "faults-blind", ("kubectl", "--namespace", "monitoring")
    with migrating(shop, name, "", LENIENT, FEW_ERRORS, weights=(5, 50, 100)):
        acts.wait_until("weight 5", 200, lambda: weight(shop) == 5)
        shop.run(*monitoring, "scale", "deployment/prometheus", "--replicas=0")
        try:
            acts.wait_until("blind", 60, lambda: reason_of(shop, name) == "Blind")
            assert weight(shop) == 5
            status = rolled_back(shop, name)
        finally:
            shop.run(*monitoring, "scale", "deployment/prometheus", "--replicas=1")
            shop.run(*monitoring, "rollout", "status", "deployment/prometheus", "--timeout=120s")
    print(f"\n  {status['outcome']['message']}")
    assert status["outcome"]["reason"] == "Blind"
    assert max(entry["to"] for entry in status["history"]) == 5
