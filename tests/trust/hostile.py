"""S5: what others write into annotations, labels, statuses and logs ends no pass with an exception.

    python -m tests.trust.hostile [--cases N] [--seed S]

In ten states of a migration and a benchmark one object that a pass reads is made nonsense; then the pass is made, and
now and then that of a neighbour. Each case is drawn from a seed of its own; those that failed are stored, and tried
first from then on.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.trust.failures import Failures
from tests.trust.tenant.nonsense import NEIGHBOUR, Hostile, State, attack, forges_a_mark, highest_weight, look, states

FAILED = Failures(Path(__file__).parent / "hostile.json")
MOST_BYTES = 4 << 30  # a case that wants more is a failure that is told, and not the end of the run
NEIGHBOUR_EVERY = 3  # and no divisor of the ten states, so that each has one


@dataclass(frozen=True)
class Case:
    """A state, by its name, and the seed from which the nonsense in it is drawn."""

    state: str
    seed: str

    def key(self) -> list[str]:
        """As it is stored."""
        return [self.state, self.seed]

    @property
    def has_neighbour(self) -> bool:
        """Whether the neighbour's pass is looked at, too."""
        return int(self.seed.rpartition("-")[2]) % NEIGHBOUR_EVERY == 0


@dataclass(frozen=True)
class Known:
    """A state, and what its passes do while nobody writes nonsense."""

    state: State
    weight: int
    """Of the canary, the more of what the route has and what the pass writes; percent."""
    neighbour: Any
    """What the neighbour's pass writes."""


@dataclass
class Tally:
    """What was tried, and what came of it."""

    states: int
    cases: int = 0
    failed: list[tuple[Case, str]] = field(default_factory=list)

    def report(self) -> str:
        """One line."""
        return f"{self.cases} cases in {self.states} states, {len(self.failed)} failures"


async def known_states() -> dict[str, Known]:
    """All states by their names, looked at undisturbed."""
    found = {}
    for state in await states():
        writes = await look(state, Hostile(state.world.cluster))
        weight = max(state.world.weight_of("shop", "new") or 0, highest_weight(writes))
        found[state.name] = Known(state, weight, await look(state, Hostile(state.world.cluster), NEIGHBOUR))
    return found


def cases(names: Sequence[str], number: int, seed: int) -> Iterator[Case]:
    """What failed once, then so many, the states in turn."""
    yield from (case for case in (Case(*key) for key in FAILED.read()) if case.state in names)
    for done in range(number):
        yield Case(names[done % len(names)], f"{seed}-{done}")


async def explore(number: int, seed: int) -> Tally:
    """So many cases, and what is wrong with how they ended."""
    known = await known_states()
    tally = Tally(len(known))
    for case in cases(list(known), number, seed):
        tally.cases += 1
        why = await _wrong(case, known[case.state])
        if why:
            tally.failed.append((case, why))
    return tally


async def _wrong(case: Case, known: Known) -> str:
    """What is wrong with how a case ended, if anything is."""
    what, cluster = attack(known.state, random.Random(case.seed))
    try:
        writes = await look(known.state, cluster)
        if highest_weight(writes) > known.weight and not forges_a_mark(cluster):
            return f"the weight rises with {what}"
        if case.has_neighbour and cluster.replaced and not _touches_both(cluster):
            cluster.writes = []
            if await look(known.state, cluster, NEIGHBOUR) != known.neighbour:
                return f"the neighbour's pass differs with {what}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} {error!s:.150} at {where.filename[-40:]}:{where.lineno}: {what}"
    return ""


def _touches_both(cluster: Hostile) -> bool:
    """Whether what is spoilt is something that the neighbour reads for its own part, or is the neighbour's."""
    return any(
        ref.kind not in ("CanaryMigration", "FrameworkBenchmark") or ref == NEIGHBOUR for ref in cluster.replaced
    )


def main(argv: list[str] | None = None) -> int:
    """Explore, print the figures, and store what failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.hostile", description="S5: nonsense of others")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    tally = asyncio.run(explore(asked.cases, asked.seed))
    print(tally.report())
    for case, why in tally.failed[:40]:
        print(f"{case.state}, seed {case.seed}: {why:.400}")
    FAILED.add(case.key() for case, _ in tally.failed)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
