"""The main job on real parts, in the order in which a user does it: rank, migrate under load, roll back, give back.

One story in several tests: each stands on the one before, so a failure stops the rest (they would say nothing new).
The operator is killed with SIGKILL at five random moments of the benchmark, and in the middle of the migration.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.bench.measured.kills import kill_operator
from tests.demo import acts
from tests.demo.kube import ROOT, CommandFailed, Kube
from tests.e2e.aside import event_of, uid_of
from tests.e2e.fence import Fence, fenced
from tests.e2e.plugin import changeover
from tests.e2e.watching import LENIENT

KILLS = 5
RUNS = 18  # 3 candidates x 2 scenarios x 3 rounds
BENCHMARK_SECONDS = 1500
MIGRATION_SECONDS = 1500
CANDIDATES = {"express", "go-net-http", "hyperlane"}
STEP_SECONDS, RATE = 115, 700  # each step lasts so long, at so many requests/s; a busy machine sends a few less
# In place of the example's. Whoever else uses the machine makes answers late, and the canary's CPU dear: at 40 % of its
# 200m a step stood undecided for minutes, between 17 and 31 % as it was measured.
OF_ANY_MACHINE = {"Latency": LENIENT, "CPU": {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 80}}}
LEAST_REQUESTS = 200_000  # over all steps of the promotion
ACCEPTED = {"trafficMultiple": 2, "duration": "40s", "connections": 60}
ACCEPTANCES = {"Met": "True", "NotMet": "False", "Void": "Unknown"}
TOO_SMALL_A_MACHINE = ("did harm", "was not reached")  # it cannot carry, or drive, twice the peak; then little is shown
OF_A_RATE = 0.3  # a busy machine stalls and catches up; what is to be found is wrong by half or more
SHARE_TOLERANCE = 3.0  # percentage points between the asked and the measured share of a step

pytestmark = pytest.mark.usefixtures("story", "fence")
_failed: list[str] = []


@pytest.fixture
def story(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stop telling after the first failure."""
    if _failed:
        pytest.fail(f"the story stopped at {_failed[0]}")
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        _failed.append(request.node.name)


@pytest.fixture(scope="module")
def fence(operator: Kube) -> Iterator[Fence]:
    """The whole story is told by an operator that gets no further than it has to."""
    with fenced(operator) as fence:
        yield fence


def follow_and_kill(
    kube: Kube, kind: str, name: str, seconds: float, moments: Sequence[Callable[[acts.Status], bool]]
) -> acts.Status:
    """Follow until it ends, and kill the operator at each of these moments, one after another."""
    left = list(moments)
    for status in acts.follow(kube, kind, name, seconds):
        if left and left[0](status):
            kill_operator(kube)
            left.pop(0)
    assert not left, f"{name} ended before the operator was killed {len(moments)} times"
    return status


def random_moments(seed: int) -> list[Callable[[acts.Status], bool]]:
    """Moments at which so many runs of the benchmark are done, each some seconds later."""
    chance = random.Random(seed)
    print(f"the operator is killed at moments drawn from seed {seed}")

    def later(done: int, seconds: float) -> Callable[[acts.Status], bool]:
        def reached(status: acts.Status) -> bool:
            if status.get("progress", {}).get("done", 0) < done:
                return False
            time.sleep(seconds)
            return True

        return reached

    return [later(done, chance.uniform(0, 15)) for done in sorted(chance.sample(range(1, RUNS - 2), KILLS))]


