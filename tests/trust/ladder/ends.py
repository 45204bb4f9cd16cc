"""Does it come to an end? Once faults stop, and those who are asked do what is asked, a few passes must settle it."""

from __future__ import annotations

from collections.abc import Sequence

from changeover.core.requests import VERBS

from tests.trust.ladder.events import ask, edited
from tests.trust.ladder.memory import Memory, canonical, later
from tests.trust.ladder.passes import Pass, Passes
from tests.trust.ladder.sights import Option, Oracle, Seen, Sights

MOST_PASSES = 40
LULL = 735  # seconds between two passes: time for evidence
WORLDS = {"all is well": (), "the canary is bad": ("tripped", "bad")}


class Settled(Oracle):
    """Chooses what this world prefers, else what is well: the first option everywhere."""

    def __init__(self, prefers: Sequence[str]) -> None:
        super().__init__()
        self._prefers = prefers

    def choose(self, what: str, options: Sequence[tuple[str, Option]]) -> Option:
        """No path: there is one way through."""
        label, value = next((one for one in options if one[0] in self._prefers), options[0])
        if len(options) > 1:
            self.labels.append(f"{what} {label}")
        return value


class Ends:
    """Walks memories to their end; what was walked before is known."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._known: dict[str, dict[Memory, int]] = {world: {} for world in WORLDS}
        self.walked = 0

    def endless(self, memory: Memory, world: str) -> str:
        """Why a memory does not come to an end in a world; empty when it does."""
        known, walk = self._known[world], []
        left = MOST_PASSES
        while memory not in known:
            walk.append(memory)
            left -= 1
            after, ended = self._go_on(memory, WORLDS[world])
            if ended:
                known[memory] = 0
                break
            if left == 0:
                return f"once {world}, it has not ended after {MOST_PASSES} passes"
            memory = after
        passes = known[memory]
        for one in reversed(walk[:-1] if walk and walk[-1] == memory else walk):
            passes += 1
            known[one] = passes
        return "" if passes <= MOST_PASSES else f"once {world}, it takes {passes} passes to its end"

    def _go_on(self, memory: Memory, prefers: Sequence[str]) -> tuple[Memory, bool]:
        """A pass later; and whether it had ended, and the pass left all as it was."""
        self.walked += 1
        memory = _helped(memory)
        if memory.gone:
            return memory, True
        sights = Sights(memory, self._passes.variants, self._passes.statistics)
        seen = Seen(sights, Settled(prefers))
        self._passes.statistics.is_exact = True
        try:
            step = self._passes.decide(seen)  # type: ignore[arg-type]
            *_, (_, after) = self._passes.ends(Pass(memory, seen, step, ()))
        finally:
            self._passes.statistics.is_exact = False
        return later(after, LULL), has_ended(after) and not step.actions


def _helped(memory: Memory) -> Memory:
    """People do what the status asks of them."""
    if memory.gone:
        return memory
    if memory.suspended:
        memory = edited(memory)._replace(suspended=False)
    route, told = memory.route, memory.told
    if route is not None and not route.ours and route.mark is not None:
        route = route._replace(ours=True)
    if route is not None and route.mark is not None and route.mark.contests:
        route = route._replace(shown=route.mark.weight)
    memory = memory._replace(route=route)
    standing = [verb for verb in memory.asked if told is None or verb not in told.answered]
    if not any(verb in VERBS for verb in standing):
        is_paused = memory.mark is not None and memory.mark.paused
        memory = ask(memory, "resume" if is_paused else "approve")
    return canonical(memory)


def has_ended(memory: Memory) -> bool:
    """Promoted, or rolled back under the spec that stands, and the route says so."""
    outcome = memory.told.outcome if memory.told is not None else None
    if memory.gone:
        return True
    if memory.route is not None and not memory.route.ours:
        return outcome is not None or memory.route.mark is None  # nobody gives it back: the status says whose it is
    if outcome is None:
        return False
    if outcome.result == "Promoted":
        return True
    return outcome.generation == memory.generation and memory.route is not None and not memory.route.shown
