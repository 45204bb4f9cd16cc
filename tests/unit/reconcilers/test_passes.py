"""Whole passes on the fake cluster: what no single layer shows."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest
from changeover.api.v1alpha1 import BenchmarkSpec
from changeover.api.v1alpha1.candidate import Candidate
from changeover.core import names, record_store
from changeover.core.conditions import is_true
from changeover.core.errors import ChangeoverError, Conflict, InvalidSpec, Unavailable
from changeover.core.mark import Mark
from changeover.core.observed import Counts, NoData
from changeover.core.plan import Action, Apply, Delete, HoldFinalizer, Manifest, Ref, Scale
from changeover.ports import CountQuery
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.execute import (
    CHANGED_RETRY_SECONDS,
    REFUSED_RETRY_SECONDS,
    RETRY_SECONDS,
    execute,
    retry_after,
)
from changeover.reconcilers.migration import reconcile_migration
from changeover.reconcilers.observe_benchmark import fingerprint_of
from changeover.testing.builders import NAMESPACE, a_benchmark, a_deployment, a_migration
from changeover.testing.clock import START
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World
from pydantic import Field

from tests.unit.crash.scenarios import with_hooks

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
BENCHMARK = Ref("FrameworkBenchmark", NAMESPACE, "web")
ROUTE = Ref("HTTPRoute", NAMESPACE, "shop")


def a_world(**spec: Any) -> World:
    return World(a_deployment("old"), a_deployment("new"), a_migration(**spec))


async def passes(world: World, number: int, seconds: float = 30.0, ref: Ref = MIGRATION) -> float | None:
    after: float | None = None
    reconcile = reconcile_migration if ref.kind == "CanaryMigration" else reconcile_benchmark
    for _ in range(number):
        after = await reconcile(ref, world.dependencies())
        world.advance(seconds)
    return after


def ready(world: World, ref: Ref = MIGRATION) -> tuple[str, str, str]:
    status = (world.cluster.peek(ref) or {}).get("status", {})
    found = next(c for c in status["conditions"] if c["type"] == "Ready")
    return found["status"], found["reason"], found["message"]


def config_maps(world: World) -> dict[str, Manifest]:
    return {found["metadata"]["name"]: found for found in world.cluster.all("ConfigMap")}


async def test_what_is_gone_is_not_looked_at_again() -> None:
    world = World()
    assert await reconcile_migration(MIGRATION, world.dependencies()) is None
    assert await reconcile_benchmark(BENCHMARK, world.dependencies()) is None


async def test_an_unknown_metric_source_is_refused_in_words_and_may_be_deleted() -> None:
    world = a_world(metrics={"source": "elsewhere"})
    await passes(world, 3)
    assert ready(world)[1:] == (
        "InvalidSpec", "spec.metrics.source: 'elsewhere' is not configured; known sources: default",
    )  # fmt: skip
    assert condition(world, "Stalled")["status"] == "True"
    assert world.cluster.peek(ROUTE) is None
    world.cluster.discard(MIGRATION)
    await passes(world, 1)
    assert world.cluster.peek(MIGRATION) is None


async def test_a_metric_source_that_is_renamed_under_way_is_told_and_switches_off_no_rollback() -> None:
    hooks = [{"name": "on-call", "type": "Slack", "secretRef": {"name": "hooks"}}]
    world = with_hooks(a_world(notify=hooks))
    await passes(world, 4)
    assert world.weight_of("shop", "new") == 10
    world.cluster.patch(MIGRATION, {"spec": {"metrics": {"source": "defualt"}}})
    await passes(world, 1)
    assert (world.weight_of("shop", "new"), ready(world)[1]) == (10, "InvalidSpec")
    assert condition(world, "MetricsAvailable")["status"] == "False"
    told = (world.cluster.peek(MIGRATION) or {})["status"]["notifications"]
    assert [(notice["event"], notice["state"]) for notice in told] == [("Held", "Sent")]
    dead = copy.deepcopy(world)
    dead.broken.add("new")
    dead.tick()
    await passes(dead, 1)
    assert (dead.weight_of("shop", "new"), ready(dead)[1]) == (0, "RollingBack")
    await passes(world, 20)
    outcome = (world.cluster.peek(MIGRATION) or {})["status"]["outcome"]
    assert (world.weight_of("shop", "new"), outcome["result"], outcome["reason"]) == (0, "RolledBack", "Blind")
    assert "'defualt' is not configured" in outcome["message"]


def hosts(world: World) -> list[str]:
    return list((world.cluster.peek(ROUTE) or {})["spec"]["hostnames"])


def with_hosts(world: World, *hostnames: str) -> None:
    world.cluster.patch(MIGRATION, {"spec": {"traffic": {"gatewayAPI": {"hostnames": list(hostnames)}}}})


async def test_another_hostname_is_on_the_route_in_the_next_pass_and_after_the_promotion_too() -> None:
    world = a_world()
    await passes(world, 4)
    mark = Mark.parse(json.loads((world.cluster.peek(ROUTE) or {})["metadata"]["annotations"][names.ANNOTATION_MARK]))
    with_hosts(world, "shop.example.com")
    await passes(world, 1)
    assert (hosts(world), world.weight_of("shop", "new")) == (["shop.example.com"], 10)
    after = (world.cluster.peek(ROUTE) or {})["metadata"]["annotations"][names.ANNOTATION_MARK]
    assert Mark.parse(json.loads(after)) == mark
    await passes(world, 60)
    assert ready(world)[1] == "Promoted"
    with_hosts(world)
    await passes(world, 1)
    assert (hosts(world), world.weight_of("shop", "new")) == ([], 100)
    calls: list[tuple[str, str]] = []
    world.cluster.fault = lambda verb, kind, name: calls.append((verb, kind))
    await passes(world, 3)
    assert ("get", "HTTPRoute") in calls and ("apply", "HTTPRoute") not in calls, "it is written once"


async def test_hostnames_that_the_api_server_refuses_hold_no_traffic_on_a_bad_canary() -> None:
    world = a_world()
    await passes(world, 4)
    with_hosts(world, "a..b")

    def refused(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("apply", "HTTPRoute"):
            raise InvalidSpec("spec.hostnames[0]: Invalid value")

    world.cluster.fault = refused
    assert await passes(world, 30) == 2.0, "the canary is watched as closely as ever"
    assert world.weight_of("shop", "new") == 10 and "spec.hostnames[0]" in ready(world)[2]
    assert condition(world, "Ready")["status"] == "False"
    world.metrics.behaviours["new"] = Behaviour(error_share=0.05)
    await passes(world, 20)
    outcome = (world.cluster.peek(MIGRATION) or {})["status"]["outcome"]
    assert (world.weight_of("shop", "new"), outcome["reason"]) == (0, "ErrorsObjectiveMissed")


async def test_a_day_of_stable_is_read_once_and_kept() -> None:
    world = a_world()
    world.splits.known.insert(0, (START - timedelta(days=2), {"old": 1.0}))
    asked: list[float] = []
    counts = world.metrics.counts

    async def watched(query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        asked.append((end - start).total_seconds())
        return await counts(query, start, end)

    world.metrics.counts = watched  # type: ignore[method-assign]
    await passes(world, 8)
    kept = (world.cluster.peek(MIGRATION) or {})["status"]["baseline"]
    assert (kept["hours"], kept["message"]) == (24, "from 24 hours of stable: latency")
    assert asked.count(3600.0) == 24
    assert "baseline: from 24 hours" in condition(world, "MetricsAvailable")["message"]


async def test_without_a_day_of_stable_status_says_what_is_not_guarded_against() -> None:
    world = a_world()
    await passes(world, 8)
    assert (world.cluster.peek(MIGRATION) or {})["status"]["baseline"]["hours"] == 0
    assert "a daily cycle of load is not guarded against" in condition(world, "MetricsAvailable")["message"]


def condition(world: World, name: str) -> Manifest:
    found = (world.cluster.peek(MIGRATION) or {})["status"]["conditions"]
    return next(c for c in found if c["type"] == name)


async def test_deleting_gives_traffic_back_though_the_metric_source_is_gone_from_the_configuration() -> None:
    world = a_world()
    await passes(world, 4)
    assert world.weight_of("shop", "new") == 10
    world.cluster.discard(MIGRATION)
    unconfigured = replace(world.dependencies(), sources={}, scrape_seconds={})
    assert await reconcile_migration(MIGRATION, unconfigured) is None
    assert world.weight_of("shop", "new") == 0
    assert world.cluster.peek(MIGRATION) is None
    assert names.ANNOTATION_MARK not in (world.cluster.peek(ROUTE) or {})["metadata"].get("annotations", {})


async def test_deleting_needs_no_workload_and_no_prometheus() -> None:
    world = a_world()
    await passes(world, 4)
    world.metrics.mode = "unreadable"
    for name in ("old", "new"):
        world.cluster.discard(Ref("Deployment", NAMESPACE, name))
    world.cluster.discard(MIGRATION)
    await passes(world, 1)
    assert (world.cluster.peek(MIGRATION), world.weight_of("shop", "new")) == (None, 0)


async def test_deleting_waits_while_the_route_cannot_be_read() -> None:
    world = a_world()
    await passes(world, 4)
    world.cluster.discard(MIGRATION)

    def fault(verb: str, kind: str, name: str) -> None:
        if kind == "HTTPRoute":
            raise Unavailable("timed out")

    world.cluster.fault = fault
    await passes(world, 2)
    assert names.FINALIZER in (world.cluster.peek(MIGRATION) or {})["metadata"]["finalizers"]


async def test_a_write_that_fails_changes_nothing_that_is_said_and_is_tried_again() -> None:
    world = a_world()
    await passes(world, 2)

    def fault(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("apply", "HTTPRoute"):
            raise Unavailable("PATCH: timed out")

    world.cluster.fault = fault
    assert await passes(world, 1) == RETRY_SECONDS
    assert ready(world)[1] == "Unreadable" and "PATCH: timed out" in ready(world)[2]
    assert (world.cluster.peek(MIGRATION) or {})["status"]["traffic"]["desiredPercent"] == 0
    world.cluster.fault = lambda *_: None
    await passes(world, 2)
    assert world.weight_of("shop", "new") == 10


async def test_a_request_is_read_off_the_annotations_and_a_refusal_has_one_event() -> None:
    world = a_world()
    await passes(world, 4)
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {names.ANNOTATION_REQUESTED + "resume": "x" * 2000}}})
    await passes(world, 3)
    answer = (world.cluster.peek(MIGRATION) or {})["status"]["requests"][0]
    assert (answer["verb"], answer["token"], answer["result"]) == ("resume", "x" * 1024, "Refused")
    refusals = [event for _, event in world.cluster.events if event.reason == "RequestRefused"]
    assert [event.warning for event in refusals] == [True]
    assert refusals[0].message.startswith("resume: it is not paused: ")


async def test_a_request_whose_write_fails_is_not_answered_and_is_carried_out_later() -> None:
    world = a_world()
    await passes(world, 4)
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {names.ANNOTATION_REQUESTED + "abort": "now"}}})

    def fault(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("apply", "HTTPRoute"):
            raise Unavailable("PATCH: timed out")

    world.cluster.fault = fault
    await passes(world, 2)
    assert (world.cluster.peek(MIGRATION) or {})["status"]["requests"] == []
    world.cluster.fault = lambda *_: None
    await passes(world, 2)
    status = (world.cluster.peek(MIGRATION) or {})["status"]
    assert (status["outcome"]["reason"], status["requests"][0]["answer"]) == (
        "Aborted", "aborted by a person; rolled back to 0 from 10 %",
    )  # fmt: skip


async def test_a_foreign_route_is_refused_and_left_as_it_is() -> None:
    rules = [{"backendRefs": [{"name": "old", "port": 80}]}]
    foreign = {"kind": "HTTPRoute", "metadata": {"name": "shop", "namespace": NAMESPACE},
               "spec": {"parentRefs": [{"name": "public"}], "rules": rules}}  # fmt: skip
    world = World(a_deployment("old"), a_deployment("new"), foreign, a_migration())
    await passes(world, 3)
    assert ready(world)[1] == "RouteNotOurs"
    assert (world.cluster.peek(ROUTE) or {})["spec"]["rules"] == rules


async def test_a_route_that_was_handed_over_is_taken() -> None:
    foreign = {
        "kind": "HTTPRoute",
        "metadata": {"name": "shop", "namespace": NAMESPACE, "annotations": {names.ANNOTATION_HAND_OVER: "shop"}},
        "spec": {"parentRefs": [{"name": "public"}], "rules": [{"backendRefs": [{"name": "old", "port": 80}]}]},
    }
    world = World(a_deployment("old"), a_deployment("new"), foreign, a_migration())
    await passes(world, 4)
    assert world.weight_of("shop", "new") == 10


async def test_the_replicas_of_foreign_workloads_are_never_written() -> None:
    world = a_world()
    before = {d["metadata"]["name"]: d["metadata"]["resourceVersion"] for d in world.cluster.all("Deployment")}
    await passes(world, 40, seconds=60)
    assert ready(world)[1] == "Promoted"
    assert before == {d["metadata"]["name"]: d["metadata"]["resourceVersion"] for d in world.cluster.all("Deployment")}


async def test_the_steady_state_writes_nothing() -> None:
    world = a_world()
    await passes(world, 40, seconds=60)
    writes = world.cluster.writes
    for _ in range(5):
        await reconcile_migration(MIGRATION, world.dependencies())
    assert world.cluster.writes == writes


async def test_a_benchmark_that_is_edited_under_way_counts_nothing_from_before() -> None:
    """The same names and the same round, but another image: its runs are other runs."""
    world = World(a_benchmark())
    await passes(world, 5, 2.0, BENCHMARK)
    assert list(world.cluster.all("Job"))
    candidates = [{"name": name, "image": f"localhost/{name}:2"} for name in ("fast", "lame")]
    world.cluster.patch(BENCHMARK, {"spec": {"candidates": candidates}})
    await passes(world, 80, 4.0, BENCHMARK)
    assert ready(world, BENCHMARK)[1] == "Published"
    kept = {name: len(found.get("data", {})) for name, found in config_maps(world).items()}
    assert sorted(kept.values()) == [0, 3, 3, 6]  # abandoned; the two candidates' histograms; the runs
    winner = (world.cluster.peek(BENCHMARK) or {})["status"]["winner"]
    assert winner["image"].endswith(":2") and winner["imageDigest"].endswith(":2")


async def test_a_retry_measures_anew_and_keeps_the_last_result_until_it_is_replaced() -> None:
    world = World(a_benchmark())
    await passes(world, 80, 4.0, BENCHMARK)
    before = (world.cluster.peek(BENCHMARK) or {})["status"]
    assert before["winner"]["candidate"] == "fast"
    world.cluster.patch(BENCHMARK, {"metadata": {"annotations": {"changeover.dev/requested-retry": "again"}}})
    await passes(world, 10, 4.0, BENCHMARK)
    during = (world.cluster.peek(BENCHMARK) or {})["status"]
    assert ready(world, BENCHMARK)[1] == "Measuring" and during["retry"] == "again"
    assert [during[key] for key in ("winner", "ranking", "report")] == [
        before[key] for key in ("winner", "ranking", "report")
    ]
    await passes(world, 80, 4.0, BENCHMARK)
    after = (world.cluster.peek(BENCHMARK) or {})["status"]
    assert ready(world, BENCHMARK)[1] == "Published"
    assert after["report"] != before["report"] and after["report"]["configMap"] in config_maps(world)
    assert before["report"]["configMap"] not in config_maps(world)


async def test_records_that_are_replaced_go_though_their_deletion_was_refused_at_first() -> None:
    world = World(a_benchmark())
    await passes(world, 80, 4.0, BENCHMARK)
    before = (world.cluster.peek(BENCHMARK) or {})["status"]["report"]["configMap"]
    world.cluster.patch(BENCHMARK, {"metadata": {"annotations": {"changeover.dev/requested-retry": "again"}}})
    refused: list[str] = []

    def refuse(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("delete", "ConfigMap") and len(refused) < 3:
            refused.append(name)
            raise Unavailable("DELETE: 500 internal error")

    world.cluster.fault = refuse
    await passes(world, 90, 4.0, BENCHMARK)
    assert (refused, ready(world, BENCHMARK)[1]) == ([before] * 3, "Published")
    assert before not in config_maps(world)


@pytest.mark.parametrize(
    ("ref", "unread", "parts"),
    [
        (BENCHMARK, "ConfigMap", {"ResultsValid": ("Unknown", "Unreadable")}),
        (MIGRATION, "HTTPRoute", {"TrafficSettled": ("Unknown", "Unreadable")}),
    ],
)
async def test_what_has_ended_stays_so_though_it_cannot_be_looked_at_for_a_while(
    ref: Ref, unread: str, parts: dict[str, tuple[str, str]]
) -> None:
    world = a_world(steps=[{"weightPercent": 100, "minDuration": "1m"}])
    world.cluster.put(a_benchmark())
    await passes(world, 80, 30.0, ref)

    def judged() -> dict[str, tuple[str, str]]:
        status = (world.cluster.peek(ref) or {})["status"]
        return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}

    def fault(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("get", unread):
            raise Unavailable("GET: 503")

    before, events = judged(), len(world.cluster.events)
    assert before["Finished"][0] == "True"
    world.cluster.fault = fault
    await passes(world, 3, 30.0, ref)
    assert judged() == {**before, **parts} and len(world.cluster.events) == events
    world.cluster.fault = lambda *_: None
    await passes(world, 3, 30.0, ref)
    assert judged() == before


async def test_a_benchmark_that_ended_stays_so_though_the_operator_does_not_take_its_spec_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one of another release may not."""
    world = World(a_benchmark())
    await passes(world, 80, 30.0, BENCHMARK)
    ended = ready(world, BENCHMARK)

    class Stricter(BenchmarkSpec):
        """Another release's."""

        candidates: Annotated[list[Candidate], Field(max_length=1)]

    with monkeypatch.context() as release:
        release.setattr("changeover.reconcilers.benchmark.BenchmarkSpec", Stricter)
        for _ in range(2):
            await passes(world, 1, 30.0, BENCHMARK)
            conditions = (world.cluster.peek(BENCHMARK) or {})["status"]["conditions"]
            assert [is_true(conditions, name) for name in ("Finished", "Succeeded", "Stalled")] == [True, True, True]
            assert ready(world, BENCHMARK)[:2] == ("False", "InvalidSpec")
    await passes(world, 1, 30.0, BENCHMARK)
    assert ready(world, BENCHMARK) == ended


