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
    Percent,
    Port,
    Rule,
    described,
    duration_seconds,
    refuse_doubles,
    unique_by,
)  # fmt: skip
from changeover.api.v1alpha1.candidate import NodeChoice


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


class LatencyObjective(Model):
    """A percentile of the canary's latency, seen at the gateway, must stay at or under a bound."""

    percentile: Literal["50", "90", "95", "98", "99", "99.9"] = described("Percentile. Default: 99.", default="99")
    max: Duration = described("Bound. Example: 50ms.")


class ErrorsObjective(Model):
    """The share of the canary's requests answered 5xx must stay at or under a bound."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="self.maxPercent.matches('[1-9]')", message="maxPercent must be above 0; the least is 0.0001"),
    )
    max_percent: Percent = described("Bound, percent. Example: 0.1.")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if float(self.max_percent) <= 0:
            raise ValueError(self.cel[0].message)
        return self


class CPUObjective(Model):
    """The CPU of the canary's pods must stay under a share of their limit (without one, of their request)."""

    max_percent: Annotated[int, Field(ge=1, le=100)] = described("Bound, percent of the limit. Example: 40.")


class Objective(Model):
    """One target that the canary must keep at every step."""

    union: ClassVar[tuple[str, ...]] = ("latency", "errors", "cpu")
    name: Name = described("Name of the objective, unique here. Example: latency.")
    type: Literal["Latency", "Errors", "CPU"] = described("Kind of objective.")
    latency: LatencyObjective | None = described(
        "For type Latency. Example: {percentile: '99', max: 50ms}.", default=None
    )
    errors: ErrorsObjective | None = described("For type Errors. Example: {maxPercent: '0.1'}.", default=None)
    cpu: CPUObjective | None = described("For type CPU. Example: {maxPercent: 40}.", default=None)


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
