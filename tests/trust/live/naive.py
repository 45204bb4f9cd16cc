"""What the harness finds in an operator that is written as kopf's own examples are: a status that is lost for ever.

kopf writes what a handler said of status and its own note that the handler is done in two calls. Killed between them,
the operator starts again, finds the note, and never says the status. A harness that does not find this proves nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import kopf
from changeover.api.v1alpha1 import GROUP, VERSION
from changeover.handlers import log_in

from tests.trust.live.calls import How, Place
from tests.trust.live.hurried import Setting, forked, set_up
from tests.trust.live.stage import a_stage
from tests.trust.live.stories import BENCHMARK, STORIES, status_of
from tests.trust.live.trials import Bench, numbered

SAID = 42
SECONDS = 8.0  # until it has said so, or never will
STORY = STORIES["benchmark, published"]


def naive(setting: Setting) -> None:
    """An operator by kopf's book: a handler of creation that says something of status."""
    set_up(setting)
    registry = kopf.OperatorRegistry()

    async def created(patch: kopf.Patch, **_: Any) -> None:
        patch.status["observedGeneration"] = SAID

    kopf.on.login(registry=registry)(log_in)
    kopf.on.create(GROUP, VERSION, "frameworkbenchmarks", registry=registry)(created)
    settings = kopf.OperatorSettings()
    settings.posting.enabled, settings.scanning.disabled = False, True
    namespaces = [setting.namespace]
    asyncio.run(kopf.operator(registry=registry, settings=settings, standalone=True, namespaces=namespaces))


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
