"""What happens between two passes: time, people, and others who write the route and the spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from changeover.core.mark import Phase

from tests.trust.ladder.configurations import WAITS, Configuration
from tests.trust.ladder.memory import OTHER_ARMS, Memory, Standing, canonical, later

FOREIGN = (0, 37, None)  # what somebody else sets the canary's weight to; None: other rules

Change = Callable[[Memory], Iterator[tuple[str, Memory]]]


def events(memory: Memory, configuration: Configuration) -> Iterator[tuple[str, Memory]]:
    """All that may happen to a memory, and what is remembered then."""
    if memory.gone:
        return
    for seconds in WAITS:
        yield f"{seconds} s pass", later(memory, seconds)
    for verb in configuration.verbs:
        yield f"{verb} is asked for", canonical(ask(memory, verb))
    for name in configuration.events:
        for label, changed in CHANGES[name](memory):
            yield label, canonical(changed)


def ask(memory: Memory, verb: str) -> Memory:
    """With a new token for a verb: what came of the one before is no answer to it."""
    told, route = memory.told, memory.route
    if told is not None and verb in told.answered:
        told = told._replace(answered=tuple(v for v in told.answered if v != verb))
    if route is not None and route.mark is not None and any(r.verb == verb for r in route.mark.requests):
        others = tuple(r for r in route.mark.requests if r.verb != verb)
        route = route._replace(mark=replace(route.mark, requests=others))
    asked = tuple(sorted({*memory.asked, verb}))
    return memory._replace(asked=asked, told=told, route=route, used=tuple(v for v in memory.used if v != verb))


def is_recorded(memory: Memory) -> bool:
    """Whether status has caught up with the mark. Before, nobody else could know what is on the route alone."""
    mark, told = memory.route.mark if memory.route is not None else None, memory.told
    if mark is None:
        return True
    if told is None or mark.requests or (told.attempt, told.paused) != (mark.attempt, mark.paused):
        return False
    ended = told.outcome is not None and (told.outcome.generation, told.outcome.attempt) >= (
        mark.generation,
        mark.attempt,
    )
    if mark.phase is not Phase.ROLLING_BACK or ended:
        return True
    return told.step == mark.step and told.weight == mark.weight and (told.last is None or bool(told.last.reason))


def _lose_route(memory: Memory) -> Iterator[tuple[str, Memory]]:
    if memory.route is not None and is_recorded(memory):
        yield "the route is deleted", _without_evidence(memory)._replace(route=None)


def _lose_mark(memory: Memory) -> Iterator[tuple[str, Memory]]:
    if memory.mark is not None and memory.route is not None and is_recorded(memory):
        yield "the mark is taken off", _without_evidence(memory)._replace(route=memory.route._replace(mark=None))


def _without_evidence(memory: Memory) -> Memory:
    """What status keeps belongs to no mark any more."""
    told = memory.told
    return memory if told is None else memory._replace(told=told._replace(evidence="", until=0))


def _write_weight(memory: Memory) -> Iterator[tuple[str, Memory]]:
    if memory.route is None or not memory.route.ours:
        return
    for shown in FOREIGN:
        if shown != memory.route.shown:
            yield f"somebody sets the weight to {shown}", memory._replace(route=memory.route._replace(shown=shown))


def _write_part(memory: Memory) -> Iterator[tuple[str, Memory]]:
    """Something small: within a rollback in parts it is below most parts."""
    if memory.route is not None and memory.route.ours and memory.route.shown != 3:
        yield "somebody sets the weight to 3", memory._replace(route=memory.route._replace(shown=3))


def edited(memory: Memory) -> Memory:
    """Under another generation nothing was rolled back yet."""
    return memory._replace(generation=memory.generation + 1, rolled=())


def _suspend(memory: Memory) -> Iterator[tuple[str, Memory]]:
    label = "spec.suspend is taken back" if memory.suspended else "spec.suspend is set"
    yield label, edited(memory)._replace(suspended=not memory.suspended)


def _delete(memory: Memory) -> Iterator[tuple[str, Memory]]:
    if not memory.deleting:
        yield "the migration is deleted", memory._replace(deleting=True, gone=not memory.held)


def _edit_arms(memory: Memory) -> Iterator[tuple[str, Memory]]:
    """Another canary: what the route carries are not the backends of the spec any more."""
    route = memory.route
    if route is not None and route.mark is not None:
        route = Standing(route.ours, None, replace(route.mark, arms=OTHER_ARMS))
    yield "the spec names another canary", edited(memory)._replace(route=route)


def _take_over(memory: Memory) -> Iterator[tuple[str, Memory]]:
    if memory.route is not None:
        label = "the route is taken over by another migration" if memory.route.ours else "the route is given back"
        yield label, memory._replace(route=memory.route._replace(ours=not memory.route.ours))


def changes_of(count: int) -> Change:
    """An edit of the spec that goes on to its next version; the last is followed by the first."""

    def edit(memory: Memory) -> Iterator[tuple[str, Memory]]:
        yield "the spec is edited", edited(memory)._replace(variant=(memory.variant + 1) % count)

    return edit


CHANGES: dict[str, Change] = {
    "route lost": _lose_route,
    "mark lost": _lose_mark,
    "foreign weight": _write_weight,
    "foreign part": _write_part,
    "spec edited": changes_of(1),
    "spec replaced": changes_of(3),
    "suspended": _suspend,
    "deleted": _delete,
    "arms edited": _edit_arms,
    "taken over": _take_over,
}
