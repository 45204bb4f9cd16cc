"""What a user meets is used, exists, and is valid: reasons, examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from changeover.api.crds import make_schema
from changeover.api.kinds import KINDS, Kind
from changeover.api.reasons import BENCHMARK_CONDITIONS, MIGRATION_CONDITIONS, ConditionType, Reason
from changeover.api.v1alpha1 import GROUP

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "operator" / "changeover"
SOURCES = "\n".join(
    path.read_text()
    for path in PACKAGE.rglob("*.py")
    if path.name != "reasons.py" and not path.is_relative_to(PACKAGE / "testing")
)
EXAMPLES = [
    pytest.param(path, document, id=f"{path.name}: {document['kind']} {document['metadata']['name']}")
    for path in sorted((REPOSITORY / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document and document["apiVersion"].startswith(f"{GROUP}/")
]


NUMBER = re.compile(r"(?:Example|Default): -?[0-9]+(?:[.][0-9]+)?[ .]")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.name))
def test_a_number_that_is_a_text_is_quoted_where_it_is_shown(kind: Kind) -> None:
    """`kubectl explain` shows it, and without its quotes the API server refuses it."""
    assert [path for path, told in texts_of(make_schema(kind.spec)) if NUMBER.search(f"{told} ")] == []


def texts_of(schema: dict[str, Any], path: str = "spec") -> Iterator[tuple[str, str]]:
    """Path and description of every field that is a string, and not a quantity, which may be a number."""
    if schema.get("type") == "string":
        yield path, schema.get("description", "")
    for name, field in schema.get("properties", {}).items():
        yield from texts_of(field, f"{path}.{name}")
    if "items" in schema:
        yield from texts_of(schema["items"], f"{path}[]")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_used(reason: Reason) -> None:
    by_name = re.search(rf"\bReason\.{reason.name}\b", SOURCES)
    by_value = re.search(rf'Next\(\s*"{reason.value}"', SOURCES)
    assert by_name or by_value, f"nobody ever says {reason.value}; remove it or say it"


def test_every_reason_that_is_used_exists() -> None:
    names = set(re.findall(r"(?<![.\w])Reason\.([A-Z_]+)\b", SOURCES))
    from changeover.core import sequential

    known = set(Reason.__members__) | set(sequential.Reason.__members__)
    assert names <= known
    said = set(re.findall(r'Next\(\s*"(\w+)"', SOURCES))
    assert said and said <= {reason.value for reason in Reason}


def test_every_condition_type_belongs_to_a_kind() -> None:
    assert set(ConditionType) == set(BENCHMARK_CONDITIONS) | set(MIGRATION_CONDITIONS)


def test_reasons_are_explained() -> None:
    lines = (PACKAGE / "api" / "reasons.py").read_text().splitlines()
    unexplained = [line.strip() for line in lines if re.match(r'    [A-Z_]+ = "', line) and " # " not in line]
    assert unexplained == []


def test_there_are_examples_of_both_kinds() -> None:
    assert {param.values[1]["kind"] for param in EXAMPLES} == {kind.name for kind in KINDS}  # type: ignore[index, call-overload]


@pytest.mark.parametrize(("path", "document"), EXAMPLES)
def test_examples_are_valid(path: Path, document: dict[str, Any]) -> None:
    kind = next(kind for kind in KINDS if kind.name == document["kind"])
    assert kind.spec.model_validate(document["spec"])
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
