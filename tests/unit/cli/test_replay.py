"""A migration's decisions again: they agree with what was decided, unless what Prometheus holds says otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.prometheus import CHUNK_SECONDS, Remembered, Series, operator_config, series_of
from changeover.cli.replay import Replayed, periods, replay_all
from changeover.config import SCRAPE_INTERVAL_SECONDS
from changeover.core.observed import Counts, NoData
from changeover.core.plan import Ref
from changeover.core.sequential import Verdict
from changeover.ports import BackendPort, CountQuery
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE
from changeover.testing.clock import START
from changeover.testing.metrics import Behaviour, FakeMetrics
from changeover.testing.world import SCRAPE_SECONDS, World

from tests.unit.cli.fake import MIGRATION, Played, a_world, command, configured, go_on, play

__all__ = ["play"]  # the fixture
PODS = [{"metric": {"pod": "new-5f-1"}}, {"metric": {"pod": "new-5f-2"}}]
Play = Callable[[World], Played]


def ended(bad: float = 0.0, **spec: Any) -> World:
    """A migration that went to its end, or was rolled back because of this share of errors."""
    world = a_world(**spec)
    world.metrics.behaviours["new"] = Behaviour(error_share=bad)
    go_on(world, 60)
    return world


def replayed(world: World) -> list[Replayed]:
    body = world.cluster.peek(MIGRATION)
    assert body is not None
    series = Series(world.metrics, SCRAPE_SECONDS, lambda query, at: PODS)
    return asyncio.run(replay_all(Kubectl(NAMESPACE), body, series, world.clock.now()))


@pytest.fixture
def behind_kubectl(play: Play, monkeypatch: pytest.MonkeyPatch) -> Callable[[World], None]:
    """Puts a world behind kubectl, and its figures behind the operator's metric source."""

    def put(world: World) -> None:
        play(world)
        series = Series(world.metrics, SCRAPE_SECONDS, lambda query, at: PODS)
        monkeypatch.setattr("changeover.cli.prometheus.series_of", lambda kubectl, name: series)

    return put


def test_the_evidence_of_a_promoted_migration_says_advance_at_every_weight(play: Play) -> None:
    world = ended()
    play(world)
    found = replayed(world)
    assert [(one.period.weight, one.period.decided) for one in found] == [
        (10, "10 % -> 100 % (Stepped)"),
        (100, "Promoted"),
    ]
    assert [(one.verdict, one.agrees) for one in found] == [(Verdict.ADVANCE, True)] * 2
    assert all(one.requests > 1000 and one.blocks > 2 for one in found)
    assert all("cpu" in one.why for one in found), "by the limit of its Deployment and the pods of then"


def test_that_of_a_bad_canary_says_rollback(play: Play) -> None:
    world = ended(bad=0.9)
    play(world)
    [one] = replayed(world)
    assert (one.period.reason, one.verdict, one.agrees) == ("ErrorsObjectiveMissed", Verdict.ROLLBACK, True)
    assert "bad in the last scrapes" in one.why, "too soon for a block"


def test_other_figures_than_then_do_not_agree(play: Play) -> None:
    world = ended()
    play(world)
    world.metrics.behaviours["new"] = Behaviour(error_share=0.02)
    assert [one.agrees for one in replayed(world)] == [False, False]
    world = ended(bad=0.9)
    play(world)
    world.metrics.behaviours["new"] = Behaviour()
    assert [one.agrees for one in replayed(world)] == [False]


