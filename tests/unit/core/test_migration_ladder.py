"""One case a rung of the migration's ladder, each a sentence; the order of the rungs is part of the contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core import names
from changeover.core.as_measured import Benchmarked
from changeover.core.contest import MOST
from changeover.core.mark import Mark, Phase
from changeover.core.migration import decide
from changeover.core.migration_state import CanaryChoice, Step
from changeover.core.observed import Counts, Evidence, NoData, Route, Unreadable, Workload
from changeover.core.plan import Apply, Delete, HoldFinalizer, Ref, ReleaseRoute, SetSplit
from changeover.core.verbs import decide as decide_with_verbs

from tests.unit.core.seen import NOW, blocks, counts, kept, latest, mark, owner, pod, route, seen, workload

Case = tuple[str, dict[str, Any], Reason, int | None]

DELETING = owner(deleting=True)
ROLLING = mark(0, phase=Phase.ROLLING_BACK, since=NOW - timedelta(seconds=5), came_from=10)
LONG_ROLLING = mark(0, phase=Phase.ROLLING_BACK, since=NOW - timedelta(minutes=5), reason=Reason.LATENCY_MISSED)
READY_TO_START = mark(0, 0, Phase.PREPARING)
ENOUGH = kept(20)
LONG_AGO = route(mark(since=NOW - timedelta(hours=3)))
STUCK = pod(name="another", build="b", ready=False, waiting="ImagePullBackOff: no image new:2")
REPLACED = workload(pods=(pod(build="a"), pod(build="a"), STUCK))
ANOTHER = workload(pods=(pod(build="b"), pod(build="b"), pod(build="a", deleting=True)))
TIMEOUT = Unreadable("timed out")
BAD = counts(600, slow=200)
FAILING = latest(counts(100, errors=90))
FOUGHT_OVER = mark(contests=MOST, contested_at=NOW - timedelta(minutes=1))
NO_WEIGHT = {"route": route(READY_TO_START), "blocks": ()}
UNSEEN = replace(latest(), stable=None)
UNSERVED = {"unserved": "there is no Service"}
UNKNOWN = {"not_understood": "no such source", "blocks": (), "latest": Unreadable("no such source")}


def off(number: int, canary: Counts | None = None) -> tuple[Evidence, ...]:
    """Blocks in which half of the requests reached the canary, not a tenth."""
    return tuple(replace(block, stable=counts(600)) for block in blocks(number, canary))


def crashed(at: datetime, **more: Any) -> Workload:
    """A canary one of whose pods has been started again since."""
    first, second = workload().pods
    return replace(workload(), pods=(replace(first, ended=at, why_ended="Error, exit code 1", **more), second))


def edited(of: Mark | None = None, **more: Any) -> Route:
    """A route with other Gateways, hostnames or matches than the spec asks for."""
    return route(of, as_asked=False, **more)


def ended(result: str, generation: int = 1) -> dict[str, Any]:
    outcome = {"result": result, "at": "2030-01-01T11:00:00Z", "generation": generation, "reason": "R", "message": "m"}
    return {"outcome": outcome}


def steps_at(*weights: int) -> dict[str, Any]:
    return {"steps": [{"weightPercent": weight, "minDuration": "2m"} for weight in weights]}


def one_step(**more: Any) -> dict[str, Any]:
    return {"steps": [{"weightPercent": 10, "minDuration": "2m", "maxDuration": "2h", **more}]}


# sentence, what was seen, reason, weight written (None: none)
CASES: list[Case] = [
    (
        "an unreadable route comes first, even when deleting: nothing is known to be safe",
        {"owner": DELETING, "route": TIMEOUT}, Reason.UNREADABLE, None,
    ),
    ("deleted under way, the traffic goes back to stable", {"owner": DELETING}, Reason.DELETING, 0),
    (
        "deleted with a broken mark, the traffic goes back to stable all the same",
        {"owner": DELETING, "route": route(mark=None)}, Reason.DELETING, 0,
    ),
    ("deleted after promotion, the weights stay",
     {"owner": owner(deleting=True, status=ended("Promoted")), "route": route(mark(100, 3))}, Reason.DELETING, None),
    ("deleted before there was a route, nothing is written", {"owner": DELETING, "route": None}, Reason.DELETING, None),
    ("deleted, a foreign route is left alone",
     {"owner": DELETING, "route": route(ours=False)}, Reason.DELETING, None),
    ("deletion is guarded before anything is written", {"owner": owner(finalizers=())}, Reason.PREPARING, None),
    ("a foreign route is refused before an outcome is looked at",
     {"owner": owner(status=ended("RolledBack")), "route": route(ours=False)}, Reason.ROUTE_NOT_OURS, None),
    ("promoted stays promoted", {"owner": owner(status=ended("Promoted")), "route": route(mark(100, 3))},
     Reason.PROMOTED, None),
    ("promoted, a foreign weight is put back",
     {"owner": owner(status=ended("Promoted")), "route": route(mark(100, 3), canary_percent=40)}, Reason.PROMOTED, 100),
    ("promoted, a deleted route is made again",
     {"owner": owner(status=ended("Promoted")), "route": None}, Reason.PROMOTED, 100),
    ("promoted, a broken mark is written once more",
     {"owner": owner(status=ended("Promoted")), "route": route(mark(100, 3), mark=None)}, Reason.PROMOTED, 100),
    ("promoted, a later spec does not start again",
     {"owner": owner(status=ended("Promoted"), generation=2), "route": route(mark(100, 3))},
     Reason.ALREADY_PROMOTED, None),
    ("promoted, a later spec with another canary gets no traffic",
     {"owner": owner(status=ended("Promoted"), generation=2), "route": route(mark(100, 3), canary_percent=None),
      "arms": "others"}, Reason.ALREADY_PROMOTED, None),
    ("promoted, a later spec with another canary and no route gets no traffic",
     {"owner": owner(status=ended("Promoted"), generation=2), "route": None, "arms": "others"},
     Reason.ALREADY_PROMOTED, None),
    ("rolled back stays rolled back", {"owner": owner(status=ended("RolledBack")), "route": route(LONG_ROLLING)},
     Reason.ROLLED_BACK, None),
    ("rolled back, a foreign weight is put back to 0",
     {"owner": owner(status=ended("RolledBack")), "route": route(LONG_ROLLING, canary_percent=50)},
     Reason.ROLLED_BACK, 0),
    ("rolled back, a deleted route is made again at 0",
     {"owner": owner(status=ended("RolledBack")), "route": None}, Reason.ROLLED_BACK, 0),
    ("suspended, what somebody changed after the promotion is not put back",
     {"owner": owner(status=ended("Promoted"), generation=2), "route": route(mark(100, 3), canary_percent=40),
      "spec": {"suspend": True}}, Reason.ALREADY_PROMOTED, None),
    ("suspended, what somebody changed after a rollback is not put back",
     {"owner": owner(status=ended("RolledBack")), "route": route(LONG_ROLLING, canary_percent=50),
      "spec": {"suspend": True}}, Reason.ROLLED_BACK, None),
    ("rolling back is seen through before anything else, also when suspended",
     {"route": route(ROLLING), "spec": {"suspend": True}}, Reason.ROLLING_BACK, None),
    ("rolling back, a foreign weight is put back to 0", {"route": route(ROLLING, canary_percent=30)},
     Reason.ROLLING_BACK, 0),
    ("rolling back does not end before canary traffic is seen to have ended", {"route": route(ROLLING)},
     Reason.ROLLING_BACK, None),
    ("rolling back ends when the canary gets no requests",
     {"route": route(mark(0, phase=Phase.ROLLING_BACK, since=NOW - timedelta(seconds=12))),
      "latest": latest(canary=counts(0))}, Reason.ROLLED_BACK, None),
    ("rolling back ends after a while without measurements", {"route": route(LONG_ROLLING), "latest": TIMEOUT},
     Reason.ROLLED_BACK, None),
    ("rolling back with other backends in the spec writes nothing to them",
     {"route": route(ROLLING, canary_percent=None), "arms": "others"}, Reason.ROLLING_BACK, None),
    ("a rollback of an earlier generation is seen through before the new spec starts",
     {"route": route(LONG_ROLLING), "owner": owner(generation=2)}, Reason.ROLLED_BACK, None),
    ("suspended, the weight stays", {"spec": {"suspend": True}}, Reason.SUSPENDED, None),
    ("suspended, a foreign weight is not put back",
     {"spec": {"suspend": True}, "route": route(canary_percent=50)}, Reason.SUSPENDED, None),
    ("an unreadable benchmark holds", {"choice": TIMEOUT}, Reason.UNREADABLE, None),
    ("a refused canary does not start",
     {"choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied"), "route": None}, Reason.BENCHMARK_REFUSED, None),
    ("a canary refused before its first weight does not get it",
     {**NO_WEIGHT, "choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied")}, Reason.BENCHMARK_REFUSED, None),
    ("with other backends of which stable has no Service, the live route is left as it was",
     {"arms": "others", "unserved": "there is no Service"}, Reason.WAITING_FOR_WORKLOADS, None),
    ("another candidate that is refused under way does not start over",
     {"choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied"), "arms": "others"}, Reason.BENCHMARK_REFUSED, None),
    ("refused under way, the canary of before is rolled back all the same when it goes",
     {"choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied"), "arms": "others", "canary": workload(0)},
     Reason.ROLLING_BACK, 0),
    ("at 1 % as well",
     {"choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied"), "arms": "others", "canary": workload(0),
      "route": route(mark(1))}, Reason.ROLLING_BACK, 0),
    ("without weight there is nothing to roll back",
     {"choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied"), "arms": "others", "canary": workload(0), **NO_WEIGHT},
     Reason.BENCHMARK_REFUSED, None),
    ("refused under way with other backends, nothing is written to them",
     {"choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied"), "arms": "others", "canary": workload(0),
      "route": route(canary_percent=None)}, Reason.BENCHMARK_REFUSED, None),
    ("a canary refused later goes on: it is judged by its own traffic now",
     {"choice": CanaryChoice(Reason.BENCHMARK_REFUSED, "tied")}, Reason.WAITING_EVIDENCE, None),
    ("an unreadable stable holds", {"stable": TIMEOUT, "evidence": ENOUGH, "blocks": ()}, Reason.UNREADABLE, None),
    ("as one that is not there does", {"stable": None, "evidence": ENOUGH, "blocks": ()},
     Reason.WAITING_FOR_WORKLOADS, None),
    ("unreadable, but counted by the gateway, it is a way back", {"stable": TIMEOUT, "canary": workload(0)},
     Reason.ROLLING_BACK, 0),
    ("whatever the weight", {"stable": TIMEOUT, "canary": workload(0), "route": route(mark(1))},
     Reason.ROLLING_BACK, 0),
    ("as it is when a workload is named that is not there", {"stable": None, "latest": FAILING},
     Reason.ROLLING_BACK, 0),
    ("and evidence is folded as ever", {"stable": None, "blocks": blocks(5, BAD)}, Reason.ROLLING_BACK, 0),
    ("what somebody took from the canary is not put back with stable unknown",
     {"stable": TIMEOUT, "route": route(canary_percent=5)}, Reason.UNREADABLE, None),
    ("but harm is looked at", {"stable": TIMEOUT, "route": route(canary_percent=20), "latest": FAILING},
     Reason.ROLLING_BACK, 0),
    ("an edit of the backends that cannot be followed raises nothing", {**UNSERVED, "evidence": ENOUGH, "blocks": ()},
     Reason.WAITING_FOR_WORKLOADS, None),
    ("nor before the first weight", {**UNSERVED, **NO_WEIGHT}, Reason.WAITING_FOR_WORKLOADS, None),
    ("a person's resume does not, either", {**UNSERVED, "route": route(mark(paused=True)), "evidence": ENOUGH,
     "blocks": ()}, Reason.WAITING_FOR_WORKLOADS, None),
    ("and rolls back what does harm on those of before", {**UNSERVED, "blocks": blocks(5, BAD)},
     Reason.ROLLING_BACK, 0),
    ("an unreadable canary holds", {"canary": TIMEOUT}, Reason.UNREADABLE, None),
    ("an unreadable canary that the gateway counts as failing is rolled back",
     {"canary": TIMEOUT, "latest": FAILING}, Reason.ROLLING_BACK, 0),
    ("an unreadable benchmark keeps no canary that went",
     {"choice": TIMEOUT, "canary": workload(0)}, Reason.ROLLING_BACK, 0),
    ("stable unknown, and not counted, is no way back", {"stable": TIMEOUT, "latest": UNSEEN, "canary": workload(0)},
     Reason.UNREADABLE, None),
    ("nor is one of which all answers are errors",
     {"stable": None, "latest": replace(FAILING, stable=counts(9, errors=9))}, Reason.WAITING_FOR_WORKLOADS, None),
    ("with no pod of stable ready there is none",
     {"stable": workload(0), "canary": TIMEOUT, "latest": FAILING}, Reason.UNREADABLE, None),
    ("unreadable, with other backends in the spec nothing is written to them",
     {"canary": TIMEOUT, "latest": FAILING, "arms": "others"}, Reason.UNREADABLE, None),
    ("without a ready stable nothing starts", {"stable": workload(0), "route": None},
     Reason.WAITING_FOR_WORKLOADS, None),
    ("without a ready stable the weight stays: there is nobody to go back to", {"stable": workload(0)},
     Reason.WAITING_FOR_WORKLOADS, None),
    ("the route is made with all traffic on stable", {"route": None}, Reason.PREPARING, 0),
    ("a broken mark starts over at 0", {"route": route(mark=None)}, Reason.PREPARING, 0),
    ("other backends start over at 0", {"arms": "others", "route": route(canary_percent=None)}, Reason.PREPARING, 0),
    ("a new generation starts over after a rollback",
     {"owner": owner(generation=2, status=ended("RolledBack")), "route": route(LONG_ROLLING)}, Reason.PREPARING, 0),
    ("a foreign weight under way is put back, up or down", {"route": route(canary_percent=90)},
     Reason.WEIGHT_PUT_BACK, 10),
    ("a foreign weight before the first step is put back", {**NO_WEIGHT, "route": route(mark(0, 0), canary_percent=5)},
     Reason.WEIGHT_PUT_BACK, 0),
    ("weights that are fought over are left to a person", {"route": route(FOUGHT_OVER, canary_percent=90)},
     Reason.CONTESTED, None),
    ("a canary that goes while its weights are fought over is rolled back all the same",
     {"route": route(FOUGHT_OVER, canary_percent=90), "canary": workload(0)}, Reason.ROLLING_BACK, 0),
    ("errors beyond doubt are rolled back although the weights are fought over",
     {"route": route(FOUGHT_OVER, canary_percent=90), "latest": latest(canary=counts(100, errors=90))},
     Reason.ROLLING_BACK, 0),
    ("once our weight is there again the step goes on", {"route": route(FOUGHT_OVER)}, Reason.WAITING_EVIDENCE, None),
    ("what the pods of before have shown raises nothing while they are replaced",
     {"canary": REPLACED, "evidence": ENOUGH, "blocks": ()}, Reason.WAITING_FOR_WORKLOADS, None),
    ("nor once they are", {"canary": ANOTHER, "evidence": replace(ENOUGH, build="a"), "blocks": ()},
     Reason.WAITING_EVIDENCE, None),
    ("as those that stay it does", {"canary": ANOTHER, "evidence": replace(ENOUGH, build="b"), "blocks": ()},
     Reason.STEPPED, 50),
    ("and for ever they are not replaced", {"canary": REPLACED, "evidence": ENOUGH, "blocks": (), "route": LONG_AGO},
     Reason.UNDECIDED, None),
    ("for ever some of them are not ready",
     {"canary": workload(1), "evidence": ENOUGH, "blocks": (), "route": LONG_AGO}, Reason.UNDECIDED, None),
    ("that too is not said before all blocks are read",
     {"canary": workload(1), "evidence": ENOUGH, "blocks": (), "behind": True, "route": LONG_AGO},
     Reason.WAITING_EVIDENCE, None),
    ("while they are replaced harm is looked at", {"canary": REPLACED, "blocks": blocks(5, BAD)},
     Reason.ROLLING_BACK, 0),
    ("no first step before the canary exists", {**NO_WEIGHT, "canary": None}, Reason.WAITING_FOR_WORKLOADS, None),
    ("no first step before every canary pod is ready", {**NO_WEIGHT, "canary": workload(1)},
     Reason.WAITING_FOR_WORKLOADS, None),
    ("no first step before the gateway takes the route",
     {**NO_WEIGHT, "route": route(READY_TO_START, accepted=False, why_not="no")}, Reason.ROUTE_NOT_ACCEPTED, None),
    ("no first step of a canary that is not what was measured",
     {**NO_WEIGHT, "choice": CanaryChoice(benchmarked=Benchmarked(cpu_limit=0.4))}, Reason.BENCHMARK_REFUSED, None),
    ("no further step of a canary that is no more what was measured",
     {"evidence": ENOUGH, "blocks": (), "choice": CanaryChoice(benchmarked=Benchmarked(cpu_limit=0.4))},
     Reason.BENCHMARK_REFUSED, None),
    ("one that is not what was measured is rolled back all the same when it is bad",
     {"blocks": blocks(5, BAD), "choice": CanaryChoice(benchmarked=Benchmarked(cpu_limit=0.4))},
     Reason.ROLLING_BACK, 0),
    ("no first step without counters", {**NO_WEIGHT, "latest": NoData("no series")}, Reason.METRICS_MISSING, None),
    ("no first step while Prometheus is down", {**NO_WEIGHT, "latest": TIMEOUT}, Reason.METRICS_MISSING, None),
    ("no first step before stable is measured", {**NO_WEIGHT, "latest": latest(stable=counts(0))},
     Reason.METRICS_MISSING, None),
    ("no first step without the day of stable that the spec requires",
     {**NO_WEIGHT, "spec": {"decision": {"baseline": {"policy": "Require"}}}}, Reason.WAITING_FOR_BASELINE, None),
    ("the first step is taken when stable is measured and the canary ready", NO_WEIGHT, Reason.STEPPED, 10),
    ("a canary without ready pods is rolled back before any evidence is looked at",
     {"canary": workload(0), "evidence": ENOUGH, "blocks": ()}, Reason.ROLLING_BACK, 0),
    ("a vanished canary is rolled back", {"canary": None}, Reason.ROLLING_BACK, 0),
    ("one scrape beyond doubt is rolled back before a block is over",
     {"latest": latest(canary=counts(100, errors=90)), "blocks": ()}, Reason.ROLLING_BACK, 0),
    ("five of five bad are beyond doubt in a scrape",
     {"latest": latest(canary=counts(5, errors=5)), "blocks": ()}, Reason.ROLLING_BACK, 0),
    ("a canary whose container ended while it had weight is rolled back, though it runs again",
     {"canary": crashed(NOW - timedelta(seconds=1))}, Reason.ROLLING_BACK, 0),
    ("a crash from before the weight is forgiven", {"canary": crashed(mark().since)}, Reason.WAITING_EVIDENCE, None),
    ("a crash that the kubelet told of after the weight was set",
     {"route": route(mark(restarts=0)), "canary": workload(replicas=1, pods=(pod(restarts=1, ended=mark().since),))},
     Reason.ROLLING_BACK, 0),
    ("restarts that were known before the weight",
     {"route": route(mark(restarts=1)), "canary": workload(replicas=1, pods=(pod(restarts=1, ended=mark().since),))},
     Reason.WAITING_EVIDENCE, None),
    ("a container that ends because its pod goes is no crash",
     {"canary": crashed(NOW - timedelta(seconds=1), deleting=True)}, Reason.WAITING_FOR_WORKLOADS, None),
    ("a scrape from before the weight does not count",
     {"route": route(mark(since=NOW - timedelta(seconds=8))), "latest": latest(canary=counts(100, errors=90)),
      "blocks": ()}, Reason.WAITING_EVIDENCE, None),
    ("a missed latency objective is rolled back", {"blocks": blocks(5, BAD)}, Reason.ROLLING_BACK, 0),
    ("a missed objective is rolled back although the gateway refuses the route",
     {"blocks": blocks(5, BAD), "route": route(accepted=False)}, Reason.ROLLING_BACK, 0),
    ("blocks without counters for too long are rolled back",
     {"blocks": tuple(_.__class__(_.start, _.end, None, None, None) for _ in blocks(5))}, Reason.ROLLING_BACK, 0),
    ("Prometheus down for too long is rolled back", {"blocks": TIMEOUT, "latest": TIMEOUT}, Reason.ROLLING_BACK, 0),
    ("Prometheus down for a moment holds, whatever was known",
     {"route": route(mark(since=NOW - timedelta(minutes=3))), "blocks": TIMEOUT, "latest": TIMEOUT},
     Reason.BLIND, None),
    ("enough evidence does not advance a route that the gateway has not taken",
     {"evidence": ENOUGH, "blocks": (), "route": route(accepted=False, why_not="no")}, Reason.ROUTE_NOT_ACCEPTED, None),
    ("enough evidence does not advance a canary with a pod missing",
     {"evidence": ENOUGH, "blocks": (), "canary": workload(1)}, Reason.WAITING_FOR_WORKLOADS, None),
    ("enough evidence waits for the step's duration",
     {"evidence": ENOUGH, "blocks": (), "spec": one_step(minDuration="1h")}, Reason.WAITING_FOR_DURATION, None),
    ("enough evidence waits for the step's requests",
     {"evidence": ENOUGH, "blocks": (), "spec": one_step(minRequests=10**6)}, Reason.WAITING_FOR_REQUESTS, None),
    ("enough evidence does not advance blindly: no answer",
     {"evidence": ENOUGH, "blocks": (), "latest": TIMEOUT}, Reason.METRICS_MISSING, None),
    ("enough evidence does not advance blindly: no data",
     {"evidence": ENOUGH, "blocks": (), "latest": NoData("no series")}, Reason.METRICS_MISSING, None),
    ("enough evidence advances one step", {"evidence": ENOUGH, "blocks": ()}, Reason.STEPPED, 50),
    ("a spec edited to lower weights does not lower the weight",
     {"evidence": ENOUGH, "blocks": (), "spec": steps_at(1, 2, 5)},
     Reason.PROMOTED, None),
    ("a step put in under way is taken next",
     {"evidence": ENOUGH, "blocks": (), "spec": steps_at(1, 2, 10, 20, 100)}, Reason.STEPPED, 20),
    ("steps taken out under way skip none of those that are left",
     {"evidence": ENOUGH, "blocks": (), "route": route(mark(10, 3)), "spec": steps_at(25, 50, 100)},
     Reason.STEPPED, 25),
    ("steps taken out under way do not end it before the last weight",
     {"evidence": ENOUGH, "blocks": (), "route": route(mark(10, 2)), "spec": steps_at(1, 100)}, Reason.STEPPED, 100),
    ("enough evidence does not advance while later blocks are still to be read",
     {"evidence": ENOUGH, "blocks": (), "behind": True}, Reason.WAITING_EVIDENCE, None),
    ("what is undecided after its time is not said before all blocks are read",
     {"blocks": blocks(3), "behind": True, "spec": one_step(minDuration="1s", maxDuration="1s")},
     Reason.WAITING_EVIDENCE, None),
    ("a missed objective is rolled back whatever is still to be read", {"blocks": blocks(5, BAD), "behind": True},
     Reason.ROLLING_BACK, 0),
    ("enough evidence waits for a person where the next step wants approval",
     {"evidence": ENOUGH, "blocks": (), "spec": {"steps": [
         {"weightPercent": 10, "minDuration": "2m"}, {"weightPercent": 50, "approval": "Manual"}]}},
     Reason.WAITING_FOR_APPROVAL, None),
    ("the approval of a step is not wanted for leaving it",
     {"evidence": ENOUGH, "blocks": (), "spec": {"steps": [
         {"weightPercent": 10, "minDuration": "2m", "approval": "Manual"}, {"weightPercent": 50}]}},
     Reason.STEPPED, 50),
    ("the first step waits for a person where it wants approval",
     {**NO_WEIGHT, "spec": one_step(approval="Manual")}, Reason.WAITING_FOR_APPROVAL, None),
    ("paused, enough evidence does not advance",
     {"evidence": ENOUGH, "blocks": (), "route": route(mark(paused=True))}, Reason.PAUSED, None),
    ("paused on the last step, it does not end",
     {"evidence": ENOUGH, "blocks": (), "route": route(mark(paused=True)), "spec": one_step()}, Reason.PAUSED, None),
    ("paused, a foreign weight is put back", {"route": route(mark(paused=True), canary_percent=90)},
     Reason.WEIGHT_PUT_BACK, 10),
    ("paused, a missed objective is rolled back", {"blocks": blocks(5, BAD), "route": route(mark(paused=True))},
     Reason.ROLLING_BACK, 0),
    ("the last step ends promoted", {"evidence": ENOUGH, "blocks": (), "spec": one_step()}, Reason.PROMOTED, None),
    ("a spec shortened under way ends where it stands",
     {"evidence": ENOUGH, "blocks": (), "route": route(mark(50, 3)), "spec": one_step(),
      "latest": latest(stable=counts(100))}, Reason.PROMOTED, None),
    ("enough evidence does not advance while the traffic does not split as the weight says",
     {"evidence": ENOUGH, "blocks": (), "latest": latest(stable=counts(100))}, Reason.WEIGHT_NOT_EFFECTIVE, None),
    ("a gateway that ignores the weight is no evidence", {"blocks": off(3)}, Reason.WEIGHT_NOT_EFFECTIVE, None),
    ("a gateway that ignores the weight for too long is rolled back", {"blocks": off(5)}, Reason.ROLLING_BACK, 0),
    ("a bad canary is rolled back although the traffic does not split as the weight says",
     {"blocks": off(3, counts(6000, slow=600))}, Reason.ROLLING_BACK, 0),
    ("too little evidence holds", {}, Reason.WAITING_EVIDENCE, None),
    ("undecided for too long is held for a person",
     {"spec": one_step(maxDuration="10m")}, Reason.UNDECIDED, None),
    ("undecided for too long is rolled back when the spec says so",
     {"spec": one_step(maxDuration="10m", onUndecided="Rollback")}, Reason.ROLLING_BACK, 0),
    ("nothing is made for a spec whose metric source is not known", {**UNKNOWN, "route": None}, Reason.INVALID_SPEC,
     None),
    ("no first step under a metric source that is not known", {**NO_WEIGHT, **UNKNOWN}, Reason.INVALID_SPEC, None),
    ("other backends start over at 0 although the metric source is not known",
     {**UNKNOWN, "arms": "others", "route": route(canary_percent=None)}, Reason.PREPARING, 0),
    ("a metric source that is not known any more holds the weight, whatever was known", {**UNKNOWN, "evidence": ENOUGH},
     Reason.INVALID_SPEC, None),
    ("a canary that goes while the metric source is not known is rolled back all the same",
     {**UNKNOWN, "canary": workload(0)}, Reason.ROLLING_BACK, 0),
    ("a metric source that is not known for too long is rolled back as blind",
     {**UNKNOWN, "blocks": TIMEOUT}, Reason.ROLLING_BACK, 0),
    ("edited under way, the route is written as the spec has it, at the weight that stands", {"route": edited()},
     Reason.WAITING_EVIDENCE, 10),
    ("edited before the first step, the route is written as the spec has it, at 0",
     {**NO_WEIGHT, "route": edited(READY_TO_START), "canary": None}, Reason.WAITING_FOR_WORKLOADS, 0),
    ("edited, a raise carries it", {"evidence": ENOUGH, "blocks": (), "route": edited()}, Reason.STEPPED, 50),
    ("edited, harm comes first", {"canary": workload(0), "route": edited()}, Reason.ROLLING_BACK, 0),
    ("edited, nothing is written while the weights are fought over",
     {"route": edited(FOUGHT_OVER, canary_percent=90)}, Reason.CONTESTED, None),
    ("edited while suspended, nothing is written", {"route": edited(), "spec": {"suspend": True}}, Reason.SUSPENDED,
     None),
    ("edited as it ends, the end is told first",
     {"evidence": ENOUGH, "blocks": (), "spec": one_step(), "route": edited()}, Reason.PROMOTED, None),
    ("edited after the promotion, the route is written as the spec has it, at the last weight",
     {"owner": owner(status=ended("Promoted"), generation=2), "route": edited(mark(100, 3))},
     Reason.ALREADY_PROMOTED, 100),
    ("edited after a rollback by somebody else, it is put right at 0",
     {"owner": owner(status=ended("RolledBack")), "route": edited(LONG_ROLLING)}, Reason.ROLLED_BACK, 0),
    ("edited after the promotion, with another canary in the spec, nothing is written",
     {"owner": owner(status=ended("Promoted"), generation=2), "route": edited(mark(100, 3)), "arms": "others"},
     Reason.ALREADY_PROMOTED, None),
    ("edited after the promotion while suspended, nothing is written",
     {"owner": owner(status=ended("Promoted"), generation=2), "route": edited(mark(100, 3)),
      "spec": {"suspend": True}}, Reason.ALREADY_PROMOTED, None),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason", "weight"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_rung(changes: dict[str, Any], reason: Reason, weight: int | None) -> None:
    step = decide(seen(**changes))
    assert (step.reason, written(step)) == (reason, weight), step.message
    assert step.message or reason is Reason.ROLLED_BACK


def written(step: Step) -> int | None:
    """The weight in the plan; weights and mark always agree."""
    splits = [action for action in step.actions if isinstance(action, SetSplit)]
    assert len(splits) <= 1
    for split in splits:
        told = Mark.parse(split.mark)
        assert told is not None and told.weight == split.canary_percent
    return splits[0].canary_percent if splits else None


def test_every_sentence_is_told_once() -> None:
    sentences = [case[0] for case in CASES]
    assert len(set(sentences)) == len(sentences) >= 60


def test_a_deletion_gives_traffic_back_before_the_marks_and_the_finalizer_last() -> None:
    actions = decide(seen(owner=DELETING)).actions
    assert [type(action) for action in actions] == [SetSplit, ReleaseRoute, HoldFinalizer]
    assert actions[-1] == HoldFinalizer(False)


def test_an_untouched_route_that_was_handed_over_is_not_touched_by_a_deletion() -> None:
    untouched = route(mark=None, canary_percent=None)
    assert decide(seen(owner=DELETING, route=untouched)).actions == (HoldFinalizer(False),)


def test_after_the_marks_are_gone_a_deletion_only_lets_go() -> None:
    """Killed between giving the route back and taking the finalizer off; the owner's hand-over is still on it."""
    released = route(mark=None, canary_percent=0)
    assert decide(seen(owner=DELETING, route=released)).actions == (HoldFinalizer(False),)


