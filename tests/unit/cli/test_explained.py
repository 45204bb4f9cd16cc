"""explain, lint, preflight and simulate: why not yet, is it right, is all there, and how long will it take."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from changeover.api.v1alpha1 import MigrationSpec
from changeover.cli.explain import explain
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.prometheus import proxied
from changeover.cli.simulate import ROLLED_BACK, binomial, summarise
from changeover.cli.simulate import run as run_one
from changeover.cli.target import UsageError
from changeover.core.plan import Ref
from changeover.testing.builders import NAMESPACE, a_migration
from changeover.testing.metrics import Behaviour

from tests.unit.cli.fake import CONFIG, OPERATOR, STEPS, a_world, checked, command, configured, go_on, play, well

__all__ = ["play"]  # the fixture
NOW = datetime(2030, 1, 1, tzinfo=UTC)
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
OURS = sorted(path for path in EXAMPLES.glob("*.yaml") if "changeover.dev/v1alpha1" in path.read_text())


def explained(*words: str) -> dict[str, str]:
    """Gate -> its sign and value."""
    done = command("explain", *words)
    assert done.exit_code == 0, done.output
    head = done.output.split("\n\nPrometheus")[0]
    return {line[2:30].strip(): f"{line[0]} {line[30:].strip()}" for line in head.splitlines()}


def test_every_gate_with_its_value(play: Any) -> None:
    steps = [{**STEPS[0], "minRequests": 100_000}, {**STEPS[1], "approval": "Manual"}]
    gates = [{"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}}]
    world = a_world(steps=steps, windows={"frozen": ["2020-01-01/2099-01-01"]})
    go_on(world, 8)
    play(world)
    found = explained("shop")
    assert "before the first" in found["step"] and found["windows"].startswith("◷ the window is closed, frozen")
    world = a_world(steps=steps, gates=gates)
    go_on(world, 3)
    play(world)
    assert found["TrafficSettled"].startswith("✔")
    assert explained("cmig/shop")["gate board (BeforeStep)"].startswith("◷")


def test_what_a_step_has_still_to_show(play: Any) -> None:
    world = a_world(steps=[{**STEPS[0], "minRequests": 100_000}, {**STEPS[1], "approval": "Manual"}])
    go_on(world, 8)
    play(world)
    found = explained("shop")
    assert found["minRequests"].endswith("of 100,000") and found["minRequests"].startswith("◷")
    assert "requests" in found["objective errors"]
    assert found["approval of step 2"] == "◷ a person is asked when all else speaks for it"
    assert "of 120 s since" in found["minDuration"]


def test_the_exact_queries_are_shown(play: Any) -> None:
    world = a_world()
    go_on(world, 3)
    play(world)
    asked = command("explain", "shop").output.split("Prometheus is asked:")[1]
    assert 'service=~"(httproute-shop-shop-gw-.+-svc-shop-new-[0-9]+|shop-new-(http-)?80)@kubernetesgateway"' in asked
    assert asked.count("traefik_service_request_duration_seconds_bucket") == 2


def test_a_query_of_ones_own_is_shown_as_it_is_asked(play: Any) -> None:
    """With its placeholders Prometheus would not take it."""
    promql = 'max(depth{namespace="{{ .namespace }}",pod=~"{{ .podRegex }}",app="{{ .canaryService }}"}[{{ .window }}])'
    queue = {"name": "queue", "type": "Query", "query": {"promQL": promql, "max": "100"}}
    errors = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}}
    world = a_world(objectives=[errors, queue])
    go_on(world, 3)
    play(world)
    asked = command("explain", "shop").output.split("Prometheus is asked:")[1]
    assert f'queue: max(depth{{namespace="{NAMESPACE}",pod=~"new-[^-]+-[^-]+",app="new"}}[60s])' in asked


@pytest.mark.parametrize(
    ("source", "label"), [({"serviceLabel": "exported_service"}, "exported_service"), ({}, "service")]
)
def test_the_queries_have_the_label_that_is_configured(play: Any, source: dict[str, Any], label: str) -> None:
    world = a_world()
    go_on(world, 3)
    play(world).everywhere = [configured(**source)]
    asked = command("explain", "shop").output.split("Prometheus is asked:")[1]
    assert asked.count(f'_bucket{{{label}=~"(httproute-shop') == 2


def test_where_the_configuration_cannot_be_read_the_label_is_the_gateways_own(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    go_on(world, 3)
    play(world)

    def refused(*_: Any, **__: Any) -> str:
        raise KubectlFailed("configmaps is forbidden")

    monkeypatch.setattr(Kubectl, "run", refused)
    done = command("explain", "shop")
    assert done.exit_code == 0 and done.output.count('_bucket{service=~"(httproute-shop') == 2


def test_what_ended_has_no_gates(play: Any) -> None:
    world = a_world()
    go_on(world, 60)
    play(world)
    found = explained("shop")
    assert set(found) == {"it says", "outcome"} and found["outcome"].startswith("✔ Promoted")


def test_a_rollback_is_marked_as_one(play: Any) -> None:
    world = a_world()
    world.metrics.behaviours["new"] = Behaviour(error_share=0.9)
    go_on(world, 20)
    play(world)
    assert explained("shop")["outcome"].startswith("✖ RolledBack")


def test_at_the_last_step_the_gate_before_the_promotion_is_told_and_no_other(play: Any) -> None:
    hooks = {"secretRef": {"name": "hooks"}}
    gates = [{"name": "step", "at": "BeforeStep", **hooks}, {"name": "all", "at": "BeforePromotion", **hooks}]
    world = a_world(gates=gates, steps=[STEPS[0], {**STEPS[1], "covers": ["DailyPeak"], "maxDuration": "48h"}])
    go_on(world, 3)
    play(world)
    found = explained("shop")
    assert "gate step (BeforeStep)" in found and "gate all (BeforePromotion)" not in found
    body = world.cluster.peek(Ref("CanaryMigration", NAMESPACE, "shop"))
    assert body is not None
    last = {"index": 2, "weightPercent": 100, "since": "2029-12-31T00:00:00Z"}
    told = {gate: sign for sign, gate, _ in explain({**body, "status": {"step": last}}, NOW)}
    assert told["gate all (BeforePromotion)"] == "◷" and told["covers DailyPeak"] == "⚠"
    assert not {"windows", "gate step (BeforeStep)"} & set(told)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.name))
def test_our_own_examples_are_right(path: Path) -> None:
    done = command("lint", "-f", str(path))
    assert done.exit_code == 0, done.output
    assert "✔" in done.output


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"steps": [{"weightPercent": 120}]},
            "✖ -: CanaryMigration shop: spec.steps[0].weightPercent: Input should be",
        ),
        ({"steps": [{"weightPercent": 50}, {"weightPercent": 10}]}, "weightPercent must rise from step to step"),
        ({"stepz": []}, "spec.stepz: Extra inputs are not permitted"),
        ({"windows": {"allowed": ["0 25 * * *"]}}, "spec.windows"),
    ],
)
def test_what_is_wrong_is_named(spec: dict[str, Any], said: str) -> None:
    done = command("lint", "-f", "-", stdin=yaml.safe_dump(a_migration(**spec)))
    assert done.exit_code == 1
    assert said in done.output


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("the-migration-of-the-shop-to-its-new-home", "metadata.name must have at most 40 characters"),
        ("shop.eu", "metadata.name must begin with a letter and hold no dot"),
        ("2nd-shop", "metadata.name must begin with a letter and hold no dot"),
    ],
)
def test_a_name_that_the_api_server_refuses_is_told(name: str, said: str) -> None:
    done = command("lint", "-f", "-", stdin=yaml.safe_dump(a_migration(name)))
    assert done.exit_code == 1 and f"✖ -: CanaryMigration {name}: {said}" in done.output


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"steps": [{"weightPercent": 50}]}, "the last weight is 50 %, so a promotion leaves 50 % on stable"),
        ({"steps": [{"weightPercent": 100, "minDuration": "1m", "maxDuration": "2m"}]}, "less than 3 blocks"),
        ({"objectives": [{"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}}]}, "only CPU is judged"),
        (
            {"objectives": [{"name": "p99", "type": "Latency", "latency": {"max": "50ms"}}]},
            "a canary that answers every third request with a fast 500 is promoted; add an objective of type Errors",
        ),
        (
            {"objectives": [{"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40, "atTrafficMultiple": 3}}]},
            "small weights are held",
        ),
    ],
)
def test_what_is_doubtful_is_said_and_is_no_error(spec: dict[str, Any], said: str) -> None:
    done = command("lint", "-f", "-", stdin=yaml.safe_dump(a_migration(**spec)))
    assert done.exit_code == 0
    assert f"⚠ -: CanaryMigration shop: spec.{'steps' if 'steps' in spec else 'objectives'}" in done.output
    assert said in done.output


def test_a_list_and_several_documents_are_read(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    others = {"kind": "List", "items": [a_migration("one"), {"kind": "Service"}]}
    path.write_text(yaml.safe_dump_all([others, None, a_migration("two")]))
    assert [line.split()[-1] for line in command("lint", "-f", str(path)).output.splitlines()] == ["one", "two"]


@pytest.mark.parametrize(("text", "why"), [("a: [", "is no YAML"), ("kind: Service", "there is no FrameworkBenchmark")])
def test_a_file_without_any_is_an_error(text: str, why: str) -> None:
    done = command("lint", "-f", "-", stdin=text)
    assert done.exit_code == 1
    assert why in done.output + str(done.exception)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = command("lint", "-f", str(tmp_path / "none.yaml"))
    assert isinstance(done.exception, UsageError) and "No such file" in str(done.exception)


ENOUGH = json.dumps({"data": {"result": [{"value": [0, "12"]}]}})


def test_all_is_there(play: Any) -> None:
    well(play)
    text = checked(0)
    assert "✖" not in text and "⚠" not in text
    assert "12 series" in text and "1 ready in changeover-system" in text and "will be made" in text


@pytest.mark.parametrize(
    ("served", "words", "said"),
    [
        ([NAMESPACE], ["cmig/shop"], "✔ the operator 1 ready in changeover-system"),
        (["pay", "web"], ["cmig/shop"], "✖ the operator serves pay, web only; add shop to the chart's watchNamespaces"),
        (["pay"], ["-f"], "⚠ the operator serves pay only; say by --namespace where the migration is to be"),
        (["pay"], ["-n", "pay", "-f"], "✔ the operator 1 ready in changeover-system"),
    ],
)
def test_an_operator_that_does_not_serve_the_namespace_is_told(
    play: Any, tmp_path: Path, served: list[str], words: list[str], said: str
) -> None:
    """It would never look at the migration, and nothing would say so."""
    played, path, body = well(play), tmp_path / "shop.yaml", a_migration(steps=STEPS)
    data = yaml.safe_load(CONFIG["data"]["config.yaml"]) | {"watchNamespaces": served}
    played.everywhere = [OPERATOR, {**CONFIG, "data": {"config.yaml": yaml.safe_dump(data)}}]
    del body["metadata"]["namespace"]
    path.write_text(yaml.safe_dump(body))
    done = command("preflight", *words, *([str(path)] if words[-1] == "-f" else []))
    assert said in " ".join(done.output.split())
    assert done.exit_code == 1 or "✖" not in done.output


def test_a_file_is_checked_before_it_is_applied(play: Any, tmp_path: Path) -> None:
    played = well(play)
    played.world.cluster.remove(Ref("CanaryMigration", NAMESPACE, "shop"))
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(a_migration(steps=STEPS)))
    assert "✖" not in checked(0, "-f", str(path))
    path.write_text(yaml.safe_dump(a_migration(steps=[])))
    assert isinstance(command("preflight", "-f", str(path)).exception, UsageError)
    assert isinstance(command("preflight").exception, UsageError)


def test_each_thing_that_is_missing_is_named_with_its_mend(play: Any) -> None:
    played = well(play, metrics={"source": "other"}, acceptance={})
    cluster = played.world.cluster
    for ref in (Ref("Service", NAMESPACE, "old"), Ref("Deployment", NAMESPACE, "new")):
        cluster.remove(ref)
    played.gateways.clear()
    played.crds.clear()
    cluster.put(
        {
            "kind": "HTTPRoute",
            "metadata": {"name": "shop", "namespace": NAMESPACE},
            "spec": {"rules": [{"backendRefs": []}]},
        }
    )
    played.everywhere, played.allowed = [CONFIG], False
    text = " ".join(checked(1).split())
    for said in (
        "CRD canarymigrations.changeover.dev is not there; install the chart",
        "no; ask who runs the cluster for the role", "the operator is not installed",
        "stable: Service old is not there", "canary: Deployment new is not there", "Gateway public is not there",
        "hand it over: kubectl annotate --overwrite httproute shop",
        "metric source other is not configured; there are default",
        "set gateways in the chart's values",
    ):  # fmt: skip
        assert said in text, said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spec": {"ports": [{"port": 8080}]}}, "has no port 80, but 8080"),
        ({"spec": {"ports": []}}, "has no port 80, but"),
    ],
)
def test_a_service_with_another_port(play: Any, change: dict[str, Any], said: str) -> None:
    well(play).world.cluster.patch(Ref("Service", NAMESPACE, "new"), change)
    assert said in checked(1)


@pytest.mark.parametrize(
    ("labels", "selector", "said"),
    [
        ({"app": "new"}, {"app": "new"}, ""),
        ({"app": "new"}, None, ""),  # its endpoints are made by hand
        ({"app": "new"}, {"app": "web"}, "Service new does not select the pods of Deployment new"),
        ({"app": "new", "tier": "web"}, {"tier": "web", "app": "new"}, ""),
        (
            {"app": "old", "v": "2"},
            {"app": "old", "v": "2"},
            "Service old selects the pods of Deployment new at any weight",
        ),
        ({"app": "new"}, {"app": "old"}, "Service new selects the pods of Deployment old at any weight"),
    ],
)
def test_a_service_that_selects_other_pods_than_its_deployments(
    play: Any, labels: dict[str, str], selector: dict[str, str] | None, said: str
) -> None:
    """Then the canary has traffic at weight 0, or what is judged are not the pods that answer."""
    cluster = well(play).world.cluster
    cluster.patch(Ref("Deployment", NAMESPACE, "new"), {"spec": {"template": {"metadata": {"labels": labels}}}})
    cluster.patch(Ref("Service", NAMESPACE, "old"), {"spec": {"selector": {"app": "old"}}})
    cluster.patch(Ref("Service", NAMESPACE, "new"), {"spec": {"selector": selector}})
    text = " ".join(checked(1 if said else 0).split())
    assert said in text and ("select" in text) == bool(said)


@pytest.mark.parametrize(
    "beside", [{"type": "CPU", "cpu": {"maxPercent": 40}}, {"type": "Latency", "latency": {"max": "1s"}}]
)
def test_of_a_query_nobody_knows_what_it_judges(beside: dict[str, Any]) -> None:
    """It may well be about errors; that only CPU were judged is not so."""
    query = {"name": "failed", "type": "Query", "query": {"promQL": "sum(failed)", "max": "0"}}
    given = a_migration(objectives=[query, {"name": "other", **beside}])
    done = command("lint", "-f", "-", stdin=yaml.safe_dump(given))
    assert done.exit_code == 0 and "only CPU" not in done.output
    assert "errors are not judged, unless by the query failed" in " ".join(done.output.split())


def test_what_lint_doubts_preflight_says_too(play: Any) -> None:
    """Who asks only one of the two is told all the same."""
    well(play, objectives=[{"name": "p99", "type": "Latency", "latency": {"max": "50ms"}}])
    assert "⚠ the spec objectives: errors are not judged" in " ".join(checked(0).split())
    well(play, windows={"allowed": ["0 25 * * *"]})
    assert "✖ the spec windows.allowed[0]: " in " ".join(checked(1).split())


def test_one_deployment_for_both_is_an_error(play: Any) -> None:
    """What is judged of the canary, but for its answers, would be stable's."""
    backend = {"service": {"name": "new", "port": 80}, "workload": {"name": "old"}}
    canary = {"type": "Workload", "workload": backend}
    done = command("lint", "-f", "-", stdin=yaml.safe_dump(a_migration(canary=canary)))
    assert done.exit_code == 1 and "spec.canary.workload.workload: old is stable's Deployment" in done.output
    well(play, canary=canary)
    assert "the spec canary.workload.workload: old is stable's Deployment" in " ".join(checked(1).split())


