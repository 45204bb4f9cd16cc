"""Which trials make up a goal."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping

from tests.trust.live.calls import FAULTS, ONE_OF_TEN, TEN, WRITES, How, Place, is_of_set_up
from tests.trust.live.stories import STORIES
from tests.trust.live.trials import Reference, Trial

PAIRS_A_STORY = 120  # of a long one fewer, by its stride
EVENTS = 4  # of each kind that the operator is told of in a story, at most, that are hidden, held or end their watch
EVENTS_ANEW = 40  # where something is deleted and made anew, which is late in the story
OURS = ("canarymigrations", "frameworkbenchmarks")
References = Mapping[str, Reference]


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
    """Killed at two of its writes, the second mostly while it recovers from the first."""
    chance, trials = random.Random(seed), []
    for name, course in references.items():
        places = writes(course)
        for _ in range(PAIRS_A_STORY // STORIES[name].stride):
            first = chance.randrange(len(places))
            second = min(len(places) - 1, first + chance.randint(1, 4))
            hows = [chance.choice((How.KILLED_BEFORE, How.KILLED_AFTER)) for _ in range(2)]
            both = dict(zip((places[first], places[second]), hows, strict=True))
            trials.append(Trial(name, tuple((*place, how) for place, how in both.items())))
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
    """Events hidden alone, in pairs and all of a while, held, or ending their watch; reads rewound at each write."""
    del seed
    trials = []
    for name, course in references.items():
        watched = [f"EVENT {plural}" for plural in OURS if any(f" {plural}/" in what for what, _ in course.calls)]
        events = [(what, n) for what in watched for n in range(1, EVENTS + 1)]
        hows = (How.HIDDEN, How.HELD, How.GONE)
        trials += [Trial(name, ((*place, how),)) for place in events for how in hows]
        # What is blind from the right one of these on learns of a deletion and of what was made anew both at once.
        later = range(1, (EVENTS_ANEW if "made anew" in name else EVENTS) + 1)
        trials += [Trial(name, ((what, n, How.BLIND),)) for what in watched for n in later]
        both = [pair for what in watched for pair in itertools.combinations([e for e in events if e[0] == what], 2)]
        trials += [Trial(name, tuple((*place, How.HIDDEN) for place in pair)) for pair in both]
        places = writes(course)[:: 2 * STORIES[name].stride]
        trials += [Trial(name, ((*place, How.REWOUND),)) for place in places]
    return trials


def writes(course: Reference) -> list[Place]:
    """The calls that change something."""
    return [(what, number) for what, number in course.calls if what.split()[0] in WRITES]


GOALS: Mapping[str, Callable[[References, int], list[Trial]]] = {
    "crash": crash, "pairs": pairs, "sweeps": sweeps, "faults": faults, "views": views,
}  # fmt: skip
"""Reference courses by story, and a seed -> trials."""
