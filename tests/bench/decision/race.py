"""The race of candidates, simulated: wrong orders, winners lost, and runs saved."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from random import Random

from changeover.core.ranking import Contest, PairVerdict, Ranking, rank

ROUND_SD = 0.05


@dataclass(frozen=True)
class Field:
    """Candidates by their true effect (log of throughput), and the noise of one run (sd of the logarithm).

    Every candidate's own sd is 0.5 to 1.5 times `noise`; a share `void` of the runs is lost.
    """

    effects: tuple[float, ...]
    noise: float
    void: float = 0.0
    contest: Contest = dataclasses.field(default_factory=Contest)

    @property
    def names(self) -> list[str]:
        """Names in the order of the effects."""
        return [f"c{index}" for index in range(len(self.effects))]


@dataclass(frozen=True)
class RaceCell:
    """Per cent of the runs, and runs used of those that fixed rounds would take."""

    wrong_order: float
    best_lost: float
    sole_winner: float
    undecided: float
    runs_used: float
    runs_planned: int


def run(field: Field, rng: Random) -> tuple[Ranking, int]:
    """One race; only candidates that nobody beats go on being measured."""
    names = field.names
    sds = [field.noise * (0.5 + rng.random()) for _ in names]
    active = set(names)
    rounds: list[dict[str, float]] = []
    used = 0
    looks = {look for look, _ in field.contest.looks()}
    while True:
        level = rng.gauss(7, ROUND_SD)
        row = {}
        for name, effect, sd in zip(names, field.effects, sds, strict=True):
            if name in active:
                used += 1
                value = math.exp(level + effect + rng.gauss(0, sd))
                if rng.random() >= field.void:
                    row[name] = value
        rounds.append(row)
        if len(rounds) in looks or (field.void and len(rounds) - 1 in looks):
            ranking = rank(rounds, names, field.contest)
            active = set(unbeaten(ranking))
            if is_decided(ranking) or len(rounds) >= field.contest.max_rounds:
                return ranking, used


def measure(field: Field, runs: int, seed: int | str) -> RaceCell:
    """Many races, each with a generator of its own."""
    wrong = lost = sole = open_races = used = 0
    true = dict(zip(field.names, field.effects, strict=True))
    best = max(true.values())
    winners = {name for name, effect in true.items() if effect == best}
    for index in range(runs):
        ranking, runs_used = run(field, Random(f"{seed}/{index}"))
        used += runs_used
        wrong += any(_is_wrong(pair.verdict, true[pair.first] - true[pair.second]) for pair in ranking.pairs)
        lost += not winners.intersection(unbeaten(ranking))
        sole += len(winners) == 1 and ranking.winner in winners and not ranking.tied_with
        open_races += not is_decided(ranking)
    planned = field.contest.max_rounds * len(true)
    share = 100 / runs
    return RaceCell(wrong * share, lost * share, sole * share, open_races * share, used / runs, planned)


def unbeaten(ranking: Ranking) -> tuple[str, ...]:
    """Those who may still win when all are rivals: they go on being measured."""
    return ranking.active_against(ranking.better)


def is_decided(ranking: Ranking) -> bool:
    """Whether more rounds could not change who is first of all."""
    return ranking.is_decided_among(ranking.better)


def _is_wrong(verdict: PairVerdict, difference: float) -> bool:
    if verdict is PairVerdict.BETTER:
        return difference <= 0
    if verdict is PairVerdict.WORSE:
        return difference >= 0
    return False


def _steps(count: int, step: float) -> tuple[float, ...]:
    return tuple(-step * index for index in range(count))


FIELDS: dict[str, Field] = {
    "A/A equal 5, sd 2 %": Field((0.0,) * 5, 0.02),
    "A/A equal 2, sd 2 %": Field((0.0,) * 2, 0.02),
    "A/A equal 10, sd 5 %": Field((0.0,) * 10, 0.05),
    "A/A equal 5, 3 rounds": Field((0.0,) * 5, 0.02, contest=Contest(max_rounds=3)),
    "A/A equal 5, 15 rounds, 10 % void": Field((0.0,) * 5, 0.02, void=0.1, contest=Contest(max_rounds=15)),
    "5 by 5 %, sd 2 %": Field(_steps(5, 0.05), 0.02),
    "5 by 5 %, sd 2 %, 3 rounds": Field(_steps(5, 0.05), 0.02, contest=Contest(max_rounds=3)),
    "5 by 5 %, sd 2 %, 10 % void": Field(_steps(5, 0.05), 0.02, void=0.1, contest=Contest(max_rounds=15)),
    "5 by 20 %, sd 2 %": Field(_steps(5, 0.2), 0.02),
    "two 2 % apart, three far, sd 2 %": Field((0.0, -0.02, -0.2, -0.3, -0.4), 0.02),
    "10 mixed, sd 2 %": Field((0.0, -0.03, -0.05, -0.1, -0.15, -0.2, -0.3, -0.4, -0.5, -0.7), 0.02),
    "5 by 5 %, sd 5 %": Field(_steps(5, 0.05), 0.05),
}
"""Name -> candidates."""