async def test_a_migration_that_ended_needs_no_metric_source_any_more() -> None:
    world = a_world(steps=[{"weightPercent": 100, "minDuration": "1m"}])
    await passes(world, 80, 30.0)
    ended = ready(world)
    await reconcile_migration(MIGRATION, replace(world.dependencies(), sources={}, scrape_seconds={}))
    assert ready(world) == ended and ended[1] == "Promoted"


async def test_records_that_could_not_be_read_before_there_are_results_leave_no_doubt_behind() -> None:
    world = a_world()
    world.cluster.put(a_benchmark())

    def fault(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("get", "ConfigMap"):
            raise Unavailable("GET: 503")

    world.cluster.fault = fault
    await passes(world, 2, 4.0, BENCHMARK)
    assert ready(world, BENCHMARK)[1] == "Unreadable"
    world.cluster.fault = lambda *_: None
    await passes(world, 2, 4.0, BENCHMARK)
    status = (world.cluster.peek(BENCHMARK) or {})["status"]
    assert "Unreadable" not in {c["reason"] for c in status["conditions"]}


async def test_of_what_has_ended_it_is_said_that_a_weight_cannot_be_put_back() -> None:
    world = a_world(steps=[{"weightPercent": 100, "minDuration": "1m"}])
    await passes(world, 80)

    def fault(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("apply", "HTTPRoute"):
            raise Unavailable("PATCH: 403 no")

    world.cluster.fault = fault
    world.cluster.patch(ROUTE, {"spec": {"rules": [{"backendRefs": [{"name": "old", "port": 80, "weight": 100}]}]}})
    await passes(world, 3)
    conditions = {c["type"]: c for c in (world.cluster.peek(MIGRATION) or {})["status"]["conditions"]}
    assert {name: conditions[name]["status"] for name in ("Finished", "Succeeded", "Ready", "Reconciling")} == {
        "Finished": "True", "Succeeded": "True", "Ready": "False", "Reconciling": "True",
    }  # fmt: skip
    assert "403 no" in ready(world)[2]
    world.cluster.fault = lambda *_: None
    await passes(world, 3)
    assert ready(world)[:2] == ("True", "Promoted") and world.weight_of("shop", "new") == 100


OWN = [
    {"name": "rss", "query": 'sum(rss{pod=~"{{ .podRegex }}"})', "unit": "bytes"},
    {"name": "silent", "query": "nothing"},
]


class OneValue(dict[str, float]):
    """What the candidates' queries give, whatever their pods are called."""

    def __contains__(self, query: object) -> bool:
        return str(query).startswith("sum(rss{pod=~")

    def __getitem__(self, query: str) -> float:
        return 2e6 if "web-lame-" in query else 1e6


async def test_metrics_of_the_users_own_are_shown_with_their_unit_and_what_has_no_value_is_said() -> None:
    world = World(a_benchmark(metrics={"queries": OWN}))
    world.metrics.values = OneValue()
    await passes(world, 80, 4.0, BENCHMARK)
    status = (world.cluster.peek(BENCHMARK) or {})["status"]
    assert ready(world, BENCHMARK)[1] == "Published"
    shown = {r["candidate"]: [(m["name"], m["mean"], m["unit"]) for m in r["metrics"]] for r in status["results"]}
    assert shown == {"fast": [("rss", "1000000", "bytes")], "lame": [("rss", "2000000", "bytes")]}
    why = "MetricUnknown: silent (the query gave no sample) (3 of 3 runs, valid)"
    assert [why in result["notes"] for result in status["results"]] == [True, True]


async def test_queries_are_refused_where_the_operators_configuration_does_not_allow_them() -> None:
    world = World(a_benchmark(metrics={"queries": OWN}))
    closed = replace(world.dependencies(), open_sources=frozenset())
    assert await reconcile_benchmark(BENCHMARK, closed) is None
    _, reason, message = ready(world, BENCHMARK)
    assert reason == "InvalidSpec"
    assert message.startswith("spec.metrics.queries: metric source 'default' takes no queries of resources; leave them")


async def test_records_beyond_one_object_are_kept_in_several_and_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    in_one, in_several = World(a_benchmark()), World(a_benchmark())
    await passes(in_one, 80, 4.0, BENCHMARK)
    monkeypatch.setattr(record_store, "FULL_BYTES", 1)  # one record
    await passes(in_several, 80, 4.0, BENCHMARK)
    one, several = ((world.cluster.peek(BENCHMARK) or {})["status"] for world in (in_one, in_several))
    assert [several[key] for key in ("ranking", "winner", "results")] == [
        one[key] for key in ("ranking", "winner", "results")
    ]
    first, *others = several["report"]["configMaps"]
    assert (first, len(others)) == (one["report"]["configMap"], 5)
    runs = [key for name in (first, *others) for key in config_maps(in_several)[name]["data"]]
    assert sorted(runs) == sorted(config_maps(in_one)[first]["data"])
    in_several.cluster.discard(Ref("ConfigMap", NAMESPACE, first))
    assert config_maps(in_several) == {}  # the others, and the histograms, go with the first


async def test_a_candidate_that_copies_a_deployment_waits_for_it_and_follows_it() -> None:
    copy = {"name": "lame", "templateFrom": {"deploymentRef": {"name": "old"}}}
    world = World(a_benchmark(candidates=[{"name": "fast", "image": "localhost/fast:1"}, copy]))
    await passes(world, 3, 2.0, BENCHMARK)
    assert ready(world, BENCHMARK)[1:] == (
        "Unreadable", "candidate lame: templateFrom names Deployment old, which does not exist",
    )  # fmt: skip
    world.cluster.put(a_deployment("old"))
    await passes(world, 3, 2.0, BENCHMARK)
    made = next(d for d in world.cluster.all("Deployment") if d["metadata"]["name"] == "web-lame")
    original = a_deployment("old")["spec"]["template"]["spec"]["containers"][0]
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == original["image"]
    before = set(config_maps(world))
    world.cluster.patch(Ref("Deployment", NAMESPACE, "old"), {"spec": {"template": {"spec": {"x": "changed"}}}})
    await passes(world, 3, 2.0, BENCHMARK)
    assert set(config_maps(world)) - before  # other runs


async def test_a_benchmark_goes_when_its_time_is_over() -> None:
    world = World(a_benchmark(ttlAfterFinished="1h"))
    await passes(world, 80, 4.0, BENCHMARK)
    assert ready(world, BENCHMARK)[1] == "Published"
    await passes(world, 3, 1800.0, BENCHMARK)
    assert world.cluster.peek(BENCHMARK) is None


async def test_a_suspended_benchmark_removes_everything_and_goes_on_where_it_was() -> None:
    world = World(a_benchmark())
    await passes(world, 20, 3.0, BENCHMARK)
    done = next(set(found.get("data", {})) for found in world.cluster.all("ConfigMap"))
    assert done
    world.cluster.patch(BENCHMARK, {"spec": {"suspend": True}})
    await passes(world, 3, 3.0, BENCHMARK)
    kinds = {kind for kind in ("Deployment", "Service", "Job", "Pod") for _ in world.cluster.all(kind)}
    assert (kinds, ready(world, BENCHMARK)[1]) == (set(), "Suspended")
    world.cluster.patch(BENCHMARK, {"spec": {"suspend": False}})
    await passes(world, 80, 4.0, BENCHMARK)
    assert ready(world, BENCHMARK)[1] == "Published"


async def test_a_candidate_that_never_gets_ready_does_not_hold_up_the_others() -> None:
    world = World(a_benchmark())
    world.broken.add("web-lame")
    await passes(world, 120, 10.0, BENCHMARK)
    assert ready(world, BENCHMARK)[1] == "Published"
    status = (world.cluster.peek(BENCHMARK) or {})["status"]
    lame = next(r for r in status["results"] if r["candidate"] == "lame")
    assert not lame["valid"] and "ImagePullBackOff" in lame["notes"][0]


async def test_actions_stop_at_the_first_failure() -> None:
    world = a_world()
    for name in "abc":
        labels = {names.LABEL_MANAGED_BY: names.FIELD_MANAGER}
        world.cluster.put({"kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}})
    deleted: list[str] = []

    def fault(verb: str, kind: str, name: str) -> None:
        if verb == "delete":
            deleted.append(name)
        if verb == "delete" and name == "b":
            raise Unavailable("away")

    world.cluster.fault = fault
    actions = [Delete(Ref("Service", NAMESPACE, name)) for name in "abc"]
    assert isinstance(await execute(actions, MIGRATION, None, world.dependencies()), Unavailable)
    assert deleted == ["a", "b"]


OURS = Ref("Deployment", NAMESPACE, "ours")
LABELLED = a_deployment("ours", metadata={"labels": {names.LABEL_MANAGED_BY: names.FIELD_MANAGER}})


@pytest.mark.parametrize("action", [Apply({**LABELLED, "spec": {"replicas": 7}}), Delete(OURS), Scale(OURS, 0)])
async def test_a_write_that_comes_after_somebody_elses_is_refused(action: Action) -> None:
    """As one does from whom was stopped between its look and its write, while another leads."""
    world, wrote = a_world(), list[str]()
    world.cluster.put(LABELLED)

    def meanwhile(verb: str, kind: str, name: str) -> None:
        if verb != "get":
            wrote.append(verb)
            world.cluster.patch(OURS, {"spec": {"replicas": 10 + len(wrote)}})

    world.cluster.fault = meanwhile
    assert isinstance(await execute([action], MIGRATION, None, world.dependencies()), Conflict)
    assert ((world.cluster.peek(OURS) or {})["spec"]["replicas"], len(wrote)) == (12, 2)


@pytest.mark.parametrize(
    ("action", "left"), [(Apply({**LABELLED, "spec": {"replicas": 7}}), 7), (Delete(OURS), None), (Scale(OURS, 0), 0)]
)
async def test_a_controller_that_writes_status_between_our_read_and_our_write_is_no_failure(
    action: Action, left: int | None
) -> None:
    world, wrote = a_world(), list[str]()
    world.cluster.put(LABELLED)

    def meanwhile(verb: str, kind: str, name: str) -> None:
        if verb != "get" and not wrote:
            wrote.append(verb)
            world.cluster.patch(OURS, {"status": {"readyReplicas": 1}})

    world.cluster.fault = meanwhile
    assert await execute([action], MIGRATION, None, world.dependencies()) is None
    found = world.cluster.peek(OURS)
    assert (found and found["spec"]["replicas"]) == left and wrote


@pytest.mark.parametrize("action", [Delete(OURS), Scale(OURS, 0)])
async def test_what_only_has_a_name_of_ours_is_neither_deleted_nor_scaled(action: Action) -> None:
    world = a_world()
    world.cluster.put(a_deployment("ours"))
    assert await execute([action], MIGRATION, None, world.dependencies()) is None
    assert (world.cluster.peek(OURS) or {})["spec"]["replicas"] > 0


async def test_a_benchmark_that_was_changed_since_it_was_decided_is_not_deleted() -> None:
    """A retry that comes together with the end of ttlAfterFinished is not lost."""
    world = World(a_benchmark(ttlAfterFinished="1h"))
    await passes(world, 1, ref=BENCHMARK)
    decided = (world.cluster.peek(BENCHMARK) or {})["metadata"]["resourceVersion"]
    world.cluster.patch(BENCHMARK, {"metadata": {"annotations": {names.ANNOTATION_RETRY: "again"}}})
    failure = await execute([Delete(BENCHMARK, decided)], BENCHMARK, None, world.dependencies())
    assert isinstance(failure, Conflict) and "since it was decided" in str(failure)
    assert world.cluster.peek(BENCHMARK) is not None


async def test_the_finalizers_of_others_are_kept() -> None:
    world = a_world()
    world.cluster.patch(MIGRATION, {"metadata": {"finalizers": ["x/y"]}})
    for present, wanted in ((True, ["x/y", names.FINALIZER]), (True, ["x/y", names.FINALIZER]), (False, ["x/y"])):
        assert await execute([HoldFinalizer(present)], MIGRATION, None, world.dependencies()) is None
        assert (world.cluster.peek(MIGRATION) or {})["metadata"]["finalizers"] == wanted


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Unavailable("x"), RETRY_SECONDS),
        (Conflict("x"), CHANGED_RETRY_SECONDS),
        (InvalidSpec("x"), REFUSED_RETRY_SECONDS),
    ],
)
def test_what_was_refused_is_not_hammered(error: ChangeoverError, seconds: float) -> None:
    assert retry_after(error) == seconds


async def test_another_candidate_in_the_spec_starts_over_with_that_candidate() -> None:
    """The Service keeps its name, so nothing but the spec tells them apart."""
    ranked = [
        {"rank": 1, "candidate": name, "score": "1", "low": "1", "high": "1", "unit": "x", "meetsObjectives": True,
         "relativeToFirst": "1", "imageDigest": f"sha256:localhost/{name}:1"}
        for name in ("fast", "lame")
    ]  # fmt: skip
    condition = {"type": "Ready", "status": "True", "observedGeneration": 1, "reason": "Published", "message": "",
                 "lastTransitionTime": "2030-01-01T11:00:00Z"}  # fmt: skip
    benchmark = a_benchmark()
    benchmark["status"] = {"observedGeneration": 1, "conditions": [condition], "ranking": ranked}
    canary = {"type": "Benchmark", "benchmark": {"ref": {"name": "web"}, "candidate": "lame"}}
    world = World(a_deployment("old"), benchmark, a_migration(canary=canary))
    await passes(world, 6)
    assert world.weight_of("shop", "shop-canary") == 10
    assert image_of(world) == "localhost/lame:1"
    world.cluster.patch(MIGRATION, {"spec": {"canary": {"benchmark": {"candidate": "fast"}}}})
    await passes(world, 1)
    assert world.weight_of("shop", "shop-canary") == 0
    await passes(world, 5)
    assert (world.weight_of("shop", "shop-canary"), image_of(world)) == (10, "localhost/fast:1")


def image_of(world: World) -> str:
    found = world.cluster.peek(Ref("Deployment", NAMESPACE, "shop-canary")) or {}
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"cost": {"cpuHour": "1"}}, True),
        ({"ranking": {"by": "Cost"}}, True),
        ({"metrics": {"source": "other"}}, True),
        ({"metrics": {"queries": [{"name": "rss", "query": "1"}]}}, False),
        ({"schedule": {**a_benchmark()["spec"]["schedule"], "crossCheck": True}}, True),
        ({"schedule": {"measure": "9s"}}, False),
        ({"conformance": "Ignore"}, False),
    ],
)
def test_other_prices_keep_the_runs_and_another_window_does_not(change: dict[str, Any], same: bool) -> None:
    before, after = (BenchmarkSpec.model_validate({**a_benchmark()["spec"], **more}) for more in ({}, change))
    assert (fingerprint_of(before) == fingerprint_of(after)) is same


