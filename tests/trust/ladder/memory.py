"""What the cluster remembers of a migration between two passes: the states of the search, hashable and canonical.

Two memories that no decision can tell apart are one state: times are ages in classes, generations their order, attempts
their distance, tokens whether they were taken up. Words that are only shown are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, NamedTuple

from changeover.api.reasons import Reason
from changeover.core import names
from changeover.core.conditions import timestamp
from changeover.core.headroom import AT_ONCE
from changeover.core.mark import Mark, Phase
from changeover.core.observed import Owner
from changeover.core.requests import ACCEPTED, Request
from changeover.testing.clock import START

NOW = START  # every pass happens now; what ages is the memory
TOKEN = "token"  # the one that stands; those that stood before it can never be asked for again
NAME, NAMESPACE, ARMS, OTHER_ARMS = "shop", "shop", "arms", "others"

# Classes of ages, seconds: an age is as old as the greatest of these that it has reached. Each lies just beyond a
# limit: 15 s and 30 s (a rollback, and its parts), minDuration 1m, rollback.timeout 2m, the blocks of a minute,
# maxBlind, maxDuration 20m, and the ten minutes after which an edit of the weights is a new story.
SINCE = (0, 20, 40, 130, 260, 735, 1220)
UNTIL = (-10, 5, 65, 125, 185, 725, 1205)
BEGAN = (0, 20, 60, 130)
CONTESTED = (0, 601)
SETTLE_SECONDS = 10  # from a weight to the beginning of its first block, at a scrape every 5 s
MANY = 1 << 17  # what is kept of a function's answers


class Outcome(NamedTuple):
    """How it ended, by status."""

    result: str
    generation: int
    attempt: int


class Last(NamedTuple):
    """The last entry of status.history; of one that is no rollback nothing matters."""

    age: int
    came_from: int
    to: int
    reason: str


class Told(NamedTuple):
    """The parts of status that are read back."""

    observed: int
    attempt: int = 1
    paused: bool = False
    outcome: Outcome | None = None
    step: int = 0
    weight: int = 0
    rolling: bool = False
    last: Last | None = None
    answered: tuple[str, ...] = ()  # verbs whose standing token has its answer
    evidence: str = ""  # its class, when it belongs to the mark on the route
    until: int = 0  # age of its end


class Standing(NamedTuple):
    """The route: whose it is, the weight that it shows (None: other rules), and our mark."""

    ours: bool
    shown: int | None
    mark: Mark | None


class Memory(NamedTuple):
    """All that outlives a pass; the last three are the search's own, to judge by, and no pass sees them."""

    generation: int = 1
    variant: int = 0  # which of the configuration's specs stands
    suspended: bool = False
    deleting: bool = False
    held: bool = False  # our finalizer is on it
    gone: bool = False
    asked: tuple[str, ...] = ()  # verbs for which a token is annotated
    route: Standing | None = None
    told: Told | None = None
    rolled: tuple[int, ...] = ()  # attempts of this generation in which a rollback was decided
    used: tuple[str, ...] = ()  # verbs whose standing token was carried out
    reached: int = 0  # the weight at which it was promoted

    @property
    def mark(self) -> Mark | None:
        """Our mark on the route; None when it is not ours."""
        return self.route.mark if self.route is not None and self.route.ours else None

    @property
    def shown(self) -> int:
        """The weight that the route gives to the canary, as far as it can be told."""
        return (self.route.shown or 0) if self.route is not None else 0


def floored(age: float, classes: tuple[int, ...]) -> int:
    """The class of an age."""
    return classes[max(0, bisect_right(classes, age) - 1)]


def age_of(moment: datetime) -> float:
    """Seconds since then."""
    return (NOW - moment).total_seconds()


def ago(seconds: float) -> datetime:
    """The moment so long ago."""
    return NOW - timedelta(seconds=seconds)


def reason_of(reason: str, phase: Phase) -> str:
    """Of all reasons a rollback in parts asks one thing: whether it is one that waits for nothing."""
    if phase is not Phase.ROLLING_BACK:
        return str(Reason.STEPPED)
    return str(Reason.CANARY_NOT_READY if reason in AT_ONCE else Reason.ABORTED)


@lru_cache(maxsize=MANY)
def aged(mark: Mark, seconds: int) -> Mark:
    """The same mark later, canonical: a mark that was just written, when no time has passed."""
    contested, began = mark.contested_at, mark.began
    return replace(
        mark,
        since=ago(floored(age_of(mark.since) + seconds, SINCE)),
        contested_at=None if contested is None else ago(floored(age_of(contested) + seconds, CONTESTED)),
        began=None if began is None else ago(floored(age_of(began) + seconds, BEGAN)),
        restarts=0 if mark.restarts is not None else None,  # what is seen later is counted from here
        reason=reason_of(mark.reason, mark.phase),
        message="",
        untold=(),  # it is told one day, and decides nothing
        requests=tuple(sorted((taken(r.verb) for r in mark.requests), key=lambda r: r.verb)),
    )