def epoch(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_a_benchmark_ranks_real_backends_though_the_operator_is_killed_five_times(operator: Kube) -> None:
    operator.apply("examples/web-frameworks.yaml")
    acts.wait_until("the first status", 10, lambda: bool(acts.status_of(operator, "fb", "web-frameworks")))
    moments = random_moments(seed=int(time.time()))
    status = follow_and_kill(operator, "fb", "web-frameworks", BENCHMARK_SECONDS, moments)

    assert acts.condition(status, "Succeeded")["status"] == "True", acts.condition(status, "Ready")
    assert {row["candidate"] for row in status["ranking"]} == CANDIDATES
    assert [row["rank"] for row in status["ranking"]] == sorted(row["rank"] for row in status["ranking"])
    assert status["winner"]["candidate"] == status["ranking"][0]["candidate"]
    assert status["winner"]["imageDigest"]
    assert status["progress"] == {"done": RUNS, "planned": RUNS, "text": f"{RUNS}/{RUNS}"}


def test_every_run_was_recorded_once_and_measured_what_it_says(operator: Kube) -> None:
    status = acts.status_of(operator, "fb", "web-frameworks")
    data = operator.get("configmap", status["report"]["configMap"])["data"]
    records = [json.loads(text) for text in data.values()]

    fair = [r for r in records if not r["void"]]  # a void run is measured again, and both are kept
    assert len(fair) == len({(r["round"], r["candidate"], r["scenario"]) for r in fair}) == RUNS
    assert {r["node"] for r in records} == {"candidate"}
    windows = sorted((r["report"]["windowStart"], r["report"]["windowEnd"]) for r in records if r["report"])
    assert all(end < start for (_, end), (start, _) in pairwise(windows)), "two runs were under load at once"
    for record in fair:
        window = record["report"]["windowEnd"] - record["report"]["windowStart"]
        longest = (record["report"]["latency"] or {"max": 0.0})["max"]
        # What was sent is awaited, so a window may be longer by the longest request.
        assert 9 < window < 11 + longest
        assert record["report"]["connections"] == 360
        assert 0 < record["cpuCores"] < 0.25, "more CPU than the limit of 200m allows was counted"
        if not record["report"]["keepAlive"]:
            assert record["report"]["connectionsOpened"] >= record["report"]["succeeded"]
    for result in status["results"]:
        assert result["valid"], result
        latency = {key: float(value) for key, value in result["latency"].items()}
        assert latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"] <= latency["max"]


def test_a_finished_benchmark_leaves_no_pod_behind(operator: Kube) -> None:
    selector = "changeover.dev/benchmark=web-frameworks"

    def gone() -> bool:
        return not any(operator.items(kind, selector) for kind in ("deployments", "services", "jobs", "pods"))

    acts.wait_until("everything of the benchmark is gone", 60, gone)
    assert gone()


def test_kubectl_answers_as_the_api_promises(operator: Kube) -> None:
    table = operator.kubectl("get", "fb,cmig")
    assert table.splitlines()[0].split() == ["NAME", "READY", "REASON", "WINNER", "PROGRESS", "AGE"]
    assert "18/18" in table
    assert "minDuration" in operator.kubectl("explain", "cmig.spec.steps")
    assert "Example" in operator.kubectl("explain", "cmig.spec.steps.weightPercent")
    described = operator.kubectl("describe", "fb", "web-frameworks")
    assert "Published" in described
    operator.kubectl("wait", "fb/web-frameworks", "--for=condition=Finished", "--timeout=5s")


def test_no_annotation_of_kopf_is_on_users_objects(operator: Kube) -> None:
    for kind in ("fb", "httproute", "deployment"):
        for item in operator.items(kind):
            assert not [a for a in item["metadata"].get("annotations", {}) if "kopf" in a]
    assert operator.get("fb", "web-frameworks")["metadata"].get("finalizers", []) == []


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("steps", [{"weightPercent": 50}, {"weightPercent": 10}], "weightPercent must rise"),
        ("steps", [{"weightPercent": 120}], "spec.steps[0].weightPercent"),
        ("objectives", [{"name": "e", "type": "Errors"}], "set errors exactly when type is Errors"),
        ("stepz", [], "spec.stepz"),
    ],
)
def test_an_invalid_migration_is_refused_with_the_field_and_the_mend(
    operator: Kube, field: str, value: Any, said: str
) -> None:
    good = {
        "stable": {"service": {"name": "a", "port": 80}, "workload": {"name": "a"}},
        "canary": {"type": "Workload", "workload": {"service": {"name": "b", "port": 80}, "workload": {"name": "b"}}},
        "traffic": {"type": "GatewayAPI", "gatewayAPI": {"route": {"name": "r"}, "parentRefs": [{"name": "g"}]}},
        "steps": [{"weightPercent": 100}],
        "objectives": [{"name": "e", "type": "Errors", "errors": {"maxPercent": "1"}}],
    }
    body = {
        "apiVersion": "changeover.dev/v1alpha1",
        "kind": "CanaryMigration",
        "metadata": {"name": "bad"},
        "spec": {**good, field: value},
    }
    with pytest.raises(CommandFailed, match=r"(?s).*") as refused:
        operator.kubectl("apply", "--filename", "-", stdin=json.dumps(body))

    assert said in str(refused.value)


