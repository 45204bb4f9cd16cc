"""Whatever a query of the spec gives, or does not give, the weight does not rise unless it gives a number in bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from changeover.core.plan import Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World

from tests.unit.fail_closed.scripted import OfWorld, scripted, vector
from tests.unit.fail_closed.test_matrix import GOOD_PASSES, MIGRATION, PASS_SECONDS, passes, ready

QUERY = 'max(queue_length{namespace="{{ .namespace }}",service="{{ .canaryService }}"})'
OBJECTIVES: list[dict[str, Any]] = [
    {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}},
    {"name": "queue", "type": "Query", "query": {"promQL": QUERY, "max": "100", "unit": "jobs"}},
]


@pytest.fixture
def told() -> Iterator[OfWorld]:
    world = World(a_deployment("old"), a_deployment("new"), a_migration(objectives=OBJECTIVES))
    with scripted(world) as server:
        server.own_query = 'max(queue_length{namespace="shop",service="new"})'
        yield server


SILENT: dict[str, tuple[bytes, str]] = {
    "no series": (vector(), "the query gave no sample"),
    "NaN": (vector("NaN"), "the query gave NaN"),
    "infinite": (vector("+Inf"), "the query gave +Inf"),
    "minus infinite, which is under every bound": (vector("-Inf"), "the query gave -Inf"),
    "two series": (vector("1", "2"), "the query gave 2 series where one is needed; aggregate them"),
    "a word": (vector("low"), "answered nonsense"),
    "an error with status 200": (b'{"status":"error","error":"x"}', ""),
    "no JSON": (b"<html>", ""),
    "a range": (b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"]]}]}}', ""),
}


async def test_a_number_in_bounds_is_promoted(told: OfWorld) -> None:
    """Else the cells would show nothing."""
    assert sorted(set(await passes(told, 70))) == [0, 10, 50, 100]
    assert ready(told)["reason"] == "Promoted"


@pytest.mark.parametrize(("answer", "why"), SILENT.values(), ids=SILENT.keys())
async def test_what_gives_no_number_holds_and_does_not_roll_back(told: OfWorld, answer: bytes, why: str) -> None:
    assert (await passes(told, 4 + GOOD_PASSES))[-1] == 10
    told.own_answer = answer
    assert set(await passes(told, 14)) == {10}
    assert ready(told)["reason"] == "MetricsMissing" and "queue" in ready(told)["message"]
    told.own_answer = vector("12")
    assert max(await passes(told, 10)) > 10


@pytest.mark.parametrize("answer", [SILENT[name][0] for name in ("no series", "NaN", "no JSON")])
async def test_what_gives_no_number_at_the_last_look_does_not_rise(told: OfWorld, answer: bytes) -> None:
    """All blocks were good; the value goes with the pass that would have raised the weight."""
    rising = await passes(told, 40)
    last = rising.index(50) - 1
    world = World(a_deployment("old"), a_deployment("new"), a_migration(objectives=OBJECTIVES))
    told.world = world
    told.share = world.splits.share
    assert max(await passes(told, last + 1)) == 10
    told.own_answer = answer
    deps = replace(world.dependencies(), sources={"default": told.source()})
    await reconcile_migration(MIGRATION, deps)
    assert world.weight_of("shop", "new") == 10


async def test_a_number_above_the_bound_holds_for_two_blocks_and_rolls_back_at_the_third(told: OfWorld) -> None:
    assert (await passes(told, 4 + GOOD_PASSES))[-1] == 10
    told.own_answer = vector("101")
    weights = await passes(told, 12)
    assert weights == sorted(weights, reverse=True) and weights[-1] == 0
    assert 3 <= weights.index(0) <= 3 * 60 / PASS_SECONDS + 1
    status = (told.world.cluster.peek(MIGRATION) or {})["status"]
    assert (status["outcome"]["result"], status["outcome"]["reason"]) == ("RolledBack", "QueryObjectiveMissed")
    shown = next(view for view in status["objectives"] if view["name"] == "queue")
    assert (shown["canary"], shown["target"], shown["unit"], shown["verdict"]) == ("101", "100", "jobs", "Failing")


async def test_a_query_that_is_not_understood_gets_no_weight_at_all(told: OfWorld) -> None:
    told.own_answer = b'{"status":"error","errorType":"bad_data","error":"parse error"}'
    assert set(await passes(told, 20)) == {0}
    assert ready(told)["reason"] == "MetricsMissing" and "queue: " in ready(told)["message"]


async def test_a_query_without_a_value_before_there_is_traffic_may_begin(told: OfWorld) -> None:
    told.own_answer = vector()
    assert set(await passes(told, 20)) == {0, 10}


async def test_where_the_operators_configuration_allows_no_queries_there_is_no_weight(told: OfWorld) -> None:
    deps = replace(told.world.dependencies(), sources={"default": told.source()}, open_sources=frozenset())
    for _ in range(20):
        await reconcile_migration(MIGRATION, deps)
        told.world.advance(PASS_SECONDS)
    assert (told.world.weight_of("shop", "new"), told.own_asked) == (0, 0)
    assert ready(told)["reason"] == "InvalidSpec"
    assert (
        "metric source 'default' takes no queries of resources; leave out those of type Query" in ready(told)["message"]
    )


async def test_where_it_allows_them_no_more_the_weight_stays_and_harm_is_watched(told: OfWorld) -> None:
    assert (await passes(told, 4 + GOOD_PASSES))[-1] == 10
    asked = told.own_asked
    deps = replace(told.world.dependencies(), sources={"default": told.source()}, open_sources=frozenset())
    for _ in range(40):
        await reconcile_migration(MIGRATION, deps)
        told.world.advance(PASS_SECONDS)
    assert (told.world.weight_of("shop", "new"), told.own_asked) == (10, asked)
    told.world.cluster.discard(Ref("Deployment", NAMESPACE, "new"))
    await reconcile_migration(MIGRATION, deps)
    assert told.world.weight_of("shop", "new") == 0
