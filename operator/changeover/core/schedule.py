"""In which order is a round measured? It follows from the spec alone, so a restart continues it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from changeover.core import names


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

    def again(self, attempt: int) -> Run:
        """The same cell of the design, measured for the so-manieth time."""
        return Run(self.round, self.candidate, self.scenario, attempt)


def order_of_round(candidates: list[str], seed: int, round_number: int, attempt: int = 1) -> list[str]:
    """The candidates of a round in an order shuffled from the seed; repeats of void runs are a draw of their own.

    Sorting by a hash of (seed, round, name) gives every order the same chance, needs no state of a generator, and the
    order of a round does not depend on the rounds before it.
    """
    draw = f"{seed}/{round_number}" if attempt == 1 else f"{seed}/{round_number}.{attempt}"
    return sorted(candidates, key=lambda name: hashlib.sha256(f"{draw}/{name}".encode()).digest())
