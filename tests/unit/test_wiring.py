"""The operator goes on when kopf does not: real kopf, and an API server on loopback that refuses a watch."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest
from aiohttp import web
from changeover import wiring
from changeover.config import Config
from changeover.core.errors import Unavailable
from changeover.core.plan import Ref
from changeover.handlers import PLURALS
from changeover.scheduler import Scheduler
from changeover.testing.builders import a_migration
from changeover.testing.world import World
from kopf._cogs.aiokits import aiotasks
from kubernetes.aio.client import ApiClient, Configuration
from prometheus_client import generate_latest

from tests.unit.loopback import Handler, Server, serving

VERBS = ["get", "list", "patch", "watch"]
OURS = "/apis/changeover.dev/v1alpha1"
SHOP, TWO = (Ref("CanaryMigration", "shop", name) for name in ("shop", "two"))
CONFIG = Config.model_validate(
    {"metricSources": [{"name": "default", "url": "http://127.0.0.1:1"}], "loaderImage": "x"}
)


def stored(ref: Ref) -> dict[str, Any]:
    found = a_migration(ref.name)
    found["metadata"] |= {"uid": ref.name, "generation": 1, "resourceVersion": "5"}
    return found


class Api(Server):
    """Two kinds, and one object of the first; a watch is refused so often, and then tells of another."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0
        self.lists = 200  # how they are answered
        self.status = 404
        self.ended = threading.Event()

    def answer(self, handler: Handler) -> None:
        path, _, query = handler.path.partition("?")
        if "watch=true" in query:
            return self.watch(handler, path)
        kinds = {**PLURALS, "CustomResourceDefinition": "customresourcedefinitions", "Namespace": "namespaces"}
        resources = [
            {"name": plural, "singularName": "", "kind": kind, "namespaced": kind in PLURALS, "verbs": VERBS}
            for kind, plural in kinds.items()
        ]
        groups = [
            {"name": name, "versions": [{"version": version}], "preferredVersion": {"version": version}}
            for name, version in (("changeover.dev", "v1alpha1"), ("apiextensions.k8s.io", "v1"))
        ]
        told = {"/api": {"versions": ["v1"]}, "/apis": {"groups": groups}}
        told |= {path: {"resources": resources} for path in ("/api/v1", "/apis/apiextensions.k8s.io/v1", OURS)}
        items = [stored(SHOP)] if path.endswith("canarymigrations") else []
        found = told.get(path, {"metadata": {"resourceVersion": "10"}, "items": items})
        status = self.lists if path.startswith(f"{OURS}/") else 200
        handler.send(json.dumps(found).encode(), status, Content_Type="application/json")

    def watch(self, handler: Handler, path: str) -> None:
        is_first = path.endswith("canarymigrations")
        if is_first and self.refusals > 0:
            self.refusals -= 1
            told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status, "message": "no"}
            handler.send(json.dumps(told).encode(), self.status, Content_Type="application/json")
            return
        handler.send_response(200)
        handler.end_headers()
        if is_first:
            handler.wfile.write(json.dumps({"type": "ADDED", "object": stored(TWO)}).encode() + b"\n")
        self.ended.wait(20)


