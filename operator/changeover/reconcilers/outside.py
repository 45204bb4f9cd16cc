"""Send a signed message to an address that a Secret holds."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from changeover.core.errors import InvalidSpec
from changeover.core.observed import Owner
from changeover.core.plan import Manifest, Ref
from changeover.core.signature import Message, headers_of
from changeover.ports import Dependencies


async def send(owner: Owner, secret_name: str, message: Message, seconds: float, deps: Dependencies) -> int:
    """The answer's status. Raises InvalidSpec when Secret or address is wrong, Unavailable without an answer."""
    secret = await deps.cluster.get(Ref("Secret", owner.namespace, secret_name))
    if secret is None:
        raise InvalidSpec(f"Secret {secret_name} does not exist; make it, with the key url")
    url, key = (_value(secret, name) for name in ("url", "signingKey"))
    if not url:
        raise InvalidSpec(f"Secret {secret_name} has no url; add one")
    if message.is_signed and not key:
        raise InvalidSpec(f"Secret {secret_name} has no signingKey; what is sent is signed, so add one")
    return await deps.outgoing.post(url, message.body, headers_of(message, key, deps.clock.now()), seconds)


def _value(secret: Manifest, name: str) -> str:
    data: dict[str, Any] = secret.get("data") or {}
    try:
        return base64.b64decode(data.get(name, "")).decode().strip()
    except (binascii.Error, ValueError) as error:
        raise InvalidSpec(f"{name} of Secret {secret['metadata']['name']} is no text") from error
