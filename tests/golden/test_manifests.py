"""Everything that the operator makes, as files to be read: a change of a manifest is a change of a file in review.

Write them anew with ``pytest tests/golden --update-golden``. The API server checks them in tests/contract/ports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from changeover.api.reasons import Reason
from changeover.core import names
from changeover.core.audit import make_record
from changeover.core.benchmark import SeenBenchmark, decide
from changeover.core.canary import choose
from changeover.core.manifests.route import Arm, RouteShape, make_route
from changeover.core.manifests.route_load import Aim, RouteLoad, make_route_load
from changeover.core.migration_state import Step
from changeover.core.observed import LoadReport, Workload
from changeover.core.plan import Apply, Manifest
from changeover.core.schedule import Run
from changeover.core.testers import take_testers
from changeover.testing.builders import a_report

from tests.unit.core.seen import NOW, USAGE, mark, migration_spec, owner, pod, seen, seen_benchmark, workload

FOLDER = Path(__file__).parent / "manifests"
RICH = {
    "candidates": [
        {
            "name": "express", "image": "localhost/express:1", "command": ["node"], "args": ["server.js", "--quiet"],
            "env": [{"name": "WORKERS", "value": "1"}, {"name": "EMPTY"}], "port": 3000, "readinessPath": "/ready",
            "resources": {"requests": {"cpu": 1, "memory": "256Mi"}, "limits": {"cpu": "1"}},
        },
        {"name": "plain", "image": "localhost/plain:1"},
    ],
    "placement": {
        "candidates": {
            "nodeSelector": {"changeover.dev/role": "candidate"},
            "tolerations": [{"key": "changeover.dev/role"}, {"key": "gpu", "operator": "Equal", "value": "no"}],
        },
        "load": {"nodeSelector": {"changeover.dev/role": "load"}},
    },
    "request": {
        "method": "POST", "path": "/echo?x=1", "expectStatus": 201, "expectBodySHA256": "ab" * 32,
        "headers": [{"name": "Accept", "value": "text/plain"}], "body": "{\"price\": \"$(HOSTNAME)\"}",
    },
    "scenarios": [
        {"name": "keep-alive", "type": "Closed", "closed": {"connections": 360}},
        {"name": "new-sockets", "type": "Closed", "closed": {"connections": 10, "keepAlive": False}},
        {"name": "constant", "type": "Open", "open": {"requestsPerSecond": 50000, "connections": 64}},
        {"name": "knee", "type": "Ramp", "ramp": {"startRequestsPerSecond": 500, "factor": "2", "connections": 64}},
    ],
    "objectives": {"maxLatency": {"percentile": "99.9", "max": "50ms"}, "maxErrorPercent": "0.1"},
}  # fmt: skip
SCENARIOS = [scenario["name"] for scenario in RICH["scenarios"]]


TOGETHER = {**RICH, "scenarios": RICH["scenarios"][2:3], "load": {"driver": "Oha", "instances": 3}}


def benchmark(spec: dict[str, Any] = RICH, **more: Any) -> SeenBenchmark:
    named = replace(owner("FrameworkBenchmark", name="web"), uid="0f0f0f0f-0000-4000-8000-000000000001")
    return seen_benchmark(spec, owner=named, **more)


def applied(seen: SeenBenchmark) -> list[Manifest]:
    return [action.manifest for action in decide(seen).actions if isinstance(action, Apply)]


def first_of(candidate: str) -> dict[str, Any]:
    """Records that make a candidate the next one."""
    other = next(c for c in ("express", "plain") if c != candidate)
    done = {"candidate": other, "round": 1, "node": "node-1", "void": [], "report": {}}
    runs = [names.run_id(1, other, scenario) for scenario in SCENARIOS]
    return {run: {**done, "scenario": run.split(".")[2]} for run in runs}


def loads(scenario: str, spec: dict[str, Any] = RICH) -> list[Manifest]:
    records = first_of("express")
    for before in SCENARIOS[: SCENARIOS.index(scenario)]:
        shown = {"candidate": "express", "scenario": before, "round": 1, "node": "node-1", "void": []}
        records[f"r1.express.{before}"] = shown
    started = applied(benchmark(records=first_of("express")))[0]
    labels = started["metadata"]["labels"]
    running = Workload(started["metadata"]["name"], labels, NOW, False, 1, (pod(),), 1.0)
    return [m for m in applied(benchmark(spec, records=records, workloads=(running,))) if m["kind"] == "Job"]


def cross_check() -> list[Manifest]:
    """The first run of the winner by a second generator."""
    spec = {"candidates": RICH["candidates"], "schedule": {"rounds": {"min": 3, "max": 3}, "crossCheck": True}}
    runs = [Run(number, name, "keep-alive") for number in (1, 2, 3) for name in ("express", "plain")]
    records = {run.id: make_record(run, LoadReport(a_report()), USAGE, workload(1, 1)) for run in runs}
    started = applied(benchmark(spec, records=records))[0]
    running = workload(1, 1, name=started["metadata"]["name"], labels=started["metadata"]["labels"])
    return [m for m in applied(benchmark(spec, records=records, workloads=(running,))) if m["kind"] == "Job"]


def canary() -> list[Manifest]:
    condition = {"type": "Ready", "status": "True"}
    body = {
        "metadata": {"generation": 1},
        "spec": benchmark().spec.model_dump(by_alias=True, exclude_none=True),
        "status": {
            "observedGeneration": 1,
            "conditions": [condition],
            "winner": {"candidate": "express"},
            "ranking": [{"candidate": "express", "imageDigest": "sha256:" + "1" * 64}],
        },
    }
    where = {"nodeSelector": {"pool": "web"}, "tolerations": [{"key": "web"}]}
    chosen = {"ref": {"name": "web"}, "replicas": 3, "placement": where}
    spec = migration_spec(canary={"type": "Benchmark", "benchmark": chosen})
    return list(choose(owner(), spec, body).manifests)


def route(weight: int, hostnames: tuple[str, ...]) -> list[Manifest]:
    parents = (("gateway", "public"), ("shop", "internal"))
    shape = RouteShape("shop", "shop", "shop", Arm("old", 80), Arm("new", 8080), parents, hostnames)
    return [make_route(shape, weight, mark(weight, since=NOW).to_dict())]


def route_of_testers() -> list[Manifest]:
    shape = RouteShape("shop", "shop", "shop", Arm("old", 80), Arm("new", 80), (("gateway", "public"),), ())
    match = {"headers": [{"name": "X-Canary", "value": "always"}], "cookies": [{"name": "canary", "value": "a.b"}]}
    seen_ = replace(seen({"match": match}), testers=None)
    step = Step(Reason.WAITING_EVIDENCE, "too little", mark=mark())
    return [action.manifest for action in take_testers(seen_, step, shape)]


def route_load() -> list[Manifest]:
    spec = migration_spec(
        request={"path": "/items?limit=$10", "headers": [{"name": "Accept", "value": "text/plain"}]},
        placement={"load": {"nodeSelector": {"changeover.dev/role": "load"}}},
    )
    load = RouteLoad("shop-acceptance-6908", "localhost/loader:1", 2100, 360, 600)
    return [make_route_load(owner(), spec, load, Aim("http://traefik.gateway.svc", "shop.example.com"))]


GOLDEN: dict[str, Callable[[], list[Manifest]]] = {
    "candidate": lambda: applied(benchmark(records=first_of("express"))),
    "candidate-plain": lambda: applied(benchmark(records=first_of("plain"))),
    "load-keep-alive": lambda: loads("keep-alive"),
    "load-new-sockets": lambda: loads("new-sockets"),
    "load-constant": lambda: loads("constant"),
    "load-knee": lambda: loads("knee"),
    "load-cross-check": cross_check,
    "load-from-three-pods": lambda: loads("constant", TOGETHER),
    "records": lambda: applied(benchmark(records=None, places=())),
    "canary": canary,
    "route": lambda: route(10, ("shop.example.com",)),
    "route-all-hosts": lambda: route(0, ()),
    "route-of-testers": route_of_testers,
    "load-of-a-route": route_load,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_manifest_is_as_its_file_says(name: str, request: pytest.FixtureRequest) -> None:
    made, path = GOLDEN[name](), FOLDER / f"{name}.yaml"
    assert made
    if request.config.getoption("--update-golden"):
        path.write_text(yaml.safe_dump_all(made, sort_keys=True, width=120))
    assert list(yaml.safe_load_all(path.read_text())) == made


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(GOLDEN)


def pods() -> list[Any]:
    found = []
    for name in GOLDEN:
        for manifest in GOLDEN[name]():
            if "template" in manifest.get("spec", {}):
                found.append(pytest.param(manifest["spec"]["template"], id=f"{name}: {manifest['kind']}"))
    return found


@pytest.mark.parametrize("template", pods())
def test_no_pod_is_more_than_restricted_and_none_has_a_token(template: dict[str, Any]) -> None:
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName", "nodeName"} & set(spec)
    for container in spec["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
    assert all("hostPath" not in volume for volume in spec["volumes"])


def test_a_canary_is_not_owned_by_its_migration() -> None:
    """Once it carries traffic, deleting the migration must not take it away."""
    assert all("ownerReferences" not in manifest["metadata"] for manifest in canary())


def test_selectors_find_their_own_pods_and_no_benchmarks_selector_finds_a_canary() -> None:
    service, deployment = canary()
    measured, front = GOLDEN["candidate"]()[:2]
    for owner_, front_ in ((deployment, service), (measured, front)):
        labels = owner_["spec"]["template"]["metadata"]["labels"]
        assert owner_["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert front_["spec"]["selector"].items() <= labels.items()
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert not front["spec"]["selector"].items() <= labels.items()
