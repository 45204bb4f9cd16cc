"""Which backend is the canary? A doubtful choice is refused, in words that say how to mend it."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core import names
from changeover.core.canary import canary_backend, choose
from changeover.core.migration_state import CanaryChoice
from changeover.core.plan import Manifest
from changeover.testing.builders import a_benchmark

from tests.unit.core.seen import migration_spec, owner

WINNER = {"candidate": "fast", "tiedWith": []}
FAST = {"candidate": "fast", "meetsObjectives": True, "imageDigest": "sha256:" + "1" * 64}
RANKING = [FAST, {"candidate": "lame", "meetsObjectives": False}]


def benchmark(ready: str = "True", generation: int = 1, **status: Any) -> Manifest:
    body = a_benchmark()
    body["metadata"]["generation"] = generation
    told = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": ready}]}
    body["status"] = {**told, "winner": WINNER, "ranking": RANKING, **status}
    return body


def chosen(body: Manifest | None, candidate: str = "") -> CanaryChoice:
    canary = {"type": "Benchmark", "benchmark": {"ref": {"name": "web"}, "candidate": candidate, "replicas": 3}}
    return choose(owner(), migration_spec(canary=canary), body)


@pytest.mark.parametrize(
    ("body", "candidate", "reason", "why"),
    [
        pytest.param(None, "", Reason.BENCHMARK_NOT_READY, "does not exist", id="no benchmark"),
        pytest.param(benchmark("False"), "", Reason.BENCHMARK_NOT_READY, "not published", id="not ready"),
        pytest.param(
            benchmark(generation=2), "", Reason.BENCHMARK_NOT_READY, "for its spec", id="published for an older spec"
        ),
        pytest.param({**benchmark(), "status": None}, "", Reason.BENCHMARK_NOT_READY, "not published", id="no status"),
        pytest.param(benchmark(winner=None), "", Reason.BENCHMARK_REFUSED, "no winner", id="no winner"),
        pytest.param(
            benchmark(winner={**WINNER, "tiedWith": ["lame"]}), "", Reason.BENCHMARK_REFUSED,
            "choose one in spec.canary.benchmark.candidate", id="a tied winner",
        ),
        pytest.param(benchmark(), "ghost", Reason.BENCHMARK_REFUSED, "not in the ranking", id="nobody of that name"),
        pytest.param(benchmark(), "lame", Reason.BENCHMARK_REFUSED, "missed an objective", id="a loser"),
        pytest.param(
            benchmark(ranking=[{**FAST, "imageDigest": ""}]), "", Reason.BENCHMARK_REFUSED,
            "does not know which image of fast it measured", id="an unknown image",
        ),
        pytest.param(
            {**benchmark(), "spec": {**a_benchmark()["spec"], "scenarios": []}}, "", Reason.BENCHMARK_REFUSED,
            "the spec of web is not understood: scenarios", id="a spec that only an older release took",
        ),
    ],
)  # fmt: skip
def test_a_doubtful_choice_is_refused(body: Manifest | None, candidate: str, reason: Reason, why: str) -> None:
    choice = chosen(body, candidate)
    assert (choice.refused, choice.manifests) == (reason, ())
    assert why in choice.why


@pytest.mark.parametrize("candidate", ["", "fast"])
def test_the_winner_is_deployed_as_it_was_measured(candidate: str) -> None:
    choice = chosen(benchmark(), candidate)
    assert choice.refused is None
    service, deployment = choice.manifests
    assert (service["kind"], deployment["kind"]) == ("Service", "Deployment"), "the Service first: see _manifests"
    measured = a_benchmark()["spec"]["candidates"][0]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["resources"]) == (measured["image"], measured["resources"])
    assert deployment["spec"]["replicas"] == 3
    assert service["spec"]["ports"][0]["port"] == 80, "the canary listens where stable does"
    annotations = deployment["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_FROM_BENCHMARK] == "web/fast"
    assert annotations[names.ANNOTATION_MEASURED_AS] == choice.benchmarked.measured_as != ""


@pytest.mark.parametrize(
    ("edited", "is_another"),
    [
        ({"env": [{"name": "POOL", "value": "64"}]}, True),
        ({"resources": {"limits": {"cpu": "500m", "memory": "512Mi"}}}, True),
        ({"image": "localhost/fast@sha256:" + "b" * 64}, True),
        ({"command": ["/server"]}, True),
        ({"port": 9090}, True),
        ({"readinessPath": "/ready"}, True),
        ({"language": "Rust", "framework": "hyperlane"}, False),
        ({"port": 8080, "args": []}, False),  # as by default
    ],
)
def test_a_candidate_that_runs_otherwise_is_another(edited: dict[str, Any], is_another: bool) -> None:
    body = benchmark()
    body["spec"]["candidates"][0] |= edited
    before, after = chosen(benchmark()).benchmarked, chosen(body).benchmarked
    assert (before.measured_as != after.measured_as) is is_another


def test_how_often_and_where_it_runs_its_owner_may_change() -> None:
    canary = {"ref": {"name": "web"}, "replicas": 7, "placement": {"nodeSelector": {"disk": "ssd"}}}
    other = choose(owner(), migration_spec(canary={"type": "Benchmark", "benchmark": canary}), benchmark())
    assert other.manifests != chosen(benchmark()).manifests
    assert other.benchmarked == chosen(benchmark()).benchmarked


def test_a_tied_winner_may_be_chosen_by_hand() -> None:
    assert chosen(benchmark(winner={**WINNER, "tiedWith": ["lame"]}), "fast").refused is None


def test_what_one_pod_carried_in_the_benchmark_is_known_from_its_fair_results() -> None:
    results = [
        {"candidate": "fast", "valid": True, "requestsPerSecond": {"mean": "9000.5"}},
        {"candidate": "fast", "valid": True, "requestsPerSecond": {"mean": "4000"}},
        {"candidate": "fast", "valid": False, "requestsPerSecond": {"mean": "20000"}},
        {"candidate": "fast", "valid": True},
        {"candidate": "lame", "valid": True, "requestsPerSecond": {"mean": "30000"}},
    ]
    assert chosen(benchmark(results=results)).benchmarked.rps == 9000.5
    assert chosen(benchmark()).benchmarked.rps == 0.0


def test_what_was_measured_is_known_from_the_ranking_and_the_spec() -> None:
    ranked = [{**RANKING[0], "imageDigest": "sha256:1"}, RANKING[1]]
    found = chosen(benchmark(ranking=ranked)).benchmarked
    assert (found.image_digest, found.cpu_limit) == ("sha256:1", 0.5)


def test_the_backend_of_a_canary() -> None:
    made = migration_spec(canary={"type": "Benchmark", "benchmark": {"ref": {"name": "web"}}})
    assert canary_backend("shop", made) == ("shop-canary", 80)
    assert canary_backend("shop", migration_spec()) == ("new", 80)


def test_a_winner_that_the_spec_does_not_have_is_refused() -> None:
    ranked = [{**FAST, "candidate": "forged"}]
    choice = chosen(benchmark(winner={"candidate": "forged", "tiedWith": []}, ranking=ranked))
    assert choice.refused is Reason.BENCHMARK_REFUSED and "forged is not in the spec" in choice.why
