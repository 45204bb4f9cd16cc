"""R7: specs changed by mistake and changed back, generated from the CRDs; nothing breaks, and all ends as it began.

    python -m tests.trust.misoperations [--seed S] [--seconds N]

For every leaf of both specs, bad and odd values: s -> s' -> s. The API server refuses s' in words that name the field;
or the operator takes it, says a reason, raises no weight, and after s has come back stands where it stood.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changeover.core.errors import InvalidSpec

from tests.apiserver.conftest import with_our_kinds
from tests.apiserver.harness import Client
from tests.apiserver.test_agreement import KIND, dry_run
from tests.trust.failures import Failures
from tests.trust.tenant.leaves import REMOVED, SIBLING, TWICE, Steps, changed, leaves, odd_values, place_in, spec_schema
from tests.trust.tenant.starts import PASSES_AFTER, PASSES_BACK, Start, aspect, put_spec, reason, run, starts

FAILED = Failures(Path(__file__).parent / "misoperations.json")
LONGEST_KEPT = 500  # characters of a value
REFUSED, DEGRADED, HARMLESS, FAILURE = "refused at admission", "degraded with a reason", "harmless", "failures"
# What a person asks for by these is that the weight may rise, or that another migration begins.
MOVES_WEIGHT = ("spec.stable", "spec.canary", "spec.traffic")


@dataclass(frozen=True)
class Transition:
    """One change of one leaf of one start."""

    start: Start
    leaf: str
    place: Steps
    what: str
    value: Any

    def key(self) -> list[Any]:
        """By which it is stored, and found again."""
        return [self.start.name, self.leaf, self.what, self.value]


@dataclass
class Tally:
    """What was tried and what came of it."""

    all_leaves: int
    covered: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[Transition, str]] = field(default_factory=list)

    def report(self) -> str:
        """One line a figure."""
        counts = [f"{name}: {self.counts[name]}" for name in (REFUSED, DEGRADED, HARMLESS, FAILURE)]
        return "\n".join([f"leaf fields: {len(self.covered)} of {self.all_leaves}",
                          f"transitions: {self.counts.total()}", *counts])  # fmt: skip


def transitions(known: Sequence[Start], rng: random.Random) -> tuple[int, list[Transition]]:
    """How many leaves there are, and all transitions: first one of each leaf, the rest in a drawn order."""
    first, rest, number = [], [], 0
    for plural in ("frameworkbenchmarks", "canarymigrations"):
        for leaf in leaves(spec_schema(plural)):
            number += 1
            found = [t for start in known if KIND[start.ref.kind].plural == plural for t in _of(start, leaf)]
            rng.shuffle(found)
            first += found[:1]
            rest += found[1:]
    rng.shuffle(rest)
    return number, [*first, *rest]


def _of(start: Start, leaf: Any) -> Iterator[Transition]:
    place = place_in(start.spec, leaf.path)
    if place is None:
        return
    current: Any = start.spec
    for key in place:
        current = current.get(key) if isinstance(current, dict) else current[key]
    for value in odd_values(leaf, current):
        yield Transition(start, leaf.path, place, "set", value)
    for what in (REMOVED, SIBLING, TWICE):
        yield Transition(start, leaf.path, place, what, 1)


async def outcome(one: Transition, client: Client, references: dict[str, Any]) -> tuple[str, str]:
    """What came of a transition, and why it is a failure if it is one."""
    spec = changed(one.start.spec, one.place, one.what, one.value)
    answer = dry_run(client, KIND[one.start.ref.kind], spec)
    if not answer.ok:
        names = {str(key) for key in one.place} | {"unknownSibling"}
        named = any(name in answer.message for name in names)
        return (REFUSED, "") if named else (FAILURE, f"the refusal names no field: {answer.message[:200]}")
    world, ref = one.start.again(), one.start.ref
    before = aspect(world, ref)["weight"]
    try:
        put_spec(world, ref, spec)
        await run(world, ref, PASSES_AFTER)
        said, weight = reason(world, ref), aspect(world, ref)["weight"]
        put_spec(world, ref, one.start.spec)
        await run(world, ref, PASSES_BACK)
    except InvalidSpec as error:
        return FAILURE, f"only the model refuses it: {error!s:.300}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return FAILURE, f"{type(error).__name__}: {error!s:.200} at {where.filename}:{where.lineno}"
    why = _judged(one, (before, weight), said, (aspect(world, ref), references[one.start.name]))
    return (FAILURE, why) if why else (HARMLESS if said == reason(one.start.world, ref) else DEGRADED, "")


def _judged(one: Transition, weights: tuple[int, int], said: str, ends: tuple[Any, Any]) -> str:
    if not said:
        return "no condition Ready with a reason"
    if weights[1] > weights[0]:
        return f"the weight rose from {weights[0]} to {weights[1]}"
    end, reference = ends
    if one.leaf == "spec.traffic.gatewayAPI.route.name":
        # A route is never deleted, since it may carry traffic: that of the wrong name stays, with all of it on stable.
        end, reference = ({**state, "objects": ()} for state in (end, reference))
    if one.start.world.metrics.mode == "good" and one.leaf.startswith(MOVES_WEIGHT):
        end, reference = end["finalizers"], reference["finalizers"]  # it was another migration, and began anew
    return "" if end == reference else f"it ends otherwise: {_difference(end, reference)}"


def _difference(end: dict[str, Any], reference: dict[str, Any]) -> str:
    differs = {key: (end[key], reference[key]) for key in end if end[key] != reference[key]}
    return f"{differs}"[:500]


async def explore(client: Client, seed: int, seconds: float) -> Tally:
    """Stored failures first, then as many transitions as there is time for."""
    until = time.monotonic() + seconds
    known = await starts()
    references = {}
    for start in known:
        world = start.again()
        await run(world, start.ref, PASSES_AFTER + PASSES_BACK)
        references[start.name] = aspect(world, start.ref)
    number, drawn = transitions(known, random.Random(seed))
    stored, tally = FAILED.read(), Tally(number)
    for one in sorted(drawn, key=lambda t: _position(t, stored)):
        if time.monotonic() > until:
            break
        what, why = await outcome(one, client, references)
        tally.counts[what] += 1
        tally.covered.add(f"{one.start.ref.kind} {one.leaf}")
        if why:
            tally.failed.append((one, why))
    return tally


def _position(one: Transition, stored: list[Any]) -> bool:
    return bool(stored) and one.key() not in stored


def main(argv: list[str] | None = None) -> int:
    """Explore, print the figures, and store what failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.misoperations", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600.0)
    asked = parser.parse_args(argv)
    with with_our_kinds() as server, server.client() as client:
        tally = asyncio.run(explore(client, asked.seed, asked.seconds))
    print(tally.report())
    for one, why in tally.failed:
        print(f"{one.start.name}: {one.leaf} {one.what} {one.value!r:.60}: {why}")
    FAILED.add(one.key() for one, _ in tally.failed if len(str(one.value)) < LONGEST_KEPT)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
