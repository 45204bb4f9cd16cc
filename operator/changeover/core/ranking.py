"""Which candidate is best, and which cannot be told apart from it (§7 of the decision rule).

`rank` recomputes everything from the rounds measured so far; there is no state to keep.  Ties are ties: a rank is
one more than the number of candidates that are surely better, and `tied_with` names those with which the order
is not decided.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeGuard

from changeover.core.race import WIDEST, Contest, Logs, Pair, PairVerdict, compare, two_way
from changeover.core.studentt import t_quantile

__all__ = ["Comparison", "Contest", "Estimate", "PairVerdict", "Ranking", "Row", "interval_of", "rank"]

LEAST_ROUNDS = 2
"""Valid rounds below which a candidate has no interval, hence no row."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pair: `ratio` is first / second in the values' own unit, with its interval at the race's level.

    The interval is wider than a single comparison's would be, because all pairs and looks share the accepted
    error: the order is decided when it excludes 1 at a look.  With fewer than
    two rounds in common it spans six powers of ten each way.
    """

    first: str
    second: str
    verdict: PairVerdict
    ratio: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate's place: geometric mean over its rounds, and those with which the order is not decided."""

    rank: int
    candidate: str
    estimate: Estimate
    rounds: int
    tied_with: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The outcome after the rounds so far.

    rows         best first; a candidate with fewer than two valid rounds has no interval and no row
    pairs        every pair of candidates once
    better       candidate -> those surely better
    winner       the best of those that nobody beats; empty without rows
    tied_with    candidates that cannot be told apart from the winner
    is_looked_at the first look is past: before it nothing is decided
    """

    rows: tuple[Row, ...]
    pairs: tuple[Comparison, ...]
    better: Mapping[str, frozenset[str]]
    winner: str
    tied_with: tuple[str, ...]
    is_looked_at: bool

    def estimate(self, candidate: str) -> Estimate | None:
        """The candidate's mean and interval; None with fewer than two valid rounds."""
        return next((row.estimate for row in self.rows if row.candidate == candidate), None)

    def active_against(self, rivals: Collection[str]) -> tuple[str, ...]:
        """Those whom none of these surely beats."""
        return tuple(name for name, better in self.better.items() if better.isdisjoint(rivals))

    def is_decided_among(self, rivals: Collection[str]) -> bool:
        """Whether more rounds could not change who of these is first: one is left, or those left are proven ties."""
        rows = [row for row in self.rows if row.candidate in rivals]
        better = {name: found.intersection(rivals) for name, found in self.better.items()}
        return self.is_looked_at and _is_settled(rows, self.pairs, better)

    def comparison(self, first: str, second: str) -> Comparison:
        """The comparison of two candidates, seen from `first`; raises KeyError when there is none."""
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.first, pair.second) == (second, first):
                return _turned(pair)
        raise KeyError((first, second))


def rank(rounds: Sequence[Mapping[str, float]], candidates: Sequence[str], contest: Contest | None = None) -> Ranking:
    """Rank `candidates` from one mapping per round, candidate -> value (positive, any unit).

    A void run is left out of its round (values that are not positive and finite are treated alike); a pair uses
    the rounds where both are valid.  A last round that lacks someone who is still in the race counts towards no
    look before `max_rounds`: it may be under way.
    """
    contest = contest or Contest()
    logs = _logs(rounds, candidates, 1.0 if contest.larger_is_better else -1.0)
    pairs = _decide(logs, candidates, contest)
    better = _surely_better(pairs, candidates)
    rows = _rows(logs, candidates, better, contest)
    return Ranking(
        rows=rows,
        pairs=tuple(_comparison(pair, contest.larger_is_better) for pair in pairs),
        better={name: frozenset(better[name]) for name in candidates},
        winner=rows[0].candidate if rows else "",
        tied_with=rows[0].tied_with if rows else (),
        is_looked_at=len(logs) >= contest.looks()[0][0],
    )