def test_a_field_that_a_later_operator_knows_keeps_the_runs() -> None:
    class LaterSpec(BenchmarkSpec):
        more: str = ""

    spec, later = a_benchmark()["spec"], LaterSpec.model_validate
    assert fingerprint_of(later(spec)) == fingerprint_of(BenchmarkSpec.model_validate(spec))
    assert fingerprint_of(later({**spec, "more": "x"})) != fingerprint_of(later(spec))


@pytest.mark.parametrize("schedule", [{"rounds": {"min": 6}}, {"measure": "15s"}])
def test_more_rounds_or_a_default_spelled_out_keep_the_runs(schedule: dict[str, Any]) -> None:
    spec = {key: value for key, value in a_benchmark()["spec"].items() if key != "schedule"}
    before, after = (BenchmarkSpec.model_validate(s) for s in (spec, {**spec, "schedule": schedule}))
    assert fingerprint_of(before) == fingerprint_of(after)


def test_another_objective_keeps_the_runs_unless_a_ramp_ended_where_it_broke() -> None:
    ramp = {"scenarios": [{"name": "knee", "type": "Ramp", "ramp": {"startRequestsPerSecond": 100}}]}
    stricter = {"objectives": {"maxErrorPercent": "0.1"}}
    for scenarios, same in (({}, True), (ramp, False)):
        before = BenchmarkSpec.model_validate({**a_benchmark()["spec"], **scenarios})
        after = BenchmarkSpec.model_validate({**a_benchmark()["spec"], **scenarios, **stricter})
        assert (fingerprint_of(before) == fingerprint_of(after)) is same


