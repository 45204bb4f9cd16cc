"""The one thing that listens on the machine: loopback to the API server inside its network namespace.

A socket belongs to the namespace it was made in. So this process first listens on the machine's loopback, then moves
itself into the control namespace, and every connection it makes from there on reaches the API server. No packet is
routed between the two, and nothing but this port is offered. Run as
`python3 relay.py LISTENING_PORT /run/netns/NAME ADDRESS PORT`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import socket
import sys

_CLONE_NEWNET = 0x40000000
_BUFFER = 256 * 1024  # bytes that wait for a slow reader


def enter_network(path: str) -> None:
    """Move this process into a network namespace; os.setns is only in Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(path, os.O_RDONLY)
    if libc.setns(handle, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {path}")
    os.close(handle)


class End(asyncio.Protocol):
    """One end of a relayed connection; what arrives here leaves at the far end.

    When the far end cannot send as fast, reading stops here, so a slow reader costs no memory. An end that only stopped
    sending (`kubectl exec` with a closed input) keeps receiving.
    """

    def __init__(self, alive: set[End], far: End | None = None) -> None:
        self.alive = alive
        self.far = far
        self.transport: asyncio.Transport | None = None
        self.finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.alive.add(self)  # the event loop alone does not keep a paused connection alive
        transport.set_write_buffer_limits(high=_BUFFER)
        if self.far is None:
            transport.pause_reading()  # until there is a far end
        elif self.far in self.alive:
            self.far.far = self
            self.resume_writing()
        else:
            transport.abort()  # whoever asked has gone in the meantime

    def data_received(self, data: bytes) -> None:
        if self.far and self.far.transport:
            self.far.transport.write(data)

    def eof_received(self) -> bool:
        self.finished = True
        if self.far and self.far.transport:
            self.far.transport.write_eof()
        return not (self.far and self.far.finished)

    def pause_writing(self) -> None:
        if self.far and self.far.transport:
            self.far.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.far and self.far.transport:
            self.far.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive.discard(self)
        if self.far and self.far.transport:
            self.far.transport.close()


async def serve(listener: socket.socket, address: str, port: int) -> None:
    """Relay connections for ever."""
    loop = asyncio.get_running_loop()
    alive: set[End] = set()
    connecting: set[asyncio.Task[None]] = set()

    async def connect(near: End) -> None:
        try:
            await loop.create_connection(lambda: End(alive, near), address, port)
        except OSError:
            if near.transport:
                near.transport.abort()

    class Accepted(End):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            task = loop.create_task(connect(self))
            connecting.add(task)
            task.add_done_callback(connecting.discard)

    server = await loop.create_server(lambda: Accepted(alive), sock=listener)
    async with server:
        await server.serve_forever()


def main() -> None:
    port, namespace, far_address, far_port = sys.argv[1:5]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two a connection; scale tests open thousands
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(port)))
    listener.listen(1024)
    enter_network(namespace)
    asyncio.run(serve(listener, far_address, int(far_port)))


if __name__ == "__main__":
    main()
