"""The stories that are told with crashes, faults and old views: what must end well, whatever happens on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from changeover.api.reasons import Reason
from changeover.core import names
from changeover.core.plan import Manifest, Ref
from changeover.testing.builders import NAMESPACE, a_backend, a_benchmark, a_deployment, a_migration
from changeover.testing.metrics import Behaviour

from tests.trust.live.stage import RealWorld, Stage, Story
from tests.unit.crash.guard import mark_of

MIGRATION = Ref("CanaryMigration", NAMESPACE, "shop")
BENCHMARK = Ref("FrameworkBenchmark", NAMESPACE, "web")
ROUTE = Ref("HTTPRoute", NAMESPACE, "shop")
RIVAL = Ref("CanaryMigration", NAMESPACE, "rival")
DECISION = {"falseAdvancePercent": 20, "block": "5s", "maxBlind": "30s"}
STEPS = [{"weightPercent": weight, "minDuration": "10s", "maxDuration": "1h"} for weight in (10, 100)]
LATE_SECONDS = 1.0  # of the operator's clock twenty
LEFT = ("Deployment", "Job", "Pod", "Service")  # while it measures
LINKED = {"type": "Benchmark", "benchmark": {"ref": {"name": "web"}}}


def two_backends(**spec: Any) -> list[Manifest]:
    """Two Deployments, and a migration between them."""
    return [a_deployment("old"), a_deployment("new"), migration(**spec)]


def migration(**spec: Any) -> Manifest:
    """In two steps."""
    return a_migration("shop", **{"steps": STEPS, "decision": DECISION, **spec})


def patient() -> list[Manifest]:
    """As long as the operator is down, foreign weights last; its blocks are longer than it is."""
    return two_backends(decision={**DECISION, "block": "20s", "maxBlind": "2m"})


def linked() -> list[Manifest]:
    """A migration to the winner of a benchmark that is still to be run."""
    return [a_benchmark(), a_deployment("old"), migration(canary=LINKED)]


def status_of(stage: Stage, ref: Ref) -> Manifest:
    """As it stands; empty before the first."""
    found: Manifest = (stage.objects.peek(ref) or {}).get("status") or {}
    return found


def outcome_of(stage: Stage) -> tuple[str, int]:
    """Result and generation of the migration's outcome."""
    outcome = status_of(stage, MIGRATION).get("outcome") or {}
    return str(outcome.get("result", "")), int(outcome.get("generation", 0))


def condition_of(stage: Stage, ref: Ref, name: str) -> tuple[str, str]:
    """Status and reason of a condition."""
    conditions = status_of(stage, ref).get("conditions", [])
    return next(((c["status"], c["reason"]) for c in conditions if c["type"] == name), ("", ""))


def weight_of(stage: Stage) -> int:
    """The canary's weight, as the route has it."""
    return max(stage.world.weight_of("shop", "new") or 0, stage.world.weight_of("shop", "shop-canary") or 0)


def ends(result: str, generation: int = 1) -> Callable[[Stage], bool]:
    """Whether the migration ended so."""
    return lambda stage: outcome_of(stage) == (result, generation)


def measured(stage: Stage) -> bool:
    """Whether the benchmark ended, and nothing of it is left but its records."""
    ended = condition_of(stage, BENCHMARK, "Finished")[0] == "True"
    left = (found["metadata"].get("labels") or {} for kind in LEFT for found in stage.world.cluster.all(kind))
    return ended and not any(names.LABEL_BENCHMARK in labels for labels in left)


def once(stage: Stage, what: str) -> bool:
    """Whether it is the first time."""
    return not stage.notes.get(what) and not stage.notes.update({what: True})


def delete_migration(stage: Stage) -> None:
    """Under way."""
    if weight_of(stage) == 10 and once(stage, "deleted"):
        stage.objects.discard(MIGRATION)


def delete_benchmark(stage: Stage) -> None:
    """When the second candidate is loaded."""
    if any("lame" in job["metadata"]["name"] for job in stage.world.cluster.all("Job")) and once(stage, "deleted"):
        stage.objects.discard(BENCHMARK)


def make_migration_anew(stage: Stage) -> None:
    """Mid-step deleted; what it gave back is deleted, too, and it is made anew, all by hand."""
    delete_migration(stage)
    if stage.notes and stage.objects.peek(MIGRATION) is None and once(stage, "made anew"):
        stage.objects.discard(ROUTE)
        stage.objects.put(migration())


def bring_a_rival(stage: Stage) -> None:
    """Mid-step somebody makes another migration for the same route, and deletes it when it is refused."""
    if weight_of(stage) == 10 and once(stage, "rival"):
        stage.objects.put(a_deployment("newer"))
        stage.objects.put(a_migration(RIVAL.name, canary={"type": "Workload", "workload": a_backend("newer")}))
    if condition_of(stage, RIVAL, "Ready")[1] == Reason.ROUTE_NOT_OURS and once(stage, "refused"):
        stage.objects.discard(RIVAL)