NOTHING = json.dumps({"data": {"result": []}})


def test_a_gateway_that_nobody_has_asked_yet_is_no_fault_and_one_that_is_not_scraped_is(play: Any) -> None:
    played = well(play)
    played.raw = lambda path: NOTHING if "traefik_service" in path else ENOUGH
    text = " ".join(checked(0).split())
    assert "⚠" in text and "they come with the first request" in text
    played.raw = lambda path: NOTHING if "traefik" in path else ENOUGH
    assert "has no series; run Traefik with" in " ".join(checked(1).split())
    played.raw = lambda path: NOTHING if "container_cpu" in path else ENOUGH
    assert "let Prometheus scrape the kubelets" in " ".join(checked(1).split())


def test_a_canary_without_a_cpu_limit_where_cpu_is_a_target(play: Any) -> None:
    containers = [{"name": "web", "image": "x"}]
    change = {"spec": {"template": {"spec": {"containers": containers}}}}
    well(play).world.cluster.patch(Ref("Deployment", NAMESPACE, "new"), change)
    assert "container web has no CPU limit or request" in checked(1)


def reaching(played: Any, namespace: str) -> None:
    """The operator knows an address of a Gateway public in this namespace."""
    config = yaml.safe_load(CONFIG["data"]["config.yaml"])
    gateways = [{"namespace": namespace, "name": "public", "url": "http://traefik.gateway.svc"}]
    data = {"config.yaml": yaml.safe_dump({**config, "gateways": gateways})}
    played.everywhere = [OPERATOR, {**CONFIG, "data": data}]


