"""The one thing that listens on the machine: loopback to the API server inside its network namespace.

A socket belongs to the namespace it was made in. So this process first listens on the machine's loopback, then moves
itself into the control namespace, and every connection it makes from there on reaches the API server. No packet is
routed between the two, and nothing but this port is offered. Run as
`python3 relay.py LISTENING_PORT /run/netns/NAME ADDRESS PORT`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import socket
import sys

_CLONE_NEWNET = 0x40000000
_CHUNK = 256 * 1024


def enter_network(path: str) -> None:
    """Move this process into a network namespace; os.setns is only in Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(path, os.O_RDONLY)
    if libc.setns(handle, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {path}")
    os.close(handle)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass one direction on until it ends, then say so to the other side."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def serve(listener: socket.socket, address: str, port: int) -> None:
    """Relay connections for ever."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(address, port, limit=_CHUNK)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.close()

    server = await asyncio.start_server(relay, sock=listener, limit=_CHUNK)
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
