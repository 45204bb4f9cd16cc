"""Breadth-first search over the real decisions: `python -m tests.trust.search [--states N | --seconds S]`.

From nothing it goes on to every memory that passes, crashes, time and people can lead to, and holds every pass against
``rules.py``. Breadth-first, so that what is found first is a shortest way to it from the nearest of the states that it
begins with (``milestones.py``).
"""

from __future__ import annotations

import argparse
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from changeover.core import verbs

from tests.trust.ladder.classes import remembered
from tests.trust.ladder.configurations import BY_NAME, CONFIGURATIONS, TOLD_LIVE, Configuration
from tests.trust.ladder.edges import edge, keep
from tests.trust.ladder.ends import WORLDS, Ends
from tests.trust.ladder.events import events
from tests.trust.ladder.memory import Memory
from tests.trust.ladder.milestones import milestones
from tests.trust.ladder.passes import Decide, Pass, Passes
from tests.trust.ladder.rules import broken

STATES, LEAST = 1_100_000, 1_000_000  # that are decided in, and fewer than which prove too little
EVERY = 50  # of so many states one is walked to its end
EDGES_STATES = 800_000  # of what the live stories tell
EVERY_TWICE = 4  # of so many passes one is decided twice
Way = list[str]


@dataclass
class Found:
    """What a search has seen.

    states       what decisions were made from: a memory, and all that the pass looked at; no two are equal
    memories     of which every pass was played, and everything else that may befall them
    waiting      memories that were reached, and not played any more
    transitions  events, and ends of passes: killed after each write, a write that fails, all done
    walked       states that were walked to their end, in each world
    violations   the way to each rule that was broken, from nothing
    edges        what writes of weight and mark made of the mark before (``edges.py``)
    """

    name: str
    states: int = 0
    memories: int = 0
    waiting: int = 0
    transitions: int = 0
    walked: int = 0
    seconds: float = 0.0
    violations: dict[str, Way] = field(default_factory=dict)
    edges: set[str] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left to search."""
        return not self.waiting


class Search:
    """One configuration's search."""

    def __init__(self, configuration: Configuration, decide: Decide = verbs.decide) -> None:
        self.found = Found(configuration.name)
        self._configuration = configuration
        self._passes = Passes(configuration, decide)
        self._ends = Ends(self._passes)
        self._number: dict[Memory, int] = {}
        self._memories: deque[Memory] = deque()
        self._from, self._by = array("l"), list[tuple[str, ...]]()
        self._labels: dict[tuple[str, ...], tuple[str, ...]] = {}

    def run(self, states: int | None = None, seconds: float | None = None, until: str | None = None) -> Found:
        """Until all is searched, or so many states, or so long, or this rule is broken."""
        began, found = time.monotonic(), self.found
        statistics = self._passes.statistics
        self._reach(Memory(), -1, ())
        with remembered(statistics):
            for memory, after, label in milestones(self._passes):
                self._reach(after, self._number[memory], label)
            while self._memories and (states is None or found.states < states):
                is_late = seconds is not None and time.monotonic() - began > seconds
                if is_late or (until is not None and any(until in violation for violation in found.violations)):
                    break
                self._play(self._memories.popleft())
        found.waiting, found.seconds = len(self._memories), time.monotonic() - began
        return found

    def _play(self, memory: Memory) -> None:
        """Everything that may come next."""
        number, found = self._number[memory], self.found
        found.memories += 1
        for label, after in events(memory, self._configuration):
            found.transitions += 1
            self._reach(after, number, (label,))
        if memory.gone:
            return
        for one in self._passes.over(memory):
            found.states += 1
            self._judge(one, number)
            for how, after in self._passes.ends(one):
                found.transitions += 1
                self._reach(after, number, (*one.labels, f"{one.step.reason}", how))
        if number % EVERY == 0:
            self._walk(memory, number)

    def _reach(self, memory: Memory, parent: int, label: tuple[str, ...]) -> None:
        if memory in self._number:
            return
        self._number[memory] = len(self._number)
        self._memories.append(memory)
        self._from.append(parent)
        self._by.append(self._labels.setdefault(label, label))

    def _judge(self, one: Pass, number: int) -> None:
        if one.write is not None:
            self.found.edges.add(edge(one.memory.mark, one.write.mark))
        violations = list(broken(one, self._passes.statistics))
        if self.found.states % EVERY_TWICE == 0 and self._passes.decide(one.seen) != one.step:
            violations.append("decided otherwise the second time")
        for violation in violations:
            if violation not in self.found.violations:
                last = _words((*one.labels, f"{one.step.reason}", ""))
                self.found.violations[violation] = [*self._way(number), last]

    def _walk(self, memory: Memory, number: int) -> None:
        self.found.walked += 1
        for world in WORLDS:
            why = self._ends.endless(memory, world)
            if why and why not in self.found.violations:
                self.found.violations[why] = self._way(number)

    def _way(self, number: int) -> Way:
        """The events that led to a state, the first one first."""
        way = []
        while self._from[number] >= 0:
            way.append(_words(self._by[number]))
            number = self._from[number]
        return way[::-1]


