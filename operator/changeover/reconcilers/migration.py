"""Reconcile a CanaryMigration: observe, decide, act, report."""

from __future__ import annotations

import logging
from dataclasses import replace

from pydantic import ValidationError

from changeover.api.reasons import MIGRATION_CONDITIONS, ConditionType, Reason
from changeover.api.v1alpha1 import MigrationSpec
from changeover.core import migration_status, names
from changeover.core.errors import ChangeoverError, InvalidSpec
from changeover.core.gates import to_dict
from changeover.core.migration_state import TICK_SECONDS, Step
from changeover.core.observed import Owner
from changeover.core.plan import HoldFinalizer, Manifest, Ref, ReleaseRoute
from changeover.core.verbs import decide
from changeover.ports import Dependencies, Event
from changeover.reconcilers.beside import do_beside, sooner
from changeover.reconcilers.execute import CHANGED_RETRY_SECONDS, execute, retry_after
from changeover.reconcilers.gates import with_gates
from changeover.reconcilers.notify import tell
from changeover.reconcilers.observe_migration import observe, observe_leaving
from changeover.reconcilers.report import Summary, report
from changeover.reconcilers.spec import invalid, plain_errors, understood
from changeover.reconcilers.target import find_target
from changeover.reconcilers.workloads import parse_owner

log = logging.getLogger(__name__)


async def reconcile_migration(ref: Ref, deps: Dependencies) -> float | None:
    """One pass. Returns seconds until the next look, or None when only a change can bring news."""
    body = await deps.cluster.get(ref)
    if body is None:
        deps.show(ref, None)
        deps.ahead.pop(ref, None)
        return None
    owner = parse_owner(body)
    try:
        spec, unknown = understood(MigrationSpec, body["spec"])
        found = await find_target(owner, spec, deps)
        seen = await (observe_leaving if owner.deleting else observe)(owner, spec, found, deps)
        seen = replace(seen, not_understood=unknown or seen.not_understood)
    except (ValidationError, InvalidSpec) as error:
        return await _not_understood(body, owner, plain_errors(error), deps)
    seen, step = await with_gates(seen, decide(seen), deps)
    failure = await execute(step.actions, ref, found.target, deps)
    if step.reason is Reason.DELETING and failure is None:
        if step.stalled or any(isinstance(action, ReleaseRoute) for action in step.actions):
            await _say_released(body, step.message, deps, warning=step.stalled)
        return None
    reason, message, conditions, fields = migration_status.summarise(seen, step, failure)
    recheck = step.recheck_after
    if failure is None:
        beside = await do_beside(seen, step, ref, found.target, deps)
        fields |= beside.fields
        conditions[ConditionType.ACCEPTANCE_MET] = beside.judgement
        fields["gates"] = [to_dict(answer) for answer in seen.gates]
        fields["notifications"], until_due = await tell(seen, step, deps)
        recheck = sooner(sooner(recheck, beside.recheck_after), until_due)
    refusal = migration_status.refusal_of(step) if failure is None else ""
    summary = Summary(reason, message, conditions, fields, refusal, undone=failure is not None)
    if not await report(body, summary, MIGRATION_CONDITIONS, deps):
        return CHANGED_RETRY_SECONDS
    return _after_failure(failure, step) if failure is not None else recheck


async def _not_understood(body: Manifest, owner: Owner, why: str, deps: Dependencies) -> float | None:
    """Said in status. Of what is deleted no traffic is touched, but nobody may be kept from deleting."""
    if not owner.deleting:
        said = await report(body, invalid(why, owner.status), MIGRATION_CONDITIONS, deps)
        return None if said else CHANGED_RETRY_SECONDS
    if names.FINALIZER not in owner.finalizers:
        return None  # told already; somebody else holds it
    failure = await execute((HoldFinalizer(False),), Ref(owner.kind, owner.namespace, owner.name), None, deps)
    if failure is not None:
        return retry_after(failure)
    message = (
        f"its route, if it has one, is left as it is, since its spec is not understood; set its weights yourself: {why}"
    )
    await _say_released(body, message, deps, warning=True)
    return None


async def _say_released(body: Manifest, message: str, deps: Dependencies, warning: bool) -> None:
    """What became of the route, by the only way to say something of an object that is gone."""
    try:
        await deps.cluster.emit(body, Event(Reason.RELEASED, message, warning))
    except ChangeoverError as error:  # as when its namespace is going, too
        whose = f"{body['metadata']['namespace']}/{body['metadata']['name']}"
        log.warning("CanaryMigration %s was deleted: %s (the event could not be posted: %s)", whose, message, error)


def _after_failure(failure: ChangeoverError, step: Step) -> float | None:
    """Whatever is refused, a canary with traffic is watched as closely as ever."""
    is_watched = step.mark is not None and step.mark.weight > 0
    return sooner(retry_after(failure), TICK_SECONDS if is_watched else None)
