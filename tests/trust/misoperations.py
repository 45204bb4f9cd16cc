"""R7: specs changed by mistake and changed back, generated from the CRDs; nothing breaks, and all ends as it began.

    python -m tests.trust.misoperations [--seed S] [--seconds N]

For every leaf of both specs, bad and odd values: s -> s' -> s. The API server refuses s' in words that name the field;
or the operator takes it, says a reason, and after s has come back ends as it would have without. A migration is changed
at the moment at which its evidence would raise its weight: each rise under s' is held against what s' says and what is
there (``tenant/rises.py``), and after s has come back it must go on to its promotion.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changeover.core.errors import InvalidSpec
from changeover.testing.world import weights

from tests.apiserver.conftest import GROUP_PATH, with_our_kinds
from tests.apiserver.harness import Answer, Client
from tests.apiserver.test_agreement import KIND
from tests.trust.failures import Failures
from tests.trust.tenant.climb import live, on_canary, reason
from tests.trust.tenant.leaves import REMOVED, SIBLING, TWICE, Steps, changed, leaves, odd_values, place_in, spec_schema
from tests.trust.tenant.rises import missing, ports
from tests.trust.tenant.starts import Start, aspect, put_spec, starts

FAILED = Failures(Path(__file__).parent / "misoperations.json")
LONGEST_KEPT = 500  # characters of a value
REFUSED, DEGRADED, TAKEN, FAILURE = (
    "refused at admission", "taken, and another reason said", "taken, and the reason that is said without", "failures",
)  # fmt: skip
ROSE = "of those taken, under which the weight rose, as it may"


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


@dataclass(frozen=True)
class Undisturbed:
    """What a start says, and how it ends, when nothing is changed."""

    said: str
    end: dict[str, Any]


@dataclass
class Tally:
    """What was tried and what came of it."""

    all_leaves: int
    planned: int
    covered: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[Transition, str]] = field(default_factory=list)

    def report(self) -> str:
        """One line a figure."""
        names = (REFUSED, DEGRADED, TAKEN, FAILURE)  # each transition is one of them
        return "\n".join([
            f"leaf fields: {len(self.covered)} of {self.all_leaves}",
            f"transitions: {sum(self.counts[name] for name in names)} of {self.planned}",
            *(f"{name}: {self.counts[name]}" for name in (*names, ROSE)),
        ])  # fmt: skip

    @property
    def is_well(self) -> bool:
        """Whether nothing failed, and nothing was left out."""
        return not self.failed and len(self.covered) == self.all_leaves


def transitions(known: Sequence[Start], rng: random.Random) -> tuple[int, list[Transition]]:
    """How many leaves there are, and all transitions: first one of each leaf, the rest in a drawn order."""
    first, rest, number = list[Transition](), list[Transition](), 0
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


class Admission:
    """The API server, asked what it says of an edit: each start is made there once, and no edit is stored."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stored: dict[str, dict[str, Any]] = {}

    def answer(self, start: Start, spec: Any) -> Answer:
        """What it says of a start with another spec."""
        path = f"{GROUP_PATH}/namespaces/default/{KIND[start.ref.kind].plural}"
        if start.name not in self._stored:
            metadata = {"name": f"start-{len(self._stored)}", "namespace": "default"}
            body = {"apiVersion": "changeover.dev/v1alpha1", "kind": start.ref.kind, "metadata": metadata}
            made = self._client.create(path, {**body, "spec": start.spec})
            assert made.ok, f"{start.name}: {made.message}"
            self._stored[start.name] = made.body
        before = self._stored[start.name]
        edit = f"{path}/{before['metadata']['name']}?dryRun=All&fieldValidation=Strict"
        return self._client.request("PUT", edit, {**before, "spec": spec})


async def outcome(one: Transition, server: Admission, known: Mapping[str, Undisturbed]) -> tuple[list[str], str]:
    """As what a transition counts, and why it is a failure if it is one."""
    spec = changed(one.start.spec, one.place, one.what, one.value)
    answer = server.answer(one.start, spec)
    if not answer.ok:
        names = {str(key) for key in one.place} | {"unknownSibling"}
        named = any(name in answer.message for name in names)
        return ([REFUSED], "") if named else ([FAILURE], f"the refusal names no field: {answer.message[:200]}")
    start = one.start.again()
    began = start.watch.rises
    try:
        put_spec(start.world, start.ref, spec)
        await start.go_on()
        said, gone = reason(start.world, start.ref), _gone(start)
        beside, astray = [ROSE] * (start.watch.rises > began), _astray(start)
        put_spec(start.world, start.ref, start.spec)
        await start.come_back()
    except InvalidSpec as error:
        return [FAILURE], f"only the model refuses it: {error!s:.300}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [FAILURE], f"{type(error).__name__}: {error!s:.200} at {where.filename}:{where.lineno}"
    undisturbed = known[start.name]
    why = _silent(said, gone, undisturbed) or "; ".join([*astray, *start.watch.wrong])
    why = why or _ends_otherwise(start, undisturbed)
    return [FAILURE if why else TAKEN if said == undisturbed.said else DEGRADED, *beside], why


