"""Objects of changeover.dev, drawn from the generated schemas: valid ones, and ones that are off by a little.

What is drawn here is only input; the verdicts on it are the API server's and pydantic's.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.condition import FIRST_YEAR, LAST_YEAR
from hypothesis import strategies as st

Schema = dict[str, Any]
Draw = st.DrawFn
Path = tuple[str | int, ...]

UNION = re.compile(r"has\(self\.(\w+)\) == \(self\.type == '(\w+)'\)")
DURATIONS = ("5s", "1m", "600s", "10m", "90s", "1h30m", "24h", "1500ms")
ODD_DURATIONS = ("0s", "4999ms", "10m1ms", "4s999ms", "1m1m", "99999h", "10m0s", "4s1000ms")
LABEL_KEYS = ("changeover.dev/role", "kubernetes.io/os", "zone")
NASTY: tuple[Any, ...] = (
    None, "", " ", "a", "A", "0", "-1", "1\n", "a\n", "10m\n", "0.1\n", "Ж", "a.b", "a-", "100", "100.0", "1e3",
    "0.0", "0.0000", "01", "1.", ".5", "+1", "1.5Gi", "1Ki", "5 s", "5S", "1.5s", "\u0000", "a\u2028",
    "e\u0301" * 20, "x" * 31, "x" * 64, "x" * 129, "x" * 1025, "x" * 1100, "𝒳" * 513, 0, 1, -1, 99, 100, 101, 65536,
    2**31, 2**53, 2**63, 10**19, 10**31, 10**40, 1.0, 1.5, 5.0, -0.0, 1e300, True, False, [], {}, [None],
    {"a": None}, {"name": "a"}, [{"name": "a"}, {"name": "a"}], ["a", "a"], [[]],
)  # fmt: skip


def specs(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Specs of one kind: some valid, some with one or two things changed."""

    @st.composite  # a closure: as an argument the schema would be in the strategy's name, all 40 kB of it
    def spec(draw: Draw) -> dict[str, Any]:
        drawn: dict[str, Any] = draw(valid(schema))
        _keep_references(draw, drawn)
        for _ in range(draw(st.sampled_from([0, 0, 1, 1, 1, 2]))):
            drawn = _mutated(draw, drawn, schema)
        return drawn

    return spec()


def _keep_references(draw: Draw, spec: dict[str, Any]) -> None:
    """Make true, most of the time, what a schema alone cannot say."""
    _keep_steps(draw, spec)
    _keep_route(spec)
    if "ranking" in spec and "scenario" in spec["ranking"] and draw(st.integers(0, 9)):
        spec["ranking"]["scenario"] = draw(st.sampled_from([s["name"] for s in spec["scenarios"]]))
    _keep_claims(draw, spec)
    for candidate in spec.get("candidates", []):
        _keep_one_origin(draw, candidate)
    for holder in (spec.get("schedule", {}).get("rounds", {}), *spec.get("steps", []), spec.get("decision", {})):
        for low, high in (("min", "max"), ("minDuration", "maxDuration"), ("block", "maxBlind")):
            if draw(st.integers(0, 9)):
                _put_in_order(holder, low, high)


def _keep_steps(draw: Draw, spec: dict[str, Any]) -> None:
    """Sorted, and few that cover the daily peak, which needs a long maxDuration and a day of stable."""
    if "steps" in spec and draw(st.integers(0, 9)):
        spec["steps"].sort(key=lambda step: step["weightPercent"])
    for step in spec.get("steps", []):
        if draw(st.integers(0, 9)):
            step.pop("covers", None)


def _keep_route(spec: dict[str, Any]) -> None:
    """A Managed route has Gateways; one that is Adopted has nothing of its own. Else few specs would be valid."""
    gateway = spec.get("traffic", {}).get("gatewayAPI", {})
    if gateway.get("mode") == "Adopted":
        for name in ("parentRefs", "hostnames", "matches"):
            gateway.pop(name, None)
        spec.pop("match", None)
    elif gateway and not gateway.get("parentRefs"):
        gateway["parentRefs"] = [{"name": "public"}]
    if "match" in spec and not any(spec["match"].values()):
        spec.pop("match")
    if "duration" in spec.get("acceptance", {}):
        spec["acceptance"]["duration"] = "10m"


def _keep_one_origin(draw: Draw, candidate: dict[str, Any]) -> None:
    """An image, or the template of a Deployment, which keeps its own command."""
    if "templateFrom" in candidate and draw(st.booleans()):
        for name in ("image", "command", "args"):
            candidate.pop(name, None)
    else:
        candidate.pop("templateFrom", None)
        candidate["image"] = candidate.get("image") or "localhost/changeover-gin:1"


def _keep_claims(draw: Draw, spec: dict[str, Any]) -> None:
    """Claims that speak of what is there, one row a candidate."""
    for claim in spec.get("claims", []):
        if draw(st.integers(0, 9)):
            claim["scenario"] = draw(st.sampled_from([s["name"] for s in spec["scenarios"]]))
            rows = zip(claim["values"], spec["candidates"], strict=False)
            claim["values"] = [{**row, "candidate": c["name"], "failed": 0} for row, c in rows]


