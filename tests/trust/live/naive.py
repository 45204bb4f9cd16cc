"""What the harness finds in operators that are written as many are; one that does not find this proves nothing.

A status that is lost for ever, in one by kopf's own examples: kopf writes what a handler said of status and its own
note that the handler is done in two calls. Killed between them, the operator starts again, finds the note, and never
says the status.

A ghost, in one that keeps what it was told of: when the event of a deletion is hidden, or lost with its watch, it goes
on for the object that is gone. kopf lists anew after a 410, and tells of no deletion either.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import kopf
from changeover.adapters.cluster import KubernetesCluster
from changeover.api.v1alpha1 import GROUP, VERSION
from changeover.core.plan import Ref
from changeover.handlers import log_in
from changeover.testing.builders import NAMESPACE
from changeover.wiring import SystemClock, connect

from tests.trust.live.calls import UNSEEN, How, Place
from tests.trust.live.ends import differences, end_of
from tests.trust.live.hurried import Setting, forked, set_up
from tests.trust.live.stage import Stage, Story, a_stage, tell
from tests.trust.live.stories import BENCHMARK, STORIES, once, status_of, the_benchmark
from tests.trust.live.trials import Bench, numbered, side_by_side

FOREVER = float("inf")
SAID = 42
DELETION = ("DELETED frameworkbenchmarks", 1)
NOTE = Ref("ConfigMap", NAMESPACE, "note-of-web")
TEND_SECONDS = 0.2
GHOST_SECONDS = 2.0  # after the deletion, in which it sees that the benchmark is gone, or goes on for it
SECONDS = 8.0  # until it has said so, or never will
STORY = STORIES["benchmark, published"]


def naive(setting: Setting) -> None:
    """An operator by kopf's book: a handler of creation that says something of status."""
    set_up(setting)
    registry = kopf.OperatorRegistry()

    async def created(patch: kopf.Patch, **_: Any) -> None:
        patch.status["observedGeneration"] = SAID

    kopf.on.create(GROUP, VERSION, "frameworkbenchmarks", registry=registry)(created)
    asyncio.run(_operator(registry, setting))


def forgetful(setting: Setting) -> None:
    """An operator with a cache and a timer: it writes a note of each benchmark until it is told of its deletion."""
    set_up(setting)
    registry, there = kopf.OperatorRegistry(), dict[str, bool]()

    async def told(event: Mapping[str, Any], name: str, **_: Any) -> None:
        there[name] = event["type"] != "DELETED"

    async def tend(cluster: KubernetesCluster) -> None:
        while True:
            for name, is_there in list(there.items()):
                note = Ref("ConfigMap", setting.namespace, f"note-of-{name}")
                if is_there:
                    metadata = {"namespace": note.namespace, "name": note.name}
                    await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
                elif (found := await cluster.get(note)) is not None:
                    await cluster.delete(found)
            await asyncio.sleep(TEND_SECONDS)

    async def both() -> None:
        cluster = KubernetesCluster(await connect(), SystemClock(), "forgetful")
        await asyncio.gather(_operator(registry, setting), tend(cluster))

    kopf.on.event(GROUP, VERSION, "frameworkbenchmarks", registry=registry)(told)
    asyncio.run(both())


async def _operator(registry: kopf.OperatorRegistry, setting: Setting) -> None:
    kopf.on.login(registry=registry)(log_in)
    settings = kopf.OperatorSettings()
    settings.posting.enabled, settings.scanning.disabled = False, True
    await kopf.operator(registry=registry, settings=settings, standalone=True, namespaces=[setting.namespace])


def says_so(bench: Bench, plan: dict[Place, How]) -> tuple[bool, list[Place]]:
    """Whether it says the status in the end, and the places of its writes."""
    with a_stage(bench.mirror, bench.folder, STORY) as stage:
        stage.program, stage.proxy.plan = lambda setting: forked(naive, setting), plan
        deadline = time.monotonic() + SECONDS
        while status_of(stage, BENCHMARK).get("observedGeneration") != SAID and time.monotonic() < deadline:
            stage.play()
        told = status_of(stage, BENCHMARK).get("observedGeneration") == SAID
        return told, list(numbered(stage.proxy.writes))


def losses(bench: Bench) -> list[tuple[Place, How]]:
    """Where a kill loses the status of the naive operator for ever."""
    told, places = says_so(bench, {})
    assert told, "it says nothing even undisturbed"
    hows = (How.KILLED_BEFORE, How.KILLED_AFTER)
    return [(place, how) for place in places for how in hows if not says_so(bench, {place: how})[0]]


def ghosts(bench: Bench) -> list[How]:
    """What of a deletion's event makes the forgetful operator go on, as it does not when it is told."""
    told = dict(side_by_side(lambda how: _after_deletion(bench, how), [None, *UNSEEN], FOREVER))
    assert told[None]["objects"] == [], "it goes on though it is told"
    return [how for how in UNSEEN if differences(told[how], told[None])]


def _after_deletion(bench: Bench, how: How | None) -> dict[str, Any]:
    with a_stage(bench.mirror, bench.folder, DELETED) as stage:
        stage.program = lambda setting: forked(forgetful, setting)
        stage.proxy.plan = {} if how is None else {DELETION: how}
        tell(stage, DELETED)
        assert stage.proxy.met == list(stage.proxy.plan)
        return end_of(stage, DELETED)


def _delete(stage: Stage) -> None:
    """When there is a note of it."""
    if stage.objects.peek(NOTE) is not None and once(stage, "deleted"):
        stage.objects.discard(BENCHMARK)
        stage.notes["until"] = time.monotonic() + GHOST_SECONDS


DELETED = Story(the_benchmark, lambda stage: time.monotonic() > stage.notes.get("until", FOREVER), _delete)
