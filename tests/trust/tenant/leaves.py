"""All leaf fields of our specs, as the CRDs have them, and for each what a hurried or hostile hand writes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.apiserver.objects import around_the_bounds

REPOSITORY = Path(__file__).resolve().parents[3]
Schema = dict[str, Any]
Steps = tuple[str | int, ...]
REMOVED, SIBLING, TWICE = "removed", "an unknown sibling", "twice"
WRONG_TYPES: tuple[Any, ...] = (None, True, 1.5, [], {}, [None], {"a": None})
TEXTS = (
    "",
    " ",
    "nobody",
    "a\n",
    "Ж",
    "\u202e",
    "-",
    "a.b",
    "../a",
    "Unknown",
    "x" * 40_000,
    "$(A)",
    "{{ .x }}",
    "0",
    "-1",
)
NUMBERS = (0, -1, 2**31, 2**53, 2**63, 10**30, 1e300)
DURATIONS = ("0s", "1ms", "99999h", "99999h99999h99999h99999h", "5 s", "-5s", "1y")
ZONES = ("Europe", "A//B", "posixrules", "Etc/GMT+99", "/")
CRONS = ("* * 31 2 *", "0 9-8 * * *", "99-99 * * * *", "0 * * * FOO", "2026-13-45/2026-12-01", "2027-01-01/2026-01-01")


@dataclass(frozen=True)
class Leaf:
    """A field without fields of its own."""

    path: str  # spec.candidates[].image
    schema: Schema

    @property
    def name(self) -> str:
        """What a refusal must name."""
        return self.path.rpartition(".")[2].rstrip("[]{}")


def spec_schema(plural: str) -> Schema:
    """The schema of a kind's spec in its CRD."""
    crd = yaml.safe_load((REPOSITORY / "crds" / f"changeover.dev_{plural}.yaml").read_text())
    schema: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def leaves(schema: Schema, path: str = "spec") -> Iterator[Leaf]:
    """Every leaf below a schema."""
    if "items" in schema:
        yield from leaves(schema["items"], f"{path}[]")
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from leaves(schema["additionalProperties"], f"{path}{{}}")
    elif "properties" in schema:
        for name, field in schema["properties"].items():
            yield from leaves(field, f"{path}.{name}")
    else:
        yield Leaf(path, schema)


def unbounded(schema: Schema, path: str = "spec") -> Iterator[str]:
    """Strings without a longest length, lists without a largest number of items, and maps without one of entries."""
    if schema.get("x-kubernetes-int-or-string") or (schema.get("type") == "string" and "enum" not in schema):
        if "maxLength" not in schema:
            yield path
    elif schema.get("type") == "array":
        yield from () if "maxItems" in schema else (path,)
        yield from unbounded(schema["items"], f"{path}[]")
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from () if "maxProperties" in schema else (path,)
        yield from unbounded(schema["additionalProperties"], f"{path}{{}}")
    for name, field in schema.get("properties", {}).items():
        yield from unbounded(field, f"{path}.{name}")


def odd_values(leaf: Leaf, current: Any) -> Iterator[Any]:
    """Bad values, boundaries, and values that only look good; none of them the one that is there."""
    schema, seen = leaf.schema, [current]
    pattern = schema.get("pattern", "")
    drawn: list[Any] = [*WRONG_TYPES, *around_the_bounds(schema), *schema.get("enum", ())]
    drawn += [*TEXTS, 7] if schema.get("type") == "string" else [*NUMBERS, "1", "many"]
    drawn += DURATIONS if "h|m|s|ms" in pattern else ()
    drawn += CRONS if "0-9A-Za-z*,/-" in pattern else ()
    drawn += ZONES if leaf.name == "timeZone" else ()
    for value in drawn:
        if not any(type(value) is type(other) and value == other for other in seen):
            seen.append(value)
            yield value


def place_in(spec: Any, path: str) -> Steps | None:
    """Where a leaf is, or would be, in a spec; None when the spec has no place for it."""
    parts = path.removeprefix("spec.").replace("[]", ".[]").replace("{}", ".{}").split(".")
    return _place(spec, parts)


def _place(holder: Any, parts: list[str]) -> Steps | None:
    """In the first item of a list that has a place."""
    if not parts:
        return ()
    head, *rest = parts
    keys: list[Any] = [head]
    if head == "[]":
        keys = list(range(len(holder))) if isinstance(holder, list) else []
    elif head == "{}":
        keys = list(holder) if isinstance(holder, dict) else []
    elif not isinstance(holder, dict) or (rest and head not in holder):
        return None
    for key in keys:
        found = _place(holder[key] if isinstance(holder, list) else holder.get(key), rest)
        if found is not None:
            return (key, *found)
    return None


def changed(spec: Schema, place: Steps, what: str, value: Any) -> Schema:
    """A copy of a spec with one thing done to one leaf."""
    made = copy.deepcopy(spec)
    holder: Any = made
    for key in place[:-1]:
        holder = holder[key]
    last: Any = place[-1]
    if what == REMOVED:
        if isinstance(holder, list) or last in holder:
            del holder[last]
    elif what == SIBLING:
        (holder if isinstance(holder, dict) else made)["unknownSibling"] = value
    elif what == TWICE and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[last]))
    else:
        holder[last] = copy.deepcopy(value)
    return made
