"""R7, a minute of it: specs changed by mistake and changed back. All of it: python -m tests.trust.misoperations."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, cast
from unittest import mock

import pytest
from changeover.api.reasons import Reason
from changeover.api.v1alpha1 import MigrationSpec
from changeover.core import evidence, raising, verbs
from changeover.core.evidence import StepEvidence
from changeover.core.mark import Mark
from changeover.core.migration_state import SeenMigration, Step
from changeover.reconcilers import gates
from changeover.reconcilers import migration as reconciler

from tests.apiserver.harness import Answer, Client
from tests.trust.misoperations import Admission, Tally, Transition, explore, outcome, undisturbed
from tests.trust.tenant.leaves import Steps, leaves, spec_schema, unbounded
from tests.trust.tenant.starts import Start, starts

SEED, SECONDS = 1, 50.0
PLURALS = ("frameworkbenchmarks", "canarymigrations")


async def test_a_spec_that_is_changed_by_mistake_breaks_nothing_and_can_be_changed_back(client: Client) -> None:
    tally = await explore(client, SEED, SECONDS)
    print(f"\n{tally.report()}")
    assert [f"{one.start.name}: {one.key()}: {why}" for one, why in tally.failed] == []
    assert len(tally.covered) == tally.all_leaves


@pytest.mark.parametrize("plural", PLURALS)
def test_every_text_list_and_map_has_a_bound(plural: str) -> None:
    schema = spec_schema(plural)
    assert list(unbounded(schema)) == []
    assert len(list(leaves(schema))) > 80


@pytest.fixture(scope="module")
def climbing() -> Start:
    """A migration that the next pass would raise."""
    return next(one for one in asyncio.run(starts()) if one.name == "a migration on its first step")


def has_time(seen: SeenMigration, mark: Mark, of: StepEvidence) -> None:
    """The trap: a step may end at any time."""


def goes_on_suspended(seen: SeenMigration) -> Step:
    return verbs.decide(replace(seen, spec=seen.spec.model_copy(update={"suspend": False})))


def never_comes_back(seen: SeenMigration) -> Step:
    """Once edited twice, it waits for ever."""
    step = verbs.decide(seen)
    return step if seen.owner.generation < 3 or not step.actions else replace(step, actions=())


def says_what_it_said(seen: SeenMigration) -> Step:
    step = verbs.decide(seen)
    return replace(step, reason=Reason.WAITING_EVIDENCE) if step.reason is Reason.WAITING_FOR_WORKLOADS else step


def goes_by_another_bound(of: StepEvidence, spec: MigrationSpec) -> StepEvidence:
    return of


@dataclass(frozen=True)
class Trap:
    """What of the operator is broken, with which edit that is seen, and as what."""

    module: ModuleType
    name: str
    broken: Any
    place: Steps
    value: Any
    why: str


TRAPS = [
    Trap(raising, "_too_early", has_time, ("steps", 0, "minDuration"), "9h", "it stood for"),
    Trap(evidence, "_of_this_spec", goes_by_another_bound, ("objectives", 0, "latency", "max"), "1ms", "a block lasts"),
    Trap(reconciler, "decide", goes_on_suspended, ("suspend",), True, "the spec suspends it"),
    Trap(reconciler, "decide", never_comes_back, ("suspend",), True, "it ends otherwise"),
    Trap(reconciler, "decide", says_what_it_said, ("stable", "workload", "name"), "nobody", "nobody is told"),
]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.broken.__name__)
async def test_a_broken_operator_is_seen(climbing: Start, trap: Trap) -> None:
    """And the operator as it is passes the same transition."""
    one = Transition(climbing, ".".join(map(str, trap.place)), trap.place, "set", trap.value)
    known = {climbing.name: await undisturbed(climbing)}
    server = Admission(cast(Client, None))
    with mock.patch.object(server, "answer", lambda *asked: Answer(200, {})):
        assert (await outcome(one, server, known))[1] == ""
        again = trap.broken if trap.module is reconciler else verbs.decide  # who asks the gates decides once more
        with mock.patch.object(trap.module, trap.name, trap.broken), mock.patch.object(gates, "decide", again):
            assert trap.why in (await outcome(one, server, known))[1]


def test_what_leaves_out_a_leaf_has_not_tried_all() -> None:
    tally = Tally(all_leaves=2, planned=9, covered={"one"})
    assert not tally.is_well and "1 of 2" in tally.report() and "0 of 9" in tally.report()
    assert replace(tally, covered={"one", "two"}).is_well
