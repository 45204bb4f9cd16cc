"""The signature of Standard Webhooks (standardwebhooks.com): HMAC-SHA256 of id, time and body. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from changeover.core.errors import InvalidSpec


@dataclass(frozen=True)
class Message:
    """What is sent: its id, its body, and whether it is a CloudEvent that is signed."""

    id: str
    body: bytes
    is_signed: bool = True


def headers_of(message: Message, key: str, now: datetime) -> dict[str, str]:
    """Raises InvalidSpec when the key is no base64 behind ``whsec_``; without that prefix it is taken as it is."""
    if not message.is_signed:
        return {"Content-Type": "application/json"}
    at = str(int(now.timestamp()))
    signed = f"{message.id}.{at}.".encode() + message.body
    digest = hmac.new(_bytes_of(key), signed, hashlib.sha256).digest()
    return {
        "Content-Type": "application/cloudevents+json", "webhook-id": message.id, "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }  # fmt: skip


def _bytes_of(key: str) -> bytes:
    if not key.startswith("whsec_"):
        return key.encode()
    try:
        return base64.b64decode(key.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise InvalidSpec("the signingKey is no base64 behind whsec_") from error
