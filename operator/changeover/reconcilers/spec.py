"""What to say of a spec that is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from changeover.api.reasons import ConditionType, Reason
from changeover.core.plan import Judgement
from changeover.reconcilers.report import Summary


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
