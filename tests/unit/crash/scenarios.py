"""The stories that are replayed."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

from changeover.core import names
from changeover.core.conditions import parse_timestamp
from changeover.core.plan import Manifest, Ref
from changeover.testing.builders import NAMESPACE, a_benchmark, a_deployment, a_migration
from changeover.testing.clock import START
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World

from tests.unit.crash.guard import mark_of
from tests.unit.crash.replay import Scenario

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
BENCHMARK = Ref("FrameworkBenchmark", NAMESPACE, "web")


def migration(**spec: object) -> Manifest:
    steps = [{"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h"} for weight in (10, 100)]
    return a_migration(**{"steps": steps, **spec})


def a_world(new: Behaviour | None = None, **spec: object) -> World:
    world = World(a_deployment("old"), a_deployment("new"), migration(**spec))
    if new is not None:
        world.metrics.behaviours["new"] = new
    return world


def outcome_of(world: World) -> tuple[str, int]:
    found = world.cluster.peek(MIGRATION) or {}
    outcome = found.get("status", {}).get("outcome") or {}
    return outcome.get("result", ""), outcome.get("generation", 0)


def on_canary(world: World) -> bool:
    return bool(world.weight_of("shop", "new"))


def break_canary(world: World) -> None:
    if on_canary(world):
        world.broken.add("new")


def lose_metrics(world: World) -> None:
    if on_canary(world):
        world.metrics.mode = "none"


def lose_prometheus(world: World) -> None:
    if on_canary(world):
        world.metrics.mode = "unreadable"


def delete_owner(world: World) -> None:
    if on_canary(world) and world.cluster.peek(MIGRATION):
        world.cluster.discard(MIGRATION)


def mend_and_edit(world: World) -> None:
    """After the rollback a person mends the canary and changes the spec."""
    if outcome_of(world) == ("RolledBack", 1):
        world.metrics.behaviours["new"] = Behaviour()
        world.cluster.patch(MIGRATION, {"spec": {"decision": {"falseAdvancePercent": 10}}})


def edit_during_rollback(world: World) -> None:
    """The spec is changed after the weight fell and before the outcome is written."""
    found = world.cluster.peek(MIGRATION)
    if found and found["metadata"]["generation"] == 1 and found.get("status", {}).get("history", [])[1:]:
        world.metrics.behaviours["new"] = Behaviour()
        world.cluster.patch(MIGRATION, {"spec": {"decision": {"falseAdvancePercent": 10}}})


def ask(world: World, verb: str, token: str = "please") -> None:
    world.cluster.patch(MIGRATION, {"metadata": {"annotations": {names.ANNOTATION_REQUESTED + verb: token}}})


def status_of(world: World) -> Manifest:
    status: Manifest = (world.cluster.peek(MIGRATION) or {}).get("status", {})
    return status


def reason_of(world: World) -> str:
    return next((str(c["reason"]) for c in status_of(world).get("conditions", []) if c["type"] == "Ready"), "")


def approve_what_waits(world: World) -> None:
    """One token a step; a pass that was killed before it said so has the same request again."""
    if reason_of(world) == "WaitingForApproval":
        ask(world, "approve", f"step {status_of(world)['step']['index'] + 1}")


def abort_mid_step(world: World) -> None:
    if on_canary(world):
        ask(world, "abort")


def abort_instead_of_approving(world: World) -> None:
    if reason_of(world) == "WaitingForApproval":
        ask(world, "abort")


def promote_mid_step(world: World) -> None:
    if on_canary(world):
        ask(world, "promote")


def pause_and_resume(world: World) -> None:
    """Paused on the first step for a quarter of an hour, during which its evidence becomes enough."""
    if on_canary(world):
        ask(world, "pause")
    taken = {r["verb"]: parse_timestamp(r["at"]) for r in status_of(world).get("requests", [])}
    if "pause" in taken and (world.clock.now() - taken["pause"]).total_seconds() > 900:
        ask(world, "resume")


def break_while_paused(world: World) -> None:
    if on_canary(world):
        ask(world, "pause")
    if status_of(world).get("paused"):
        world.broken.add("new")


def mend_and_retry(world: World) -> None:
    """After the rollback a person mends the canary and asks for another attempt, with the same spec."""
    if outcome_of(world) == ("RolledBack", 1):
        world.metrics.behaviours["new"] = Behaviour()
        ask(world, "retry")


def retry_what_fails_again(world: World) -> None:
    """The canary is as bad as before; the token stays on the object and is worth one attempt."""
    if outcome_of(world) == ("RolledBack", 1):
        ask(world, "retry")


def a_world_with_approvals() -> World:
    steps = [{"weightPercent": weight, "minDuration": "2m", "approval": "Manual"} for weight in (10, 100)]
    return a_world(steps=steps)


QUEUE = {"name": "queue", "type": "Query", "query": {"promQL": "max(queue_length)", "max": "100"}}
ERRORS = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}}


def a_world_with_a_queue() -> World:
    world = a_world(objectives=[ERRORS, QUEUE])
    world.metrics.values["max(queue_length)"] = 12.0
    return world


def lengthen_queue(world: World) -> None:
    if on_canary(world):
        world.metrics.values["max(queue_length)"] = 200.0


def a_world_that_waits() -> World:
    """Each weight waits for its window, and the first step for an hour of a day that is flat."""
    steps = [{"weightPercent": 10, "minDuration": "2m", "covers": ["DailyPeak"]},
             {"weightPercent": 100, "minDuration": "2m"}]  # fmt: skip
    windows = {"allowed": ["2-4 13 * * *", "10-19 14 * * *"], "timeZone": "Europe/Berlin"}
    world = a_world(steps=steps, windows=windows, objectives=[ERRORS, QUEUE])
    world.metrics.values["max(queue_length)"] = 12.0
    world.splits.known.insert(0, (START - timedelta(days=2), {"old": 1.0}))
    return world


def a_world_with_gates() -> World:
    at = ("BeforeStep", "BeforePromotion")
    gates = [{"name": one.lower(), "at": one, "secretRef": {"name": "hooks"}, "onFailure": "Rollback"} for one in at]
    return with_hooks(a_world(gates=gates))


def with_hooks(world: World) -> World:
    """With the Secret that names an address and a key."""
    values = {"url": "https://hooks.example.com/x", "signingKey": "key"}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    world.cluster.put({"kind": "Secret", "metadata": {"name": "hooks", "namespace": NAMESPACE}, "data": data})
    return world


def a_world_that_tells() -> World:
    notify = [{"name": kind, "type": kind, "secretRef": {"name": "hooks"}} for kind in ("Webhook", "Slack")]
    return with_hooks(a_world(notify=[{**one, "name": one["name"].lower()} for one in notify]))


def _is_told(world: World) -> bool:
    told = [(one["name"], one["state"]) for one in status_of(world).get("notifications", [])]
    sent = {headers.get("webhook-id") for _, _, headers in world.outgoing.sent} - {None}
    assert len(sent) <= 1, "one event under two ids"
    return told == [("webhook", "Sent"), ("slack", "Sent")]


def a_world_with_own_load() -> World:
    return a_world(load={"requestsPerSecond": 50}, acceptance={"trafficMultiple": 3, "duration": "2m"})


def _is_accepted(world: World) -> bool:
    told = status_of(world).get("acceptance", {})
    return told.get("state") == "Met" and not list(world.cluster.all("Job"))


def a_world_with_a_small_stable() -> World:
    steps = [{"weightPercent": weight, "minDuration": "2m"} for weight in (10, 80, 100)]
    return a_world(steps=steps)


def shrink_and_grow_stable(world: World) -> None:
    """An autoscaler takes pods from stable when most of the traffic has left it, and gives them back in a rollback."""
    weight, going_back = world.weight_of("shop", "new") or 0, is_rolling_back(world)
    if weight == 80 and not going_back:
        scale(world, 1)
        world.metrics.behaviours["new"] = Behaviour(slow_share=0.2)
    if going_back and weight < 80:
        scale(world, 10)


def is_rolling_back(world: World) -> bool:
    route = world.cluster.peek(Ref("HTTPRoute", NAMESPACE, "shop"))
    mark = mark_of(route) or {}
    return mark.get("phase") == "RollingBack"


def scale(world: World, replicas: int) -> None:
    world.cluster.patch(Ref("Deployment", NAMESPACE, "old"), {"spec": {"replicas": replicas}})
    world.tick()


def a_published_world(winner_is: Behaviour = Behaviour()) -> World:  # noqa: B008 (it is frozen)
    """A benchmark that has published, and a migration to its winner."""
    benchmark = a_benchmark()
    benchmark["metadata"]["generation"] = 1
    ready = {
        "type": "Ready", "status": "True", "observedGeneration": 1, "reason": "Published", "message": "",
        "lastTransitionTime": "2030-01-01T11:00:00Z",
    }  # fmt: skip
    winner = {"candidate": "fast", "image": "localhost/fast:1", "message": "fastest"}
    first = {
        "rank": 1, "candidate": "fast", "score": "1", "low": "1", "high": "1", "unit": "x", "meetsObjectives": True,
        "relativeToFirst": "1", "imageDigest": "sha256:localhost/fast:1",
    }  # fmt: skip
    benchmark["status"] = {"observedGeneration": 1, "conditions": [ready], "winner": winner, "ranking": [first]}
    canary = {"type": "Benchmark", "benchmark": {"ref": {"name": "web"}}}
    world = World(benchmark, a_deployment("old"), migration(canary=canary))
    world.metrics.behaviours["shop-canary"] = winner_is
    return world


def _is_scaled_away(world: World) -> bool:
    canary = world.cluster.peek(Ref("Deployment", NAMESPACE, "shop-canary"))
    return outcome_of(world)[0] == "RolledBack" and canary is not None and canary["spec"]["replicas"] == 0


def _ends(result: str, generation: int = 1) -> object:
    return lambda world: outcome_of(world) == (result, generation)


def _ends_attempt(attempt: int) -> object:
    return lambda world: (status_of(world).get("outcome") or {}).get("attempt") == attempt


def _story(make: object, over: object, meddle: object = lambda world: None) -> Scenario:
    return Scenario(make, MIGRATION, over, meddle)  # type: ignore[arg-type]


def _gone(world: World) -> bool:
    return world.cluster.peek(MIGRATION) is None


def _published(world: World) -> bool:
    conditions = (world.cluster.peek(BENCHMARK) or {}).get("status", {}).get("conditions", [])
    return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)


def _benchmark_world() -> World:
    world = World(a_benchmark())
    world.speeds = {"fast": 2000.0, "lame": 1000.0}
    return world


def _failing_world() -> World:
    world = _benchmark_world()
    world.failing_jobs.add("lame")
    return world


def _spoilt_world() -> World:
    """A run of the last round is void once."""
    world = _benchmark_world()
    world.spoilt.add("r3.lame.keep-alive")
    return world


def _unreliable_world() -> World:
    """A third of all tries is not fair."""
    world = _benchmark_world()
    world.spoilt |= {"r1.fast.keep-alive", "r1.fast.keep-alive.2", "r3.lame.keep-alive"}
    return world


def _race_world() -> World:
    """Two that cannot be told apart, and one that is surely beaten after the fourth round."""
    schedule = {"rounds": {"min": 4, "max": 5}, "warmUp": "2s", "measure": "10s", "coolDown": "2s", "aaProbe": False,
                "crossCheck": False}  # fmt: skip
    candidates = [{"name": name, "image": f"localhost/{name}:1"} for name in ("fast", "twin", "lame")]
    world = World(a_benchmark(candidates=candidates, schedule=schedule))
    world.speeds, world.wobble = {"fast": 2000.0, "twin": 2000.0, "lame": 500.0}, {"fast": 0.05, "twin": -0.05}
    return world


def _cross_checked_world(**by_h2load: float) -> World:
    """The winner and the runner-up are measured again by a second generator; one of its runs is void once."""
    world = World(a_benchmark(schedule={**a_benchmark()["spec"]["schedule"], "crossCheck": True}))
    world.speeds, world.by_h2load = {"fast": 2000.0, "lame": 1000.0}, by_h2load
    world.spoilt.add("r1.lame.keep-alive_h2load")
    return world


MIGRATIONS = {
    "promoted, with a canary that a benchmark chose": _story(a_published_world, _ends("Promoted")),
    "rolled back, and the canary that a benchmark chose scaled away": _story(
        lambda: a_published_world(Behaviour(error_share=0.9)), _is_scaled_away
    ),
    "promoted through its gates": _story(a_world_with_gates, _ends("Promoted")),
    "promoted, and two were told of it": _story(a_world_that_tells, _is_told),
    "promoted": _story(a_world, _ends("Promoted")),
    "promoted and accepted, with own load": replace(_story(a_world_with_own_load, _is_accepted), stride=5),
    "rolled back in parts": _story(a_world_with_a_small_stable, _ends("RolledBack"), shrink_and_grow_stable),
    "rolled back for latency": _story(lambda: a_world(Behaviour(slow_share=0.2)), _ends("RolledBack")),
    "rolled back for errors": _story(lambda: a_world(Behaviour(error_share=0.9)), _ends("RolledBack")),
    "rolled back for CPU": _story(lambda: a_world(Behaviour(cores_per_pod=0.4)), _ends("RolledBack")),
    "rolled back, not ready": _story(a_world, _ends("RolledBack"), break_canary),
    "rolled back, blind": _story(a_world, _ends("RolledBack"), lose_metrics),
    "rolled back, Prometheus down": _story(a_world, _ends("RolledBack"), lose_prometheus),
    "deleted mid-step": _story(a_world, _gone, delete_owner),
    "spec edited after rollback": _story(
        lambda: a_world(Behaviour(slow_share=0.2)), _ends("Promoted", 2), mend_and_edit
    ),
    "spec edited during rollback": _story(
        lambda: a_world(Behaviour(slow_share=0.2)), _ends("Promoted", 2), edit_during_rollback
    ),
    "approved": _story(a_world_with_approvals, _ends("Promoted"), approve_what_waits),
    "promoted in windows, past the busiest hour": Scenario(
        a_world_that_waits,
        MIGRATION,
        _ends("Promoted"),
        stride=7,  # type: ignore[arg-type]
    ),
    "rolled back for a query": _story(a_world_with_a_queue, _ends("RolledBack"), lengthen_queue),
    "aborted mid-step": _story(a_world, _ends("RolledBack"), abort_mid_step),
    "aborted before any weight": _story(a_world_with_approvals, _ends("RolledBack"), abort_instead_of_approving),
    "promoted by hand": _story(a_world, _ends("Promoted"), promote_mid_step),
    "paused then resumed": _story(a_world, _ends("Promoted"), pause_and_resume),
    "rolled back while paused": _story(a_world, _ends("RolledBack"), break_while_paused),
    "retried after rollback": _story(lambda: a_world(Behaviour(slow_share=0.2)), _ends("Promoted"), mend_and_retry),
    "retried in vain": _story(lambda: a_world(Behaviour(slow_share=0.2)), _ends_attempt(2), retry_what_fails_again),
}
BENCHMARKS = {
    "published": Scenario(_benchmark_world, BENCHMARK, _published, seconds=9.0),
    "one candidate fails": Scenario(_failing_world, BENCHMARK, _published, seconds=9.0, stride=5),
    "void runs are repeated": Scenario(_spoilt_world, BENCHMARK, _published, seconds=9.0, stride=3),
    "void runs make it unreliable": Scenario(_unreliable_world, BENCHMARK, _published, seconds=9.0, stride=7),
    "cross-checked": Scenario(_cross_checked_world, BENCHMARK, _published, seconds=9.0, stride=9),
    "contradicted": Scenario(lambda: _cross_checked_world(fast=500.0), BENCHMARK, _published, seconds=9.0, stride=11),
    "one drops out": Scenario(_race_world, BENCHMARK, _published, seconds=9.0, stride=11),
}