def later(memory: Memory, seconds: int) -> Memory:
    """The same memory after some time."""
    route, told = memory.route, memory.told
    if route is not None and route.mark is not None:
        route = route._replace(mark=aged(route.mark, seconds))
    if told is not None:
        last = told.last
        if last is not None and last.reason:
            last = last._replace(age=floored(last.age + seconds, SINCE))
        until = 0
        if told.evidence and route is not None and route.mark is not None:
            # Each age is rounded by itself; evidence is never older than the weight that it is of.
            until = floored(min(told.until + seconds, age_of(route.mark.since) - SETTLE_SECONDS), UNTIL)
        told = told._replace(last=last, until=until)
    return memory._replace(route=route, told=told)


@cache
def taken(verb: str) -> Request:
    """A request that was carried out."""
    return Request(verb, TOKEN, ago(60), ACCEPTED, "")


@lru_cache(maxsize=MANY)
def canonical(memory: Memory) -> Memory:
    """Generations by their order, attempts from 1 on, and nothing that is known twice."""
    if memory.gone:
        return Memory(gone=True)
    route, told = memory.route, memory.told
    mark = route.mark if route is not None else None
    if mark is not None and told is not None and any(r.verb in told.answered for r in mark.requests):
        mark = replace(mark, requests=tuple(r for r in mark.requests if r.verb not in told.answered))
    outcome = told.outcome if told is not None else None
    numbered = [(one.generation, one.attempt) for one in (mark, outcome) if one is not None]
    order = {memory.generation, *(generation for generation, _ in numbered)}
    shift = 0
    if told is not None:
        order.add(told.observed)
        shift = min([told.attempt, *(attempt for _, attempt in numbered)]) - 1
    rank = {generation: number for number, generation in enumerate(sorted(order), 1)}
    if route is not None and mark is not None:
        route = Standing(route.ours, route.shown, _renumbered(mark, rank[mark.generation], mark.attempt - shift))
    if told is not None:
        if outcome is not None:
            outcome = Outcome(outcome.result, rank[outcome.generation], outcome.attempt - shift)
        told = told._replace(observed=rank[told.observed], attempt=told.attempt - shift, outcome=outcome)
    rolled = tuple(attempt - shift for attempt in memory.rolled if attempt > shift)
    return memory._replace(generation=rank[memory.generation], route=route, told=told, rolled=rolled)


@cache
def _renumbered(mark: Mark, generation: int, attempt: int) -> Mark:
    return replace(mark, generation=generation, attempt=attempt)


_TEXTS: dict[Mark, dict[str, Any]] = {}
_KEPT: set[int] = set()


def mark_text(mark: Mark) -> dict[str, Any]:
    """The mark as it is written; made once, since it is read at every pass."""
    text = _TEXTS.get(mark)
    if text is None:
        text = _TEXTS[mark] = mark.to_dict()
        _KEPT.add(id(text))
    return text


def is_kept(text: object) -> bool:
    """Whether it is a mark's text of ours, which lives as long as the search."""
    return id(text) in _KEPT


def owner_of(memory: Memory) -> Owner:
    """The resource as a pass reads it."""
    return Owner(
        "CanaryMigration", NAMESPACE, NAME, "uid", memory.generation, memory.deleting,
        (names.FINALIZER,) if memory.held else (), status_of(memory.told), "", dict.fromkeys(memory.asked, TOKEN),
    )  # fmt: skip


def status_of(told: Told | None) -> dict[str, Any]:
    """Status, as far as it is read back."""
    if told is None:
        return {}
    status: dict[str, Any] = {
        "observedGeneration": told.observed,
        "attempt": told.attempt,
        "paused": told.paused,
        "requests": [taken(verb).to_dict() for verb in told.answered],
        "step": {"index": told.step, "weightPercent": told.weight, **({"rollingBack": True} if told.rolling else {})},
        "history": [_entry(told.last)] if told.last is not None else [],
    }
    if told.outcome is not None:
        result, generation, attempt = told.outcome
        about = {"at": timestamp(NOW), "reason": "R", "message": "m"}
        status["outcome"] = {"result": result, "generation": generation, "attempt": attempt, **about}
    return status


def _entry(last: Last) -> dict[str, Any]:
    at = timestamp(ago(last.age))
    return {"at": at, "from": last.came_from, "to": last.to, "reason": last.reason, "message": ""}