def test_live_traffic_moves_to_the_winner_and_no_request_fails(operator: Kube) -> None:
    acts.start_shop(operator)
    acts.start_traffic(operator, RATE)
    time.sleep(acts.BEFORE_SECONDS)
    acts.migrate_to_winner(operator)
    spec = operator.get("cmig", "migrate-to-winner")["spec"]
    longer = [{**step, "minDuration": f"{STEP_SECONDS}s"} for step in spec["steps"]]
    objectives = [OF_ANY_MACHINE.get(one["type"], one) for one in spec["objectives"]]
    patch = {"spec": {"steps": longer, "acceptance": ACCEPTED, "objectives": objectives}}
    operator.kubectl("patch", "cmig", "migrate-to-winner", "--type=merge", "--patch", json.dumps(patch))
    moments = [lambda s: s.get("step", {}).get("index", 0) == 2]
    status = follow_and_kill(operator, "cmig", "migrate-to-winner", MIGRATION_SECONDS, moments)

    assert status["outcome"]["result"] == "Promoted", status["outcome"]
    assert [d["to"] for d in status["history"]] == [10, 50, 100]
    assert acts.condition(status, "Ready")["status"] == "True"
    operator.kubectl("wait", "cmig/migrate-to-winner", "--for=condition=Finished", "--timeout=5s")


def test_each_step_gave_the_canary_its_share(operator: Kube) -> None:
    status = acts.status_of(operator, "cmig", "migrate-to-winner")
    ends = [epoch(d["at"]) for d in status["history"][1:]] + [epoch(status["outcome"]["at"])]
    print()
    for decision, end in zip(status["history"], ends, strict=True):
        begin = epoch(decision["at"]) + 10  # the gateway takes the weight, and one whole scrape passes
        counts = {arm: requests_between(operator, service, begin, end) for arm, service in ARMS.items()}
        share = 100 * counts["canary"] / sum(counts.values())
        stable, canary = counts["stable"], counts["canary"]
        print(f"  weight {decision['to']:>3} %: stable {stable:,.0f}, canary {canary:,.0f}: {share:.1f} %")
        assert share == pytest.approx(decision["to"], abs=SHARE_TOLERANCE)


def test_the_steps_saw_as_many_requests_as_asked_for(operator: Kube) -> None:
    status = acts.status_of(operator, "cmig", "migrate-to-winner")
    begin, end = epoch(status["history"][0]["at"]), epoch(status["outcome"]["at"])
    sent = sum(requests_between(operator, service, begin, end) for service in ARMS.values())
    print(f"\n  {sent:,.0f} requests in the {end - begin:.0f} s from the first weight to the promotion")
    assert sent >= LEAST_REQUESTS  # that none failed is asked at the end, of the load generator


ARMS = {"stable": "shop-express", "canary": "migrate-to-winner-canary"}


def requests_between(kube: Kube, service: str, begin: float, end: float) -> float:
    """Requests that the gateway sent to a service, by difference of its counters."""
    query = f'sum(traefik_service_requests_total{{service=~".+-svc-demo-{service}-[0-9]+@kubernetesgateway"}})'
    first, last = (kube.prometheus(query, at=at) for at in (begin, end))
    return (float(last[0]["value"][1]) if last else 0.0) - (float(first[0]["value"][1]) if first else 0.0)