class Scraped:
    """Metrics that are known at the instants of scrapes only: at an edge counts the last one before it."""

    def __init__(self, metrics: FakeMetrics, phase: float) -> None:
        self._metrics = metrics
        self._phase = phase
        self.usage, self.peak, self.value = metrics.usage, metrics.peak, metrics.value

    def _last(self, at: datetime) -> datetime:
        return at - timedelta(seconds=(at.timestamp() - self._phase) % SCRAPE_SECONDS)

    async def counts(self, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        """Of the time between two scrapes."""
        first, last = self._last(start), self._last(end)
        return await self._metrics.counts(query, first, last) if first < last else Counts(0, 0, {}, {})


@pytest.mark.parametrize("phase", [0.3, 1.9, 3.5])
@pytest.mark.parametrize(("bad", "ends"), [(0.9, "RolledBack"), (0.02, "RolledBack"), (0.0, "Promoted")])
def test_what_hung_on_one_scrape_hangs_on_it_still_though_status_has_whole_seconds(
    play: Play, phase: float, bad: float, ends: str
) -> None:
    steps = [{"weightPercent": weight, "minDuration": "10s", "maxDuration": "2h"} for weight in (10, 100)]
    world = a_world(steps=steps, decision={"block": "5s"})
    world.metrics.behaviours["new"] = Behaviour(error_share=bad)
    source = Scraped(world.metrics, phase)
    dependencies = replace(world.dependencies(), sources={"default": source})
    world.advance(0.7)  # no pass at a whole second

    async def run() -> None:
        for _ in range(400):
            if (world.cluster.peek(MIGRATION) or {}).get("status", {}).get("outcome"):
                break
            await reconcile_migration(MIGRATION, dependencies)
            world.advance(2.05)

    asyncio.run(run())
    play(world)
    body = world.cluster.peek(MIGRATION)
    assert body is not None and body["status"]["outcome"]["result"] == ends
    series = Series(source, SCRAPE_SECONDS, lambda query, at: PODS)
    found = asyncio.run(replay_all(Kubectl(NAMESPACE), body, series, world.clock.now()))
    assert found and all(one.agrees for one in found), found


def test_cpu_that_cannot_be_known_any_more_is_left_out_and_that_is_said(play: Play) -> None:
    world = ended()
    play(world)
    world.cluster.remove(Ref("Deployment", NAMESPACE, "new"))
    found = replayed(world)
    assert [one.agrees for one in found] == [True, True]
    assert all("CPU left out" in one.why and "cpu" not in one.why for one in found)


@pytest.mark.parametrize("bad", [0.0, 0.9])
def test_what_was_decided_is_not_judged_by_a_spec_that_was_edited_since(play: Play, bad: float) -> None:
    world = ended(bad)
    play(world)
    before = [(one.period, one.verdict) for one in replayed(world)]
    assert all(one.agrees for one in replayed(world))
    world.cluster.patch(MIGRATION, {"spec": {"suspend": True}})
    assert [(one.period, one.verdict, one.agrees) for one in replayed(world)] == [(*one, None) for one in before]
    errors = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "0.1"}}
    world.metrics.behaviours["new"] = Behaviour(error_share=0.005)
    world.cluster.patch(MIGRATION, {"spec": {"objectives": [errors]}})
    found = replayed(world)
    assert {one.agrees for one in found} == {None}
    assert all("it was changed since this ended" in one.why for one in found)


def test_what_was_decided_before_an_edit_under_way_is_not_judged_by_what_came_of_it(play: Play) -> None:
    """A stricter limit is taken up at once, and was no limit of the steps before."""
    world = a_world()
    world.metrics.behaviours["new"] = Behaviour(error_share=0.004)
    while world.weight_of("shop", "new") != 100:
        go_on(world, 1)
    errors = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "0.1"}}
    written = [
        {"fieldsV1": {"f:spec": {}}, "time": "2029-12-31T00:00:00Z"},
        {"fieldsV1": {"f:spec": {}}, "time": world.clock.now().isoformat()},
        {"fieldsV1": {"f:metadata": {}}, "time": "2031-01-01T00:00:00Z"},
        {"fieldsV1": {"f:spec": {}}, "subresource": "status", "time": "2031-01-01T00:00:00Z"},
    ]
    world.cluster.patch(MIGRATION, {"spec": {"objectives": [errors]}, "metadata": {"managedFields": written}})
    go_on(world, 60)
    play(world)
    first, last = replayed(world)
    assert (first.verdict, first.agrees, last.verdict, last.agrees) == (Verdict.ROLLBACK, None, Verdict.ROLLBACK, True)
    assert "it was changed since this ended" in first.why and "changed" not in last.why