def test_no_finalizer_no_work() -> None:
    assert decide(seen(owner=owner(deleting=True, finalizers=("somebody/else",)))).actions == ()


def test_a_chosen_canary_is_made_only_while_it_is_missing() -> None:
    manifest = of_candidate("fast")
    choice = CanaryChoice(manifests=(manifest,))
    missing = decide(seen(**NO_WEIGHT, choice=choice, canary=None))
    assert missing.actions == (Apply(manifest),)
    scaled = decide(seen(**NO_WEIGHT, choice=choice, canary=workload(0)))
    assert scaled.actions == ()


def test_a_rollback_says_value_target_weight_and_count() -> None:
    message = decide(seen(blocks=blocks(5, BAD))).message
    for part in ("latency", "limit 1 %", "weight 10", "requests", "rolled back to 0 from 10 %"):
        assert part in message


def test_a_rollback_marks_where_it_came_from() -> None:
    step = decide(seen(blocks=blocks(5, BAD)))
    assert step.mark is not None
    assert (step.mark.phase, step.mark.weight, step.mark.came_from) == (Phase.ROLLING_BACK, 0, 10)
    assert step.mark.reason == Reason.LATENCY_MISSED


@pytest.mark.parametrize(
    ("reason", "retried"),
    [(Reason.ROUTE_NOT_OURS, True), (Reason.BENCHMARK_REFUSED, True), (Reason.BENCHMARK_NOT_READY, False)],
)
def test_only_what_needs_a_person_is_stalled(reason: Reason, retried: bool) -> None:
    changes = {"route": route(ours=False)} if reason is Reason.ROUTE_NOT_OURS else {"route": None}
    step = decide(seen(**changes, choice=CanaryChoice(reason, "why")))
    assert (step.reason, step.stalled) == (reason, retried)
    assert step.recheck_after is not None