def test_at_twice_the_peak_it_is_shown_what_the_move_was_worth(operator: Kube) -> None:
    """Whether the targets are met is the machine's matter; that the figures are those of Prometheus is ours."""
    found = accepted(operator, "migrate-to-winner")
    rows = {row["figure"]: row for row in found["table"]}
    print(f"\n  {found['state']}: {found['message']}")
    keys = ("figure", "before", "after", "target", "unit", "met")
    for row in found["table"]:
        print("  " + "  ".join(f"{row.get(key, ''):>14}" for key in keys))
    acts.wait_until("its Job is gone", 30, lambda: not operator.items("jobs", "changeover.dev/migration"))
    status = acts.status_of(operator, "cmig", "migrate-to-winner")
    assert status["traffic"]["appliedPercent"] == 100, "an acceptance never touches a weight"
    assert acts.condition(status, "AcceptanceMet")["status"] == ACCEPTANCES[found["state"]], found["message"]
    if any(said in found["message"] for said in TOO_SMALL_A_MACHINE):
        assert found["state"] != "Met"
        return
    assert found["state"] in ("Met", "NotMet"), found["message"]
    bound = f"p{LENIENT['latency']['percentile']}"
    assert set(rows) == {"requests", "p50", bound, "p99", "errors", "cpu", "cpuPerRequest", "costPerMillion"}
    assert all(row["before"] and row["after"] for row in rows.values()), rows
    assert found["state"] == ("NotMet" if any(row["met"] == "No" for row in rows.values()) else "Met")
    before, after = (float(rows["requests"][when]) for when in ("before", "after"))
    assert before == pytest.approx(RATE, rel=OF_A_RATE)  # an earlier run's, at a weight of 10 %, would be a tenth
    wanted = ACCEPTED["trafficMultiple"] * float(found["peakRequestsPerSecond"])
    assert float(found["targetRequestsPerSecond"]) == pytest.approx(wanted, rel=0.01)
    assert found["state"] == "NotMet" or after >= 0.95 * wanted, "a machine that misses a target may miss the rate too"
    seconds = int(ACCEPTED["duration"].removesuffix("s"))
    moments = range(int(epoch(found["startedAt"])) + seconds, int(epoch(found["endedAt"])) + 1, 5)
    busiest = max(requests_between(operator, ARMS["canary"], at - seconds, at) / seconds for at in moments)
    assert busiest == pytest.approx(after, rel=OF_A_RATE), "by the gateway's counters, in the load's span"


def accepted(kube: Kube, name: str) -> acts.Status:
    """The acceptance; one that is void, as on a machine that has just no time for it, is asked for again, twice."""
    found = acts.acceptance(kube, name, 360)
    for seconds in (41, 42):
        if found["state"] != "Void":
            break
        print(f"\n  void: {found['message']}")
        began = found["startedAt"]
        kube.kubectl(
            "patch", "cmig", name, "--type=merge", "--patch", asking_for({**ACCEPTED, "duration": f"{seconds}s"})
        )

        def is_anew(began: str = began) -> bool:
            return bool(acts.status_of(kube, "cmig", name)["acceptance"].get("startedAt") != began)

        acts.wait_until("the acceptance begins again", 120, is_anew)
        found = acts.acceptance(kube, name, 360)
    return found


def asking_for(acceptance: dict[str, Any]) -> str:
    """A merge patch."""
    return json.dumps({"spec": {"acceptance": acceptance}})