async def test_a_window_that_cannot_hold_two_scrapes_is_refused_in_words() -> None:
    schedule = {**a_benchmark()["spec"]["schedule"], "measure": "9s"}
    world = World(a_benchmark(schedule=schedule))
    assert await reconcile_benchmark(BENCHMARK, world.dependencies()) is None
    _, reason, message = ready(world, BENCHMARK)
    assert reason == "InvalidSpec"
    assert "is scraped every 5 s; ask for at least 10s" in message


async def test_a_fast_candidate_that_fails_the_checks_is_ranked_apart_and_the_winner_is_cross_checked() -> None:
    schedule = {**a_benchmark()["spec"]["schedule"], "crossCheck": True}
    candidates = [{"name": name, "image": f"localhost/{name}:1"} for name in ("fast", "good", "lame")]
    world = World(a_benchmark(schedule=schedule, candidates=candidates))
    world.speeds, world.raw = {"fast": 4000.0, "good": 2000.0, "lame": 1000.0}, {"fast"}
    await passes(world, 160, 4.0, BENCHMARK)
    status = (world.cluster.peek(BENCHMARK) or {})["status"]
    assert [(row["rank"], row["candidate"], row["class"]) for row in status["ranking"]] == [
        (1, "good", "Full"), (2, "lame", "Full"), (1, "fast", "Raw"),
    ]  # fmt: skip
    assert [result["conformance"] for result in status["results"]] == [
        ["404 elsewhere: status 200 (3 of 3 runs)"], [], [],
    ]  # fmt: skip
    check = status["winner"]["crossCheck"]
    assert (status["winner"]["candidate"], check["against"], check["verdict"]) == ("good", "lame", "Confirmed")
    assert status["progress"]["text"] == "15/15"


