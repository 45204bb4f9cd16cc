"""HTTP to the outside, fenced: only to hosts that the operator's configuration names, in little time, no redirects.

The address comes from a Secret of a tenant, so it is not to be trusted: without the list a tenant could reach what only
the operator can, such as a metadata service. A list of hosts needs no look at addresses, which DNS may change at will.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import aiohttp
from yarl import URL

from changeover.core.errors import InvalidSpec, Unavailable

MOST_ANSWER_BYTES = 65_536
LONGEST_URL = 2_048
# Printable ASCII without a backslash: what two parsers could read in two ways is no address for us.
_ADDRESS = re.compile(r"https?://[!-\[\]-~]+", re.IGNORECASE | re.ASCII)
_NAMED = re.compile(r"[a-z0-9.-]{1,253}")  # a longer one is no name, and fills a message


class HttpOutgoing:
    """The port ``Outgoing``. A host is named as ``hooks.example.com[:port]``, for https, or as ``http://…``."""

    def __init__(self, allowed_hosts: Sequence[str]) -> None:
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        """The answer's status, within so many seconds. Raises InvalidSpec when it is not allowed, else Unavailable."""
        target, host = self._checked(url)
        try:
            async with (
                # The body is thrown away, so it is not unpacked either: a little of it can be made to be a lot.
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=seconds), trust_env=False, auto_decompress=False
                ) as session,
                session.post(target, data=body, headers=dict(headers), allow_redirects=False) as answer,
            ):
                await answer.content.read(MOST_ANSWER_BYTES)
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The error's text may hold the address, which is a secret.
            raise Unavailable(f"{host} could not be told: {type(error).__name__}") from error

    def _checked(self, url: str) -> tuple[URL, str]:
        """The very object that is asked for, read once, and its host as it may be shown: the path is a password."""
        target = _parsed(url)
        host = target.raw_host or ""
        if target.explicit_port is not None:
            host = f"{host}:{target.explicit_port}"
        asked = host if target.scheme == "https" else f"{target.scheme}://{host}"
        if asked not in self._allowed:
            # With an @ this may be half of a password that holds a slash.
            shown = "its host" if "@" in url else asked
            raise InvalidSpec(
                f"{shown} is not among the operator's notifications.allowedHosts; its administrator must add it"
            )
        return target, host


def _parsed(url: str) -> URL:
    """Raises InvalidSpec, without a word of what it is: there may be a secret anywhere in it."""
    try:
        target = URL(url) if len(url) <= LONGEST_URL and _ADDRESS.fullmatch(url) else URL()
    except ValueError:
        target = URL()
    if not _NAMED.fullmatch(target.raw_host or ""):
        raise InvalidSpec(
            "the url in the Secret is no address: https:// and a host's name, in ASCII, without blanks or backslashes, "
            f"{LONGEST_URL} characters at the most"
        )
    return target
