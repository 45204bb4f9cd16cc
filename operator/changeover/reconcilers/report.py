"""Say what was seen and done: one status write, only when something changed, and an event for each transition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from changeover.api.kinds import KINDS
from changeover.api.reasons import ConditionType, Reason
from changeover.core import conditions
from changeover.core.errors import Conflict
from changeover.core.plan import Judgement, Manifest, Ref
from changeover.core.stored import known_status
from changeover.ports import Dependencies, Event

WARNINGS = frozenset({
    Reason.INVALID_SPEC, Reason.ROLLED_BACK, Reason.ROLLING_BACK, Reason.DEADLINE_EXCEEDED, Reason.NO_VALID_RESULT,
    Reason.ROUTE_NOT_OURS, Reason.ROUTE_UNFIT, Reason.BENCHMARK_REFUSED, Reason.UNDECIDED, Reason.BLIND,
    Reason.UNREADABLE, Reason.CROSS_CHECK_CONTRADICTED, Reason.WEIGHT_NOT_EFFECTIVE, Reason.WEIGHT_PUT_BACK,
    Reason.CONTESTED, Reason.REQUEST_REFUSED,
})  # fmt: skip

END = frozenset({ConditionType.SUCCEEDED, ConditionType.FINISHED})
WHOLE = END | {ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED}  # the others are about parts

# What comes and goes between two transitions that matter; said in status, not worth an event.
QUIET = frozenset({
    Reason.WAITING_EVIDENCE, Reason.RECENTLY_BAD, Reason.SHARED_INCIDENT, Reason.WAITING_FOR_DURATION,
    Reason.WAITING_FOR_REQUESTS, Reason.DELETING,
})  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """What a pass has to say: its reason and message, the conditions, and the other fields of status."""

    reason: str
    message: str
    conditions: Mapping[str, Judgement]
    fields: Mapping[str, Any]
    refusal: str = ""  # of a person's request in this pass: worth an event of its own
    undone: bool = False  # an action failed


async def report(body: Manifest, summary: Summary, order: Sequence[str], deps: Dependencies) -> bool:
    """Write status when it differs from what the API server has, and post an event when the reason moved on.

    False when the object was changed since it was read: what is said of it now may be old, and the next pass says it.
    """
    before = known_status(body["kind"], body.get("status"))
    model = next(kind.status for kind in KINDS if kind.name == body["kind"])
    summary = _as_ended(summary, before, body["metadata"]["generation"])
    said = next_status(before, summary, order, body["metadata"]["generation"], deps)
    # As the API server will give it back: with the schema's defaults. Otherwise the next pass would find a difference.
    status = model.model_validate(said).model_dump(by_alias=True, exclude_none=True)
    metadata = body["metadata"]
    ref = Ref(body["kind"], metadata["namespace"], metadata["name"])
    deps.show(ref, status)
    if status == body.get("status"):
        return True
    try:
        await deps.cluster.apply_status(ref, status, metadata["resourceVersion"])
    except Conflict:
        return False
    if summary.reason not in QUIET and _reason_of(before) != summary.reason:
        await _emit(body, summary.reason, summary.message, deps)
    if summary.refusal:
        await _emit(body, Reason.REQUEST_REFUSED, summary.refusal, deps)
    return True


def _as_ended(summary: Summary, before: Mapping[str, Any], generation: int) -> Summary:
    """What has ended stays so, though it cannot be looked at just now; who waits for its end has seen it.

    That something which is to be put back could not be, or that its spec is not taken any more (as by an operator of
    another release), is said all the same.
    """
    found = (c for c in before.get("conditions") or [] if c["type"] == ConditionType.FINISHED)
    ended = any(c["status"] == "True" and c.get("observedGeneration") == generation for c in found)
    if summary.reason not in (Reason.UNREADABLE, Reason.INVALID_SPEC) or not ended:
        return summary
    is_told = summary.undone or summary.reason == Reason.INVALID_SPEC
    kept = END if is_told else WHOLE
    conditions = {name: judged for name, judged in summary.conditions.items() if name not in kept}
    return replace(summary, reason=summary.reason if is_told else _reason_of(before), conditions=conditions)


async def _emit(body: Manifest, reason: str, message: str, deps: Dependencies) -> None:
    await deps.cluster.emit(body, Event(str(reason), message or str(reason), reason in WARNINGS))


def next_status(
    before: Mapping[str, Any], summary: Summary, order: Sequence[str], generation: int, deps: Dependencies
) -> dict[str, Any]:
    """The whole status: server-side apply drops what we no longer say, so all of it is said."""
    merged = conditions.merge(before.get("conditions") or [], summary.conditions, order, generation, deps.clock.now())
    return {"observedGeneration": generation, "conditions": merged, **summary.fields}


def _reason_of(status: Mapping[str, Any]) -> str:
    ready = (c for c in status.get("conditions") or [] if c["type"] == ConditionType.READY)
    return next((c["reason"] for c in ready), "")