@pytest.mark.parametrize("words", [("-n", NAMESPACE), ()])
def test_own_load_finds_the_gateway_of_a_file_without_a_namespace(
    play: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    played, body = well(play), a_migration(steps=STEPS, load={"requestsPerSecond": 200})
    del body["metadata"]["namespace"]
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(body))
    reaching(played, NAMESPACE)
    said = checked(0, "-f", str(path), *words)
    assert f"goes to {NAMESPACE}/public" in said and ("--namespace" in said) is (words == ())
    reaching(played, "elsewhere")
    if words:
        assert "the operator knows no address" in " ".join(checked(1, "-f", str(path), *words).split())


def test_own_load_goes_where_an_adopted_route_is_attached(play: Any) -> None:
    adopted = {"mode": "Adopted", "route": {"name": "shop"}}
    played = well(play, load={"requestsPerSecond": 200}, traffic={"gatewayAPI": adopted})
    route = {"kind": "HTTPRoute", "metadata": {"name": "shop", "namespace": NAMESPACE}, "spec": {"rules": []}}
    reaching(played, NAMESPACE)
    played.world.cluster.put({**route, "spec": {"rules": [], "parentRefs": [{"name": "other"}]}})
    assert "the operator knows no address" in " ".join(checked(1).split())
    played.world.cluster.put({**route, "spec": {"rules": [], "parentRefs": [{"name": "public"}]}})
    assert f"goes to {NAMESPACE}/public" in checked(0)