def test_every_panel_of_the_dashboard_and_every_alert_has_its_series(operator: Kube) -> None:
    """As the running Prometheus scrapes them; an error that nobody made has no series yet."""
    dashboard = json.loads((ROOT / "charts/changeover/dashboards/changeover.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for query in queries:
        asked = query.replace("$namespace", operator.namespace).replace("$name", "migrate-to-winner|web-frameworks")
        found = operator.prometheus(asked)
        print(f"  {len(found)} series: {asked}")
        assert found or "errors_total" in query, asked
    mine = operator.prometheus('changeover_resource_state{name="migrate-to-winner",state="done"}')
    assert [one["metric"]["namespace"] for one in mine] == [operator.namespace], "the object's, not the operator's"


def test_the_report_of_the_benchmark_shows_what_was_measured(operator: Kube, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    code, said, wrong = changeover(operator, "report", "fb/web-frameworks", "-o", str(page))
    assert (code, wrong) == (0, ""), wrong
    print(f"\n  {said.strip()}")
    text = page.read_text()
    assert len(text) < 1_500_000 and text.count("<svg") == 7, "ranking; throughput, CPU and latencies of two scenarios"
    for row in acts.status_of(operator, "fb", "web-frameworks")["ranking"]:
        assert f"<td>{row['score']}</td>" in text
    code, said, _ = changeover(operator, "get", "fb/web-frameworks")
    print(said)
    assert code == 0 and "Ranking" in said


def test_a_hand_edited_weight_is_put_back_and_never_adopted(operator: Kube) -> None:
    patch = [
        {"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 63},
        {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 37},
    ]
    operator.kubectl("patch", "httproute", "shop", "--type=json", "--patch", json.dumps(patch))

    def weights() -> list[int]:
        return [b["weight"] for b in operator.get("httproute", "shop")["spec"]["rules"][0]["backendRefs"]]

    acts.wait_until("the weight is put back", 60, lambda: weights() == [0, 100])
    assert weights() == [0, 100]


def test_deleting_a_promoted_migration_leaves_the_traffic_where_it_is(operator: Kube) -> None:
    uid = uid_of(operator, "migrate-to-winner")
    operator.kubectl("delete", "cmig", "migrate-to-winner", "--wait", "--timeout=30s")
    acts.wait_until("its end is told", 10, lambda: event_of(operator, uid, "Released") != "")
    assert event_of(operator, uid, "Released") == "the route is given back with 100 % on the canary"
    route = operator.get("httproute", "shop")

    assert [b["weight"] for b in route["spec"]["rules"][0]["backendRefs"]] == [0, 100]
    assert "changeover.dev/mark" not in route["metadata"].get("annotations", {})
    assert operator.get("deployment", "migrate-to-winner-canary")["status"]["readyReplicas"] == 2


def test_a_slow_canary_is_rolled_back(operator: Kube) -> None:
    acts.hand_over(operator, "migrate-to-slow")
    operator.apply("examples/migrate-to-slow.yaml")
    status = list(acts.follow(operator, "cmig", "migrate-to-slow", MIGRATION_SECONDS))[-1]

    assert status["outcome"]["result"] == "RolledBack"
    assert status["outcome"]["reason"] == "LatencyObjectiveMissed"
    assert status["traffic"]["appliedPercent"] == 0
    assert acts.condition(status, "Stalled")["status"] == "True"
    assert max(d["to"] for d in status["history"]) == 10, "a slow canary climbed"
    operator.kubectl("wait", "cmig/migrate-to-slow", "--for=condition=Finished", "--timeout=5s")
    print(f"\n  {status['outcome']['message']}")
    print(f"  first bad scrape to weight 0: {seconds_to_roll_back(operator, status):.0f} s")


def seconds_to_roll_back(kube: Kube, status: acts.Status) -> float:
    """From the first scrape that held a slow answer of the canary to the write of weight 0."""
    raised, back = (epoch(d["at"]) for d in status["history"][-2:])
    slow = (
        'sum(traefik_service_request_duration_seconds_bucket{service=~".+-svc-demo-shop-slow-.+",le="+Inf"}) - '
        'sum(traefik_service_request_duration_seconds_bucket{service=~".+-svc-demo-shop-slow-.+",le="0.05"})'
    )
    at = raised
    while at < back:
        found = kube.prometheus(slow, at=at)
        if found and float(found[0]["value"][1]) > 0:
            return back - at
        at += 1
    return 0.0


def test_no_request_of_the_whole_story_failed(operator: Kube) -> None:
    report = acts.stop_traffic(operator)
    sent, failed = acts.sent_and_failed(report)
    print(f"\n  {sent:,} requests sent, {failed} failed")

    assert sent > 10_000
    assert failed == 0, (report["statusCodeDistribution"], report["errorDistribution"])


def test_nothing_is_written_once_all_has_ended(operator: Kube) -> None:
    def versions() -> dict[str, str]:
        found = [o for kind in ("fb", "cmig", "httproute") for o in operator.items(kind)]
        return {o["kind"] + o["metadata"]["name"]: o["metadata"]["resourceVersion"] for o in found}

    time.sleep(45)  # the traffic has just stopped, which is the last news
    before = versions()
    time.sleep(40)  # longer than the pass that looks after an ended migration's route

    assert versions() == before


def test_the_operator_spoke_to_the_api_server_dns_and_prometheus_alone(operator: Kube, fence: Fence) -> None:
    counted = fence.counted()
    print(f"\n  packets out of {len(fence.fenced)} pods of the operator: {counted}")
    assert len(fence.fenced) >= KILLS + 2, "the first pod, and one after each kill"
    assert counted["refused"] == 0
    assert counted["apiServer"] and counted["dns"] and counted["prometheus"]
    assert fence.knock() == "closed" and fence.counted()["refused"] > 0, "the fence holds, and counts"
