"""HTTP to the outside, fenced: only to hosts that the operator's configuration names, in little time, no redirects.

The address comes from a Secret of a tenant, so it is not to be trusted: without the list a tenant could reach what only
the operator can, such as a metadata service. A list of hosts needs no look at addresses, which DNS may change at will.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import aiohttp

from changeover.core.errors import InvalidSpec, Unavailable

MOST_ANSWER_BYTES = 65_536


class HttpOutgoing:
    """The port ``Outgoing``. A host is named as ``hooks.example.com[:port]``, for https, or as ``http://…``."""

    def __init__(self, allowed_hosts: Sequence[str]) -> None:
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        """The answer's status, within so many seconds. Raises InvalidSpec when it is not allowed, else Unavailable."""
        host = self._checked(url)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds), trust_env=False) as session,
                session.post(url, data=body, headers=dict(headers), allow_redirects=False) as answer,
            ):
                await answer.content.read(MOST_ANSWER_BYTES)
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The error's text may hold the address, which is a secret.
            raise Unavailable(f"{host} could not be told: {type(error).__name__}") from error

    def _checked(self, url: str) -> str:
        """The host, as it may be shown: a webhook's path is its password."""
        try:
            parts = urlsplit(url)
            host, scheme = parts.netloc.rpartition("@")[2].lower(), parts.scheme.lower()
        except ValueError as error:
            raise InvalidSpec("the url in the Secret is no address") from error
        asked = host if scheme == "https" else f"{scheme}://{host}"
        if asked not in self._allowed:
            raise InvalidSpec(
                f"{asked} is not among the operator's notifications.allowedHosts; its administrator must add it"
            )
        return host
