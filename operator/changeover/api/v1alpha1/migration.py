"""CanaryMigration: move a route's traffic from stable to canary, as fast as the evidence allows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import (
    DNS_NAME,
    Duration,
    Model,
    Name,
    ObjectName,
    Port,
    Rule,
    described,
    duration_seconds,
    refuse_doubles,
    unique_by,
)  # fmt: skip
from changeover.api.v1alpha1.candidate import NodeChoice
from changeover.api.v1alpha1.objective import Objective


class ServicePort(Model):
    """A Service in the migration's namespace."""

    name: Name = described("Name of the Service. Example: shop-express.")
    port: Port = described("Port of the Service. Example: 80.")


class WorkloadRef(Model):
    """The workload whose pods stand behind a Service."""

    kind: Literal["Deployment"] = described("Kind of the workload. Default: Deployment.", default="Deployment")
    name: ObjectName = described("Name of the workload. Example: shop-express.")


class Backend(Model):
    """One arm of the migration: the Service that the route names, and the workload behind it."""

    service: ServicePort = described("The Service. Example: {name: shop-express, port: 80}.")
    workload: WorkloadRef = described("The workload. Example: {kind: Deployment, name: shop-express}.")


class BenchmarkRef(Model):
    """A FrameworkBenchmark in the migration's namespace."""

    name: ObjectName = described("Name of the FrameworkBenchmark. Example: web-frameworks.")


class BenchmarkCanary(Model):
    """Deploy what a benchmark chose."""

    ref: BenchmarkRef = described("The benchmark. Example: {name: web-frameworks}.")
    candidate: Annotated[str, Field(max_length=30)] = described(
        "Candidate of the benchmark. Default: empty (its winner; refused while tied). Example: hyperlane.",
        default="",
    )
    replicas: Annotated[int, Field(ge=1, le=100)] = described("Pods to run. Default: 2.", default=2)
    placement: NodeChoice = described(
        "Nodes for these pods; not the benchmark's, since those are for measuring. Default: any node. "
        "Example: {nodeSelector: {pool: web}}.",
        default=NodeChoice(),
    )


class Canary(Model):
    """The backend that traffic moves to."""

    union: ClassVar[tuple[str, ...]] = ("workload", "benchmark")
    type: Literal["Workload", "Benchmark"] = described(
        "Workload (it exists already) or Benchmark (deploy what a benchmark chose)."
    )
    workload: Backend | None = described(
        "For type Workload. Example: {service: {name: shop-rust, port: 80}, workload: {name: shop-rust}}.",
        default=None,
    )
    benchmark: BenchmarkCanary | None = described(
        "For type Benchmark. Example: {ref: {name: web-frameworks}, replicas: 2}.", default=None
    )


class RouteRef(Model):
    """The HTTPRoute that carries the weights."""

    name: ObjectName = described("Name of the HTTPRoute. Example: shop.")


class ParentRef(Model):
    """A Gateway that the route attaches to."""

    name: ObjectName = described("Name of the Gateway. Example: public.")
    namespace: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] = described(
        "Namespace of the Gateway. Default: empty (the migration's). Example: gateway.", default=""
    )


class GatewayAPITraffic(Model):
    """Traffic through the Kubernetes Gateway API."""

    mode: Literal["Managed"] = described(
        "Managed: the operator makes the route and owns all of it. Default: Managed.", default="Managed"
    )
    route: RouteRef = described("The route to make. Example: {name: shop}.")
    parent_refs: Annotated[list[ParentRef], Field(min_length=1, max_length=8)] = described(
        "Gateways of the route. Example: [{name: public, namespace: gateway}]."
    )
    hostnames: Annotated[
        list[Annotated[str, Field(max_length=253, pattern=r"^(\*\.)?" + DNS_NAME[1:])]], Field(max_length=16)
    ] = described("Host names of the route. Default: none (all). Example: [shop.example.com].", default=[])


class Traffic(Model):
    """How traffic is split."""

    union: ClassVar[tuple[str, ...]] = ("gatewayAPI",)
    type: Literal["GatewayAPI"] = described("Provider. Default: GatewayAPI.", default="GatewayAPI")
    gateway_api: GatewayAPITraffic | None = described(
        "For type GatewayAPI. Example: {route: {name: shop}, parentRefs: [{name: public}]}.",
        default=None,
        alias="gatewayAPI",
    )


