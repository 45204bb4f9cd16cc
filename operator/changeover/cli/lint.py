"""Is a file right, as far as that can be told without a cluster?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from changeover.api.kinds import NAME_MAX, NAME_RULES
from changeover.api.v1alpha1 import API_VERSION, BenchmarkSpec, MigrationSpec
from changeover.api.v1alpha1.base import DNS_LABEL, duration_seconds
from changeover.core.windows import wrong

SPECS: dict[str, type[BenchmarkSpec] | type[MigrationSpec]] = {
    "FrameworkBenchmark": BenchmarkSpec,
    "CanaryMigration": MigrationSpec,
}
FEWEST_BLOCKS = 3  # that a step's maxDuration should hold


@dataclass(frozen=True)
class Finding:
    """What is wrong, or doubtful, in which object."""

    where: str
    what: str
    is_error: bool = True


def lint(text: str, name: str) -> tuple[list[str], list[Finding]]:
    """The objects of ours in a YAML text, and what was found in them; `name` is the file's."""
    try:
        objects = objects_in(text)
    except yaml.YAMLError as error:
        return [], [Finding(name, f"is no YAML: {error}")]
    seen, findings = [], []
    for document in objects:
        where = f"{name}: {document['kind']} {_name_of(document) or '(without a name)'}"
        seen.append(where)
        findings += [Finding(where, what, is_error) for what, is_error in _found(document)]
    return seen, findings


def objects_in(text: str) -> list[dict[str, Any]]:
    """The objects of ours in a YAML text, those of a List among them. Raises yaml.YAMLError."""
    return [one for one in _flattened(yaml.safe_load_all(text)) if str(one.get("kind")) in SPECS]


def _flattened(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for document in documents:
        if not isinstance(document, dict):
            continue
        if document.get("kind") == "List" and isinstance(document.get("items"), list):
            yield from _flattened(document["items"])
        else:
            yield document


def _name_of(document: dict[str, Any]) -> str:
    metadata = document.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _found(document: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    yield from _of_name(_name_of(document))
    if document.get("apiVersion") != API_VERSION:
        yield f"apiVersion is {document.get('apiVersion')!r}; set it to {API_VERSION}", True
    try:
        spec = SPECS[document["kind"]].model_validate(document.get("spec") or {})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in one["loc"])
            yield f"spec{path}: {one['msg'].removeprefix('Value error, ')}", True
        return
    if isinstance(spec, MigrationSpec):
        yield from of_migration(spec)


def _of_name(name: str) -> Iterator[tuple[str, bool]]:
    """What the API server refuses of a name."""
    if not name:
        yield "metadata.name is missing; give it one", True
        return
    for rule, holds in zip(NAME_RULES, (len(name) <= NAME_MAX, re.search(DNS_LABEL, name)), strict=True):
        if not holds:
            yield rule.message, True


def of_migration(spec: MigrationSpec) -> Iterator[tuple[str, bool]]:
    """What the schema cannot say, with its field, and whether it is an error."""
    if wrong(spec.windows):
        yield wrong(spec.windows), True
    block = duration_seconds(spec.decision.block)
    for number, step in enumerate(spec.steps):
        if duration_seconds(step.max_duration) < FEWEST_BLOCKS * block:
            yield (
                f"spec.steps[{number}].maxDuration is less than {FEWEST_BLOCKS} blocks; raise it to decide anything",
                False,
            )
    if spec.steps[-1].weight_percent < 100:
        last = spec.steps[-1].weight_percent
        yield f"spec.steps: the last weight is {last} %, so a promotion leaves {100 - last} % on stable", False
    yield from _of_objectives(spec)


def _of_objectives(spec: MigrationSpec) -> Iterator[tuple[str, bool]]:
    """Of what the canary is judged, and whose pods by."""
    canary = spec.canary.workload
    if canary is not None and canary.workload.name == spec.stable.workload.name:
        what = f"{canary.workload.name} is stable's Deployment; name the canary's own"
        yield f"spec.canary.workload.workload: {what}, by whose pods readiness, crashes and CPU are judged", True
    projected = [o.name for o in spec.objectives if o.cpu is not None and o.cpu.at_traffic_multiple > 1]
    if projected and spec.canary.benchmark is None:
        yield (
            f"spec.objectives: {projected[0]} is asked for at a multiple of the peak, and nothing is projected beyond "
            "twice the load that was seen: small weights are held; take a canary of type Benchmark, or spec.acceptance",
            False,
        )
    yield from _unjudged(spec)


def _unjudged(spec: MigrationSpec) -> Iterator[tuple[str, bool]]:
    """What a canary may do unnoticed; what a query of the user's own is about nobody knows here."""
    judged = {o.type for o in spec.objectives}
    query = next((o.name for o in spec.objectives if o.type == "Query"), "")
    if judged == {"CPU"}:
        yield "spec.objectives: only CPU is judged; a canary that answers wrongly or late is not noticed", False
    elif "Errors" not in judged:
        unless = f", unless by the query {query}" if query else ""
        yield (
            f"spec.objectives: errors are not judged{unless}, and are no late answers: a canary that answers every "
            "third request with a fast 500 is promoted; add an objective of type Errors",
            False,
        )
