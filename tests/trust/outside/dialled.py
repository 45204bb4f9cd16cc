"""Where would a connection go? Names and addresses are noted where the event loop is asked; no packet leaves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

Place = tuple[str, int]
INVENTED = "198.51.100."  # a net for documentation, which nobody has


@dataclass
class Dialled:
    """What was looked up, and what was connected to, by name where it came from a name."""

    looked_up: list[Place] = field(default_factory=list)
    connected: list[Place] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def places(self) -> set[Place]:
        """All of it: a look-up alone is a packet, too."""
        return {*self.looked_up, *self.connected}

    def forget(self) -> None:
        """Begin anew."""
        self.looked_up.clear()
        self.connected.clear()

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[tuple[Any, ...]]:
        """An invented address for every name."""
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.looked_up.append((name, int(port)))
        address = next((known for known, of in self.names.items() if of == name), "")
        if not address:
            address = f"{INVENTED}{len(self.names) % 254 + 1}"
            self.names[address] = name
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port)))]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Noted, and refused."""
        self.connected.append((self.names.get(address[0], address[0]), int(address[1])))
        raise ConnectionRefusedError("nothing leaves")


@contextmanager
def nothing_leaves() -> Iterator[Dialled]:
    """The event loop's ways out, replaced; a way around them would fail, since connect() itself is closed as well."""
    seen = Dialled()

    async def getaddrinfo(_: Any, host: Any, port: Any, **more: Any) -> Any:
        return await seen.getaddrinfo(host, port, **more)

    async def sock_connect(_: Any, sock: socket.socket, address: Any) -> None:
        await seen.sock_connect(sock, address)

    def closed(_: Any, address: Any) -> None:
        seen.connected.append((str(address[0]), int(address[1])))
        raise ConnectionRefusedError("around the event loop")

    with (
        patch.object(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo),
        patch.object(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", sock_connect),
        patch.object(socket.socket, "connect", closed),
    ):
        yield seen
