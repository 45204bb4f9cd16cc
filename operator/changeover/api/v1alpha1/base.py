"""What do all resources of changeover.dev/v1alpha1 share? The base model, the scalar types, and unions.

Every rule here has two faces that must agree: pydantic refuses a value in Python, and the CRD generated from
the same declaration (see ``changeover.api.crds``) makes the API server refuse it. ``tests/apiserver`` holds
them together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

DURATION = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"  # GEP-2257
DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"  # also a valid Service name (RFC 1035)
DNS_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
QUANTITY = r"^[0-9]+(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
PRICE = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?$"
PERCENT = r"^(100|[0-9]{1,2}(\.[0-9]{1,4})?)$"
LABEL_KEY = r"^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$"

_UNIT_MILLIS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_QUANTITY_SCALE = {
    "": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


class Rule(BaseModel):
    """One CEL rule of the CRD: what must hold, and in plain words what is wrong and how to mend it."""

    rule: str
    message: str


class Model(BaseModel):
    """Frozen, strict, camelCase on the wire, unknown fields refused; ``null`` means 'left out'."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, validate_by_name=False
    )
    cel: ClassVar[tuple[Rule, ...]] = ()
    union: ClassVar[tuple[str, ...]] = ()  # members of a union; exactly the one named by ``type`` is set

    @model_validator(mode="before")
    @classmethod
    def _as_stored(cls, value: Any) -> Any:
        """See the fields as the API server stores them: nulls left out, ``5.0`` as 5."""
        if not isinstance(value, dict):
            return value
        known = _aliases(cls)
        return {k: _whole(v) for k, v in value.items() if v is not None or k not in known}

    @model_validator(mode="after")
    def _one_member(self) -> Model:
        if not self.union:
            return self
        values = {type(self).model_fields[name].alias: value for name, value in self}
        for member in self.union:
            if (values[member] is not None) != (member_of(values["type"]) == member):
                raise ValueError(union_rule(type(self), member).message)
        return self


@cache
def _aliases(model: type[Model]) -> frozenset[str | None]:
    return frozenset(field.alias for field in model.model_fields.values())


def member_of(type_name: str) -> str:
    """The member that a type names: ``Latency`` -> ``latency``, ``GatewayAPI`` -> ``gatewayAPI``."""
    head = re.match(r"[A-Z]+(?![a-z])|[A-Z]", type_name)
    assert head is not None, f"union type {type_name!r} is not CamelCase"
    return type_name[: head.end()].lower() + type_name[head.end() :]


def type_of(model: type[Model], member: str) -> str:
    """The value of ``type`` that goes with a union's member."""
    values: tuple[str, ...] = model.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
    return next(v for v in values if member_of(v) == member)


def union_rule(model: type[Model], member: str) -> Rule:
    """The rule that a member is set exactly when ``type`` names it."""
    name = type_of(model, member)
    return Rule(
        rule=f"has(self.{member}) == (self.type == '{name}')",
        message=f"set {member} exactly when type is {name}",
    )


def described(text: str, **extra: Any) -> Any:
    """A field with its description (unit, default and example in the text) and pydantic's own keywords."""
    return Field(description=text, **extra)


def duration_seconds(text: str) -> float:
    """Seconds of a GEP-2257 duration: ``1m30s`` -> 90.0; equal durations give equal numbers."""
    return sum(int(n) * _UNIT_MILLIS[u] for n, u in re.findall(r"([0-9]+)(ms|h|m|s)", text)) / 1000


def quantity_value(text: str) -> float:
    """Value of a Kubernetes quantity in its base unit: ``400m`` -> 0.4 (cores), ``1Ki`` -> 1024 (bytes)."""
    number, suffix = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return float(number) * _QUANTITY_SCALE[suffix]


def _whole(value: Any) -> Any:
    """A whole number that JSON wrote with a point: the API server takes it for an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _whole_number_as_text(value: Any) -> Any:
    return str(value) if type(value) is int and 0 <= value < 2**63 else value


def _without_nulls(value: Any) -> Any:
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


Duration = Annotated[str, Field(pattern=DURATION, max_length=32)]
Name = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)]
CandidateName = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=30)]
ObjectName = Annotated[str, Field(pattern=DNS_NAME, min_length=1, max_length=253)]
Percent = Annotated[str, Field(pattern=PERCENT, max_length=16)]
Price = Annotated[str, Field(pattern=PRICE, max_length=20)]
Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(max_length=1024)]
ShortText = Annotated[str, Field(max_length=128)]
Number = Annotated[str, Field(max_length=32)]
LabelKey = Annotated[str, Field(max_length=316)]
Labels = Annotated[
    dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16), BeforeValidator(_without_nulls)
]
Quantity = Annotated[
    str,
    BeforeValidator(_whole_number_as_text),
    Field(pattern=QUANTITY, max_length=32),
    WithJsonSchema({
        "anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True,
        "minimum": 0, "pattern": QUANTITY, "maxLength": 32,
    }),
]  # fmt: skip


def unique_by(*keys: str) -> dict[str, Any]:
    """Schema extras of a list whose items the named fields tell apart (the API server refuses doubles)."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def refuse_doubles(items: list[Any], key: Callable[[Any], object], what: str) -> None:
    """The Python face of ``unique_by``."""
    seen: set[object] = set()
    for item in items:
        if key(item) in seen:
            raise ValueError(f"{what} {key(item)!r} is given twice; give each its own")
        seen.add(key(item))