def test_series_that_are_not_there(play: Any) -> None:
    well(play).raw = lambda path: json.dumps({"data": {"result": []}})
    text = checked(1)
    assert "run Traefik with --metrics.prometheus.addServicesLabels" in " ".join(text.split())


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://prometheus.monitoring.svc:9090", "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"),
        ("https://p.m.svc.cluster.local/prom/", "/api/v1/namespaces/m/services/https:p:443/proxy/prom"),
        ("http://prometheus.example.com:9090", ""),
        ("http://prometheus:9090", ""),
    ],
)
def test_prometheus_is_asked_through_the_api_server(url: str, path: str) -> None:
    assert proxied(url) == path


SIMULATED: dict[str, Any] = {
    "steps": [{"weightPercent": weight, "minDuration": "5m", "maxDuration": "2h"} for weight in (10, 100)],
    "objectives": [{"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}}],
}


def simulated(**more: Any) -> MigrationSpec:
    return MigrationSpec.model_validate(a_migration(**{**SIMULATED, **more})["spec"])


def test_a_good_canary_is_promoted_and_a_bad_one_is_not() -> None:
    good, bad = (summarise(simulated(), 100.0, worse, 5, 1) for worse in (0.1, 5.0))
    assert (good.promoted, bad.rolled_back) == (100, 100)
    assert good.seconds > bad.seconds and good.seconds >= 600, "minDuration of two steps"


def test_too_little_traffic_is_undecided_and_the_step_is_named() -> None:
    steps = [{"weightPercent": 10, "minDuration": "5m", "maxDuration": "30m"}]
    found = summarise(simulated(steps=steps), 2.0, 0.1, 3, 1)
    assert (found.undecided, found.undecided_at) == (100, 1)
    rolls = simulated(steps=[{**steps[0], "onUndecided": "Rollback"}])
    assert run_one(rolls, 2.0, 0.1, random.Random(1)).result == ROLLED_BACK


def test_a_step_may_last_as_long_as_it_may_at_most() -> None:
    """As the tutorial's, of 24 h: the operator waits for minDuration, whatever maxDuration says meanwhile."""
    steps = [{**step, "minDuration": "2h"} for step in SIMULATED["steps"]]
    assert summarise(simulated(steps=steps), 100.0, 0.1, 3, 1).promoted == 100


def test_requests_that_never_come_are_no_reason_to_roll_back() -> None:
    steps = [{**step, "minRequests": 10**9, "onUndecided": "Rollback"} for step in SIMULATED["steps"]]
    found = summarise(simulated(steps=steps), 100.0, 0.1, 3, 1)
    assert (found.undecided, found.undecided_at, found.rolled_back) == (100, 1, 0)


def test_a_canary_that_nobody_asks_goes_back_as_blind() -> None:
    """A block without a request is a blind one: what spec.load is for."""
    assert run_one(simulated(), 0.01, 0.1, random.Random(1)).result == ROLLED_BACK


def test_a_projection_of_cpu_holds_up_no_simulation() -> None:
    cpu = {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40, "atTrafficMultiple": 3}}
    assert summarise(simulated(objectives=[*SIMULATED["objectives"], cpu]), 100.0, 0.1, 3, 1).promoted == 100


def test_the_same_seed_draws_the_same() -> None:
    assert summarise(simulated(), 100.0, 1.1, 3, 7) == summarise(simulated(), 100.0, 1.1, 3, 7)


def test_the_command_prints_a_row_each(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(a_migration(**SIMULATED)))
    done = command("simulate", "-f", str(path), "--rate=100", "--worse=0.1", "--worse=5", "--runs=2")
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.output.splitlines() if line[:3] in ("0.1", "5  ")]
    assert [row[1] for row in rows] == ["100", "0"]


