"""The two arms of a migration: what carries the traffic today, and what it moves to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from changeover.api.v1alpha1.base import Model, Name, ObjectName, Port, described
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
