"""S5: what others write into annotations, labels, statuses and logs ends no pass with an exception.

    python -m tests.trust.hostile [--cases N] [--seed S]

In ten states of a migration and a benchmark one object that a pass reads is made nonsense; then the pass is made, and
that of a neighbour where the neighbour reads the object, too, and the metrics are asked for. Each case is drawn from a
seed of its own; those that failed are stored, and tried first from then on. That no neighbour is delayed, and no
process ends, is nothing that passes in one process show: ``python -m tests.trust.live.hostile``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from changeover.core.plan import Ref

from tests.trust.failures import Failures
from tests.trust.tenant.nonsense import NEIGHBOUR, Hostile, State, attack, forges_a_mark, highest_weight, look, states

FAILED = Failures(Path(__file__).parent / "hostile.json")
MOST_BYTES = 4 << 30  # a case that wants more is a failure that is told, and not the end of the run
OURS = ("CanaryMigration", "FrameworkBenchmark", "HTTPRoute")  # of which each reads its own, and no other's


@dataclass(frozen=True)
class Case:
    """A state, by its name, and the seed from which the nonsense in it is drawn."""

    state: str
    seed: str

    def key(self) -> list[str]:
        """As it is stored."""
        return [self.state, self.seed]


@dataclass(frozen=True)
class Known:
    """A state, and what its passes do while nobody writes nonsense."""

    state: State
    weight: int
    """Of the canary, the more of what the route has and what the pass writes; percent."""
    neighbour: int
    """The same of the neighbour's canary."""


@dataclass
class Tally:
    """What was tried, and what came of it."""

    states: int
    cases: int = 0
    shared: int = 0  # in which the neighbour's pass read what was spoilt
    failed: list[tuple[Case, str]] = field(default_factory=list)

    def report(self) -> str:
        """One line."""
        shared = f"in {self.shared} of them a neighbour's pass read the nonsense, too"
        return f"{self.cases} cases in {self.states} states, {shared}; {len(self.failed)} failures"


async def known_states() -> dict[str, Known]:
    """All states by their names, looked at undisturbed."""
    found = {}
    for state in await states():
        highest = [await _highest(state, Hostile(state.world.cluster), ref) for ref in (state.ref, NEIGHBOUR)]
        found[state.name] = Known(state, *highest)
    return found


async def _highest(state: State, cluster: Hostile, ref: Ref) -> int:
    """The highest weight that a canary has before or after a pass; of a benchmark none."""
    route = "other" if ref == NEIGHBOUR else "shop"
    writes = await look(state, cluster, ref)
    return max(state.world.weight_of(route, "new") or 0, highest_weight(writes, route))


def cases(names: Sequence[str], number: int, seed: int) -> Iterator[Case]:
    """What failed once, then so many, the states in turn."""
    yield from (case for case in (Case(*key) for key in FAILED.read()) if case.state in names)
    for done in range(number):
        yield Case(names[done % len(names)], f"{seed}-{done}")


async def explore(number: int, seed: int, keep: Callable[[Case], None] = lambda failed: None) -> Tally:
    """So many cases, and what is wrong with how they ended. What fails is kept at once."""
    known = await known_states()
    tally = Tally(len(known))
    for case in cases(list(known), number, seed):
        tally.cases += 1
        why = await _wrong(case, known[case.state], tally)
        if why:
            tally.failed.append((case, why))
            keep(case)
    return tally


async def _wrong(case: Case, known: Known, tally: Tally) -> str:
    """What is wrong with how a case ended, if anything is."""
    what, cluster = attack(known.state, random.Random(case.seed))
    try:
        if await _highest(known.state, cluster, known.state.ref) > known.weight and not forges_a_mark(cluster):
            return f"the weight rises with {what}"
        if any(ref.kind not in OURS or ref == NEIGHBOUR for ref in cluster.replaced):
            cluster.writes, cluster.was_read = [], False
            highest = await _highest(known.state, cluster, NEIGHBOUR)
            tally.shared += cluster.was_read
            if highest > known.neighbour:
                return f"the neighbour's weight rises with {what}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} {error!s:.150} at {where.filename[-40:]}:{where.lineno}: {what}"
    return ""


def main(argv: list[str] | None = None) -> int:
    """Explore, print the figures, and store what failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.hostile", description="S5: nonsense of others")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    tally = asyncio.run(explore(asked.cases, asked.seed, lambda case: FAILED.add([case.key()])))
    print(tally.report())
    for case, why in tally.failed[:40]:
        print(f"{case.state}, seed {case.seed}: {why:.400}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