def _put_in_order(holder: dict[str, Any], low: str, high: str) -> None:
    """Swap the two when they are the wrong way round; leave out one that stands alone against a default."""
    if (low in holder) != (high in holder):
        holder.pop(low, None)
        holder.pop(high, None)
    elif low in holder and _size(holder[low]) > _size(holder[high]):
        holder[low], holder[high] = holder[high], holder[low]


def _size(value: int | str) -> float:
    return duration_seconds(value) if isinstance(value, str) else value


def valid(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that a schema takes, rules across fields left aside."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 2**40) | st.sampled_from(["400m", "1", "0.5", "256Mi", "1.125Gi", "2k"])
    return _BY_TYPE[schema["type"]](schema)


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    low, high, pattern = schema.get("minLength", 0), schema["maxLength"], schema.get("pattern")
    if schema.get("format") == "date-time":
        ours = st.datetimes(datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR, 12, 31))
        return ours.map(lambda at: at.replace(microsecond=0).isoformat() + "Z")
    if pattern is None:
        return st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=low, max_size=min(high, 20))
    if "h|m|s|ms" in pattern:
        return st.sampled_from([*DURATIONS * 5, *ODD_DURATIONS])
    return _matching(pattern, low, high)


@functools.cache
def _matching(pattern: str, low: int, high: int) -> st.SearchStrategy[str]:
    # Python's $ lets a newline follow; in a class of characters it is itself.
    to_the_end = re.compile(re.sub(r"\$(?![^\[]*\])", r"\\Z", pattern), re.ASCII)
    return st.from_regex(to_the_end).filter(lambda text: low <= len(text) <= high)


def _integers(schema: Schema) -> st.SearchStrategy[int]:
    return st.integers(schema.get("minimum", -(2**53)), schema.get("maximum", 2**53))


@st.composite
def _lists(draw: Draw, schema: Schema) -> list[Any]:
    keys = schema.get("x-kubernetes-list-map-keys")
    low = schema.get("minItems", 0)
    return draw(
        st.lists(
            valid(schema["items"]),
            min_size=low,
            max_size=min(schema["maxItems"], low + 2),
            unique_by=(lambda item: tuple(item[key] for key in keys)) if keys else None,
        )
    )


@st.composite
def _objects(draw: Draw, schema: Schema) -> dict[str, Any]:
    if "additionalProperties" in schema:
        return draw(st.dictionaries(st.sampled_from(LABEL_KEYS), valid(schema["additionalProperties"]), max_size=2))
    members = union_members(schema)
    made = {
        name: draw(valid(field))
        for name, field in schema["properties"].items()
        if name not in members and (name in schema.get("required", ()) or name == "type" or draw(st.booleans()))
    }
    for member, type_name in members.items():
        if made["type"] == type_name:
            made[member] = draw(valid(schema["properties"][member]))
    return made


def union_members(schema: Schema) -> dict[str, str]:
    """The members of a union and the types that go with them, as its rules tell."""
    found = [UNION.fullmatch(rule["rule"]) for rule in schema.get("x-kubernetes-validations", ())]
    return {match[1]: match[2] for match in found if match}


_BY_TYPE = {
    "string": _strings,
    "integer": _integers,
    "boolean": lambda _: st.booleans(),
    "array": _lists,
    "object": _objects,
}


def walk(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all parts of a value, its own left out."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from walk(child, (*path, key))


def _mutated(draw: Draw, spec: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """A copy with one thing changed."""
    spec = copy.deepcopy(spec)
    path = draw(st.sampled_from(sorted(walk(spec), key=str)))
    holder: Any = spec
    for key in path[:-1]:
        holder = holder[key]
    last: Any = path[-1]
    match draw(st.sampled_from(["nasty", "nasty", "bound", "newline", "delete", "double", "unknown", "reverse"])):
        case "nasty":
            holder[last] = draw(st.sampled_from(NASTY))
        case "bound":
            holder[last] = draw(st.sampled_from(around_the_bounds(schema_at(schema, path))))
        case "newline" if isinstance(holder[last], str):
            holder[last] += "\n"
        case "delete":
            del holder[last]
        case "double" if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        case "reverse" if isinstance(holder, list):
            holder.reverse()
        case _:
            (holder if isinstance(holder, dict) else spec)["unknown"] = draw(st.sampled_from([1, None, {}]))
    return spec


def schema_at(schema: Schema, path: Path) -> Schema:
    for key in path:
        if isinstance(key, int):
            schema = schema["items"]
        else:
            schema = schema.get("properties", {}).get(key) or schema.get("additionalProperties") or {}
    return schema


def around_the_bounds(schema: Schema) -> list[Any]:
    found: list[Any] = [None]
    for bound in ("minimum", "maximum"):
        if bound in schema:
            found += [schema[bound] - 1, schema[bound], schema[bound] + 1]
    for bound in ("minLength", "maxLength"):
        if bound in schema:
            found += [letter * max(0, schema[bound] + off) for off in (-1, 0, 1) for letter in "a1é"]
    if "maxProperties" in schema:
        found += [{f"key-{i}": "x" for i in range(schema["maxProperties"] + off)} for off in (0, 1)]
    if "maxItems" in schema and schema["items"].get("type") == "string":
        found += [["a.b"] * (schema["maxItems"] + off) for off in (0, 1)]
    return found
