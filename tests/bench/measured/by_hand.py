"""Does the operator measure what the same load tool shows by hand, on the same pods?

The operator measures two backends in three rounds and leaves the last pods standing (cleanUp: Never); then wrk is
run by hand, three times, from a pod of the same image on the node of the operator's load, against the same Service.
"""

from __future__ import annotations

import json
import re
import statistics
import time

from tests.bench.measured import short
from tests.demo import acts
from tests.demo.kube import Kube

LOADER_IMAGE = "localhost/changeover-loader:dev"
TIMES = 3


def compare(kube: Kube) -> None:
    """Print both figures and their ratio."""
    candidates = [short.a_candidate("go-net-http", "go-net-http"), short.a_candidate("express", "express")]
    status = short.run(kube, short.make_benchmark("by-hand", candidates, TIMES, cleanUp="Never"))
    workload = kube.items("deployment", "changeover.dev/benchmark=by-hand")[0]["metadata"]
    name = workload["labels"]["changeover.dev/candidate"]
    runs = [r["report"]["requestsPerSecond"] for r in short.runs_of(kube, status) if r["candidate"] == name]
    hand = [by_hand(kube, workload["name"], number) for number in range(TIMES)]
    ratio = statistics.mean(runs) / statistics.mean(hand)
    ours, theirs = ([round(x) for x in figures] for figures in (runs, hand))
    print(f"{name}: operator {ours}, by hand {theirs} requests/s; ratio of the means {ratio:.3f}")


def by_hand(kube: Kube, service: str, number: int) -> float:
    """Requests per second that wrk itself prints, after the same warm-up."""
    name = f"by-hand-{number}"
    url = f"http://{service}:8080/"
    wrk = f"wrk -t1 -c{short.CONNECTIONS}"
    script = f"{wrk} -d{short.WARM_UP_SECONDS}s {url} >/dev/null && {wrk} -d{short.MEASURE_SECONDS}s {url}"
    overrides = {
        "spec": {
            "nodeSelector": {"changeover.dev/role": "load"},
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": name, "image": LOADER_IMAGE, "command": ["sh", "-c", script],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        }
    }  # fmt: skip
    kube.kubectl("run", name, f"--image={LOADER_IMAGE}", "--restart=Never", f"--overrides={json.dumps(overrides)}")
    acts.wait_until(f"pod {name} has ended", 60, lambda: kube.get("pod", name)["status"]["phase"] == "Succeeded")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", kube.kubectl("logs", name))
    assert found is not None, "wrk prints its rate"
    time.sleep(1)
    return float(found.group(1))
