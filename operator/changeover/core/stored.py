"""A status as it is stored, which somebody else, or an earlier release, may have written. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from changeover.api.kinds import KINDS

_MODELS = {kind.name: kind.status for kind in KINDS}


def known_status(kind: str, status: Any) -> dict[str, Any]:
    """The fields of a status that its schema takes; one that is malformed anywhere is as good as not there.

    A migration's rollback does not depend on it: that is in the mark on the route, too.
    """
    kept: dict[str, Any] = _without_nulls(status) if isinstance(status, dict) else {}
    while True:
        try:
            _MODELS[kind].model_validate(kept)
            return kept
        except ValidationError as error:
            wrong = {one["loc"][0] for one in error.errors(include_url=False, include_input=False) if one["loc"]}
            if not wrong & kept.keys():
                return {}
            kept = {key: value for key, value in kept.items() if key not in wrong}


def _without_nulls(value: Any) -> Any:
    """What is null is left out, as the schema has it."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value
