"""One pass over a memory: the real decision, and what is remembered when the process dies after each of its writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from changeover.api.reasons import Reason
from changeover.core import migration_status
from changeover.core.conditions import parse_timestamp
from changeover.core.evidence import Split
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import Route
from changeover.core.plan import Action, ConfirmOwner, HoldFinalizer, ReleaseRoute, SetSplit
from changeover.core.requests import ACCEPTED

from tests.trust.ladder.classes import Statistics
from tests.trust.ladder.configurations import Configuration
from tests.trust.ladder.memory import (
    SINCE,
    UNTIL,
    Last,
    Memory,
    Outcome,
    Standing,
    Told,
    age_of,
    aged,
    canonical,
    floored,
    reason_of,
)
from tests.trust.ladder.sights import Oracle, Seen, Sights

Decide = Callable[[SeenMigration], Step]
Summary = tuple[Any, ...]


@dataclass(frozen=True)
class Pass:
    """What a pass saw and decided; the choices in words."""

    memory: Memory
    seen: Any
    step: Step
    labels: tuple[str, ...]

    @property
    def write(self) -> SetSplit | None:
        """Its one write of weights and mark."""
        return next((action for action in self.step.actions if isinstance(action, SetSplit)), None)

    @property
    def summary(self) -> Summary:
        """All of a decision that status is made from, as far as it is read back."""
        request, outcome = self.step.request, self.step.outcome
        return (
            isinstance(self.seen.__dict__.get("route"), Route), self.step.mark,
            None if outcome is None else (outcome["result"], outcome["generation"], outcome["attempt"]),
            None if request is None else (request.verb, request.result),
        )  # fmt: skip


class Passes:
    """The passes of one configuration."""

    def __init__(self, configuration: Configuration, decide: Decide) -> None:
        self.configuration = configuration
        self.statistics = Statistics(configuration)
        self.variants = configuration.specs()
        self.decide = decide
        self._told: tuple[Memory, dict[Summary, Told]] = (Memory(), {})  # of the memory that is played

    def over(self, memory: Memory) -> Iterator[Pass]:
        """Every pass that a memory can have: one for each way in which what it looks at may be."""
        sights, oracle = Sights(memory, self.variants, self.statistics), Oracle()
        while True:
            seen = Seen(sights, oracle)
            step = self.decide(seen)  # type: ignore[arg-type]
            yield Pass(memory, seen, step, tuple(oracle.labels))
            if not oracle.advance():
                return

    def ends(self, one: Pass) -> Iterator[tuple[str, Memory]]:
        """What is remembered when the process dies after each write, when a write fails, and when all was written."""
        memory = one.memory
        for number, action in enumerate(one.step.actions, 1):
            if memory.told is None or memory.told.observed != memory.generation:
                # The write fails, and status says so: of the fields that are read back only this one changes.
                yield f"write {number} fails", canonical(_observed(memory))
            memory = act(memory, action, one.step)
            if memory.gone:
                yield "", memory
                return
            yield f"killed after write {number}", canonical(memory)
        yield "", canonical(self._report(one, memory))

    def _report(self, one: Pass, memory: Memory) -> Memory:
        """The write of status, by the code that makes its fields."""
        seen, step = one.seen, one.step
        if step.reason is Reason.DELETING:
            return memory
        seen.close()
        kept = migration_status._kept_evidence(seen, step, step.mark) if step.mark is not None else None
        told = self._fields(one)
        if kept is not None and step.mark is not None and step.mark.weight > 0 and kept.states:
            weighing = self.statistics.weigh(kept, seen.spec, Split(step.mark.weight, None))
            until = floored(age_of(kept.until), UNTIL)
            told = told._replace(evidence=self.statistics.class_of(kept, weighing), until=until)
        reached = memory.reached
        if told.outcome is not None and told.outcome.result == "Promoted" and not reached:
            reached = step.mark.weight if step.mark is not None else 0
        return memory._replace(told=told, reached=reached)

    def _fields(self, one: Pass) -> Told:
        """Those of status; most of a memory's passes say the same."""
        if self._told[0] is not one.memory:
            self._told = (one.memory, {})
        known, key = self._told[1], one.summary
        if key not in known:
            one.seen.evidence = None  # its text is not what is compared
            fields = migration_status._fields(one.seen, replace(one.step, weighing=None))
            known[key] = _told(one.memory.generation, fields, one.seen.owner.requests)
        return known[key]


def act(memory: Memory, action: Action, step: Step) -> Memory:
    """A memory after one write."""
    match action:
        case ConfirmOwner():
            return memory
        case HoldFinalizer(present):
            return memory._replace(held=present, gone=memory.deleting and not present)
        case ReleaseRoute():
            route = memory.route
            return memory._replace(route=None if route is None else Standing(False, route.shown, None))
        case SetSplit(percent, text):
            mark = Mark.parse(text)
            assert mark is not None, "a mark that cannot be read back"
            return _split(memory, percent, mark, step)
        case _:
            raise AssertionError(f"no configuration has {action}")


def _split(memory: Memory, percent: int, mark: Mark, step: Step) -> Memory:
    before, told = memory.mark, memory.told
    if told is not None and told.evidence and (before is None or mark.since != before.since):
        told = told._replace(evidence="", until=0)  # it belongs to an earlier mark, by its time
    rolled = memory.rolled
    if mark.phase is Phase.ROLLING_BACK and mark.generation == memory.generation and mark.attempt not in rolled:
        rolled = tuple(sorted((*rolled, mark.attempt)))
    used = memory.used
    if step.request is not None and step.request.result == ACCEPTED:
        used = tuple(sorted({*used, step.request.verb}))
    return memory._replace(route=Standing(True, percent, aged(mark, 0)), told=told, rolled=rolled, used=used)


def _observed(memory: Memory) -> Memory:
    told = memory.told or Told(memory.generation)
    return memory._replace(told=told._replace(observed=memory.generation))


def _told(generation: int, fields: dict[str, Any], asked: Any) -> Told:
    """Status, as far as it is read back, from its fields."""
    step, outcome = fields.get("step") or {}, fields.get("outcome")
    index, weight, rolling = step.get("index", 0), step.get("weightPercent", 0), step.get("rollingBack", False)
    history = fields["history"]
    return Told(
        observed=generation,
        attempt=fields["attempt"],
        paused=fields["paused"],
        outcome=None if outcome is None else Outcome(outcome["result"], outcome["generation"], outcome["attempt"]),
        step=index,
        weight=weight,
        rolling=rolling,
        last=_last(history[-1], rolling or weight == 0) if history else None,
        answered=tuple(sorted(r["verb"] for r in fields["requests"] if asked.get(r["verb"]) == r["token"])),
    )


def _last(entry: dict[str, Any], matters: bool) -> Last:
    if not matters or (entry["to"] != 0 and entry["reason"] == Reason.STEPPED):
        return Last(0, 0, entry["to"], "")
    phase = Phase.ROLLING_BACK
    return Last(_age(entry["at"]), entry["from"], entry["to"], reason_of(entry["reason"], phase))


def _age(text: str) -> int:
    return floored(age_of(parse_timestamp(text)), SINCE)