def make_benchmark_anew(stage: Stage) -> None:
    """When it is published: deleted, and made anew at once, before the garbage collector comes."""
    if measured(stage) and once(stage, "made anew"):
        stage.objects.collected_from = time.monotonic() + LATE_SECONDS
        stage.objects.discard(BENCHMARK)
        stage.objects.put(a_benchmark())


def _measured_by_the_second(stage: Stage) -> bool:
    """Whether it ended after the garbage collector had come: what the first left behind is not in its end."""
    return "made anew" in stage.notes and time.monotonic() > stage.objects.collected_from and measured(stage)


def edit_spec(stage: Stage) -> None:
    """Mid-step, a stricter rule."""
    if weight_of(stage) == 10 and once(stage, "edited"):
        stage.edit(MIGRATION, {"spec": {"decision": {"falseAdvancePercent": 10}}})


def delete_route(stage: Stage) -> None:
    """Mid-step, by hand."""
    if weight_of(stage) == 10 and once(stage, "route deleted"):
        stage.objects.discard(ROUTE)


def contest(stage: Stage) -> None:
    """37 by hand when it is 10, twice; a person who goes on is tried against a fake (tests/unit/crash).

    How long a foreign weight lasts is up to how long the operator was dead, and so is what comes of many. No traffic
    follows these two, else a slow start on a busy machine, where time is hurried, would be a reason to roll back.
    """
    put_back = mark_of(stage.objects.peek(ROUTE)) or {}
    edits = stage.notes.setdefault("edits", 0)
    if weight_of(stage) == 10 and edits < 2 and put_back.get("contests", 0) == edits:
        stage.notes["edits"] = edits + 1
        by_hand(stage, 37)


def by_hand(stage: Stage, percent: int) -> None:
    """A person sets the weights of the first step, and of no other."""
    found = stage.objects.fresh(ROUTE)
    if found is not None and (mark_of(found) or {}).get("weight") == 10:
        rules = found["spec"]["rules"]
        for backend, weight in zip(rules[0]["backendRefs"], (100 - percent, percent), strict=True):
            backend["weight"] = weight
        stage.objects.patch(ROUTE, {"spec": {"rules": rules}})


def abort(stage: Stage) -> None:
    """A person asks for it mid-step; again and again with one token is once."""
    if weight_of(stage) == 10:
        ask(stage, "abort")


def mend_and_retry(stage: Stage) -> None:
    """After the rollback the canary is mended, and a person asks for another attempt."""
    outcome = status_of(stage, MIGRATION).get("outcome") or {}
    if (outcome.get("result"), outcome.get("attempt", 1)) == ("RolledBack", 1):
        stage.world.metrics.behaviours["new"] = Behaviour()
        ask(stage, "retry")


def ask(stage: Stage, verb: str) -> None:
    """By annotation, as a person does."""
    stage.edit(MIGRATION, {"metadata": {"annotations": {names.ANNOTATION_REQUESTED + verb: "please"}}})


def lose_node(stage: Stage) -> None:
    """The node of the candidate under load is gone, with its pod; another pod comes on the next."""
    loaded = [job for job in stage.world.cluster.all("Job") if "lame" in job["metadata"]["name"]]
    if loaded and once(stage, "node gone"):
        for pod in stage.world.cluster.all("Pod"):
            if pod["metadata"]["labels"].get(names.LABEL_ROLE) == names.ROLE_CANDIDATE:
                stage.objects.discard(Ref("Pod", NAMESPACE, pod["metadata"]["name"]))


def bring_back_prometheus(stage: Stage) -> None:
    """Once a run was void for want of it."""
    records = [text for found in stage.world.cluster.all("ConfigMap") for text in (found.get("data") or {}).values()]
    if any("MetricsMissing" in text for text in records):
        stage.prometheus.answer = stage.prometheus.tell


def change_benchmark(stage: Stage) -> None:
    """While the migration to its winner is under way."""
    if weight_of(stage) == 10:
        measure_otherwise(stage)


def measure_otherwise(stage: Stage) -> None:
    """Something of the benchmark's spec is another, so that all is measured again; once."""
    if once(stage, "changed"):
        stage.notes["records"] = [found["metadata"]["name"] for found in stage.world.cluster.all("ConfigMap")]
        stage.edit(BENCHMARK, {"spec": {"schedule": {"measure": "11s"}}})


def measured_again(stage: Stage) -> bool:
    """Whether the new result has replaced the one before."""
    kept = {found["metadata"]["name"] for found in stage.world.cluster.all("ConfigMap")}
    return "records" in stage.notes and measured(stage) and not kept & set(stage.notes["records"])