class Improved:
    """Metrics of a canary that makes no errors from some instant on."""

    def __init__(self, metrics: FakeMetrics, at: datetime, before: Behaviour) -> None:
        self._metrics, self._at, self._before = metrics, at, before
        self.usage, self.peak, self.value = metrics.usage, metrics.peak, metrics.value

    async def counts(self, query: CountQuery, start: datetime, end: datetime) -> Counts | NoData:
        """As the canary was then."""
        self._metrics.behaviours["new"] = self._before if start < self._at else Behaviour()
        return await self._metrics.counts(query, start, end)


def test_what_was_decided_after_an_edit_is_not_judged_by_what_came_before_it(play: Play) -> None:
    """Most edits come while a step stands; of an objective that is new nothing before it is evidence."""
    steps = [{"weightPercent": weight, "minDuration": "10m", "maxDuration": "2h"} for weight in (10, 100)]
    latency = {"name": "latency", "type": "Latency", "latency": {"max": "100ms"}}
    world, before = a_world(steps=steps, objectives=[latency]), Behaviour(error_share=0.02)
    world.metrics.behaviours["new"] = before
    while world.weight_of("shop", "new") != 10:
        go_on(world, 1)
    go_on(world, 6)
    mended, world.metrics.behaviours["new"] = world.clock.now(), Behaviour()
    go_on(world, 6)
    errors = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "0.1"}}
    written = [{"fieldsV1": {"f:spec": {}}, "time": world.clock.now().isoformat()}]
    world.cluster.patch(MIGRATION, {"spec": {"objectives": [latency, errors]}, "metadata": {"managedFields": written}})
    go_on(world, 90)
    play(world)
    body = world.cluster.peek(MIGRATION)
    assert body is not None and body["status"]["outcome"]["result"] == "Promoted"
    series = Series(Improved(world.metrics, mended, before), SCRAPE_SECONDS, lambda query, at: PODS)
    first, last = asyncio.run(replay_all(Kubectl(NAMESPACE), body, series, world.clock.now()))
    assert (first.agrees, last.agrees) == (True, True), (first, last)


def test_what_a_person_decided_is_not_held_against_the_evidence(play: Play) -> None:
    world = a_world()
    go_on(world, 8)
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {"changeover.dev/requested-abort": "x"}}})
    go_on(world, 4)
    play(world)
    [one] = replayed(world)
    assert (one.period.reason, one.agrees) == ("Aborted", None)


def test_a_prometheus_that_has_forgotten_says_nothing(play: Play) -> None:
    world = ended()
    play(world)
    world.metrics.mode = "none"
    found = replayed(world)
    assert {(one.verdict, one.why, one.agrees) for one in found} == {(None, "Prometheus has nothing of it", False)}


def test_a_prometheus_that_is_down_is_an_error(play: Play) -> None:
    world = ended()
    play(world)
    world.metrics.mode = "unreadable"
    with pytest.raises(KubectlFailed, match="timed out"):
        replayed(world)


def test_one_that_is_under_way_is_replayed_until_now() -> None:
    history = [{"at": "2030-01-01T12:00:00Z", "from": 0, "to": 10, "reason": "Stepped", "message": ""}]
    now = datetime(2030, 1, 1, 12, 5, tzinfo=UTC)
    [one] = periods({"history": history}, now)
    assert (one.end, one.decided, one.expected) == (now, "under way", None)


