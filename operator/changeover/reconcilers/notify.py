"""Tell whoever is to be told: at most one attempt a pass, after the weights, and never instead of them."""

from __future__ import annotations

from typing import Any

from changeover.core.errors import ChangeoverError
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.notices import Notice, message_of, notices, receiver_of
from changeover.ports import Dependencies
from changeover.reconcilers.outside import send

TIMEOUT_SECONDS = 3.0  # a pass waits for it, and the next look at the canary with it


async def tell(seen: SeenMigration, step: Step, deps: Dependencies) -> list[dict[str, Any]]:
    """The notices as status is to have them, after the first that is due was tried."""
    known = notices(seen, step)
    due = next((notice for notice in known if notice.is_due(seen.now)), None)
    if due is not None:
        tried = await _try(seen, step, due, deps)
        known = [tried if notice.id == due.id else notice for notice in known]
    return [notice.to_dict() for notice in known]


async def _try(seen: SeenMigration, step: Step, notice: Notice, deps: Dependencies) -> Notice:
    receiver = receiver_of(notice, seen.spec.notify)
    if receiver is None:
        return notice.after(seen.now, "the spec names no such receiver any more")
    message = message_of(seen, step, notice, receiver)
    try:
        status = await send(seen.owner, receiver.secret_ref.name, message, TIMEOUT_SECONDS, deps)
    except ChangeoverError as error:
        return notice.after(seen.now, str(error))
    return notice.after(seen.now, "" if 200 <= status < 300 else f"it answered {status}")
