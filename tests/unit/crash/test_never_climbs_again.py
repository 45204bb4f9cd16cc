"""The trap: a rollback that only sets weight 0 climbs again. Whatever happens in whatever order, it does not."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Coroutine
from typing import Any
from unittest import mock

from changeover.api.v1alpha1 import MigrationSpec
from changeover.core import names
from changeover.core.errors import ChangeoverError, Unavailable
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.plan import Ref, SetSplit
from changeover.core.requests import VERBS
from changeover.core.verbs import decide
from changeover.reconcilers import migration
from changeover.reconcilers.target import split_target
from changeover.reconcilers.workloads import parse_owner
from changeover.testing.crashes import Crash, CrashingCluster
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.crash.guard import Guard, mark_of
from tests.unit.crash.scenarios import MIGRATION, a_world, ask, outcome_of

ROUTE = Ref("HTTPRoute", MIGRATION.namespace, "shop")
Event = tuple[Any, ...]

events = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([2, 60, 600])),
    st.tuples(st.just("pass"), st.just(600)),
    st.tuples(st.just("crash"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("evidence"), st.sampled_from(["good", "slow", "erring", "none", "unreadable"])),
    st.tuples(st.just("unreadable"), st.sampled_from(["", "HTTPRoute", "Deployment", "Pod", "CanaryMigration"])),
    st.tuples(st.just("write fails"), st.sampled_from(["", "apply", "apply_status", "merge"])),
    st.tuples(st.just("spec edit")),
    st.tuples(st.just("suspend"), st.booleans()),
    st.tuples(st.just("foreign weight"), st.sampled_from([0, 5, 50, 100])),
    st.tuples(st.just("ready"), st.sampled_from(["new", "old"]), st.booleans()),
    st.tuples(st.just("canary crashes")),
    st.tuples(st.just("gateway accepts"), st.booleans()),
    st.tuples(st.just("gateway obeys"), st.booleans()),
    st.tuples(st.just("route lost")),
    st.tuples(st.just("ask"), st.sampled_from([*VERBS, "retry", "promote", "hurry"])),
    st.tuples(st.just("ask"), st.sampled_from(["approve", "retry", "promote"])),
    st.tuples(st.just("mark lost"), st.sampled_from(["", "{", '{"phase": "Stepping"}'])),
)
RETRIED: list[Event] = [("pass", 60), ("pass", 60), ("evidence", "good"), ("ask", "retry"), ("pass", 2)]
ROLLED_BACK: list[Event] = [("evidence", "erring"), ("pass", 60), ("pass", 2)]
WELL_AGAIN: list[Event] = [("evidence", "good"), ("pass", 2), ("pass", 60), ("pass", 600), ("pass", 600)]
BEHAVIOURS = {"good": Behaviour(), "slow": Behaviour(slow_share=0.3), "erring": Behaviour(error_share=0.9)}


class Story:
    """Plays events against a world under guard."""

    def __init__(self) -> None:
        decision = {"falseAdvancePercent": 20, "block": "1m", "maxBlind": "5m"}
        self.world: World = a_world(decision=decision, steps=steps(0))
        self.guard = Guard(self.world)
        self.unreadable = self.failing = ""
        self.world.cluster.fault = self._fault
        self.edits = self.asked = 0

    def play(self, event: Event) -> None:
        getattr(self, "_" + event[0].replace(" ", "_"))(*event[1:])

    def finish(self) -> None:
        """From here on all is well: it must come to an end."""
        for event in (("evidence", "good"), ("unreadable", ""), ("write fails", ""), ("suspend", False)):
            self.play(event)
        for event in (
            ("ready", "new", True),
            ("ready", "old", True),
            ("gateway accepts", True),
            ("gateway obeys", True),
        ):
            self.play(event)
        for event in (("pass", 2), ("ask", "resume")):
            self.play(event)
        for _ in range(16):
            self.play(("ask", "approve"))
            self.play(("pass", 600))
        found = self.world.cluster.peek(MIGRATION) or {}
        assert outcome_of(self.world)[0] in ("Promoted", "RolledBack"), found["status"]["conditions"][0]

    def _fault(self, verb: str, kind: str, name: str) -> None:
        if (verb in ("get", "list") and kind == self.unreadable) or verb == self.failing:
            raise Unavailable(f"{verb} {kind} {name}: timed out")

    def _pass(self, seconds: float) -> None:
        self._reconcile(CrashingCluster(self.world.cluster))
        self._let_pass(seconds)

    def _crash(self, at: int, after: bool) -> None:
        self._reconcile(CrashingCluster(self.world.cluster, at, after))

    def _reconcile(self, cluster: CrashingCluster) -> None:
        with contextlib.suppress(Crash, ChangeoverError), mock.patch.object(migration, "decide", decided_twice):
            run(migration.reconcile_migration(MIGRATION, self.world.dependencies(cluster)))  # the scheduler looks again

    def _let_pass(self, seconds: float) -> None:
        self.guard.foreign = True
        self.world.advance(seconds)
        self.guard.foreign = False

    def _evidence(self, kind: str) -> None:
        self.world.metrics.mode = "good" if kind in BEHAVIOURS else kind
        self.world.metrics.behaviours["new"] = BEHAVIOURS.get(kind, Behaviour())

    def _unreadable(self, kind: str) -> None:
        self.unreadable = kind

    def _write_fails(self, verb: str) -> None:
        self.failing = verb

    def _spec_edit(self) -> None:
        self.edits += 1
        self.world.cluster.patch(MIGRATION, {"spec": {"steps": steps(self.edits % 20)}})

    def _suspend(self, suspended: bool) -> None:
        self.world.cluster.patch(MIGRATION, {"spec": {"suspend": suspended}})

    def _foreign_weight(self, weight: int) -> None:
        route = self.world.cluster.peek(ROUTE)
        if route is not None:
            backends = [{**b, "weight": w} for b, w in zip(_backends(route), (100 - weight, weight), strict=True)]
            self.guard.foreign = True
            self.world.cluster.patch(ROUTE, {"spec": {"rules": [{"backendRefs": backends}]}})
            self.guard.foreign = False

    def _route_lost(self) -> None:
        if self._is_recorded():
            self.world.cluster.discard(ROUTE)

    def _mark_lost(self, text: str) -> None:
        if self._is_recorded() and self.world.cluster.peek(ROUTE):
            self.world.cluster.patch(ROUTE, {"metadata": {"annotations": {names.ANNOTATION_MARK: text}}})

    def _ask(self, verb: str) -> None:
        self.asked += 1
        ask(self.world, verb, f"token {self.asked}")

    def _is_recorded(self) -> bool:
        """Whether status knows of a rollback that the route is marked with; before, nobody else could know it."""
        mark = mark_of(self.world.cluster.peek(ROUTE))
        history = (self.world.cluster.peek(MIGRATION) or {}).get("status", {}).get("history", [])
        rolling = mark is not None and mark.get("phase") == "RollingBack"
        return not rolling or bool(history and history[-1]["to"] == 0)

    def _ready(self, name: str, ready: bool) -> None:
        self.world.broken = self.world.broken - {name} if ready else self.world.broken | {name}
        self._let_pass(0)

    def _canary_crashes(self) -> None:
        self.world.crashed["new"] = self.world.clock.now()
        self._let_pass(0)

    def _gateway_accepts(self, accepts: bool) -> None:
        self.world.accepts = accepts
        self._let_pass(0)

    def _gateway_obeys(self, obeys: bool) -> None:
        self.world.obeys = obeys
        self._let_pass(0)


def decided_twice(seen: SeenMigration) -> Step:
    """The decision, which is a function of what was seen: the same the second time, and what was seen is left alone."""
    before = copy.deepcopy(seen)
    step = decide(seen)
    assert seen == before, "deciding changed what was seen"
    assert decide(before) == step, "decided otherwise the second time"
    return step


def steps(requests: int) -> list[dict[str, Any]]:
    return [
        {"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h", "minRequests": requests, "approval": how}
        for weight, how in ((10, "Automatic"), (100, "Manual"))
    ]


def _backends(route: dict[str, Any]) -> list[dict[str, Any]]:
    backends: list[dict[str, Any]] = route["spec"]["rules"][0]["backendRefs"]
    return backends


def run(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run to the end without an event loop: nothing in memory ever waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("something waited")


@settings(max_examples=30, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@example([*ROLLED_BACK, ("route lost",), *WELL_AGAIN])
@example([*ROLLED_BACK, ("mark lost", "{"), *WELL_AGAIN])
@example([*ROLLED_BACK, *RETRIED, *WELL_AGAIN])
@example([*ROLLED_BACK, *RETRIED, ("mark lost", "{"), *ROLLED_BACK, ("route lost",), *WELL_AGAIN])
@example([*ROLLED_BACK, ("ask", "retry"), ("ask", "promote"), *WELL_AGAIN])
@example([("ask", "pause"), ("pass", 2), ("route lost",), *WELL_AGAIN])
@example([("pass", 600), ("pass", 600), ("ask", "approve"), ("pass", 600), ("pass", 600), ("pass", 2), ("route lost",)])
@example([("ask", "abort"), ("crash", 0, True), ("pass", 2), *WELL_AGAIN])
@example([*ROLLED_BACK, ("foreign weight", 50), *WELL_AGAIN])
@example([*ROLLED_BACK, ("unreadable", "HTTPRoute"), ("pass", 60), ("unreadable", ""), ("route lost",), *WELL_AGAIN])
@example(
    [
        *ROLLED_BACK,
        ("pass", 60),
        ("unreadable", "HTTPRoute"),
        ("pass", 60),
        ("unreadable", ""),
        ("route lost",),
        *WELL_AGAIN,
    ]
)
@given(st.lists(events, min_size=4, max_size=24))
def test_the_weight_never_rises_after_a_rollback_nor_without_evidence(story: list[Event]) -> None:
    told = Story()
    for _ in range(3):
        told.play(("pass", 2))
    for event in story:
        told.play(event)
    told.finish()
    assert told.world.splits.known, "no route was ever written"


def test_the_guard_sees_a_climb() -> None:
    """The guard itself can fail: a rollback mark that is overwritten with weight is caught."""
    told = Story()
    for event in [("pass", 2)] * 4 + [("evidence", "erring"), ("pass", 60), ("pass", 2)]:
        told.play(event)
    assert told.guard.rolled_back == {(1, 1)}
    route = dict(told.world.cluster.peek(ROUTE) or {})
    mark = {**(mark_of(route) or {}), "phase": "Stepping", "weight": 10, "step": 1}
    climb = SetSplit(10, mark, route["metadata"]["resourceVersion"])
    try:
        run(told.world.dependencies().router.ensure(_target(), climb))
    except AssertionError as error:
        assert "after a rollback in generation 1, attempt 1" in str(error)
    else:
        raise AssertionError("the guard let a climb pass")


def _target() -> Any:
    body = a_world().cluster.peek(MIGRATION) or {}
    return split_target(parse_owner(body), MigrationSpec.model_validate(body["spec"]))
