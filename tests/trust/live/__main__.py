"""``python -m tests.trust.live GOAL [--seconds N] [--seed N] [--skip N] [--only WORDS]``: a goal tried and counted."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.trust.live.calls import EVENT
from tests.trust.live.ends import differences
from tests.trust.live.goals import GOALS
from tests.trust.live.stories import STORIES
from tests.trust.live.trials import REFERENCES, Bench, Trial, a_bench, numbered, references, store, stored

TOLD_EVERY = 100  # trials of a long goal
MOST_MISSED = 0.4  # share of the trials that may do nothing; more, and little was tried


@dataclass
class Tally:
    """What came of a goal's trials.

    planned  trials, each another
    tried    those that were told to their end
    did      of them, those of which every place came, and did something: how often status is written depends on how
             passes fall, and what was read earlier may be as it is now
    failed   by trial, what was wrong
    """

    planned: int = 0
    tried: int = 0
    did: int = 0
    seconds: float = 0.0
    failed: dict[Trial, list[str]] = field(default_factory=dict)

    @property
    def says_something(self) -> bool:
        """Whether enough was tried."""
        return self.did > 0 and self.tried - self.did <= MOST_MISSED * self.tried

    def __str__(self) -> str:
        told = f"{self.tried} trials of {self.planned}, {self.did} took effect"
        return f"{told}, {self.tried - self.did} did not or in part, {len(self.failed)} failed; {self.seconds:.0f} s"


def chosen(goal: str, seed: int = 1, only: str = "", skip: int = 0) -> list[Trial]:
    """The trials of a goal, what once failed first, the rest in the order of a seed; without so many of the first."""
    known = {name: one for name, one in references().items() if only in name}
    trials = GOALS[goal](known, seed)
    random.Random(seed).shuffle(trials)
    first = [trial for trial in stored(goal) if trial.story in known]
    return (first + [trial for trial in trials if trial not in first])[skip:]


def attempt(
    bench: Bench, trials: list[Trial], tally: Tally, seconds: float, keep: Callable[[Trial], None] = lambda failed: None
) -> None:
    """Try these in their order; none is begun after so many seconds. What fails is told, and kept, at once."""
    began, known = time.monotonic(), references()
    tally.planned = len(trials)
    for trial, course in bench.run_all(trials, began + seconds):
        tally.tried += 1
        tally.did += course.did(trial)
        tally.seconds = time.monotonic() - began
        if tally.tried % TOLD_EVERY == 0:
            print(f"  {tally}", flush=True)
        if wrong := course.wrong or differences(course.end, known[trial.story].end):
            tally.failed[trial] = wrong
            print(f"  {trial}\n    " + "\n    ".join(line[:2000] for line in wrong), flush=True)
            print(f"    to be stored: {json.dumps(trial.as_kept())}", flush=True)
            keep(trial)


def write_references(bench: Bench, only: str) -> None:
    """Tell each story undisturbed, and keep how it went. Raises AssertionError when one does not end well."""
    before = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {}
    kept = {name: one for name, one in before.items() if only not in name}
    REFERENCES.write_text(json.dumps(kept))  # what is told anew is held against nothing that was written before
    for trial, course in bench.run_all([Trial(name) for name in STORIES if only in name]):
        assert not course.wrong and course.starts == 1, f"{trial}: {course.wrong}"
        calls = [list(place) for place in numbered(course.calls)]
        kept[trial.story] = {"end": course.end, "calls": calls, "events": course.events}
        events = sum(number for what, number in course.events.items() if what.startswith(EVENT))
        print(f"{trial.story}: {len(calls)} calls, {events} events, {course.seconds:.1f} s", flush=True)
    REFERENCES.write_text(json.dumps({name: kept[name] for name in STORIES if name in kept}, sort_keys=True) + "\n")


def main() -> int:
    """Exit code: 1 when a trial failed, or too little was tried to say so."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.live", description=__doc__)
    parser.add_argument("goal", choices=[*GOALS, "references"])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no trial after so many")
    parser.add_argument("--seed", type=int, default=1, help="of the order, and of what is chosen")
    parser.add_argument("--skip", type=int, default=0, help="trials of that order, which another run has tried")
    parser.add_argument("--only", default="", help="stories whose name has these words")
    given = parser.parse_args()
    with a_bench() as bench:
        if given.goal == "references":
            write_references(bench, given.only)
            return 0
        trials, tally = chosen(given.goal, given.seed, given.only, given.skip), Tally()
        try:
            attempt(bench, trials, tally, given.seconds, partial(store, given.goal))
        finally:  # who is ended, as by SIGTERM, has tried as many all the same
            print(f"{given.goal}: {tally}", flush=True)
    if not tally.says_something:
        print("little was tried, or nothing; python -m tests.trust.live references counts calls and events anew")
    return 1 if tally.failed or not tally.says_something else 0


if __name__ == "__main__":
    sys.exit(main())
