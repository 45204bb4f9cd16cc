"""CanaryMigration: move a route's traffic from stable to canary, as fast as the evidence allows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.backend import Backend, Canary
from changeover.api.v1alpha1.base import Duration, Model, Name, Rule, described, refuse_doubles, unique_by
from changeover.api.v1alpha1.candidate import NodeChoice
from changeover.api.v1alpha1.decision import DecisionDesign
from changeover.api.v1alpha1.gate import Gate
from changeover.api.v1alpha1.notify import Notify
from changeover.api.v1alpha1.objective import Objective
from changeover.api.v1alpha1.own_load import Acceptance, OwnLoad
from changeover.api.v1alpha1.scenario import Request
from changeover.api.v1alpha1.step import Step
from changeover.api.v1alpha1.traffic import Testers, Traffic
from changeover.api.v1alpha1.windows import Windows


class MigrationMetrics(Model):
    """Where the evidence is read."""

    source: Name = described(
        "Name of a metric source in the operator's configuration; an address is never taken from a resource. "
        "Default: default.",
        default="default",
    )
    requests: Literal["Traefik"] = described(
        "Gateway whose request counters and latency histograms are read. Default: Traefik.", default="Traefik"
    )


class Drain(Model):
    """What long-lived connections get when the canary has lost its traffic."""

    timeout: Duration = described(
        "After a rollback, a canary that the operator made (type Benchmark) keeps its pods for so long at least, since "
        "WebSockets and the like may be open; then it is scaled to 0. Default: 5m. Example: 1h.",
        default="5m",
    )


class LoadPlacement(Model):
    """Where the operator's own load runs."""

    load: NodeChoice = described(
        "Nodes for the load generator; choose some that neither backend runs on. Default: any node. "
        "Example: {nodeSelector: {changeover.dev/role: load}}.",
        default=NodeChoice(),
    )


class Rollback(Model):
    """How traffic goes back to stable."""

    on_failure: Literal["Automatic"] = described(
        "Automatic: what fails is taken back without asking. Default: Automatic.", default="Automatic"
    )
    ramp: Literal["Auto", "Jump"] = described(
        "Auto: while the canary still answers and stable has fewer ready pods than when it carried all traffic (an "
        "autoscaler took them away), the traffic goes back in parts, as pods become ready. Jump: all at once. "
        "Default: Auto.",
        default="Auto",
    )
    timeout: Duration = described(
        "After so long in parts all traffic goes back, unless stable has no ready pod at all. Default: 10m. "
        "Example: 2m.",
        default="10m",
    )