def test_a_hand_over_is_explained() -> None:
    message = decide(seen(route=route(ours=False))).message
    assert f"{names.ANNOTATION_HAND_OVER}: shop" in message


def test_two_migrations_on_one_route_the_second_is_told_whose_it_is() -> None:
    message = decide(seen(route=route(ours=False, migration="other"))).message
    assert message.startswith("HTTPRoute shop belongs to CanaryMigration other")


def test_who_changed_the_weights_is_named_and_each_time_is_counted() -> None:
    first = decide(seen(route=route(canary_percent=37, changed_by="kubectl-edit")))
    assert first.message == "kubectl-edit changed the route, which is at 37 %; 10 % is put back (1 of 5 times)"
    assert first.mark is not None and (first.mark.contests, first.mark.since) == (1, mark().since)
    again = decide(seen(route=route(first.mark, canary_percent=None)))
    assert again.message.startswith("somebody changed the route, which has other rules; 10 % is put back (2 of 5")


def test_an_edit_long_after_the_last_one_is_a_new_story() -> None:
    long_ago = mark(contests=3, contested_at=NOW - timedelta(minutes=11))
    step = decide(seen(route=route(long_ago, canary_percent=90)))
    assert step.mark is not None and step.mark.contests == 1


def test_a_new_step_counts_anew() -> None:
    contested = mark(contests=3, contested_at=NOW - timedelta(minutes=1))
    step = decide(seen(evidence=ENOUGH, blocks=(), route=route(contested)))
    assert step.mark is not None and (step.mark.weight, step.mark.contests) == (50, 0)


