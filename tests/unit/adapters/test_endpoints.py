"""Probes and metrics over HTTP, as a kubelet and a Prometheus ask for them."""

from __future__ import annotations

import asyncio

import pytest
from changeover.adapters.endpoints import Telemetry, serve


async def asked_for(path: str) -> tuple[str, set[str]]:
    """All that comes back until the other side ends, as a client that would keep the connection; the tasks then."""
    before = asyncio.all_tasks()
    runner = await serve(0, Telemetry(), lambda: True, lambda: True)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n".encode())
        async with asyncio.timeout(5):
            text = (await reader.read()).decode()
        left = {str(task) for task in asyncio.all_tasks() - before}
        writer.close()
        await writer.wait_closed()
        return text, left
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nowhere"])
async def test_no_connection_is_kept(path: str) -> None:
    """kopf ends when its loop has no more tasks, and a kept connection is one: the Lease was let go 5 s late."""
    text, left = await asked_for(path)
    assert text.startswith("HTTP/1.1 404" if path == "/nowhere" else "HTTP/1.1 200")
    assert "\r\nConnection: close\r\n" in text
    assert left == set()