class MigrationSpec(Model):
    """From where to where, by which steps, under which objectives."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.canary.workload) || self.canary.workload.service.name != self.stable.service.name",
            message="canary.workload.service must differ from stable.service; give the canary a Service of its own",
        ),
        Rule(
            rule="self.steps.map(s, s.weightPercent).isSorted()",
            message="steps: weightPercent must rise from step to step; sort the steps",
        ),
        Rule(
            rule="self.decision.baseline.policy != 'None' || !self.steps.exists(s, has(s.covers) && s.covers != [])",
            message="steps: covers needs a day of stable; set decision.baseline.policy to UseWhenPresent or Require",
        ),
        Rule(
            rule="self.objectives.exists(o, o.type != 'Query')",
            message="objectives: a Query is a guard and no evidence; add an objective of type Latency, Errors or CPU",
        ),
        Rule(
            rule="!has(self.match) || !has(self.traffic.gatewayAPI) || self.traffic.gatewayAPI.mode == 'Managed'",
            message="match is for a Managed route; add a rule for your testers to the Adopted route yourself",
        ),
    )
    suspend: bool = described(
        "Pause: the weight stays where it is, whatever the canary does. To stop only the rising and stay protected, "
        "annotate changeover.dev/requested-pause instead. Default: false.",
        default=False,
    )
    stable: Backend = described("The backend that carries the traffic today.")
    canary: Canary = described("The backend that traffic moves to.")
    traffic: Traffic = described("How traffic is split.")
    steps: Annotated[list[Step], Field(min_length=1, max_length=20)] = described(
        "Weights, rising, 1 to 20. Example: [{weightPercent: 1}, {weightPercent: 10}, {weightPercent: 100}].",
        json_schema_extra=unique_by("weightPercent"),
    )
    objectives: Annotated[list[Objective], Field(min_length=1, max_length=8)] = described(
        "Targets that the canary must keep, 1 to 8. Nothing else is judged: without one of type Errors a fast 500 is a "
        "good answer, unless most are such, and stable's are not. "
        "Example: [{name: errors, type: Errors, errors: {maxPercent: '0.1'}}].",
        json_schema_extra=unique_by("name"),
    )
    decision: DecisionDesign = described("Error rates and blocks. Default: 1 % and 1m.", default=DecisionDesign())
    gates: Annotated[list[Gate], Field(max_length=4)] = described(
        "Programs of yours that are asked before a step or the promotion, up to 4. Default: none. "
        "Example: [{name: change-board, at: BeforePromotion, secretRef: {name: shop-hooks}}].",
        default=[],
        json_schema_extra=unique_by("name"),
    )
    notify: Annotated[list[Notify], Field(max_length=8)] = described(
        "Who is told of its end, or that it is held, up to 8. Default: nobody. "
        "Example: [{name: on-call, type: Slack, secretRef: {name: shop-hooks}}].",
        default=[],
        json_schema_extra=unique_by("name"),
    )
    match: Testers | None = described(
        "Whose requests all go to the canary, from when it is ready to the end of the migration, at whatever weight; "
        "they are no evidence. Default: none. Example: {headers: [{name: X-Canary, value: always}]}.",
        default=None,
    )
    rollback: Rollback = described(
        "How traffic goes back to stable. Default: {ramp: Auto, timeout: 10m}.", default=Rollback()
    )
    request: Request = described(
        "The request of own load (load and acceptance). Default: GET /. Example: {path: /items}.", default=Request()
    )
    load: OwnLoad | None = described(
        "Own load through the route while the steps last, for a service with too few requests to judge by. "
        "Default: none. Example: {requestsPerSecond: 200}.",
        default=None,
    )
    acceptance: Acceptance | None = described(
        "Own load after the promotion, and a table of before and after in status.acceptance. Default: none. "
        "Example: {trafficMultiple: 3, duration: 10m}.",
        default=None,
    )
    placement: LoadPlacement = described("Where own load runs. Default: any node.", default=LoadPlacement())
    drain: Drain = described("Time for open connections. Default: {timeout: 5m}.", default=Drain())
    metrics: MigrationMetrics = described(
        "Where the evidence is read. Default: source default.", default=MigrationMetrics()
    )
    windows: Windows = described(
        "When a weight may rise. Rollback, holding, pause, abort, and the end after the last step wait for nothing. "
        "Default: at all times. Example: {allowed: ['0 9-17 * * 1-5'], timeZone: Europe/Berlin}.",
        default=Windows(),
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_doubles(self.steps, lambda s: s.weight_percent, "weightPercent")
        refuse_doubles(self.objectives, lambda o: o.name, "objective")
        refuse_doubles(self.notify, lambda n: n.name, "notify")
        refuse_doubles(self.gates, lambda g: g.name, "gate")
        if self.canary.workload is not None and self.canary.workload.service.name == self.stable.service.name:
            raise ValueError(self.cel[0].message)
        weights = [s.weight_percent for s in self.steps]
        if weights != sorted(weights):
            raise ValueError(self.cel[1].message)
        if self.decision.baseline.policy == "None" and any(step.covers for step in self.steps):
            raise ValueError(self.cel[2].message)
        if all(objective.type == "Query" for objective in self.objectives):
            raise ValueError(self.cel[3].message)
        gateway = self.traffic.gateway_api
        if self.match is not None and gateway is not None and gateway.mode != "Managed":
            raise ValueError(self.cel[4].message)
        return self
