"""Composition root: the only place that knows adapters and reconcilers together."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import kopf
from kubernetes.aio import config as kubeconfig
from kubernetes.aio.client import ApiClient, Configuration

from changeover.adapters.cluster import KubernetesCluster
from changeover.adapters.endpoints import Telemetry, serve
from changeover.adapters.load.jobs import JobLoadDriver
from changeover.adapters.metrics.prometheus import PrometheusSource, SourceSettings
from changeover.adapters.outgoing import HttpOutgoing
from changeover.adapters.routers.gateway_api import GatewayAPIRouter
from changeover.config import Config
from changeover.core.errors import ChangeoverError
from changeover.core.plan import Ref
from changeover.handlers import PLURALS, make_registry, make_settings
from changeover.ports import Cluster, Dependencies
from changeover.reconcilers.benchmark import reconcile_benchmark
from changeover.reconcilers.migration import reconcile_migration
from changeover.scheduler import Scheduler

log = logging.getLogger(__name__)
RESYNC_SECONDS = 300.0  # how often all objects are listed, in case a watch lost one


class SystemClock:
    """The port ``Clock``."""

    def now(self) -> datetime:
        """Now, in UTC."""
        return datetime.now(UTC)


async def connect() -> ApiClient:
    """A client of the cluster that we run in, or of the current kube-context."""
    configuration = Configuration()
    try:
        kubeconfig.load_incluster_config(client_configuration=configuration)
    except kubeconfig.ConfigException:
        await kubeconfig.load_kube_config(client_configuration=configuration)
    return ApiClient(configuration=configuration)


def make_dependencies(config: Config, client: ApiClient, telemetry: Telemetry) -> Dependencies:
    """The adapters."""
    clock = SystemClock()
    cluster = KubernetesCluster(client, clock, socket.gethostname())
    settings = [
        SourceSettings(s.name, s.url, s.timeout_seconds, s.scrape_interval_seconds) for s in config.metric_sources
    ]
    return Dependencies(
        clock=clock,
        cluster=cluster,
        router=GatewayAPIRouter(cluster),
        load=JobLoadDriver(cluster),
        outgoing=HttpOutgoing(config.notifications.allowed_hosts),
        sources={s.name: PrometheusSource(s) for s in settings},
        scrape_seconds={s.name: s.scrape_seconds for s in settings},
        open_sources=frozenset(s.name for s in config.metric_sources if s.allow_queries),
        loader_image=config.loader_image,
        gateways={f"{g.namespace}/{g.name}": g.url for g in config.gateways},
        show=telemetry.resources.show,
    )


def make_scheduler(deps: Dependencies, telemetry: Telemetry) -> Scheduler:
    """The scheduler with our two reconcilers; live migrations first."""
    reconcilers: dict[str, Callable[[Ref], Awaitable[float | None]]] = {
        "CanaryMigration": partial(reconcile_migration, deps=deps),
        "FrameworkBenchmark": partial(reconcile_benchmark, deps=deps),
    }
    return Scheduler(reconcilers, telemetry)


async def resync(cluster: Cluster, scheduler: Scheduler, telemetry: Telemetry, namespaces: list[str]) -> None:
    """Compare what is scheduled with a full list, for ever: what a broken watch hid is found, ghosts are dropped."""
    while True:
        # Taken before the list: what appears while the list is read is not a ghost.
        known = scheduler.known()
        telemetry.objects.set(len(known))
        try:
            found = {
                Ref(kind, item["metadata"]["namespace"], item["metadata"]["name"])
                for kind in PLURALS
                for namespace in namespaces or [""]
                for item in await cluster.list(kind, namespace, {})
            }
        except ChangeoverError as error:
            log.warning("the full list failed and is tried again: %s", error)
        else:
            for ref in known - found:
                scheduler.forget(ref)
            for ref in found:
                scheduler.wake(ref)
            telemetry.resources.keep(found)
        await asyncio.sleep(RESYNC_SECONDS)


async def run(config: Config) -> None:
    """The operator, until it is stopped by a signal (kopf handles them)."""
    telemetry = Telemetry()
    client = await connect()
    deps = make_dependencies(config, client, telemetry)
    scheduler = make_scheduler(deps, telemetry)
    watching = asyncio.Event()
    work = asyncio.create_task(scheduler.run())
    check = asyncio.create_task(resync(deps.cluster, scheduler, telemetry, config.watch_namespaces))
    runner = await serve(config.port, telemetry, lambda: not work.done(), watching.is_set)
    try:
        await kopf.operator(
            registry=make_registry(scheduler),
            settings=make_settings(),
            standalone=True,
            identity=cast(Any, socket.gethostname()),  # kopf would look up a user name, and a container has none
            clusterwide=not config.watch_namespaces,
            namespaces=config.watch_namespaces,
            ready_flag=watching,
        )
    finally:
        for task in (check, work):
            task.cancel()
        await asyncio.gather(check, work, return_exceptions=True)
        await runner.cleanup()
        await client.close()
