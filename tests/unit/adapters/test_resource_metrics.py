"""Statuses as metrics: what is known is a number, what is not is no sample, and what is gone is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.adapters.endpoints import Telemetry
from changeover.adapters.resource_metrics import state_of
from changeover.core.plan import Ref
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.apiserver.statuses import BENCHMARK, MIGRATION
from tests.unit.cli.fake import MIGRATION as SHOP
from tests.unit.cli.fake import a_world, go_on
from tests.unit.gitops.states import DONE, FAILED, STATES, WORKING

OURS = Ref("CanaryMigration", "shop", "shop")
WEB = Ref("FrameworkBenchmark", "shop", "web")


def samples(telemetry: Telemetry, family: str) -> dict[tuple[str, ...], float]:
    """Value by the labels' values, whose they are left out; in the order of the labels' names."""
    text = generate_latest(telemetry.registry).decode()
    found = next(one for one in text_string_to_metric_families(text) if one.name == family)
    of_whom = ("namespace", "name", "kind")
    keep = [tuple(s.labels[k] for k in sorted(s.labels) if k not in of_whom) for s in found.samples]
    return dict(zip(keep, (s.value for s in found.samples), strict=True))


def shown(ref: Ref, status: dict[str, Any]) -> Telemetry:
    telemetry = Telemetry()
    telemetry.resources.show(ref, status)
    return telemetry


def test_a_migration() -> None:
    telemetry = shown(OURS, MIGRATION)
    assert samples(telemetry, "changeover_migration_weight_percent") == {("asked",): 10, ("measured",): 9.8}
    assert samples(telemetry, "changeover_migration_step") == {(): 2}
    assert samples(telemetry, "changeover_resource_state") == {("WaitingEvidence", "working"): 1}
    figures = samples(telemetry, "changeover_migration_objective")
    assert [figures["latency", of, "ms"] for of in ("stable", "canary", "target")] == [9.1, 12.3, 50]


def test_a_benchmark() -> None:
    telemetry = shown(WEB, BENCHMARK)
    assert samples(telemetry, "changeover_benchmark_runs") == {("done",): 42, ("planned",): 42}
    assert samples(telemetry, "changeover_resource_state") == {("Published", "done"): 1}


def test_what_is_empty_is_no_sample() -> None:
    view = {"name": "cpu", "unit": "%", "stable": "", "canary": "", "target": "40"}
    telemetry = shown(OURS, {"traffic": {"desiredPercent": 0, "measuredPercent": ""}, "objectives": [view]})
    assert samples(telemetry, "changeover_migration_weight_percent") == {("asked",): 0}
    assert samples(telemetry, "changeover_migration_objective") == {("cpu", "target", "%"): 40}


OBJECTIVE = {"name": "errors", "unit": "%", "stable": "1", "canary": "2", "target": "3"}


@pytest.mark.parametrize("text", ["n/a", "about 5", "nan", "inf", pytest.param(10**400, id="huge"), None, [], {}])
def test_a_figure_that_is_no_number_is_no_sample(text: Any) -> None:
    """Whoever may write statuses can write any text there."""
    telemetry = shown(OURS, {"objectives": [{**OBJECTIVE, "stable": text}], "traffic": {"measuredPercent": text}})
    figures = samples(telemetry, "changeover_migration_objective")
    assert figures == {("errors", "canary", "%"): 2, ("errors", "target", "%"): 3}
    assert samples(telemetry, "changeover_migration_weight_percent") == {}


@pytest.mark.parametrize("status", [{"objectives": [{"stable": "1"}]}, {"conditions": [7]}, {"traffic": "all"}])
def test_one_that_cannot_be_understood_hides_no_other(status: dict[str, Any], caplog: Any) -> None:
    telemetry = shown(OURS, status)
    telemetry.resources.show(Ref("CanaryMigration", "shop", "neighbour"), MIGRATION)
    telemetry.resources.show(WEB, BENCHMARK)
    assert samples(telemetry, "changeover_migration_step") == {(): 2}
    assert samples(telemetry, "changeover_benchmark_runs") == {("done",): 42, ("planned",): 42}
    assert "the status of CanaryMigration shop/shop gives no metrics" in caplog.text


def test_what_is_gone_is_forgotten() -> None:
    telemetry = shown(OURS, MIGRATION)
    telemetry.resources.show(WEB, BENCHMARK)
    telemetry.gone(OURS)
    assert samples(telemetry, "changeover_migration_step") == {}
    telemetry.resources.show(OURS, MIGRATION)
    telemetry.resources.show(WEB, BENCHMARK)
    telemetry.resources.keep(set(), "another")
    telemetry.resources.keep({OURS}, OURS.namespace)
    assert len(samples(telemetry, "changeover_resource_state")) == 1
    telemetry.resources.keep(set())
    assert samples(telemetry, "changeover_resource_state") == {}


def test_what_was_said_last_is_not_told_while_another_leads() -> None:
    """It would stand beside what the other tells, and an old failure would fire for ever."""
    telemetry = shown(OURS, MIGRATION)
    telemetry.resources.show(WEB, BENCHMARK)
    families = [one.name for one in telemetry.resources.collect()]
    telemetry.leading = lambda: False
    assert [one.name for one in telemetry.resources.collect()] == families
    assert {name: samples(telemetry, name) for name in families} == {name: {} for name in families}
    telemetry.leading = lambda: True
    assert samples(telemetry, "changeover_migration_step") == {(): 2}


@pytest.mark.parametrize("name", STATES)
def test_the_state_is_that_of_the_conditions(name: str) -> None:
    body = STATES[name].body()
    if body.get("status", {}).get("observedGeneration", 0) < body["metadata"]["generation"]:
        assert STATES[name].means == WORKING  # no status yet, or of the spec before: the next pass shows it
        return
    assert state_of(body["status"])[0] == {WORKING: "working", DONE: "done", FAILED: "failed"}[STATES[name].means]


def test_every_pass_shows_what_it_says() -> None:
    world, kept = a_world(), dict[Ref, Any]()
    usual = world.dependencies

    def watched(cluster: Any = None) -> Any:
        deps = usual(cluster)
        object.__setattr__(deps, "show", lambda ref, status: kept.__setitem__(ref, status))
        return deps

    world.dependencies = watched  # type: ignore[method-assign]
    go_on(world, 8)
    assert kept[SHOP]["step"]["index"] == 1