def of_candidate(name: str, migration: str = "shop") -> dict[str, Any]:
    labels = {names.LABEL_MIGRATION: migration, names.LABEL_CANDIDATE: name}
    return {"kind": "Deployment", "metadata": {"name": "shop-canary", "labels": labels}}


@pytest.mark.parametrize(
    ("migration", "candidate", "removed"),
    [("shop", "lame", True), ("shop", "fast", False), ("other", "lame", False)],
    ids=["ours, of another candidate", "ours, of this one", "not ours"],
)
def test_before_the_first_step_the_canary_of_an_earlier_choice_is_removed(
    migration: str, candidate: str, removed: bool
) -> None:
    labels = of_candidate(candidate, migration)["metadata"]["labels"]
    choice = CanaryChoice(manifests=(of_candidate("fast"),))
    step = decide(seen(**NO_WEIGHT, choice=choice, canary=workload(labels=labels, name="shop-canary")))
    assert (step.actions == (Delete(Ref("Deployment", "shop", "shop-canary")),)) is removed
    assert (step.reason is Reason.STEPPED) is not removed


def test_a_canary_with_weight_is_not_replaced_when_the_benchmark_finds_another_winner() -> None:
    labels = of_candidate("lame")["metadata"]["labels"]
    step = decide(seen(choice=CanaryChoice(manifests=(of_candidate("fast"),)), canary=workload(labels=labels)))
    assert (step.reason, step.actions) == (Reason.WAITING_EVIDENCE, ())


