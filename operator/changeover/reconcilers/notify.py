"""Tell whoever is to be told: at most one attempt a pass, after the weights, and never instead of them."""

from __future__ import annotations

from typing import Any

from changeover.core.errors import ChangeoverError
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.notices import Notice, first_due, message_of, notices, receiver_of, seconds_until_due
from changeover.ports import Dependencies
from changeover.reconcilers.outside import send

TIMEOUT_SECONDS = 3.0  # a pass waits for it, and the next look at the canary with it


async def tell(seen: SeenMigration, step: Step, deps: Dependencies) -> tuple[list[dict[str, Any]], float | None]:
    """The notices as status is to have them, after one that is due was tried, and the seconds until the next is due."""
    now = deps.clock.now()  # gates may have been asked since the look
    known = notices(seen, step)
    due = first_due(known, now)
    if due is not None:
        tried = due.after(now, await _failure(seen, step, due, deps))
        known = [tried if notice.id == due.id else notice for notice in known]
    return [notice.to_dict() for notice in known], seconds_until_due(known, deps.clock.now())


async def _failure(seen: SeenMigration, step: Step, notice: Notice, deps: Dependencies) -> str:
    """Send it; why that failed, empty when it did not."""
    receiver = receiver_of(notice, seen.spec.notify)
    if receiver is None:
        return "the spec names no such receiver any more"
    message = message_of(seen, step, notice, receiver)
    try:
        status = await send(seen.owner, receiver.secret_ref.name, message, TIMEOUT_SECONDS, deps)
    except ChangeoverError as error:
        return str(error)
    return "" if 200 <= status < 300 else f"it answered {status}"
