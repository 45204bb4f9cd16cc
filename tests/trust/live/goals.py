"""Which trials make up a goal."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from tests.trust.live.calls import BACK, EVENT, FAULTS, ONE_OF_TEN, TEN, UNSEEN, WRITES, How, Place, is_of_set_up
from tests.trust.live.stories import STORIES
from tests.trust.live.trials import Reference, Trial

PAIRS_A_STORY = 120  # of a long one fewer, by its stride
APART = 4  # writes, at most, between the two of a pair: the second mostly comes while it recovers
FIRST_EVENTS, LAST_EVENTS = 4, 3  # of each watch, that are met whatever the story's stride
PAIRS_A_WATCH = 20  # of events that are hidden; of a long story fewer
STARTED_ANEW = ("GET api", 2)  # before kopf lists, in an operator that was killed once
OURS = ("canarymigrations", "frameworkbenchmarks")
References = Mapping[str, Reference]
Plan = tuple[tuple[str, int, How], ...]
Drawn = TypeVar("Drawn")


def crash(references: References, seed: int) -> list[Trial]:
    """The operator killed before and after each write."""
    del seed
    return [
        Trial(name, ((*place, how),))
        for name, course in references.items()
        for place in writes(course)[:: STORIES[name].stride]
        for how in (How.KILLED_BEFORE, How.KILLED_AFTER)
    ]


def pairs(references: References, seed: int) -> list[Trial]:
    """Killed at two of its writes, the second mostly while it recovers from the first; no pair twice."""
    chance, trials = random.Random(seed), []
    hows = list(itertools.product((How.KILLED_BEFORE, How.KILLED_AFTER), repeat=2))
    for name, course in references.items():
        places = writes(course)
        near = [pair for apart in range(1, APART + 1) for pair in zip(places, places[apart:], strict=False)]
        every = [((*one, how), (*other, then)) for one, other in near for how, then in hows]
        trials += [Trial(name, pair) for pair in drawn(chance, every, PAIRS_A_STORY // STORIES[name].stride)]
    return trials


def faults(references: References, seed: int) -> list[Trial]:
    """Each of the faults at the first, a middle and the last call of each name, reads as well as writes."""
    del seed
    trials = []
    for name, course in references.items():
        counts = Counter(what for what, _ in course.calls if not is_of_set_up(what))
        places = [(what, n) for what, most in counts.items() for n in sorted({1, (most + 1) // 2, most})]
        trials += [Trial(name, ((*place, how),)) for place in places[:: STORIES[name].stride] for how in FAULTS]
    return trials


def sweeps(references: References, seed: int) -> list[Trial]:
    """Each of the faults at one of each ten calls; in ten such trials at every call."""
    del seed
    return [Trial(name, ((ONE_OF_TEN, n, how),)) for name in references for how in FAULTS for n in range(1, TEN + 1)]


def views(references: References, seed: int) -> list[Trial]:
    """What the operator is told of is hidden, held, or ends its watch; what it reads is as it was."""
    chance, trials = random.Random(seed), []
    for name, course in references.items():
        trials += [Trial(name, plan) for plan in dict.fromkeys([*unseen(name, course, chance), *stale(name, course)])]
    return trials


def unseen(name: str, course: Reference, chance: random.Random) -> Iterator[Plan]:
    """Events of each watch hidden alone, in pairs and all of a while, held, or ending it; deletions always."""
    for plural in OURS:
        most, stride = course.events.get(f"{EVENT} {plural}", 0), STORIES[name].stride
        events = [(f"{EVENT} {plural}", n) for n in met_of(most, stride)]
        # What is there at the start is listed, so that what is added later is new, or made anew.
        gone, anew = (
            [(f"{became} {plural}", n + 1) for n in range(course.events.get(f"{became} {plural}", 0))]
            for became in ("DELETED", "ADDED")
        )
        yield from [((*place, how),) for place in [*events, *gone, *anew] for how in UNSEEN]
        every = list(itertools.combinations([(f"{EVENT} {plural}", n + 1) for n in range(most)], 2))
        both = [*itertools.product(gone, anew), *drawn(chance, every, PAIRS_A_WATCH // stride)]
        yield from [((*one, How.HIDDEN), (*other, How.HIDDEN)) for one, other in both]
        yield from [((*place, how),) for place, how in zip([*gone, *events], itertools.cycle(BACK), strict=False)]


def stale(name: str, course: Reference) -> Iterator[Plan]:
    """Reads rewound at every second write, and, of who is killed there, from its next start on."""
    places = writes(course)[:: 2 * STORIES[name].stride]
    for place, how in zip(places, itertools.cycle(BACK), strict=False):
        yield ((*place, how),)
        yield (*place, How.KILLED_AFTER), (*STARTED_ANEW, how)


def met_of(most: int, stride: int) -> list[int]:
    """The numbers up to this one that something happens at: the first, the last, and those between by their stride."""
    ends = [*range(1, FIRST_EVENTS + 1), *range(most - LAST_EVENTS + 1, most + 1)]
    return sorted(number for number in {*ends, *range(1, most + 1, stride)} if 1 <= number <= most)


def drawn(chance: random.Random, every: Sequence[Drawn], number: int) -> list[Drawn]:
    """So many, each once; all when there are fewer."""
    return chance.sample(every, min(number, len(every)))


def writes(course: Reference) -> list[Place]:
    """The calls that change something."""
    return [(what, number) for what, number in course.calls if what.split()[0] in WRITES]


GOALS: Mapping[str, Callable[[References, int], list[Trial]]] = {
    "crash": crash, "pairs": pairs, "sweeps": sweeps, "faults": faults, "views": views,
}  # fmt: skip
"""Reference courses by story, and a seed -> trials."""