class Step(Model):
    """One weight, and what it takes to leave it."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.minDuration) <= duration(self.maxDuration)",
            message="minDuration must not exceed maxDuration; raise maxDuration or lower minDuration",
        ),
    )
    weight_percent: Annotated[int, Field(ge=1, le=100)] = described(
        "Share of requests that the canary gets, percent. Example: 10."
    )
    min_duration: Duration = described("Stay at least so long. Default: 10m. Example: 1h.", default="10m")
    max_duration: Duration = described(
        "After so long without a decision do what onUndecided says; never advance. Default: 24h.",
        default="24h",
    )
    on_undecided: Literal["Hold", "Rollback"] = described(
        "At maxDuration: Hold (wait for a person; the weight stays) or Rollback. Default: Hold.",
        default="Hold",
    )
    min_requests: Annotated[int, Field(ge=0, le=10**9)] = described(
        "Canary requests that the step must see at the least. Default: 0. Example: 1000.", default=0
    )
    approval: Literal["Automatic", "Manual"] = described(
        "Manual: once all else speaks for this weight, it is set when a person approves it by the annotation "
        "changeover.dev/requested-approve. Default: Automatic.",
        default="Automatic",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if duration_seconds(self.min_duration) > duration_seconds(self.max_duration):
            raise ValueError(self.cel[0].message)
        return self


class BaselineChoice(Model):
    """A day of stable, against which a shared load is told from a bad canary."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.window) >= duration('24h') && duration(self.window) <= duration('168h')",
            message="window must lie between 24h and 168h; a shorter one does not hold a daily cycle",
        ),
    )
    window: Duration = described("How far back stable is looked at. Default: 24h. Example: 168h.", default="24h")
    policy: Literal["UseWhenPresent", "Require", "None"] = described(
        "UseWhenPresent (without a day of stable's counters it goes on, and status says that a daily cycle of load is "
        "not guarded against), Require (no weight before they are there) or None. Default: UseWhenPresent.",
        default="UseWhenPresent",
    )

    @model_validator(mode="after")
    def _a_day_at_least(self) -> Self:
        day, week = 86_400, 604_800
        if not day <= duration_seconds(self.window) <= week:
            raise ValueError(self.cel[0].message)
        return self


class DecisionDesign(Model):
    """The error rates of the decision and the length of a block of evidence."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.block) >= duration('5s') && duration(self.block) <= duration('10m')",
            message="block must lie between 5s and 10m",
        ),
        Rule(
            rule="duration(self.maxBlind) >= duration(self.block)",
            message="maxBlind must be at least one block; raise maxBlind or shorten block",
        ),
    )
    false_advance_percent: Annotated[int, Field(ge=1, le=20)] = described(
        "Accepted chance to advance a canary that misses its target, percent a step. Default: 1.", default=1
    )
    false_rollback_percent: Annotated[int, Field(ge=1, le=20)] = described(
        "Accepted chance to roll a good canary back, percent a migration. Default: 1.", default=1
    )
    block: Duration = described(
        "Length of one block of evidence; below 20s it is for demonstrations: noise that lasts minutes is not guarded "
        "against. Default: 1m. Example: 5s.",
        default="1m",
    )
    max_blind: Duration = described("Roll back after so long without fresh evidence. Default: 5m.", default="5m")
    baseline: BaselineChoice = described(
        "A day of stable's counters, against which a shared load is told from a bad canary. Default: the last 24h, "
        "when they are there.",
        default=BaselineChoice(),
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not 5 <= duration_seconds(self.block) <= 600:
            raise ValueError(self.cel[0].message)
        if duration_seconds(self.max_blind) < duration_seconds(self.block):
            raise ValueError(self.cel[1].message)
        return self


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
        "Targets that the canary must keep, 1 to 8. "
        "Example: [{name: errors, type: Errors, errors: {maxPercent: '0.1'}}].",
        json_schema_extra=unique_by("name"),
    )
    decision: DecisionDesign = described("Error rates and blocks. Default: 1 % and 1m.", default=DecisionDesign())
    metrics: MigrationMetrics = described(
        "Where the evidence is read. Default: source default.", default=MigrationMetrics()
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_doubles(self.steps, lambda s: s.weight_percent, "weightPercent")
        refuse_doubles(self.objectives, lambda o: o.name, "objective")
        if self.canary.workload is not None and self.canary.workload.service.name == self.stable.service.name:
            raise ValueError(self.cel[0].message)
        weights = [s.weight_percent for s in self.steps]
        if weights != sorted(weights):
            raise ValueError(self.cel[1].message)
        return self
