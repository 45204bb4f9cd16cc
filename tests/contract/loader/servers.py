"""Servers with a known answer, each in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BODY = b"Hello, World!"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n" + BODY
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 13\r\n\r\n" + BODY

Delay = Callable[[float], float]
"""How long an answer to a request that comes now (seconds since the epoch) is held back."""


class Server:
    """HTTP/1.1 with keep-alive; counts its answers and remembers the last request's head and body."""

    def __init__(self, delay: Delay, answer: Callable[[int], bytes]) -> None:
        self.delay, self.answer = delay, answer
        self.answered = 0
        self.head = self.body = b""
        self.port = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", self.head)
                self.body = await reader.readexactly(int(length[1])) if length else b""
                if (wait := self.delay(time.time())) > 0:
                    await asyncio.sleep(wait)
                self.answered += 1
                writer.write(self.answer(self.answered))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass  # the client has left, or the test is over
        finally:
            writer.close()


@contextmanager
def serving(delay: Delay = lambda now: 0.0, answer: Callable[[int], bytes] = lambda number: ANSWER) -> Iterator[Server]:
    """The server on a free port of the loopback, until the block ends."""
    server, loop = Server(delay, answer), asyncio.new_event_loop()
    listener = loop.run_until_complete(asyncio.start_server(server.talk, "127.0.0.1", 0))
    server.port = listener.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listener.close()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def stall(now: float) -> float:
    """Nothing is answered in the first half of each second; what came in it is answered at its end."""
    return max(0.0, 0.5 - now % 1)
