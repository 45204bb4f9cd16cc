"""In which order is a round measured? It follows from the spec alone, so a restart continues it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from changeover.core import names

CROSS_CHECK = "_"  # between a scenario's name, in which it cannot be, and the second generator's


@dataclass(frozen=True)
class Run:
    """One candidate in one scenario of one round (from 1); a run that was void is measured again as another attempt."""

    round: int
    candidate: str
    scenario: str
    attempt: int = 1

    @property
    def id(self) -> str:
        """Identity inside the benchmark: ``r2.gin.keep-alive``, its first repeat ``r2.gin.keep-alive.2``."""
        first = names.run_id(self.round, self.candidate, self.scenario)
        return first if self.attempt == 1 else f"{first}.{self.attempt}"

    @property
    def generator(self) -> str:
        """The second generator of a run of the cross-check; empty for a run of the ranking."""
        return self.scenario.partition(CROSS_CHECK)[2]

    def again(self, attempt: int) -> Run:
        """The same cell of the design, measured for the so-manieth time."""
        return Run(self.round, self.candidate, self.scenario, attempt)


@dataclass(frozen=True)
class Block:
    """One round: each of these candidates once in each of these scenarios, those of a candidate one after another."""

    round: int
    candidates: tuple[str, ...]
    scenarios: tuple[str, ...]
    seed: int

    def cells(self, attempt: int = 1) -> list[Run]:
        """All runs in the order of that attempt; each stands for its first attempt."""
        order = order_of_round(list(self.candidates), self.seed, self.round, attempt)
        return [Run(self.round, candidate, scenario) for candidate in order for scenario in self.scenarios]


def order_of_round(candidates: list[str], seed: int, round_number: int, attempt: int = 1) -> list[str]:
    """The candidates of a round in an order shuffled from the seed; repeats of void runs are a draw of their own.

    Sorting by a hash of (seed, round, name) gives every order the same chance, needs no state of a generator, and the
    order of a round does not depend on the rounds before it.
    """
    draw = f"{seed}/{round_number}" if attempt == 1 else f"{seed}/{round_number}.{attempt}"
    return sorted(candidates, key=lambda name: hashlib.sha256(f"{draw}/{name}".encode()).digest())
