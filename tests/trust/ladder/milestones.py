"""Where the search begins besides nothing: the states of a few whole lives, reached by the same passes and events.

What is late in a life is many events away from its beginning; from these states on it is near. Each of them has the way
that led to it, so a counter-example that begins there still begins from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.trust.ladder.ends import LULL, WORLDS, Settled
from tests.trust.ladder.events import ask
from tests.trust.ladder.memory import Memory, canonical, later
from tests.trust.ladder.passes import Pass, Passes
from tests.trust.ladder.sights import Seen, Sights

Label = tuple[str, ...]
ROUNDS = 6  # of a person's request, a pass, and a lull: enough for three steps, and for a look after the end
WELL, BAD = WORLDS
LIVES = ((WELL,), (BAD,), (BAD, WELL))  # a life that goes on after a rollback needs a retry


def milestones(passes: Passes) -> Iterator[tuple[Memory, Memory, Label]]:
    """A state, the next one in the same life, and what led from one to the other."""
    for life in LIVES:
        memory = Memory()
        for world in life:
            for label, after in _round(memory, passes, world):
                yield memory, after, label
                memory = after


def _round(memory: Memory, passes: Passes, world: str) -> Iterator[tuple[Label, Memory]]:
    verbs = passes.configuration.verbs
    helps = next((verb for verb in ("approve", "promote") if verb in verbs), "")
    for number in range(ROUNDS):
        ended = memory.told is not None and memory.told.outcome is not None
        verb = "retry" if ended and number == 0 and "retry" in verbs else helps if number else ""
        if (verb and not ended) or verb == "retry":
            memory = canonical(ask(memory, verb))
            yield (f"{verb} is asked for",), memory
        sights, oracle = Sights(memory, passes.variants, passes.statistics), Settled(WORLDS[world])
        seen = Seen(sights, oracle)
        step = passes.decide(seen)  # type: ignore[arg-type]
        *_, (how, memory) = passes.ends(Pass(memory, seen, step, tuple(oracle.labels)))
        yield (*oracle.labels, f"{step.reason}", how), memory
        memory = later(memory, LULL)
        yield (f"{LULL} s pass",), memory