@pytest.fixture(autouse=True, scope="module")
def unheard() -> Iterator[None]:
    """kopf leaves tasks whose errors nobody asked for: when they are collected, it is told in no other test's time."""
    log = logging.getLogger("asyncio")
    log.disabled = True
    yield
    gc.collect()
    log.disabled = False


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    server, wait = Api(), aiotasks.wait
    there = {"server": f"http://127.0.0.1:{server.server_address[1]}"}
    kubeconfig = {
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": there}], "users": [{"name": "u", "user": {"token": "t"}}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr(wiring, "WATCH_AGAIN_SECONDS", 0.05)

    async def hurried(tasks: Any, **how: Any) -> Any:
        """kopf gives what hangs at its end five seconds."""
        return await wait(tasks, **{**how, **({"timeout": 0.1} if how.get("timeout") else {})})

    monkeypatch.setattr(aiotasks, "wait", hurried)
    with serving(server):
        yield server
        server.ended.set()


async def true(what: Callable[[], bool]) -> None:
    """Soon, at last."""
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 -- what others do sets no event
            await asyncio.sleep(0.02)


class Watched:
    """The operator's watch while a block lasts, and what it woke."""

    def __init__(self) -> None:
        self.woken: list[Ref] = []
        self.watching = asyncio.Event()

    async def __aenter__(self) -> Watched:
        async def note(ref: Ref) -> None:
            self.woken.append(ref)

        scheduler = Scheduler({"CanaryMigration": note}, wiring.Telemetry())
        self.work = asyncio.create_task(scheduler.run())
        await asyncio.sleep(0)
        self.watch = asyncio.create_task(wiring.watch(CONFIG, scheduler, self.watching, asyncio.Event()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self.watch, self.work):
            task.cancel()
        await asyncio.gather(self.watch, self.work, return_exceptions=True)

    async def until(self, what: Callable[[], bool]) -> None:
        await true(lambda: self.watch.done() or what())
        assert not self.watch.done(), self.watch.exception()

    async def end(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await self.watch


@pytest.mark.parametrize("status", [401, 404])
async def test_a_watch_that_is_refused_ends_no_process(api: Api, status: int, caplog: Any) -> None:
    api.refusals, api.status = 1, status
    async with Watched() as watched:
        await watched.until(lambda: TWO in watched.woken and "begins again" in caplog.text)
        await watched.until(watched.watching.is_set)
        assert SHOP in watched.woken
        await watched.end()


async def test_a_signal_between_two_watches_is_heard(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """kopf has ended then, and its own handler of signals has nobody to tell."""
    monkeypatch.setattr(wiring, "WATCH_AGAIN_SECONDS", 60.0)
    api.refusals = 1000
    async with Watched() as watched:
        await watched.until(lambda: "watching ended and begins again" in caplog.text)
        assert not watched.watching.is_set()
        await watched.end()


@pytest.mark.parametrize("refused", [403, 404, 503])
async def test_ready_is_who_has_listed_all_that_is_there(api: Api, refused: int, monkeypatch: Any) -> None:
    """kopf says that it is ready before it has asked for anything."""
    client = ApiClient(Configuration(host=f"http://127.0.0.1:{api.server_address[1]}"))
    probes: dict[str, Any] = {}

    async def serve(*_: Any, **asked: Any) -> web.AppRunner:
        probes.update(asked)
        return web.AppRunner(web.Application())

    monkeypatch.setattr(wiring, "connect", mock.AsyncMock(return_value=client))
    monkeypatch.setattr(wiring, "serve", serve)
    monkeypatch.setattr(wiring, "LIST_AGAIN_SECONDS", 0.05)
    api.lists = refused
    running = asyncio.create_task(wiring.run(CONFIG))
    await asyncio.sleep(0.5)
    assert (probes["alive"](), probes["ready"]()) == (True, False)
    api.lists = 200
    await true(lambda: probes["ready"]())
    assert probes["alive"]()
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(15):
        await running


class Lists:
    """A cluster of which each namespace is listed by ``answer``."""

    def __init__(self, answer: Callable[[str], list[Any]]) -> None:
        self.answer = answer

    async def list(self, kind: str, namespace: str, _: Any) -> list[Any]:
        return self.answer(namespace) if kind == SHOP.kind else []


@pytest.mark.parametrize("told", [(), (SHOP,)], ids=["nobody tells", "made anew meanwhile"])
async def test_what_a_list_lacks_is_a_ghost_unless_it_was_told_of_while_the_list_was_read(
    told: tuple[Ref, ...],
) -> None:
    telemetry, listed = wiring.Telemetry(), asyncio.Event()
    scheduler = wiring.make_scheduler(World().dependencies(), telemetry)
    scheduler.wake(SHOP)
    scheduler.wake(TWO)

    def lacking(_: str) -> list[Any]:
        for ref in told:
            scheduler.wake(ref)
        return []

    running = asyncio.create_task(wiring.resync(cast(Any, Lists(lacking)), scheduler, telemetry, "", listed))
    await true(listed.is_set)
    running.cancel()
    assert scheduler.known() == set(told)


async def test_a_namespace_that_cannot_be_listed_takes_nothing_from_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And loses nothing itself: what is known of it stays."""
    names = ["team-a", "team-b", "team-c"]
    a, b, c = (Ref(SHOP.kind, name, "shop") for name in names)
    telemetry, listed = wiring.Telemetry(), asyncio.Event()
    scheduler = wiring.make_scheduler(World().dependencies(), telemetry)
    for ref in (b, c):
        scheduler.wake(ref)

    def answer(namespace: str) -> list[Any]:
        if namespace == "team-b":
            raise Unavailable("not allowed here")
        return [{"metadata": {"namespace": namespace, "name": "shop"}}] if namespace == "team-a" else []

    cluster = cast(Any, Lists(answer))
    running = [
        asyncio.create_task(wiring.resync(cluster, scheduler, telemetry, namespace, listed)) for namespace in names
    ]
    await true(lambda: listed.is_set() and "not allowed here" in caplog.text and c not in scheduler.known())
    for task in running:
        task.cancel()
    assert scheduler.known() == {a, b}


async def test_the_objects_that_are_scheduled_are_those_of_the_moment() -> None:
    telemetry, world = wiring.Telemetry(), World()
    scheduler = wiring.make_scheduler(world.dependencies(), telemetry)
    for number, change in enumerate([scheduler.wake, scheduler.wake, scheduler.forget]):
        change(TWO if number else SHOP)
        told = generate_latest(telemetry.registry).decode()
        assert f"changeover_objects_scheduled {(1, 2, 1)[number]}.0\n" in told


def test_kopf_kills_no_process_long_after_its_end() -> None:
    """It would, ten minutes after it ended by itself, and we have begun again by then."""
    assert wiring.make_settings().process.ultimate_exiting_timeout is None
