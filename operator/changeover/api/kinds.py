"""Which kinds are there, under which names, and what does ``kubectl get`` show of each?"""

from __future__ import annotations

from dataclasses import dataclass

from changeover.api.v1alpha1 import BenchmarkSpec, BenchmarkStatus, MigrationSpec, MigrationStatus
from changeover.api.v1alpha1.base import DNS_LABEL, Model, Rule

NAME_MAX = 40  # characters; the names of the children add a candidate's name to it


# What the API server gives an object that no operator has looked at yet. kstatus takes an object without a status for
# done, and with it `helm install --wait` and Flux; Flux's own kinds begin in the same way, for the same reason.
UNSEEN = {"observedGeneration": -1}


@dataclass(frozen=True)
class Column:
    """One column of ``kubectl get``."""

    name: str
    path: str
    type: str = "string"


@dataclass(frozen=True)
class Kind:
    """One kind of changeover.dev."""

    name: str
    plural: str
    short: str
    what: str
    spec: type[Model]
    status: type[Model]
    columns: tuple[Column, ...]


NAME_RULES = (
    Rule(
        rule=f"self.metadata.name.size() <= {NAME_MAX}",
        message=f"metadata.name must have at most {NAME_MAX} characters, because the names of "
        "Deployments and Services are made from it; choose a shorter name",
    ),
    Rule(
        rule=f"self.metadata.name.matches('{DNS_LABEL}')",
        message="metadata.name must begin with a letter and hold no dot, because Services "
        "are named after it; use letters, digits and hyphens",
    ),
)
READY = (
    Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
)
AGE = Column("Age", ".metadata.creationTimestamp", "date")

BENCHMARK = Kind(
    name="FrameworkBenchmark",
    plural="frameworkbenchmarks",
    short="fb",
    what="Which of these backends carries this load best on this hardware, and how sure are we?",
    spec=BenchmarkSpec,
    status=BenchmarkStatus,
    columns=(
        *READY,
        Column("Winner", ".status.winner.candidate"),
        Column("Progress", ".status.progress.text"),
        AGE,
    ),
)
MIGRATION = Kind(
    name="CanaryMigration",
    plural="canarymigrations",
    short="cmig",
    what="Moves a route's traffic from the stable backend to the canary, as fast as the evidence allows.",
    spec=MigrationSpec,
    status=MigrationStatus,
    columns=(
        *READY,
        Column("Weight", ".status.traffic.desiredPercent", "integer"),
        Column("Step", ".status.step.text"),
        Column("P99", '.status.objectives[?(@.type=="Latency")].canary'),
        Column("CPU", '.status.objectives[?(@.type=="CPU")].canary'),
        AGE,
    ),
)
KINDS = (BENCHMARK, MIGRATION)
