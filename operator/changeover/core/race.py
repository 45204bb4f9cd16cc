"""Pairwise comparison of candidates measured in rounds, looked at a few times (§7 of the decision rule).

A round measures every candidate once, so a pair is compared inside rounds only: what disturbed a round disturbed
both.  Values enter as logarithms, larger meaning better.  The accepted probability of any wrong order is divided
over the pairs (Bonferroni) and over the looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from changeover.core.studentt import t_quantile

Logs = Sequence[Mapping[str, float]]

EARLY_LOOKS = ((4, 0.10), (6, 0.15), (9, 0.20), (13, 0.25))
"""(round, share of alpha) of the looks before the last one, which spends what is left."""

MOST_BORROWED_DF = 6.0
"""Degrees of freedom that a pair borrows at most from the other candidates' spread."""

LEAST_COMMON_ROUNDS = 3
"""A pair with fewer rounds in common is not decided."""

BACKFITTING_PASSES = 30

WIDEST = math.log(1e6)
"""Widest half interval of a logarithm: stands for 'nothing is known' where a number must be finite."""


class PairVerdict(StrEnum):
    """How the first of a pair compares with the second."""

    BETTER = "Better"
    WORSE = "Worse"
    TIE = "Tie"
    UNRESOLVED = "Unresolved"


@dataclass(frozen=True, slots=True)
class Contest:
    """What is compared, and when it is looked at.

    larger_is_better  sense of the values (throughput: True; latency, CPU per request: False)
    confidence        of each candidate's interval; 1 - confidence is the accepted chance that any order is wrong
    max_rounds        last round; its look spends what is left of that chance
    min_rounds        first round that may decide anything
    tie_ratio         two candidates that are surely closer than this (0.03 = 3 %) are a tie

    Raises ValueError unless 0 < confidence < 1, 2 <= min_rounds <= max_rounds and tie_ratio > 0.
    """

    larger_is_better: bool = True
    confidence: float = 0.95
    max_rounds: int = 20
    min_rounds: int = 3
    tie_ratio: float = 0.03

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1 or self.tie_ratio <= 0:
            raise ValueError("confidence must lie between 0 and 1, tie_ratio must be positive")
        if not 2 <= self.min_rounds <= self.max_rounds:
            raise ValueError("need 2 <= min_rounds <= max_rounds")

    def looks(self) -> tuple[tuple[int, float], ...]:
        """(round, share of alpha) of every look; the share of a look that falls away goes to the next one."""
        planned, carried, spent = [], 0.0, 0.0
        for look, share in EARLY_LOOKS:
            if look >= self.max_rounds:
                break
            carried += share
            if look >= self.min_rounds:
                planned.append((look, carried))
                spent, carried = spent + carried, 0.0
        return (*planned, (self.max_rounds, 1 - spent))


@dataclass(frozen=True, slots=True)
class Pair:
    """Comparison of two candidates at the last look that could compare them.

    difference  mean of log(first) - log(second) over the `rounds` they have in common, larger meaning better
    margin      half width of its interval at the level of that look (at most `WIDEST`)
    """

    first: str
    second: str
    verdict: PairVerdict
    difference: float
    margin: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Pooled:
    """Variance of the difference of two candidates, pooled over all of them, with degrees of freedom to lend."""

    variance: float
    df: float


def compare(logs: Logs, candidates: Sequence[str], contest: Contest) -> dict[tuple[str, str], Pair]:
    """Every pair (in the order of `candidates`) after the looks that lie within the rounds `logs`.

    An order once decided stays.  A pair without a new common round since its last look is not tested again.
    """
    names = list(combinations(candidates, 2))
    looks = contest.looks()
    done = [look for look in looks if look[0] <= len(logs)]
    pairs: dict[tuple[str, str], Pair] = {}
    # before the first look there are intervals but no decisions
    for rounds, share in done or [(len(logs), looks[0][1])]:
        window = logs[:rounds]
        pooled = pool(window, candidates)
        for name in names:
            before = pairs.get(name)
            if before is None or before.verdict in (PairVerdict.TIE, PairVerdict.UNRESOLVED):
                now = _pair(window, name, pooled, (1 - contest.confidence) * share / len(names), contest)
                pairs[name] = now if before is None or now.rounds > before.rounds else before
    return pairs if done else {name: _undecided(pair) for name, pair in pairs.items()}


def pool(logs: Logs, candidates: Sequence[str]) -> Pooled:
    """Pooled variance of a difference: twice the residual variance of candidates + rounds (two-way layout)."""
    effects, levels = two_way(logs, candidates)
    cells = [(name, index) for index, row in enumerate(logs) for name in effects if name in row]
    df = len(cells) - len(effects) - sum(1 for row in logs if any(name in row for name in effects)) + 1
    if df <= 0 or len(effects) < 3:
        return Pooled(0.0, 0.0)
    squares = sum((logs[index][name] - effects[name] - levels[index]) ** 2 for name, index in cells)
    lent = df * (len(effects) - 2) / (len(effects) - 1)
    return Pooled(2 * squares / df, min(MOST_BORROWED_DF, lent))


def two_way(logs: Logs, candidates: Sequence[str]) -> tuple[dict[str, float], list[float]]:
    """Least-squares effects of candidates and levels of rounds, missing cells allowed (backfitting).

    Candidates without any value are left out.  A complete table is exact after one pass.
    """
    present = [name for name in candidates if any(name in row for row in logs)]
    effects = dict.fromkeys(present, 0.0)
    levels = [0.0] * len(logs)
    for _ in range(BACKFITTING_PASSES):
        for index, row in enumerate(logs):
            levels[index] = _mean([row[name] - effects[name] for name in present if name in row])
        for name in present:
            effects[name] = _mean([row[name] - levels[i] for i, row in enumerate(logs) if name in row])
    return effects, levels


def _pair(logs: Logs, name: tuple[str, str], pooled: Pooled, level: float, contest: Contest) -> Pair:
    first, second = name
    differences = [row[first] - row[second] for row in logs if first in row and second in row]
    rounds = len(differences)
    if rounds < 2:
        mean = differences[0] if differences else 0.0
        return Pair(first, second, PairVerdict.UNRESOLVED, mean, WIDEST, rounds)
    mean = _mean(differences)
    own = sum((d - mean) ** 2 for d in differences)
    df = pooled.df + rounds - 1
    error = math.sqrt((pooled.df * pooled.variance + own) / df / rounds)
    margin = t_quantile(1 - level / 2, df) * error
    verdict = PairVerdict.UNRESOLVED
    if rounds >= min(LEAST_COMMON_ROUNDS, contest.max_rounds):
        if abs(mean) > margin:
            verdict = PairVerdict.BETTER if mean > 0 else PairVerdict.WORSE
        elif abs(mean) + t_quantile(1 - level, df) * error < math.log1p(contest.tie_ratio):
            verdict = PairVerdict.TIE
    return Pair(first, second, verdict, mean, min(margin, WIDEST), rounds)


def _undecided(pair: Pair) -> Pair:
    return Pair(pair.first, pair.second, PairVerdict.UNRESOLVED, pair.difference, pair.margin, pair.rounds)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
