"""A story aside: what a person asks of a migration by the plugin, and what its testers see."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.demo import acts
from tests.demo.kube import Kube
from tests.e2e import faults
from tests.e2e.faults import STABLE, STEPS, Lane
from tests.e2e.plugin import changeover
from tests.e2e.watching import FEW_ERRORS, LENIENT, ask, first_answers, migrating, reason_of, rolled_back, weight


def asked(shop: Kube, _: Path) -> str:
    """A person approves, pauses, resumes, aborts, retries and promotes, while testers get to the canary."""
    name, lane = "faults-asked", Lane("asked", STABLE, rate=50)
    testers = {"headers": [{"name": "X-Canary", "value": "always"}], "cookies": [{"name": "canary", "value": "a.b"}]}
    with faults.traffic(shop, lane), migrating(shop, lane, (name, ""), LENIENT, FEW_ERRORS, match=testers):
        steps = shop.get("cmig", name)["spec"]["steps"]
        patch = json.dumps({"spec": {"steps": [{**step, "approval": "Manual"} for step in steps]}})
        shop.kubectl("patch", "cmig", name, "--type=merge", "--patch", patch)
        acts.wait_until("it waits", 60, lambda: reason_of(shop, name) == "WaitingForApproval")
        only_testers_get_to(shop, lane, name)
        look_at_what_waits(shop, name)
        ask(shop, name, "approve", "release-7")
        acts.wait_until("the first weight", 30, lambda: weight(shop, lane) == STEPS[0])
        code, said, why = changeover(shop, "resume", f"cmig/{name}")
        assert (code, said) == (1, "") and "refused: it is not paused" in why
        ask(shop, name, "pause", "lunch")
        acts.wait_until("paused", 30, lambda: acts.status_of(shop, "cmig", name)["paused"])
        ask(shop, name, "resume", "back")
        acts.wait_until("resumed", 30, lambda: not acts.status_of(shop, "cmig", name)["paused"])
        ask(shop, name, "abort", "enough")
        aborted = rolled_back(shop, name)
        assert (aborted["outcome"]["reason"], weight(shop, lane)) == ("Aborted", 0)
        assert changeover(shop, "wait", f"cmig/{name}", "--timeout=10s")[0] == 2
        assert fate_of_testers(shop, name) == "Parked"
        time.sleep(3)
        assert answer(shop, lane, "X-Canary: always") == 200, "testers are on stable again"
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
    assert {verb: (token, result) for verb, (token, result, _) in answers.items()} == {
        "approve": ("release-7", "Accepted"), "pause": ("lunch", "Accepted"), "resume": ("back", "Accepted"),
        "abort": ("enough", "Accepted"), "retry": ("again", "Accepted"), "promote": ("the-boss", "Accepted"),
    }  # fmt: skip
    assert answers["approve"][2].startswith("step 1/6 approved: 0 % -> 1 %")
    return str(answers)


def only_testers_get_to(kube: Kube, lane: Lane, name: str) -> None:
    """Before any weight two testers are answered by the canary, and nobody else."""
    acts.wait_until("testers", 30, lambda: fate_of_testers(kube, name) == "OnCanary")
    time.sleep(3)  # the gateway takes their route
    for _ in range(20):
        assert answer(kube, lane, "Cookie: x=1; canary=aXb") == 200
    assert (weight(kube, lane), first_answers(kube, name)) == (0, []), "only testers get to the canary"
    assert answer(kube, lane, "X-Canary: always") == answer(kube, lane, "Cookie: x=1; canary=a.b; y=2") == 200
    acts.wait_until("testers are answered by the canary", 30, lambda: asked_by_testers(kube, name) == 2)
    assert weight(kube, lane) == 0 and first_answers(kube, name)


def fate_of_testers(kube: Kube, name: str) -> str:
    """What has become of the testers' route; empty before the first status of it."""
    return str(acts.status_of(kube, "cmig", name).get("testers", {}).get("state", ""))


def answer(kube: Kube, lane: Lane, header: str) -> int:
    """The status of one request to the lane with a header, from inside the cluster."""
    name, _, value = header.partition(": ")
    program = (
        "import urllib.request as u\n"
        f"request = u.Request('http://traefik.gateway.svc/', headers={{'Host': {lane.host!r}, {name!r}: {value!r}}})\n"
        "print(u.urlopen(request, timeout=5).status)"
    )
    return int(kube.kubectl("exec", f"traffic-{lane.route}", "--", "python3", "-c", program))


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
