"""The generator: what a schema of ours always has, and how each thing that pydantic can say is translated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import pytest
import yaml
from changeover.api.crds import RULES, SchemaError, as_template, as_yaml, make_crd, make_schema
from changeover.api.kinds import KINDS, Kind
from changeover.api.v1alpha1.base import Labels, Model, Quantity, Rule, described, unique_by
from pydantic import Field

MOST_BYTES = 100_000
Schema = dict[str, Any]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def root_of(kind: Kind) -> Schema:
    schema: Schema = make_crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Schema, where: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema within a schema, with its path."""
    yield where, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{where}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from nodes(schema[key], where + mark)


def fields(kind: Kind) -> list[tuple[str, Schema]]:
    """Every field of spec and status."""
    return [(where, node) for where, node in nodes(root_of(kind)) if where.startswith((".spec", ".status"))]


@each_kind
def test_every_text_list_and_map_is_bounded(kind: Kind) -> None:
    bound = {"string": "maxLength", "array": "maxItems"}
    for where, node in fields(kind):
        if node.get("type") in bound and "enum" not in node:
            assert bound[node["type"]] in node, where
        if "additionalProperties" in node:
            assert "maxProperties" in node, where
        if node.get("x-kubernetes-int-or-string"):
            assert "maxLength" in node, where


@each_kind
def test_every_bound_stands_on_what_it_can_bound(kind: Kind) -> None:
    bounded = {"Length": "string", "Items": "array", "Properties": "object", "imum": "integer"}
    for where, node in nodes(root_of(kind)):
        for key in node:
            for ending, type_name in bounded.items():
                if key in (f"min{ending}", f"max{ending}") and not node.get("x-kubernetes-int-or-string"):
                    assert node["type"] == type_name, f"{where} {key}"


@each_kind
def test_every_number_that_a_user_gives_is_bounded_and_whole(kind: Kind) -> None:
    for where, node in fields(kind):
        assert node.get("type") != "number", where
        if node.get("type") == "integer" and where.startswith(".spec"):
            assert "minimum" in node and "maximum" in node, where


@each_kind
def test_every_field_is_described(kind: Kind) -> None:
    undescribed = [where for where, node in fields(kind) if not where.endswith("}") and "description" not in node]
    assert [where for where in undescribed if not where.endswith("[]")] == []


@each_kind
def test_every_optional_field_tells_its_default(kind: Kind) -> None:
    for where, node in nodes(root_of(kind)["properties"]["spec"], ".spec"):
        for name, field in node.get("properties", {}).items():
            if name not in node.get("required", []):
                told = field["description"]
                assert "Default: " in told or told.startswith("For type "), f"{where}.{name}"


@each_kind
def test_every_scalar_default_is_in_the_description(kind: Kind) -> None:
    for where, node in fields(kind):
        default = node.get("default")
        if where.startswith(".spec") and isinstance(default, (str, int)) and default != "":
            told = str(default).lower() if isinstance(default, bool) else str(default)
            told = f"'{told}'" if isinstance(default, str) and re.fullmatch(r"[0-9.]+", told) else told
            assert f"Default: {told}" in node["description"], where


@each_kind
def test_every_node_is_structural(kind: Kind) -> None:
    for where, node in nodes(root_of(kind)):
        assert not {"$ref", "$defs", "title", "const", "discriminator", "nullable", "oneOf", "allOf"} & set(node), where
        assert "type" in node or node.get("x-kubernetes-int-or-string"), where
        assert not {"properties", "additionalProperties"} <= set(node), where
        assert node.get("default", "") is not None, where


@each_kind
def test_the_keys_of_a_list_map_are_required_or_have_defaults(kind: Kind) -> None:
    lists = [(where, node) for where, node in nodes(root_of(kind)) if node.get("x-kubernetes-list-type") == "map"]
    assert lists
    for where, node in lists:
        for key in node["x-kubernetes-list-map-keys"]:
            assert key in node["items"]["required"] or "default" in node["items"]["properties"][key], where


@each_kind
def test_a_crd_is_small(kind: Kind) -> None:
    assert len(as_yaml(make_crd(kind)).encode()) < MOST_BYTES
    assert len(as_template(make_crd(kind)).encode()) < MOST_BYTES


@each_kind
def test_the_yaml_says_the_same(kind: Kind) -> None:
    text = as_yaml(make_crd(kind))
    assert yaml.safe_load(text) == make_crd(kind)
    assert text.startswith("# Generated") and "make crds" in text.splitlines()[0]
    assert "&id" not in text


