"""Composition root: the only place that knows adapters and reconcilers together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import kopf
from kubernetes.aio import config as kubeconfig
from kubernetes.aio.client import ApiClient, Configuration

from changeover.adapters.cluster import KubernetesCluster
from changeover.adapters.endpoints import Telemetry, serve
from changeover.adapters.lease import Lease, Terms
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
LIST_AGAIN_SECONDS = 10.0  # after a list that failed
WATCH_AGAIN_SECONDS = 5.0  # after kopf's end


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


def make_lease(config: Config, client: ApiClient) -> Lease | None:
    """Our part in the Lease; None where the configuration names none."""
    if config.lease is None:
        return None
    # A pod has one process at a time; without a pod every process is a stranger to the one before.
    identity = f"{os.environ.get('POD_NAME', '')}/{uuid.uuid4().hex[:12]}"
    terms = Terms(Ref("Lease", config.lease.namespace, config.lease.name), identity, config.lease.seconds)
    return Lease(KubernetesCluster(client, SystemClock(), identity), terms)


def make_dependencies(
    config: Config, client: ApiClient, telemetry: Telemetry, lease: Lease | None = None
) -> Dependencies:
    """The adapters; with a Lease, nothing is written that it does not allow."""
    clock, may_write = SystemClock(), (lambda: None) if lease is None else lease.check
    cluster = KubernetesCluster(client, clock, socket.gethostname(), may_write)
    settings = [
        SourceSettings(s.name, s.url, s.timeout_seconds, s.scrape_interval_seconds, s.service_label)
        for s in config.metric_sources
    ]
    return Dependencies(
        clock=clock,
        cluster=cluster,
        router=GatewayAPIRouter(cluster),
        load=JobLoadDriver(cluster, clock),
        outgoing=HttpOutgoing(config.notifications.allowed_hosts),
        sources={s.name: PrometheusSource(s) for s in settings},
        scrape_seconds={s.name: s.scrape_seconds for s in settings},
        open_sources=frozenset(s.name for s in config.metric_sources if s.allow_queries),
        loader_image=config.loader_image,
        gateways={f"{g.namespace}/{g.name}": g.url for g in config.gateways},
        show=telemetry.resources.show,
        term=lambda: 0 if lease is None else lease.term,
    )


def make_scheduler(deps: Dependencies, telemetry: Telemetry, lease: Lease | None = None) -> Scheduler:
    """The scheduler with our two reconcilers; live migrations first."""
    reconcilers: dict[str, Callable[[Ref], Awaitable[float | None]]] = {
        "CanaryMigration": partial(reconcile_migration, deps=deps),
        "FrameworkBenchmark": partial(reconcile_benchmark, deps=deps),
    }
    scheduler = Scheduler(reconcilers, telemetry, led=None if lease is None else lease.led)
    telemetry.objects.set_function(lambda: len(scheduler.known()))
    return scheduler


async def resync(
    cluster: Cluster, scheduler: Scheduler, telemetry: Telemetry, namespace: str, listed: asyncio.Event
) -> None:
    """Compare what is scheduled with a full list, for ever: what a broken watch hid is found, ghosts are dropped.

    Of one namespace, or of all with "": one that cannot be listed takes nothing from the others. ``listed`` is set by
    a list that succeeds; also of who waits for the Lease, who is ready for it then.
    """
    while True:
        # Taken before the list: what appears while it is read, or is made anew under its name, is not a ghost.
        known = scheduler.known()
        try:
            with scheduler.woken_meanwhile() as woken:
                found = {
                    Ref(kind, item["metadata"]["namespace"], item["metadata"]["name"])
                    for kind in PLURALS
                    for item in await cluster.list(kind, namespace, {})
                }
        except ChangeoverError as error:
            log.warning("the full list failed and is tried again in %.0f s: %s", LIST_AGAIN_SECONDS, error)
            await asyncio.sleep(LIST_AGAIN_SECONDS)
            continue
        for ref in known - woken - found:
            if namespace in ("", ref.namespace):
                scheduler.forget(ref)
        for ref in found:
            scheduler.wake(ref)
        telemetry.resources.keep(found, namespace)
        listed.set()
        await asyncio.sleep(RESYNC_SECONDS)


async def watch(config: Config, scheduler: Scheduler, watching: asyncio.Event, stop: asyncio.Event) -> None:
    """kopf until a signal, begun again whenever it ends before.

    It ends for one 401, 404 or ERROR event, or a minute of other refusals, and a process that ends with it is held down
    by the kubelet for up to five minutes. Scheduler, Lease and full list go on meanwhile: nothing is unattended.
    """
    while not stop.is_set():
        try:
            await _watch_once(config, scheduler, watching, stop)
        except Exception:  # kopf names none: whatever the API server, the network or the account lacked
            log.exception("watching ended and begins again in %.0f s", WATCH_AGAIN_SECONDS)
        watching.clear()
        with contextlib.suppress(TimeoutError):
            # Not wait_for: up to Python 3.11 it may swallow a cancellation, and the operator would not end.
            async with asyncio.timeout(WATCH_AGAIN_SECONDS):
                await stop.wait()


async def _watch_once(config: Config, scheduler: Scheduler, watching: asyncio.Event, stop: asyncio.Event) -> None:
    """kopf as it comes, with nothing of the time before: its credentials, for one, are those that were refused."""
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=make_registry(scheduler),
        settings=make_settings(),
        standalone=True,
        identity=cast(Any, socket.gethostname()),  # kopf would look up a user name, and a container has none
        clusterwide=not config.watch_namespaces,
        namespaces=config.watch_namespaces,
        ready_flag=watching,
        stop_flag=stop,
    )
    # After kopf's own, which nobody hears once it has ended.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await kopf.run_tasks(tasks, ignored=ours)


async def run(config: Config) -> None:
    """The operator, until it is stopped by a signal."""
    telemetry = Telemetry()
    client = await connect()
    lease = make_lease(config, client)
    deps = make_dependencies(config, client, telemetry, lease)
    scheduler = make_scheduler(deps, telemetry, lease)
    telemetry.leading = lambda: lease is None or lease.leading
    watching, listed, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    places = config.watch_namespaces or [""]
    lists = [resync(deps.cluster, scheduler, telemetry, namespace, listed) for namespace in places]
    parts = [scheduler.run(), *lists, *([lease.run()] if lease is not None else [])]
    tasks = [asyncio.create_task(part) for part in parts]
    await asyncio.sleep(0)  # the scheduler's workers are there: kopf, when it ends, takes younger tasks for its own
    runner = await serve(
        config.port,
        telemetry,
        alive=lambda: not any(task.done() for task in tasks),
        # kopf calls itself ready before it has asked for anything: without rights it would be ready for ever.
        ready=lambda: watching.is_set() and listed.is_set(),
    )
    try:
        await watch(config, scheduler, watching, stop)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if lease is not None:
            await lease.release()
        await runner.cleanup()
        await client.close()