@pytest.mark.parametrize(("n", "p"), [(10, 0.3), (1000, 0.001), (1000, 0.5), (100_000, 0.02), (50, 0.9)])
def test_draws_have_the_mean_and_the_spread_of_a_binomial(n: int, p: float) -> None:
    chance = random.Random(3)
    drawn = [binomial(n, p, chance) for _ in range(4000)]
    mean = sum(drawn) / len(drawn)
    spread = sum((one - mean) ** 2 for one in drawn) / len(drawn)
    variance = n * p * (1 - p)
    assert mean == pytest.approx(n * p, abs=5 * (variance / 4000) ** 0.5)
    assert spread == pytest.approx(variance, rel=0.15)
    assert all(0 <= one <= n for one in drawn)


def test_the_edges_of_a_binomial() -> None:
    chance = random.Random(1)
    assert (binomial(0, 0.5, chance), binomial(5, 0.0, chance), binomial(5, 1.0, chance)) == (0, 0, 5)


def test_help_imports_nothing_heavy() -> None:
    """So that it takes a fraction of a second; the time itself is measured in tests/bench."""
    program = (
        "import sys; from changeover.cli.main import app; from typer.testing import CliRunner;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "heavy = ('pydantic', 'kubernetes', 'yaml', 'prometheus_api_client', 'kopf', 'altair');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
