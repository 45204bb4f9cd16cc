"""Whatever becomes of the evidence, the weight does not rise: one cell a fault, through the real adapter.

In each, a good canary stands at 10 % with some minutes of good evidence. Then the fault begins and lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from changeover.core.plan import Ref
from changeover.reconcilers.migration import reconcile_migration
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.world import World

from tests.unit.fail_closed.scripted import IMPATIENT_SECONDS, TIMEOUT_SECONDS, OfWorld, Series, scripted
from tests.unit.loopback import Handler

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
PASS_SECONDS = 30.0
GOOD_PASSES = 6  # at the first weight, before the fault: evidence, but not enough to go on
FAULTY_PASSES = 16  # eight minutes: maxBlind is five

Fault = Callable[[OfWorld], None]


@pytest.fixture
def told() -> Iterator[OfWorld]:
    world = World(a_deployment("old"), a_deployment("new"), a_migration())
    with scripted(world) as server:
        yield server


async def passes(told: OfWorld, number: int) -> list[int]:
    """The weight after each pass."""
    deps = replace(told.world.dependencies(), sources={"default": told.source()})
    seen = []
    for _ in range(number):
        await reconcile_migration(MIGRATION, deps)
        seen.append(told.world.weight_of("shop", "new") or 0)
        told.world.advance(PASS_SECONDS)
    return seen


def ready(told: OfWorld) -> dict[str, Any]:
    status = (told.world.cluster.peek(MIGRATION) or {})["status"]
    return next(c for c in status["conditions"] if c["type"] == "Ready")


def distorting(change: Callable[[list[Series], float], list[Series]]) -> Fault:
    def begin(told: OfWorld) -> None:
        told.distort = change

    return begin


def answering(answer: Callable[[Handler], None], timeout: float = TIMEOUT_SECONDS) -> Fault:
    def begin(told: OfWorld) -> None:
        told.answer, told.timeout = answer, timeout

    return begin


def values(change: Callable[[float, float], str], since: float = 0.0) -> Fault:
    """Every sample younger than so many seconds (0: every one) as `change` of its value and time has it."""

    def distort(series: list[Series], at: float) -> list[Series]:
        return [
            {
                **one,
                "values": [
                    [t, change(float(v), t)] if not since or t > at - since else [t, v] for t, v in one["values"]
                ],
            }
            for one in series
        ]

    return distorting(distort)


def without(leave_out: Callable[[Series], bool]) -> Fault:
    return distorting(lambda series, at: [one for one in series if not leave_out(one)])


def of_canary(one: Series) -> bool:
    return str(one["metric"].get("service", "")).startswith("shop-new-")


def is_counter(one: Series) -> bool:
    return "service" in one["metric"]


def stale(series: list[Series], at: float) -> list[Series]:
    return [{**one, "values": [[t, v] for t, v in one["values"] if t < at - 60]} for one in series]


def doubled(series: list[Series], at: float) -> list[Series]:
    """As two Prometheus replicas behind one query front end tell it, with the replica as a label."""
    return [{**one, "metric": {**one["metric"], "replica": name}} for one in series for name in ("a", "b")]


def an_instance_that_vanishes(series: list[Series], at: float) -> list[Series]:
    other = [
        {
            "metric": {**one["metric"], "instance": "gateway-2"},
            "values": [[t, v] for t, v in one["values"] if t < at - 20],
        }
        for one in series
        if is_counter(one)
    ]
    return [*series, *other]


def hang(handler: Handler) -> None:
    handler.server.stopped.wait(10)


def huge(handler: Handler) -> None:
    """Without an end; whoever reads it to the end reads for ever."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stopped.is_set():
        handler.wfile.write(b"x" * 2**16)


def ignores_the_weight(share: float) -> Fault:
    def begin(told: OfWorld) -> None:
        shares = {"new": share, "old": 1 - share}
        before = told.share
        fault_from = told.world.clock.now()

        def of(service: str, start: Any, end: Any) -> float | None:
            if end <= fault_from:
                return before(service, start, end)
            true = before(service, start, fault_from) or 0.0
            spans = (fault_from - start).total_seconds(), (end - fault_from).total_seconds()
            return (true * spans[0] + shares[service] * spans[1]) / sum(spans)

        told.share = of

    return begin


