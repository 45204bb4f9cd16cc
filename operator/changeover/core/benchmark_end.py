"""What remains of a benchmark once it has ended, and for how long? See ``conclude``."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from changeover.api.reasons import ConditionType, Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.core import names
from changeover.core.audit import unreliable
from changeover.core.benchmark import Next, SeenBenchmark, records_names
from changeover.core.conditions import find, true_since
from changeover.core.plan import Action, Delete, Ref
from changeover.core.probe import is_noisy
from changeover.core.ranking_status import make_ranking

ENDED = frozenset({Reason.PUBLISHED, Reason.DEADLINE_EXCEEDED})


def conclude(seen: SeenBenchmark, step: Next) -> Next:
    """A step that ends the benchmark, with what ``cleanUp`` keeps left alone, and what is past its time removed.

    The runs of an earlier spec (or of before a retry) go only when a new result stands in their place.
    """
    if step.reason not in ENDED and not _had_ended(seen, step):
        return step
    left = _time_left(seen)
    if left is not None and left <= timedelta(0):
        own = Ref(seen.owner.kind, seen.owner.namespace, seen.owner.name)
        return Next("Deleting", "ttlAfterFinished is over", (Delete(own, seen.owner.version),), recheck_after=None)
    if step.reason in ENDED:
        keeps_pods = _keeps_pods(seen, step)
        actions = (*(() if keeps_pods else step.actions), *_replaced(seen, step))
        step = replace(step, actions=actions, recheck_after=None if keeps_pods else step.recheck_after)
    if step.recheck_after is None and left is not None:
        return replace(step, recheck_after=left.total_seconds())
    return step


def _had_ended(seen: SeenBenchmark, step: Next) -> bool:
    """Whether it ended before something was unreadable or refused, and nobody has asked for a retry since."""
    is_hidden = step.reason in (Reason.UNREADABLE, Reason.INVALID_SPEC)
    return is_hidden and _finished_at(seen) is not None and not seen.is_retried


def _keeps_pods(seen: SeenBenchmark, step: Next) -> bool:
    """Whether the last candidate's pods stay to be looked at."""
    if seen.spec.clean_up == "OnSuccess":
        return not _has_result(seen, step)
    return seen.spec.clean_up == "Never"


def _has_result(seen: SeenBenchmark, step: Next) -> bool:
    records = seen.records if isinstance(seen.records, dict) else {}
    reliable = not is_noisy(seen.spec, records) and not unreliable(records)
    return step.reason == Reason.PUBLISHED and reliable and bool(make_ranking(seen.spec, records))


def _replaced(seen: SeenBenchmark, step: Next) -> tuple[Action, ...]:
    before = str((seen.owner.status.get("report") or {}).get("configMap") or "")
    # Whoever may write a status may not thereby have any ConfigMap deleted.
    is_of_records = before.startswith(names.records(seen.owner.name, ""))
    if not is_of_records or before == records_names(seen)[0] or not _has_result(seen, step):
        return ()
    return (Delete(Ref("ConfigMap", seen.owner.namespace, before)),)


def _time_left(seen: SeenBenchmark) -> timedelta | None:
    """Until the benchmark is deleted; None when it stays, or when status does not say yet that it has ended."""
    ended = _finished_at(seen)
    if seen.spec.ttl_after_finished is None or ended is None:
        return None
    return ended + timedelta(seconds=duration_seconds(seen.spec.ttl_after_finished)) - seen.now


def _finished_at(seen: SeenBenchmark) -> datetime | None:
    """When this very generation ended: an end that is said of an earlier one does not count."""
    told = seen.owner.status.get("conditions") or []
    is_current = find(told, ConditionType.FINISHED).get("observedGeneration") == seen.owner.generation
    return true_since(told, ConditionType.FINISHED) if is_current else None
