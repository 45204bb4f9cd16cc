"""/healthz, /readyz and /metrics of the operator."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from changeover.adapters.resource_metrics import ResourceMetrics
from changeover.core.plan import Ref

PASS_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """Our metrics, documented by their help texts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "changeover_reconcile_duration_seconds",
            "Duration of one pass over one object, by kind.",
            ["kind"],
            buckets=PASS_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._errors = Counter(
            "changeover_reconcile_errors_total",
            "Passes that ended in an error that nobody foresaw, by kind.",
            ["kind"],
            registry=self.registry,
        )
        self.objects = Gauge(
            "changeover_objects_scheduled", "Objects that are due to be looked at.", registry=self.registry
        )
        self.leading: Callable[[], bool] = lambda: True
        leader = Gauge(
            "changeover_leading", "1 while this process leads, and 0 while it waits.", registry=self.registry
        )
        leader.set_function(lambda: float(self.leading()))
        self.resources = ResourceMetrics(lambda: self.leading())
        self.registry.register(self.resources)

    def gone(self, ref: Ref) -> None:
        """The object is gone, and so are its metrics."""
        self.resources.show(ref, None)

    def passed(self, kind: str, seconds: float, failed: bool) -> None:
        """One pass is over."""
        self._seconds.labels(kind).observe(seconds)
        if failed:
            self._errors.labels(kind).inc()


async def serve(port: int, telemetry: Telemetry, alive: Callable[[], bool], ready: Callable[[], bool]) -> web.AppRunner:
    """Listen on a port; returns the runner, to be cleaned up by the caller."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok" if alive() else "the scheduler stopped", status=200 if alive() else 503)

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(
            text="ok" if ready() else "nothing is watched, or was listed, yet", status=200 if ready() else 503
        )

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(telemetry.registry), content_type="text/plain", charset="utf-8")

    app = web.Application()
    app.on_response_prepare.append(_end_connection)
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()
    return runner


async def _end_connection(_: web.Request, response: web.StreamResponse) -> None:
    """A connection that Prometheus keeps is a task, and kopf waits for those before the Lease is let go."""
    response.force_close()
    response.headers[hdrs.CONNECTION] = "close"