def ahead(told: OfWorld) -> None:
    """What it tells as now is of a time before the canary had any weight."""
    told.skew = 3600.0


CELLS: dict[str, tuple[Fault, str]] = {
    "no data of the canary": (without(of_canary), "Blind"),
    "no data of either arm": (without(is_counter), "Blind"),
    "no CPU of the canary's pods": (without(lambda one: not is_counter(one)), "Blind"),
    "NaN": (values(lambda value, t: "NaN"), "Blind"),
    "infinite": (values(lambda value, t: "+Inf"), "Blind"),
    "negative": (values(lambda value, t: f"-{value}"), "Blind"),
    "stale": (distorting(stale), "Blind"),
    "a counter reset in every window": (values(lambda value, t: f"{value - 10_000_000:.0f}", since=15), "Blind"),
    "a counter that stands still": (values(lambda value, t: "4000000"), "Blind"),
    "half a scrape: without the bucket of the bound": (without(lambda one: one["metric"].get("le") == "0.05"), "Blind"),
    "half a scrape: without the total": (without(lambda one: one["metric"].get("le") == "+Inf"), "Blind"),
    "a gateway's instance that is scraped no more": (distorting(an_instance_that_vanishes), "Blind"),
    "two series where one is expected": (distorting(doubled), "Blind"),
    "Prometheus is slow": (answering(hang, IMPATIENT_SECONDS), "Blind"),
    "Prometheus sends without an end": (answering(huge, IMPATIENT_SECONDS), "Blind"),
    "503 with Retry-After": (answering(lambda h: h.send(b"busy", 503, Retry_After="3600")), "Blind"),
    "a redirect": (answering(lambda h: h.send(b"", 302, Location="http://127.0.0.1:1/")), "Blind"),
    "a login page": (answering(lambda h: h.send(b"<html>login</html>")), "Blind"),
    "an error with status 200": (answering(lambda h: h.send(b'{"status":"error","error":"x"}')), "Blind"),
    "its clock an hour behind": (distorting(lambda series, at: []), "Blind"),
    "its clock an hour ahead": (ahead, "Blind"),
    "a gateway that sends nobody to the canary": (ignores_the_weight(0.0), "WeightNotEffective"),
    "a gateway that sends half to the canary": (ignores_the_weight(0.5), "WeightNotEffective"),
}


async def test_without_a_fault_it_is_promoted(told: OfWorld) -> None:
    """Else the matrix would show nothing."""
    weights = await passes(told, 70)
    assert sorted(set(weights)) == [0, 10, 50, 100]
    assert ready(told)["reason"] == "Promoted"


@pytest.mark.parametrize(("fault", "reason"), CELLS.values(), ids=CELLS.keys())
async def test_the_weight_never_rises_and_goes_back_in_the_end(told: OfWorld, fault: Fault, reason: str) -> None:
    before = await passes(told, 4 + GOOD_PASSES)
    assert before[-1] == 10
    fault(told)
    weights = await passes(told, FAULTY_PASSES)
    assert weights == sorted(weights, reverse=True), f"the weight rose: {weights}"
    assert (weights[0], weights[-1]) == (10, 0), weights
    status = (told.world.cluster.peek(MIGRATION) or {})["status"]
    assert (status["outcome"]["result"], status["outcome"]["reason"]) == ("RolledBack", reason)


async def test_without_counters_of_stable_nobody_knows_the_split_and_the_weight_stays(told: OfWorld) -> None:
    assert (await passes(told, 4 + GOOD_PASSES))[-1] == 10
    without(lambda one: is_counter(one) and not of_canary(one))(told)
    assert set(await passes(told, 40)) == {10}
    assert ready(told)["reason"] == "MetricsMissing"
    assert "stable has no counters, so that the split cannot be seen" in ready(told)["message"]


async def test_a_prometheus_that_is_down_is_no_reason_to_go_on(told: OfWorld) -> None:
    assert (await passes(told, 4 + GOOD_PASSES))[-1] == 10
    gone = replace(told.world.dependencies(), sources={"default": told.source()})
    told.server_close()
    weights = []
    for _ in range(FAULTY_PASSES):
        await reconcile_migration(MIGRATION, gone)
        weights.append(told.world.weight_of("shop", "new"))
        told.world.advance(PASS_SECONDS)
    assert weights == sorted(weights, reverse=True) and weights[-1] == 0