ROLLED_STATUS = {
    "observedGeneration": 1,
    "step": {"index": 2, "weightPercent": 0},
    "history": [{"at": "2030-01-01T11:59:50Z", "from": 50, "to": 0, "reason": "Blind", "message": "m"}],
}


@pytest.mark.parametrize("lost", [None, route(mark=None, canary_percent=0)], ids=["the route", "the mark"])
def test_a_rollback_is_remembered_when_somebody_takes_the_route_or_the_mark_away(lost: Any) -> None:
    step = decide(seen(route=lost, owner=owner(status=ROLLED_STATUS)))
    assert step.reason is Reason.ROLLING_BACK
    assert written(step) == (0 if lost is None else None)
    assert step.mark is not None and (step.mark.phase, step.mark.came_from) == (Phase.ROLLING_BACK, 50)


@pytest.mark.parametrize(
    "status",
    [
        {**ROLLED_STATUS, "observedGeneration": 0},
        {**ROLLED_STATUS, "step": {"index": 0, "weightPercent": 0}},
        {**ROLLED_STATUS, "history": []},
        {**ROLLED_STATUS, "step": {"index": 2, "weightPercent": 50}},
    ],
    ids=["of an earlier spec", "before the first step", "without a decision", "with weight"],
)
def test_nothing_else_is_taken_for_a_rollback(status: dict[str, Any]) -> None:
    assert decide(seen(route=None, owner=owner(status=status))).reason is Reason.PREPARING


def test_what_keeps_pods_from_being_replaced_is_said() -> None:
    step = decide(seen(canary=REPLACED, evidence=ENOUGH, blocks=()))
    assert "its pods are being replaced" in step.message and "another: ImagePullBackOff: no image new:2" in step.message


@pytest.mark.parametrize(("canary", "why"), [(REPLACED, "its pods are being replaced"), (workload(1), "1 of 2 pods")])
def test_a_person_does_not_promote_pods_that_are_being_replaced_or_not_ready(canary: Workload, why: str) -> None:
    """Also when maxDuration is past, and it is said that a person is to decide."""
    for at in (route(), LONG_AGO):
        asked = seen(canary=canary, evidence=ENOUGH, blocks=(), route=at, owner=owner(requests={"promote": "now"}))
        step = decide_with_verbs(asked)
        assert step.request is not None and step.actions == ()
        assert step.request.result == "Refused" and why in step.request.answer
