"""Write the reference pages from the code: `python -m tests.docs`, or `make reference`.

Fields come from the CRDs, which come from the models; reasons and condition types from the comments beside them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
KINDS = {"frameworkbenchmarks": "FrameworkBenchmark", "canarymigrations": "CanaryMigration"}
MADE = "<!-- Made by `make reference` from the code; edits are lost. -->\n"
Schema = dict[str, Any]


def pages() -> dict[str, str]:
    """Name of each page and its text."""
    made = {f"{kind.lower()}.md": fields_page(plural, kind) for plural, kind in KINDS.items()}
    return {**made, "reasons.md": reasons_page()}


def fields_page(plural: str, kind: str) -> str:
    """Every field of a kind: path, type, and what `kubectl explain` says of it."""
    crd = yaml.safe_load((ROOT / "crds" / f"changeover.dev_{plural}.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parts = [f"# {kind}\n", MADE, schema.get("description", "")]
    for part in ("spec", "status"):
        rows = "\n".join(f"| `{path}` | {kind_of(field)} | {cell(field)} |" for path, field in fields(schema, part))
        parts.append(f"\n## {part}\n\n| field | type | |\n| --- | --- | --- |\n{rows}\n")
    return "\n".join(parts)


def fields(schema: Schema, name: str) -> Iterator[tuple[str, Schema]]:
    """Path and schema of each field below one, in the order of the schema."""
    yield from _below(name, schema["properties"][name])


def _below(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    inner = schema.get("items", schema)
    path = f"{path}[]" if "items" in schema else path
    for name, field in inner.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from _below(f"{path}.{name}", field)


def kind_of(field: Schema) -> str:
    """The type in words."""
    if "items" in field:
        return f"list of {kind_of(field['items'])}"
    if "enum" in field:
        return " or ".join(f"`{value}`" if value != "" else "empty" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    return "map" if "additionalProperties" in field else str(field.get("type", "object"))


def cell(field: Schema) -> str:
    """The description, fit for a table."""
    return " ".join(field.get("description", "").split()).replace("|", "\\|")


def reasons_page() -> str:
    """Condition types and reasons, with the comment that each has in the code."""
    source = (ROOT / "operator/changeover/api/reasons.py").read_text()
    types, reasons = source.split("class Reason(StrEnum):")
    parts = ["# Conditions and reasons\n", MADE, "\n## Condition types\n", _table(_entries(types))]
    for title, block in _groups(reasons):
        parts += [f"\n## {title}\n", _table(_entries(block))]
    return "\n".join(parts)


def _groups(source: str) -> Iterator[tuple[str, str]]:
    """The reasons under the headlines that the code has."""
    titles = re.split(r"\n    # (Both kinds|FrameworkBenchmark|CanaryMigration)\n", source)[1:]
    yield from zip(titles[::2], titles[1::2], strict=True)


def _entries(source: str) -> Iterator[tuple[str, str]]:
    yield from re.findall(r'[A-Z_]+ = \(?\s*"(\w+)"  # (.+)', source)


def _table(entries: Iterator[tuple[str, str]]) -> str:
    rows = "\n".join(f"| `{name}` | {text} |" for name, text in entries)
    return f"| | |\n| --- | --- |\n{rows}"


def main() -> int:
    """Write the pages; with --check only say which are stale, exit code 1."""
    FOLDER.mkdir(exist_ok=True)
    stale = [name for name, text in pages().items() if _read(FOLDER / name) != text]
    if "--check" in sys.argv:
        print(
            "\n".join(f"docs/reference/{name} is stale; run: make reference" for name in stale),
            end="\n" if stale else "",
        )
        return 1 if stale else 0
    for name in stale:
        (FOLDER / name).write_text(pages()[name])
        print(f"wrote docs/reference/{name}")
    return 0


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
