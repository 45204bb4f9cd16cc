"""How do the models become CustomResourceDefinitions? Pure, but for the small command at the end.

Pydantic's JSON Schema is turned into what the API server takes ("structural" OpenAPI v3): references inlined,
``null`` dropped, unions and rules as CEL. A keyword that this module does not know stops it, so that nothing
is lost silently.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from changeover.api.kinds import KINDS, NAME_RULES, UNSEEN, Kind
from changeover.api.v1alpha1 import API_VERSION, GROUP, VERSION
from changeover.api.v1alpha1.base import Model, union_rule

Schema = dict[str, Any]

HEADER = "# Generated from operator/changeover/api; do not edit; run `make crds`.\n"
RULES = "x-kubernetes-validations"
DROPPED = frozenset({"title", "discriminator", "$defs"})
PASSED = frozenset({
    "type", "format", "description", "default", "enum", "pattern", "minLength", "maxLength", "minItems",
    "maxItems", "minProperties", "maxProperties", "minimum", "maximum", "required", "anyOf", RULES,
    "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
})  # fmt: skip
BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}  # a number there, a flag here
FIRST = ("description", "type", "default")  # what a reader of the file looks for


class SchemaError(ValueError):
    """A model says something that a CustomResourceDefinition cannot say."""


def make_crd(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": c.name, "type": c.type, "jsonPath": c.path} for c in kind.columns],
        "schema": {"openAPIV3Schema": _root(kind)},
    }
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": [kind.short],
        "categories": ["changeover"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _root(kind: Kind) -> Schema:
    return {
        "description": kind.what,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"Version of this schema: {API_VERSION}.", "type": "string"},
            "kind": {"description": f"Kind of this object: {kind.name}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": make_schema(kind.spec),
            "status": {**make_schema(kind.status), "default": UNSEEN},
        },
        RULES: [rule.model_dump() for rule in NAME_RULES],
    }


def make_schema(model: type[Model]) -> Schema:
    """The structural schema of a model."""
    schema = model.model_json_schema(by_alias=True, schema_generator=_WithRules)
    return _structural(schema, schema.get("$defs", {}), model.__name__)


class _WithRules(GenerateJsonSchema):
    """Pydantic's JSON Schema, with the rules that each model declares as CEL."""

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        made = super().model_schema(schema)
        model: type[Model] = schema["cls"]
        rules = [*(union_rule(model, member) for member in model.union), *model.cel]
        return {**made, RULES: [rule.model_dump() for rule in rules]} if rules else made


def _structural(node: Schema, defs: Schema, where: str) -> Schema:
    """One node of JSON Schema as one node of the API server's dialect."""
    node = _without_null(_inlined(node, defs), defs, where)
    out: Schema = {}
    for key, value in node.items():
        if key not in DROPPED:
            out.update(_keyword(key, value, defs, where))
    if "default" in out and "properties" in out:
        out["default"] = _default_object(node, out, defs, where)
    return {key: out[key] for key in sorted(out, key=lambda k: FIRST.index(k) if k in FIRST else len(FIRST))}


def _inlined(node: Schema, defs: Schema) -> Schema:
    """Replace a reference by what it names; what stands beside it wins (a field's own description)."""
    if "$ref" not in node:
        return node
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return {**_inlined(defs[node["$ref"].removeprefix("#/$defs/")], defs), **beside}


def _without_null(node: Schema, defs: Schema, where: str) -> Schema:
    """``X or null`` is X: the API server drops nulls before it looks. An int-or-string is left as it is."""
    choices = node.get("anyOf")
    if choices is None or "x-kubernetes-int-or-string" in node:
        return node
    members = [choice for choice in choices if choice != {"type": "null"}]
    if len(members) != 1:
        raise SchemaError(f"{where}: only 'X or null' and int-or-string have a translation, not {choices}")
    beside = {k: v for k, v in node.items() if k != "anyOf" and not (k == "default" and v is None)}
    return {**_inlined(members[0], defs), **beside}


def _keyword(key: str, value: Any, defs: Schema, where: str) -> Schema:
    """One keyword, in the API server's words."""
    if key in PASSED:
        return {key: value}
    if key in BOUNDS:
        return {BOUNDS[key]: value, key: True}
    if key == "const":
        return {"enum": [value]}
    if key == "items":
        return {key: _structural(value, defs, f"{where}[]")}
    if key == "properties":
        return {key: {name: _structural(field, defs, f"{where}.{name}") for name, field in value.items()}}
    if key == "additionalProperties":  # False is what the API server does anyway
        return {key: _structural(value, defs, f"{where}{{}}")} if value else {}
    raise SchemaError(f"{where}: no translation for the keyword {key!r}")


def _default_object(node: Schema, out: Schema, defs: Schema, where: str) -> Schema:
    """``{}``, so that each field's own default applies; any other default of an object is refused.

    Where rules look into the object it is spelled out, because the API server tests them on the bare default.
    """
    for name, told in node["default"].items():
        if told != _inlined(node["properties"][name], defs).get("default"):
            raise SchemaError(f"{where}: its default must be its fields'; {name} is {told!r}")
    return _without_nulls(node["default"]) if _has_rules(out) else {}


def _without_nulls(value: Schema) -> Schema:
    return {k: _without_nulls(v) if isinstance(v, dict) else v for k, v in value.items() if v is not None}


def _has_rules(schema: Schema) -> bool:
    return RULES in schema or any(_has_rules(field) for field in schema.get("properties", {}).values())


class _Dumper(yaml.SafeDumper):
    """YAML without anchors, list items indented under their key."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, indentless=False)


def as_yaml(crd: Schema) -> str:
    """The committed file of a CustomResourceDefinition."""
    return HEADER + yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def as_template(crd: Schema) -> str:
    """The chart's copy: installed when asked for, and kept when the release is removed."""
    metadata = {**crd["metadata"], "annotations": {"helm.sh/resource-policy": "keep"}}
    text = as_yaml({**crd, "metadata": metadata}).removeprefix(HEADER)
    escaped = text.replace("{{", '{{ "{{" }}')
    return HEADER + "{{- if .Values.crds.install }}\n" + escaped + "{{- end }}\n"


def files() -> Iterator[tuple[str, str]]:
    """Every generated file: its path in the repository and its text."""
    for kind in KINDS:
        crd = make_crd(kind)
        name = f"{GROUP}_{kind.plural}.yaml"
        yield f"crds/{name}", as_yaml(crd)
        yield f"charts/changeover/templates/crds/{name}", as_template(crd)


def main(argv: list[str] | None = None) -> int:
    """Write crds/ and the chart's copies, or with --check only say which of them are stale."""
    parser = argparse.ArgumentParser(prog="python -m changeover.api.crds", description=main.__doc__)
    parser.add_argument("directory", type=Path, help="root of the repository")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    asked = parser.parse_args(argv)
    stale = False
    for name, text in files():
        path = asked.directory / name
        if path.exists() and path.read_text() == text:
            continue
        stale = True
        if asked.check:
            print(f"{name} is not what the models say: run `make crds` and commit it", file=sys.stderr)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path}")
    return 1 if asked.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