def _words(label: tuple[str, ...]) -> str:
    if len(label) == 1:
        return label[0]
    *choices, reason, how = label
    seen = ", ".join(choices)
    return f"a pass{f' ({seen})' if seen else ''}: {reason}{f', {how}' if how else ''}"


def search_all(
    configurations: Sequence[Configuration], states: int | None = None, seconds: float | None = None
) -> Iterator[Found]:
    """One after the other; what is allowed is shared, and what one leaves the next ones get."""
    for left, one in zip(range(len(configurations), 0, -1), configurations, strict=True):
        found = Search(one).run(None if states is None else states // left, None if seconds is None else seconds / left)
        states = None if states is None else states - found.states
        seconds = None if seconds is None else seconds - found.seconds
        yield found


def told(found: Found) -> str:
    """One line of a table."""
    whole = "all" if found.is_whole else f"{found.waiting:,} not played"
    return (
        f"{found.name:10} {found.states:>10,} states of {found.memories:>8,} memories ({whole}) "
        f"{found.transitions:>10,} transitions {found.walked:>6,} walked to their end "
        f"{len(found.violations)} violations {found.seconds:8.0f} s"
    )


def summed(found: Sequence[Found]) -> str:
    """The last line."""
    states, memories, transitions, waiting = (
        sum(getattr(one, name) for one in found) for name in ("states", "memories", "transitions", "waiting")
    )
    violations, seconds = sum(len(one.violations) for one in found), sum(one.seconds for one in found)
    left = f"{waiting:,} more reached and not played" if waiting else "all there are"
    return (
        f"{states:,} states of {memories:,} memories ({left}), {transitions:,} transitions, "
        f"{violations} violations, {seconds:.0f} s"
    )


def too_few(found: Sequence[Found], asked: int) -> str:
    """Why a search proves too little, however it was ended; empty when it does not, or no more was asked."""
    states, least = sum(one.states for one in found), min(asked, LEAST)
    if states >= least or all(one.is_whole for one in found):
        return ""
    return f"too few: {states:,} states of at least {least:,}"


def main(arguments: Sequence[str]) -> int:
    """Search, say what was found; 1 when a rule was broken, or too little was searched."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, help=f"decide in so many states, in all (default: {STATES:,})")
    parser.add_argument("--seconds", type=float, help="search so long, in all")
    parser.add_argument("--only", choices=sorted(BY_NAME), help="one configuration")
    parser.add_argument("--edges", action="store_true", help="of what the live stories tell: keep the writes there are")
    asked = parser.parse_args(arguments)
    if asked.edges:
        found = Search(TOLD_LIVE).run(asked.states or EDGES_STATES, asked.seconds)
        keep(found.edges)
        print(f"{told(found)}, {len(found.edges)} edges")
        return 1 if found.violations else 0
    chosen = [BY_NAME[asked.only]] if asked.only else CONFIGURATIONS
    all_found = []
    for found in search_all(chosen, asked.states or STATES, asked.seconds):
        all_found.append(found)
        print(told(found), flush=True)
        for violation, way in found.violations.items():
            print(f"  VIOLATION: {violation}")
            print("".join(f"    {number:2}. {event}\n" for number, event in enumerate(way, 1)), end="")
    print(summed(all_found))
    why = too_few(all_found, asked.states or STATES)
    if why:
        print(why)
    return 1 if why or any(one.violations for one in all_found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
