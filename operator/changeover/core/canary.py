"""Which backend is the canary? One that exists, or the one that a benchmark chose; a doubtful choice is refused."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from changeover.api.reasons import ConditionType, Reason
from changeover.api.v1alpha1 import BenchmarkSpec, MigrationSpec
from changeover.api.v1alpha1.base import quantity_value
from changeover.api.v1alpha1.candidate import Candidate
from changeover.core import names
from changeover.core.as_measured import Benchmarked
from changeover.core.conditions import is_true
from changeover.core.manifests.candidate import Shape, make_deployment, make_service
from changeover.core.manifests.common import labels_of
from changeover.core.migration_state import CanaryChoice
from changeover.core.observed import Owner
from changeover.core.plan import Manifest

_NOT_RUN = {"name", "language", "framework"}  # of a candidate: they change nothing of its pods


def canary_backend(migration: str, spec: MigrationSpec) -> tuple[str, int]:
    """Service and port of the canary; one that we make listens where stable does."""
    if spec.canary.workload is not None:
        service = spec.canary.workload.service
        return service.name, service.port
    return names.canary_workload(migration), spec.stable.service.port


def choose(owner: Owner, spec: MigrationSpec, benchmark: Manifest | None) -> CanaryChoice:
    """What a benchmark says: the manifests of its winner, or why it may not be followed."""
    assert spec.canary.benchmark is not None
    ref = spec.canary.benchmark.ref.name
    if benchmark is None:
        return CanaryChoice(Reason.BENCHMARK_NOT_READY, f"FrameworkBenchmark {ref} does not exist")
    status = benchmark.get("status") or {}
    if not _is_published(benchmark, status):
        return CanaryChoice(Reason.BENCHMARK_NOT_READY, f"FrameworkBenchmark {ref} has not published for its spec")
    candidate, refusal = _chosen(spec.canary.benchmark.candidate, status, ref)
    if refusal:
        return CanaryChoice(Reason.BENCHMARK_REFUSED, refusal)
    try:
        measured = BenchmarkSpec.model_validate(benchmark["spec"])
    except ValidationError as error:
        # It is no fault of the migration's spec, which would be refused with all its guards.
        where = ", ".join(".".join(map(str, one["loc"])) for one in error.errors(include_url=False))
        return CanaryChoice(Reason.BENCHMARK_REFUSED, f"the spec of {ref} is not understood: {where}")
    if all(c.name != candidate for c in measured.candidates):
        return CanaryChoice(Reason.BENCHMARK_REFUSED, f"candidate {candidate} is not in the spec of {ref}")
    if any(c.name == candidate and c.template_from is not None for c in measured.candidates):
        message = f"{candidate} of {ref} is a copy of a Deployment; migrate to that one with canary.type Workload"
        return CanaryChoice(Reason.BENCHMARK_REFUSED, message)
    benchmarked = _benchmarked(measured, candidate, status)
    if not benchmarked.image_digest:
        message = f"{ref} does not know which image of {candidate} it measured; let it measure again: annotate it with "
        return CanaryChoice(Reason.BENCHMARK_REFUSED, f"{message}{names.ANNOTATION_RETRY}=TOKEN")
    return CanaryChoice(manifests=_manifests(owner, spec, measured, candidate), benchmarked=benchmarked)


def _benchmarked(measured: BenchmarkSpec, candidate: str, status: dict[str, Any]) -> Benchmarked:
    row: dict[str, Any] = next((r for r in status.get("ranking", []) if r["candidate"] == candidate), {})
    resources = next(c for c in measured.candidates if c.name == candidate).resources
    cpu = resources.limits.cpu or resources.requests.cpu
    return Benchmarked(
        image_digest=row.get("imageDigest", ""),
        cpu_limit=quantity_value(cpu) if cpu is not None else None,
        rps=_most_carried(candidate, status),
        measured_as=_stands_for(next(c for c in measured.candidates if c.name == candidate)),
    )


def _stands_for(candidate: Candidate) -> str:
    """The same for what runs the same: not for a name or a table's words, nor for how often or where it runs.

    Defaults are left out, so that it is still the same for an operator whose spec has one field more.
    """
    return names.digest(candidate.model_dump(mode="json", exclude=_NOT_RUN, exclude_defaults=True))


def _most_carried(candidate: str, status: dict[str, Any]) -> float:
    """The highest rate at which the benchmark measured its one pod fairly, requests/s; 0 when there is none.

    Of a ramp that is its knee: what broke an objective was not carried.
    """
    results = [r for r in status.get("results", []) if r["candidate"] == candidate and r["valid"]]
    return max((float(r["requestsPerSecond"]["mean"]) for r in results if r.get("requestsPerSecond")), default=0.0)


def _is_published(benchmark: Manifest, status: dict[str, Any]) -> bool:
    current = status.get("observedGeneration") == benchmark["metadata"]["generation"]
    return current and is_true(status.get("conditions") or [], ConditionType.READY)


def _chosen(wanted: str, status: dict[str, Any], ref: str) -> tuple[str, str]:
    """Candidate and refusal; one of them is empty."""
    if wanted:
        row = next((r for r in status.get("ranking", []) if r["candidate"] == wanted), None)
        if row is None:
            return "", f"candidate {wanted} is not in the ranking of {ref}; name one that is"
        if not row["meetsObjectives"]:
            return "", f"candidate {wanted} of {ref} missed an objective"
        return wanted, ""
    winner = status.get("winner")
    if winner is None:
        return "", f"{ref} has no winner; its condition Ready says why"
    if winner.get("tiedWith"):
        tied = ", ".join(winner["tiedWith"])
        return "", f"the winner of {ref} is tied with {tied}; choose one in spec.canary.benchmark.candidate"
    return winner["candidate"], ""


def _manifests(owner: Owner, spec: MigrationSpec, measured: BenchmarkSpec, name: str) -> tuple[Manifest, ...]:
    """Deployment and Service of the chosen candidate, just as it was measured.

    They have no owner reference: once they carry traffic, deleting the migration must not take them away.
    """
    assert spec.canary.benchmark is not None
    candidate = next(c for c in measured.candidates if c.name == name)
    shape = Shape(
        name=names.canary_workload(owner.name),
        namespace=owner.namespace,
        labels=labels_of(migration=owner.name, role=names.ROLE_CANARY, candidate=name),
        replicas=spec.canary.benchmark.replicas,
        nodes=spec.canary.benchmark.placement,
        annotations={
            names.ANNOTATION_FROM_BENCHMARK: f"{spec.canary.benchmark.ref.name}/{name}",
            names.ANNOTATION_MEASURED_AS: _stands_for(candidate),
        },
    )
    # The Service first: the Deployment is what is looked for, so after a crash between the two both are applied again.
    return make_service(candidate, shape, spec.stable.service.port), make_deployment(candidate, shape)
