"""Tell whoever is to be told: at most one attempt a pass, after the weights, and never instead of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from changeover.core.errors import ChangeoverError
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.notices import Ahead, Notice, first_due, message_of, notices, receiver_of, seconds_until_due
from changeover.core.observed import Owner
from changeover.core.plan import Ref
from changeover.ports import Dependencies
from changeover.reconcilers.outside import send

TIMEOUT_SECONDS = 3.0  # a pass waits for it, and the next look at the canary with it
MOST_AHEAD = 10_000  # migrations: of one that went unseen something may be left


async def tell(seen: SeenMigration, step: Step, deps: Dependencies) -> tuple[list[dict[str, Any]], float | None]:
    """The notices as status is to have them, after one that is due was tried, and the seconds until the next is due."""
    known = notices(seen, step, _ahead(seen.owner, deps))
    due = first_due(known, seen.now)
    if due is not None:
        tried = due.after(seen.now, await _failure(seen, step, due, deps))
        known = [tried if notice.id == due.id else notice for notice in known]
    _keep(seen.owner, known, deps)
    return [notice.to_dict() for notice in known], seconds_until_due(known, deps.clock.now())


def _ahead(owner: Owner, deps: Dependencies) -> Ahead | None:
    """What this process told of this very migration, and of which status has not been seen to have it."""
    ahead = deps.ahead.get(_ref(owner))
    return ahead if ahead is not None and (ahead.uid, ahead.term) == (owner.uid, deps.term()) else None


def _keep(owner: Owner, known: Sequence[Notice], deps: Dependencies) -> None:
    """Until status is read with it: a message is not sent again because a write was refused."""
    deps.ahead.pop(_ref(owner), None)
    if [notice.to_dict() for notice in known] == list(owner.status.get("notifications") or ()):
        return
    deps.ahead[_ref(owner)] = Ahead(owner.uid, deps.term(), tuple(known))
    if len(deps.ahead) > MOST_AHEAD:
        del deps.ahead[next(iter(deps.ahead))]  # of the longest ago


def _ref(owner: Owner) -> Ref:
    return Ref(owner.kind, owner.namespace, owner.name)


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