def interval_of(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Geometric mean with its confidence interval (Student's t on logarithms).

    Values that are not positive and finite are left out.  With one value the interval spans six powers of ten each
    way: nothing is known; without any it is all zero.
    """
    logs = [math.log(value) for value in values if _usable(value)]
    return _estimate(logs, confidence) if logs else Estimate(0.0, 0.0, 0.0)


def _estimate(logs: Sequence[float], confidence: float) -> Estimate:
    mean, half = math.fsum(logs) / len(logs), WIDEST
    if len(logs) > 1:
        spread = math.sqrt(sum((value - mean) ** 2 for value in logs) / (len(logs) - 1))
        half = min(half, t_quantile((1 + confidence) / 2, len(logs) - 1) * spread / math.sqrt(len(logs)))
    return Estimate(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def _logs(rounds: Sequence[Mapping[str, float]], candidates: Sequence[str], sign: float) -> Logs:
    return [{n: sign * math.log(row[n]) for n in candidates if _usable(row.get(n))} for row in rounds]


def _usable(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value) and value > 0


def _decide(logs: Logs, candidates: Sequence[str], contest: Contest) -> tuple[Pair, ...]:
    """Every pair, without the last round while that may still be under way."""
    earlier, last = logs[:-1], logs[-1:]
    missing = {name for row in earlier for name in row} - {name for row in last for name in row}
    if missing and len(logs) < contest.max_rounds:
        before = tuple(compare(earlier, candidates, contest).values())
        better = _surely_better(before, candidates)
        if any(not better[name] for name in missing):
            return before
    return tuple(compare(logs, candidates, contest).values())


def _surely_better(pairs: Iterable[Pair], candidates: Sequence[str]) -> dict[str, set[str]]:
    """Candidate -> those surely better, orders being carried on (a over b, b over c: a over c).

    Carrying on claims nothing new.  Orders that contradict each other (a circle) decide nothing.
    """
    beaten: dict[str, set[str]] = {name: set() for name in candidates}
    for pair in pairs:
        if pair.verdict is PairVerdict.BETTER:
            beaten[pair.first].add(pair.second)
        elif pair.verdict is PairVerdict.WORSE:
            beaten[pair.second].add(pair.first)
    reached = {name: _reached(name, beaten) for name in candidates}
    return {
        name: {other for other in candidates if name in reached[other] and other not in reached[name]}
        for name in candidates
    }


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = edges[waiting.pop()] - seen
        seen |= fresh
        waiting += fresh
    return seen


def _rows(logs: Logs, candidates: Sequence[str], better: Mapping[str, set[str]], contest: Contest) -> tuple[Row, ...]:
    effects, _ = two_way(logs, candidates)
    sign = 1.0 if contest.larger_is_better else -1.0
    rows = []
    # Names come last only to give exact equals a stable order.
    for name in sorted(effects, key=lambda one: (len(better[one]), -effects[one], one)):
        own = [sign * row[name] for row in logs if name in row]
        if len(own) >= LEAST_ROUNDS:
            decided = better[name] | {name} | {other for other in candidates if name in better[other]}
            tied = tuple(other for other in candidates if other in effects and other not in decided)
            rows.append(Row(1 + len(better[name]), name, _estimate(own, contest.confidence), len(own), tied))
    return tuple(rows)


def _is_settled(rows: Sequence[Row], pairs: Iterable[Comparison], better: Mapping[str, AbstractSet[str]]) -> bool:
    """Whether one candidate is left, or those left are proven ties with the first."""
    if not rows:
        return False
    first = rows[0].candidate
    ties = {frozenset((pair.first, pair.second)) for pair in pairs if pair.verdict is PairVerdict.TIE}
    return all(frozenset((first, row.candidate)) in ties for row in rows[1:] if not better[row.candidate])


def _comparison(pair: Pair, larger_is_better: bool) -> Comparison:
    mean = pair.difference if larger_is_better else -pair.difference
    low, high = math.exp(mean - pair.margin), math.exp(mean + pair.margin)
    return Comparison(pair.first, pair.second, pair.verdict, math.exp(mean), low, high, pair.rounds)


def _turned(pair: Comparison) -> Comparison:
    swap = {PairVerdict.BETTER: PairVerdict.WORSE, PairVerdict.WORSE: PairVerdict.BETTER}
    verdict = swap.get(pair.verdict, pair.verdict)
    return Comparison(pair.second, pair.first, verdict, 1 / pair.ratio, 1 / pair.high, 1 / pair.low, pair.rounds)
