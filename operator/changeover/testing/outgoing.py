"""What would have been sent."""

from __future__ import annotations

from collections.abc import Mapping

from changeover.core.errors import Unavailable


class FakeOutgoing:
    """The port ``Outgoing``: keeps what is sent; ``failure`` is why nothing gets through, ``status`` the answer."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []
        self.failure = ""
        self.status = 200

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        """Kept, or refused."""
        if self.failure:
            raise Unavailable(self.failure)
        self.sent.append((url, body, dict(headers)))
        return self.status
