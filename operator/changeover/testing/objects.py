"""What an API server does to one object: merging, owned fields, defaults, and what it refuses. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from changeover.api.kinds import KINDS, UNSEEN
from changeover.core.errors import InvalidSpec
from changeover.core.plan import Manifest

T = TypeVar("T")
MODELS = {kind.name: kind for kind in KINDS}
MAX_OBJECT_BYTES = 1_048_576
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def copied(value: T) -> T:
    """A copy of a JSON value; ``copy.deepcopy``, which looks for cycles, takes several times as long."""
    if isinstance(value, dict):
        return cast(T, {key: copied(item) for key, item in value.items()})
    return cast(T, [copied(item) for item in value]) if isinstance(value, list) else value


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def apply_fields(current: Any, applied: Any, owned: Any) -> Any:
    """Server-side apply of one manager: what it says is set, what it said before and says no more is dropped.

    Lists are atomic here, as ``rules`` and ``backendRefs`` of an HTTPRoute are on a real server.
    """
    if not isinstance(applied, dict):
        return applied
    result = dict(current) if isinstance(current, dict) else {}
    before = owned if isinstance(owned, dict) else {}
    for key in before.keys() - applied.keys():
        result = _without(result, key, before[key])
    for key, value in applied.items():
        result[key] = apply_fields(result.get(key), value, before.get(key))
    return result


def _without(result: dict[str, Any], key: str, owned: Any) -> dict[str, Any]:
    """A mapping without the leaves that were owned under a key; others' leaves in it stay."""
    rest = dict(result)
    if not isinstance(owned, dict) or not isinstance(rest.get(key), dict):
        rest.pop(key, None)
        return rest
    inside: dict[str, Any] = rest[key]
    for name, value in owned.items():
        inside = _without(inside, name, value)
    if inside:
        rest[key] = inside
    else:
        rest.pop(key)
    return rest


def with_defaults(manifest: Manifest) -> Manifest:
    """The object with the defaults of our CRDs filled in. Raises InvalidSpec where the schema refuses it."""
    kind = MODELS.get(manifest["kind"])
    if kind is None:
        return manifest
    filled: Manifest = {"status": UNSEEN, **manifest}
    for part, model in (("spec", kind.spec), ("status", kind.status)):
        if part in filled:
            try:
                filled[part] = model.model_validate(filled[part]).model_dump(by_alias=True, exclude_none=True)
            except ValidationError as error:
                raise InvalidSpec(f"{manifest['kind']} {part}: {error}") from error
    return filled


def refuse_broken(manifest: Manifest, before: Manifest | None) -> None:
    """Raise InvalidSpec for what a real API server refuses and a plan might hold."""
    metadata, kind = manifest["metadata"], manifest["kind"]
    pattern = _SERVICE_NAME if kind == "Service" else _OBJECT_NAME
    _require(pattern.fullmatch(metadata["name"]) is not None, f"{kind}: {metadata['name']!r} is no name")
    for key, value in (metadata.get("labels") or {}).items():
        _require(_LABEL_VALUE.fullmatch(value) is not None, f"label {key}: {value!r} is no label value")
    _require(len(json.dumps(manifest)) <= MAX_OBJECT_BYTES, f"{kind} {metadata['name']} is larger than 1 MiB")
    if before is not None and kind in ("Deployment", "Job"):
        part = {"Deployment": "selector", "Job": "template"}[kind]
        same = manifest["spec"].get(part) == before["spec"].get(part)
        _require(same, f"{kind} {metadata['name']}: spec.{part} is immutable")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidSpec(message)


def carries(manifest: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether an object has all of these labels."""
    own = manifest["metadata"].get("labels") or {}
    return all(own.get(key) == value for key, value in labels.items())