async def test_a_benchmark_that_ignores_conformance_checks_nobody() -> None:
    world = World(a_benchmark(conformance="Ignore"))
    world.speeds, world.raw = {"fast": 4000.0, "lame": 1000.0}, {"fast"}
    await passes(world, 80, 4.0, BENCHMARK)
    status = (world.cluster.peek(BENCHMARK) or {})["status"]
    assert status["winner"]["candidate"] == "fast"
    assert {row["class"] for row in status["ranking"]} == {"Full"}
    assert [result["conformance"] for result in status["results"]] == [[], []]


async def test_a_weight_is_not_dated_back_by_a_slow_metric_source(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    counted = world.metrics.counts

    async def slowly(*asked: Any) -> Any:
        world.clock.advance(7)
        return await counted(*asked)

    monkeypatch.setattr(world.metrics, "counts", slowly)
    while world.weight_of("shop", "new") != 10:
        before = world.clock.now()
        await passes(world, 1, seconds=2)
    route = world.cluster.peek(Ref("HTTPRoute", "shop", "shop"))
    assert route is not None
    mark = json.loads(route["metadata"]["annotations"][names.ANNOTATION_MARK])
    assert datetime.fromisoformat(mark["since"]) >= before + timedelta(seconds=14)


async def test_a_gate_is_asked_when_all_else_speaks_for_it_and_its_answer_is_in_status() -> None:
    gate = {"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}}
    world = with_hooks(World(a_deployment("old"), a_deployment("new"), a_migration(gates=[gate])))
    world.outgoing.status = 403
    await passes(world, 6)
    assert (ready(world)[1], world.weight_of("shop", "new")) == ("WaitingForGate", 0)
    [said] = (world.cluster.peek(MIGRATION) or {})["status"]["gates"]
    assert (said["name"], said["state"], said["message"]) == ("board", "Refused", "it answered 403")
    asked = len(world.outgoing.sent)
    world.outgoing.failure = "timed out"
    await passes(world, 2)
    assert world.weight_of("shop", "new") == 0
    world.outgoing.failure, world.outgoing.status = "", 204
    assert await passes(world, 1, seconds=1) == 0.0, "the next pass is due at once"
    assert world.weight_of("shop", "new") == 0, "it rose by a look that was old when the gate had answered"
    await passes(world, 1)
    assert world.weight_of("shop", "new") == 10
    await passes(world, 3)
    assert len(world.outgoing.sent) == asked + 1, "asked while there was nothing to ask for"


async def before_a_manual_step() -> World:
    """A person is waited for; the gate before has said yes."""
    gate = {"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}}
    steps = [{"weightPercent": 10, "minDuration": "2m"}, {"weightPercent": 100, "approval": "Manual"}]
    world = with_hooks(World(a_deployment("old"), a_deployment("new"), a_migration(gates=[gate], steps=steps)))
    while world.weight_of("shop", "new") != 10 or ready(world)[1] != "WaitingForApproval":
        await passes(world, 1, seconds=2)
    return world


async def test_an_hour_before_an_approval_the_gate_is_asked_each_minute_and_nothing_is_told() -> None:
    world = await before_a_manual_step()
    asked, told = len(world.outgoing.sent), len(world.cluster.events)
    reasons = set()
    for _ in range(360):
        await passes(world, 1, seconds=10)
        reasons.add(ready(world)[1])
    assert len(world.outgoing.sent) - asked > 45
    assert (world.cluster.events[told:], reasons) == ([], {"WaitingForApproval"})


async def test_an_approval_is_taken_up_at_whatever_moment_it_comes() -> None:
    world = await before_a_manual_step()
    asked, token = len(world.outgoing.sent), {"changeover.dev/requested-approve": "now"}
    for seconds in range(0, 64, 2):
        then = copy.deepcopy(world)
        then.cluster.patch(MIGRATION, {"metadata": {"annotations": token}})
        await passes(then, 2, seconds=1)
        assert then.weight_of("shop", "new") == 100, f"after {seconds} s: {ready(then)}"
        await passes(world, 1, seconds=2)
    assert len(world.outgoing.sent) > asked, "in no pass was the gate asked"


@pytest.mark.parametrize("first", ["Automatic", "Manual"])
async def test_a_promotion_asks_its_gate_about_the_last_step_and_goes_there(first: str) -> None:
    """Whatever the gate was asked about, or is still to be asked, for the step that would have come next."""
    gate = {"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}}
    rest = [{"weightPercent": weight, "approval": "Manual"} for weight in (50, 100)]
    steps = [{"weightPercent": 10, "minDuration": "2m", "approval": first}, *rest]
    world = with_hooks(World(a_deployment("old"), a_deployment("new"), a_migration(gates=[gate], steps=steps)))
    await passes(world, 3)
    while ready(world)[1] != "WaitingForApproval":
        await passes(world, 1, seconds=2)
    for seconds in range(0, 64, 9):
        then = copy.deepcopy(world)
        asked = len(then.outgoing.sent)
        then.cluster.patch(MIGRATION, {"metadata": {"annotations": {"changeover.dev/requested-promote": "now"}}})
        await passes(then, 3, seconds=1)
        assert then.weight_of("shop", "new") == 100, f"after {seconds} s: {ready(then)}"
        assert len(then.outgoing.sent) == asked + 1
        await passes(world, 1, seconds=9)


async def test_a_no_to_what_a_person_approves_is_told_at_once_and_answers_the_approval() -> None:
    world = await before_a_manual_step()
    world.outgoing.status = 403
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {"changeover.dev/requested-approve": "now"}}})
    world.advance(61)
    await passes(world, 1)
    assert ready(world)[1] == "WaitingForGate" and "gate board: it answered 403" in ready(world)[2]
    [answer] = (world.cluster.peek(MIGRATION) or {})["status"]["requests"]
    assert answer["result"] == "Refused" and "gate board: it answered 403" in answer["answer"]
    assert world.weight_of("shop", "new") == 10


async def test_without_its_secret_a_gate_holds_and_says_so() -> None:
    gate = {"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}, "onFailure": "Rollback"}
    world = World(a_deployment("old"), a_deployment("new"), a_migration(gates=[gate]))
    await passes(world, 6)
    await passes(world, 2, seconds=1)
    assert ready(world)[1] == "WaitingForGate" and "Secret hooks does not exist" in ready(world)[2]
    assert world.weight_of("shop", "new") == 0