def fast_and_lame(world: RealWorld) -> None:
    """Two candidates that can be told apart."""
    world.speeds = {"fast": 2000.0, "lame": 1000.0}


def crash_looping(world: RealWorld) -> None:
    """One of them never becomes ready."""
    fast_and_lame(world)
    world.broken.add("web-lame")


def failing(world: RealWorld) -> None:
    """A canary of which half the answers are errors."""
    world.metrics.behaviours["new"] = Behaviour(error_share=0.5)


def the_benchmark() -> list[Manifest]:
    """Alone."""
    return [a_benchmark()]


def _promoted_and_measured_again(stage: Stage) -> bool:
    return outcome_of(stage)[0] == "Promoted" and measured_again(stage)


STORIES = {
    "benchmark, published": Story(the_benchmark, measured, prepare=fast_and_lame, stride=3),
    "benchmark, deleted under way": Story(
        the_benchmark,
        lambda stage: (
            bool(stage.notes) and not any(stage.world.cluster.all("Pod")) and stage.objects.peek(BENCHMARK) is None
        ),
        delete_benchmark,
        fast_and_lame,
    ),
    "benchmark, deleted and made anew": Story(
        the_benchmark, _measured_by_the_second, make_benchmark_anew, fast_and_lame, stride=5
    ),
    # Whether the last of the others was seen to be ready before it was measured.
    "benchmark, a candidate never ready": Story(
        the_benchmark, measured, prepare=crash_looping, stride=9, undetermined=frozenset({"WorkloadsAvailable"})
    ),
    "benchmark, a node gone": Story(the_benchmark, measured, lose_node, fast_and_lame, stride=3),
    "benchmark, Prometheus down": Story(
        the_benchmark, measured, bring_back_prometheus, fast_and_lame, down=True, stride=5
    ),
    "migration, promoted": Story(two_backends, ends("Promoted")),
    "migration, rolled back for its errors": Story(two_backends, ends("RolledBack"), prepare=failing),
    # A step that is decided before the edit is seen is marked with the generation before.
    "migration, spec edited mid-step": Story(
        two_backends, ends("Promoted", 2), edit_spec, undetermined=frozenset({"generation"})
    ),
    "migration, deleted mid-step": Story(
        two_backends, lambda stage: stage.objects.peek(MIGRATION) is None and bool(stage.notes), delete_migration
    ),
    "migration, deleted and made anew": Story(
        two_backends,
        lambda stage: "made anew" in stage.notes and outcome_of(stage) == ("Promoted", 1),
        make_migration_anew,
    ),
    "migration, a rival for its route": Story(
        two_backends,
        lambda stage: (
            "refused" in stage.notes and stage.objects.peek(RIVAL) is None and outcome_of(stage) == ("Promoted", 1)
        ),
        bring_a_rival,
    ),
    # What status had not been told when the operator was killed is on the route alone, and goes with it.
    "migration, route deleted": Story(
        two_backends,
        lambda stage: bool(stage.notes) and outcome_of(stage)[0] != "",
        delete_route,
        undetermined=frozenset({"history"}),
    ),
    "migration, contested weights": Story(patient, ends("Promoted"), contest),
    "migration, aborted by a person": Story(
        two_backends, ends("RolledBack"), abort, undetermined=frozenset({"ObjectivesMet"})
    ),
    "migration, rolled back, mended and retried": Story(two_backends, ends("Promoted"), mend_and_retry, failing),
    "benchmark linked and then changed": Story(
        linked, _promoted_and_measured_again, change_benchmark, fast_and_lame, stride=5
    ),
}
"""By name."""


def _short_lived() -> list[Manifest]:
    return [a_benchmark(ttlAfterFinished="10s")]


def _came_and_went(stage: Stage) -> bool:
    """What shows the objects is late now and then, and has not seen yet what was just made."""
    is_there = stage.objects.peek(BENCHMARK) is not None
    came = stage.notes["came"] = is_there or stage.notes.get("came", False)
    return came and not is_there


def _scaled_away(stage: Stage) -> bool:
    canary = stage.objects.peek(Ref("Deployment", NAMESPACE, "shop-canary"))
    return outcome_of(stage)[0] == "RolledBack" and canary is not None and canary["spec"]["replicas"] == 0


def _change_when_published(stage: Stage) -> None:
    if measured(stage):
        measure_otherwise(stage)


TOLD_FOR_RIGHTS = {
    "benchmark, changed and measured again": Story(
        the_benchmark, measured_again, _change_when_published, fast_and_lame
    ),
    "benchmark, gone when its time is over": Story(_short_lived, _came_and_went, prepare=fast_and_lame),
    "benchmark linked, rolled back, its canary scaled away": Story(linked, _scaled_away, abort, fast_and_lame),
}
"""Besides, what takes rights that no other story does."""
