"""What to make of a spec that is refused, and what to say of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from changeover.api.reasons import ConditionType, Reason
from changeover.core.plan import Judgement
from changeover.reconcilers.report import Summary

Spec = TypeVar("Spec", bound=BaseModel)


def understood(model: type[Spec], spec: Any) -> tuple[Spec, str]:
    """The spec without the fields that this release does not know, and which these are; empty when there are none.

    A CRD may be newer than the operator. What is under way is watched then by what is known of it, and not raised.
    Raises ValidationError for anything else that is wrong.
    """
    try:
        return model.model_validate(spec), ""
    except ValidationError as refusal:
        if any(error["type"] != "extra_forbidden" for error in refusal.errors()):
            raise
        known = copy.deepcopy(spec)
        for *path, name in (error["loc"] for error in refusal.errors()):
            place = known
            for key in path:
                place = place[key]
            del place[name]
        why = f"{plain_errors(refusal)}; it may be of a later release; update the operator, or take it out"
        return model.model_validate(known), why


def plain_errors(error: Exception) -> str:
    """One line that names each field and the mend."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(
        f"spec.{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" if e["loc"] else f"spec: {e['msg']}"
        for e in error.errors(include_url=False)
    )


def invalid(message: str, status: Mapping[str, Any]) -> Summary:
    """Stalled until the spec changes; what was known before stays in status."""
    refused = Judgement(False, Reason.INVALID_SPEC, message)
    conditions: dict[str, Judgement] = {
        ConditionType.READY: refused,
        ConditionType.RECONCILING: refused,
        ConditionType.STALLED: Judgement(True, Reason.INVALID_SPEC, message),
        ConditionType.FINISHED: refused,
    }
    fields = {k: v for k, v in status.items() if k not in ("conditions", "observedGeneration")}
    return Summary(Reason.INVALID_SPEC, message, conditions, fields)
