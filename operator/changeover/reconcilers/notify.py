"""Tell whoever is to be told: at most one attempt a pass, after the weights, and never instead of them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from changeover.api.v1alpha1.notify import Notify
from changeover.core.errors import ChangeoverError, InvalidSpec
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.notices import Notice, body_of, headers_of, notices, receiver_of
from changeover.core.plan import Ref
from changeover.ports import Dependencies


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
    try:
        await _send(seen, step, notice, receiver, deps)
    except ChangeoverError as error:
        return notice.after(seen.now, str(error))
    return notice.after(seen.now, "")


async def _send(seen: SeenMigration, step: Step, notice: Notice, receiver: Notify, deps: Dependencies) -> None:
    secret = await deps.cluster.get(Ref("Secret", seen.owner.namespace, receiver.secret_ref.name))
    if secret is None:
        raise InvalidSpec(f"Secret {receiver.secret_ref.name} does not exist")
    url, key = (_value(secret, name, receiver) for name in ("url", "signingKey"))
    if not url:
        raise InvalidSpec(f"Secret {receiver.secret_ref.name} has no url")
    body = body_of(seen, step, notice, receiver)
    await deps.outgoing.post(url, body, headers_of(receiver, notice, body, key, seen.now))


def _value(secret: dict[str, Any], name: str, receiver: Notify) -> str:
    try:
        return base64.b64decode((secret.get("data") or {}).get(name, "")).decode().strip()
    except (binascii.Error, ValueError) as error:
        raise InvalidSpec(f"{name} of Secret {receiver.secret_ref.name} is no text") from error