def _gone(start: Start) -> list[str]:
    """What the spec that stands names, and is not there."""
    body = start.world.cluster.peek(start.ref)
    return missing(body["spec"], start.world) if body is not None and start.pace.climbs else []


def _astray(start: Start) -> list[str]:
    """What a changed spec does to the traffic that nobody wants."""
    edit = start.watch.edit
    if not start.pace.climbs or edit is None:
        return []
    routed = {name for route in live(start.world) for name, weight in weights(route).items() if weight}
    lost = routed - {one["metadata"]["name"] for one in start.world.cluster.all("Service")}
    stable = edit.spec["stable"]["service"]["name"]  # whether the canary has the port is the gateway's to say
    lost |= {f"{name}:{port}" for name, port in _routed(start) - ports(start.world) if name == stable}
    named = edit.spec["traffic"]["gatewayAPI"]["route"]["name"]
    left = [route for route, share in on_canary(start.world, edit).items() if share and route != named]
    return [f"{name} has weight and is not there" for name in sorted(lost)] + [
        f"the canary has a share by route {route}, which the spec does not name" for route in left
    ]


def _routed(start: Start) -> set[tuple[str, int]]:
    """Service and port of all backends with weight."""
    rules = [rule for route in live(start.world) for rule in route["spec"].get("rules") or []]
    backends = [one for rule in rules for one in rule.get("backendRefs") or []]
    return {(one["name"], one["port"]) for one in backends if one.get("weight", 1)}


def _silent(said: str, gone: list[str], undisturbed: Undisturbed) -> str:
    """Why what was said is not enough; empty when it is."""
    if not said:
        return "no condition Ready with a reason"
    return f"{', '.join(gone)}: not there, and nobody is told" if gone and said == undisturbed.said else ""


def _ends_otherwise(start: Start, undisturbed: Undisturbed) -> str:
    """How the end differs from that without a change; empty when it does not."""
    end, reference = aspect(start), undisturbed.end
    return "" if end == reference else f"it ends otherwise: {_difference(end, reference)}"


async def undisturbed(start: Start) -> Undisturbed:
    """What happens when nothing is changed; what climbs must rise, and come to its end."""
    alone = start.again()
    began = alone.watch.rises
    await alone.go_on()
    said, rose = reason(alone.world, alone.ref), alone.watch.rises > began
    await alone.come_back()
    end = aspect(alone)
    if start.pace.climbs:
        assert rose and end["outcome"] == "Promoted" and not alone.watch.wrong, f"{start.name}: {end} {alone.watch}"
    return Undisturbed(said, end)


def _difference(end: dict[str, Any], reference: dict[str, Any]) -> str:
    differs = {key: (end[key], reference[key]) for key in end if end[key] != reference[key]}
    return f"{differs}"[:500]


async def explore(
    client: Client, seed: int, seconds: float, keep: Callable[[Transition], None] = lambda failed: None
) -> Tally:
    """Stored failures first, then as many transitions as there is time for. What fails is kept at once."""
    until = time.monotonic() + seconds
    known = await starts()
    references = {start.name: await undisturbed(start) for start in known}
    number, drawn = transitions(known, random.Random(seed))
    stored, tally, server = FAILED.read(), Tally(number, len(drawn)), Admission(client)
    for one in sorted(drawn, key=lambda t: _position(t, stored)):
        if time.monotonic() > until:
            break
        what, why = await outcome(one, server, references)
        tally.counts.update(what)
        tally.covered.add(f"{one.start.ref.kind} {one.leaf}")
        if why:
            tally.failed.append((one, why))
            keep(one)
    return tally


def store(failed: Transition) -> None:
    """To be tried first from now on; not what is too long for a file that people read."""
    if len(str(failed.value)) < LONGEST_KEPT:
        FAILED.add([failed.key()])


def _position(one: Transition, stored: list[Any]) -> bool:
    return bool(stored) and one.key() not in stored


def main(argv: list[str] | None = None) -> int:
    """Explore, print the figures, and store what failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.misoperations", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    asked = parser.parse_args(argv)
    with with_our_kinds() as server, server.client() as client:
        tally = asyncio.run(explore(client, asked.seed, asked.seconds, store))
    print(tally.report())
    for one, why in tally.failed:
        print(f"{one.start.name}: {one.leaf} {one.what} {one.value!r:.60}: {why}")
    return 0 if tally.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