@each_kind
def test_how_it_is_served(kind: Kind) -> None:
    crd = make_crd(kind)
    (version,) = crd["spec"]["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}
    assert crd["spec"]["scope"] == "Namespaced"
    assert crd["spec"]["names"]["categories"] == ["changeover"]
    assert crd["metadata"]["name"] == f"{kind.plural}.changeover.dev"
    assert root_of(kind)["required"] == ["spec"]


def test_short_names_and_columns() -> None:
    shown = {kind.short: [column.name.upper() for column in kind.columns] for kind in KINDS}
    assert shown == {
        "fb": ["READY", "REASON", "WINNER", "PROGRESS", "AGE"],
        "cmig": ["READY", "REASON", "WEIGHT", "STEP", "P99", "CPU", "AGE"],
    }


class Inner(Model):
    """An inner object."""

    size: Annotated[int, Field(gt=0, lt=10)] = described("Size.", default=3)
    word: Annotated[str, Field(max_length=5)] | None = described("Word.", default=None)


class Ruled(Model):
    """An object with a rule."""

    cel: ClassVar[tuple[Rule, ...]] = (Rule(rule="self.low <= 3", message="low must be at most 3"),)
    low: Annotated[int, Field(ge=0, le=9)] = described("Low.", default=1)
    inner: Inner = described("Inner.", default=Inner())


class Choice(Model):
    """One of two."""

    union: ClassVar[tuple[str, ...]] = ("small", "gatewayAPI")
    type: Literal["Small", "GatewayAPI"] = described("Type.")
    small: Inner | None = described("Of type Small.", default=None)
    gateway_api: Inner | None = described("Of type GatewayAPI.", default=None, alias="gatewayAPI")


class Everything(Model):
    """Everything that a model of ours can say."""

    inner: Inner = described("Its own words.", default=Inner())
    maybe: Inner | None = described("Maybe.", default=None)
    ruled: Ruled = described("Ruled.", default=Ruled())
    only: Literal["One"] = described("Only one.", default="One")
    choice: Choice = described("Choice.")
    amount: Quantity | None = described("Amount.", default=None)
    labels: Labels = described("Labels.", default={})
    items: Annotated[list[Inner], Field(max_length=3)] = described(
        "Items.", default=[], json_schema_extra=unique_by("size")
    )


EVERYTHING = make_schema(Everything)
INNER_FIELDS = {
    "size": {
        "description": "Size.", "type": "integer", "default": 3,
        "minimum": 0, "exclusiveMinimum": True, "maximum": 10, "exclusiveMaximum": True,
    },
    "word": {"description": "Word.", "type": "string", "maxLength": 5},
}  # fmt: skip


def test_a_reference_is_inlined_and_the_fields_own_words_win() -> None:
    assert EVERYTHING["properties"]["inner"] == {
        "description": "Its own words.", "type": "object", "default": {}, "properties": INNER_FIELDS,
    }  # fmt: skip


def test_an_optional_object_has_neither_null_nor_default() -> None:
    assert EVERYTHING["properties"]["maybe"] == {
        "description": "Maybe.", "type": "object", "properties": INNER_FIELDS,
    }  # fmt: skip


def test_the_default_of_an_object_with_rules_is_spelled_out() -> None:
    """The API server tests the rules on the bare default."""
    ruled = EVERYTHING["properties"]["ruled"]
    assert ruled["default"] == {"low": 1, "inner": {"size": 3}}
    assert ruled[RULES] == [{"rule": "self.low <= 3", "message": "low must be at most 3"}]


def test_a_literal_of_one_is_an_enum() -> None:
    assert EVERYTHING["properties"]["only"] == {
        "description": "Only one.", "type": "string", "default": "One", "enum": ["One"],
    }  # fmt: skip


def test_a_union_ties_each_member_to_its_type() -> None:
    assert [rule["rule"] for rule in EVERYTHING["properties"]["choice"][RULES]] == [
        "has(self.small) == (self.type == 'Small')",
        "has(self.gatewayAPI) == (self.type == 'GatewayAPI')",
    ]


def test_a_quantity_is_a_number_or_a_text() -> None:
    amount = EVERYTHING["properties"]["amount"]
    assert amount["x-kubernetes-int-or-string"] is True
    assert amount["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert "type" not in amount


def test_maps_and_keyed_lists() -> None:
    labels, items = EVERYTHING["properties"]["labels"], EVERYTHING["properties"]["items"]
    assert (labels["maxProperties"], labels["additionalProperties"]) == (16, {"type": "string", "maxLength": 63})
    assert (items["x-kubernetes-list-type"], items["x-kubernetes-list-map-keys"]) == ("map", ["size"])
    assert items["items"]["description"] == "An inner object."


def test_what_is_required() -> None:
    assert EVERYTHING["required"] == ["choice"]


class TwoTypes(Model):
    """A field of two types."""

    value: int | str = described("Either.")


class OtherDefault(Model):
    """A default that is not its fields' own."""

    inner: Inner = described("Inner.", default=Inner(size=4))


class Pair(Model):
    """A tuple, which JSON Schema says with a keyword of its own."""

    pair: tuple[int, int] = described("Pair.")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (TwoTypes, "TwoTypes.value: only 'X or null' and int-or-string have a translation"),
        (OtherDefault, "OtherDefault.inner: its default must be its fields'; size is 4"),
        (Pair, "Pair.pair: no translation for the keyword"),
    ],
)
def test_what_has_no_translation_is_refused_by_name(model: type[Model], says: str) -> None:
    with pytest.raises(SchemaError, match=says.replace("(", r"\(")):
        make_schema(model)


def test_helm_does_not_read_descriptions_as_templates() -> None:
    crd = {"metadata": {"name": "x"}, "description": "pods named {{ .podRegex }}"}
    text = as_template(crd)
    assert '{{ "{{" }} .podRegex }}' in text
    assert text.count("{{- if .Values.crds.install }}") == text.count("{{- end }}") == 1