def test_raw_samples_are_asked_for_once_in_half_an_hour() -> None:
    asked: list[tuple[str, float]] = []
    values = [[at, "1"] for at in range(0, 4000, 5)]

    def ask(query: str, at: float) -> list[dict[str, Any]]:
        asked.append((query, at))
        return [{"metric": {}, "values": values}]

    series = Remembered(ask)
    for at in (100.0, 200.0, CHUNK_SECONDS + 50):
        [one] = series('up{a="b"}[30s]', at)
        assert [v[0] for v in one["values"]] == [v for v in range(0, 4000, 5) if at - 30 <= v <= at]
    assert asked == [('up{a="b"}[1860s]', CHUNK_SECONDS), ('up{a="b"}[1860s]', 2 * CHUNK_SECONDS)]
    series('up{a="b"}[31s]', 100.0)
    assert len(asked) == 2, "another span, the same samples"
    series('sum(rate(up{a="b"}[60s]))[86400s:1m]', 100.0)
    assert asked[-1] == ('sum(rate(up{a="b"}[60s]))[86400s:1m]', 100.0), "no raw samples: as it was asked"


def test_the_command_says_whether_all_agree(behind_kubectl: Callable[[World], None]) -> None:
    world = ended()
    behind_kubectl(world)
    done = command("replay", "shop")
    assert done.exit_code == 0 and "Advance" in done.output and "Promoted" in done.output
    world.metrics.behaviours["new"] = Behaviour(error_share=0.9)
    done = command("replay", "cmig/shop")
    assert done.exit_code == 4 and "Rollback" in done.output


def test_a_migration_without_a_weight_has_nothing_to_replay(behind_kubectl: Callable[[World], None]) -> None:
    world = a_world()
    behind_kubectl(world)
    done = command("replay", "shop")
    assert (done.exit_code, done.output) == (0, "no weight was ever raised: there is nothing to replay\n")


def test_the_source_is_the_operators_own(play: Play) -> None:
    played = play(a_world())
    with pytest.raises(KubectlFailed, match="cannot be asked from here"):
        series_of(Kubectl(), "default")
    sources = [{"name": "default", "url": "http://prometheus.monitoring.svc:9090", "scrapeIntervalSeconds": 30}]
    config = {"kind": "ConfigMap", "data": {"config.yaml": json.dumps({"metricSources": sources})}}
    played.everywhere = [config]
    found = series_of(Kubectl(), "default")
    assert found.scrape_seconds == 30
    assert found.ask("up", 12.5) == []
    path = played.commands[-1][2]
    assert path == "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query=up&time=12.500"


def installed(namespace: str, *served: str) -> list[dict[str, Any]]:
    """An operator as the chart installs it, with a Prometheus of its own."""
    metadata = {"name": "changeover", "namespace": namespace, "labels": {"app.kubernetes.io/instance": "changeover"}}
    config = {
        "metricSources": [{"name": "default", "url": f"http://{namespace}.obs.svc"}],
        "watchNamespaces": [*served],
    }
    data = {"config.yaml": json.dumps(config)}
    return [{"kind": "Deployment", "metadata": metadata}, {"kind": "ConfigMap", "metadata": metadata, "data": data}]


@pytest.mark.parametrize(("namespace", "asked"), [("pay", "of-pay"), ("shop", "of-shop"), ("web", "of-all")])
def test_of_several_operators_the_one_that_serves_the_namespace_is_asked(
    play: Play, namespace: str, asked: str
) -> None:
    """Another's Prometheus has nothing of this migration, or something else."""
    deployments, configs = zip(
        installed("of-pay", "pay"), installed("of-shop", "shop"), installed("of-all"), strict=True
    )
    play(a_world()).everywhere = [*deployments, *configs]
    deployment, config = operator_config(Kubectl(namespace))
    assert deployment is not None
    assert deployment["metadata"]["namespace"] == asked
    assert config["metricSources"][0]["url"] == f"http://{asked}.obs.svc"


def test_the_source_is_read_as_the_operator_reads_it(play: Play) -> None:
    """Its defaults, and the label by which it names backends."""
    played = play(a_world())
    played.everywhere = [configured(serviceLabel="exported_service")]
    found = series_of(Kubectl(), "default")
    assert found.scrape_seconds == SCRAPE_INTERVAL_SECONDS
    query = CountQuery("shop", "shop", BackendPort("new", 80), {})
    asyncio.run(found.source.counts(query, START, START + timedelta(minutes=1)))
    assert "_bucket%7Bexported_service%3D~" in played.commands[-1][2]
