"""Which run comes next? The order of a benchmark's runs follows from its spec alone, so a restart continues it."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from dataclasses import dataclass

from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.core import names


@dataclass(frozen=True)
class Run:
    """One candidate in one scenario of one round (from 1)."""

    round: int
    candidate: str
    scenario: str

    @property
    def id(self) -> str:
        """Identity inside the benchmark: ``r2.gin.keep-alive``."""
        return names.run_id(self.round, self.candidate, self.scenario)


def order_of_round(candidates: list[str], seed: int, round_number: int) -> list[str]:
    """The candidates of a round in an order shuffled from the seed.

    Sorting by a hash of (seed, round, name) gives every order the same chance, needs no state of a generator, and the
    order of a round does not depend on the rounds before it.
    """
    return sorted(candidates, key=lambda name: hashlib.sha256(f"{seed}/{round_number}/{name}".encode()).digest())


def runs_of_rounds(spec: BenchmarkSpec, rounds: int) -> Iterator[Run]:
    """All runs of so many rounds, in order."""
    candidates = [candidate.name for candidate in spec.candidates]
    for round_number in range(1, rounds + 1):
        for candidate in order_of_round(candidates, spec.schedule.seed, round_number):
            for scenario in spec.scenarios:
                yield Run(round_number, candidate, scenario.name)


def next_run(spec: BenchmarkSpec, done: Container[str], rounds: int) -> Run | None:
    """The first run of so many rounds that is not done."""
    return next((run for run in runs_of_rounds(spec, rounds) if run.id not in done), None)


def complete_rounds(spec: BenchmarkSpec, done: Container[str]) -> int:
    """Rounds of which every run is done, from the first on."""
    open_run = next_run(spec, done, spec.schedule.rounds.max)
    return spec.schedule.rounds.max if open_run is None else open_run.round - 1
