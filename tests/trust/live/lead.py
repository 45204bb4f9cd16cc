"""``python -m tests.trust.live.lead [--trials N] [--seed N]``: two operators, one Lease; who led is stopped or ended.

Six ways: SIGSTOP past the Lease and SIGCONT; the same while one of its writes is on its way, which comes when the other
leads; SIGKILL; SIGTERM; and the Lease itself is deleted, or emptied, by somebody: then the one leads on. N trials of
each of the first two, a third as many of each of the others. Nothing that it writes after the other has taken over may
take effect, and the story must end as it does with one operator. A takeover is timed until the other's first look at
the migration; a slow one whose loss of time to a busy machine explains it is tried once more, alone. What failed once
is stored, to be tried first from then on.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import signal
import sys
import time
from dataclasses import astuple, dataclass, field
from pathlib import Path

from tests.trust.failures import Failures
from tests.trust.live import takeovers
from tests.trust.live.calls import How, Record
from tests.trust.live.ends import broken_rules, differences, end_of
from tests.trust.live.proxy import carried_out
from tests.trust.live.rival import LEASE_SECONDS, Rival, a_rival, first_write, lease_of, lease_path, looked, wrote_route
from tests.trust.live.stage import NotOver, Stage, Story, a_stage, play_rounds, play_until
from tests.trust.live.stories import STORIES
from tests.trust.live.takeovers import PROMISED, Lateness, Takeover, waited
from tests.trust.live.trials import Bench, a_bench, as_kept, references, side_by_side

FAILED = Failures(Path(__file__).parent / "led.json")
WAYS = ("stopped", "late", "killed", "told", "deleted", "emptied")
STORY_NAMES = ("migration, promoted", "migration, rolled back for its errors", "migration, aborted by a person")
# Fenced by time alone (decision 0023): it names no version, tells what was so, and nothing is decided by it.
EVENT = "POST events"
STOPPED = ("stopped", "late")
_HELD_BACK = re.compile(r"was not finished: .* does not lead any more$", re.MULTILINE)
SIGNALS = {"stopped": signal.SIGSTOP, "late": signal.SIGSTOP, "killed": signal.SIGKILL, "told": signal.SIGTERM}


@dataclass(frozen=True)
class Trial:
    """A story, what happens to who leads, and after how many seconds; `write` is which write of the route is late."""

    story: str
    way: str
    after: float
    write: int


@dataclass
class Found:
    """What came of a trial.

    takeover     how long it took, if anybody took over
    late_writes  writes of the old one that took effect after the other led; ``events`` counts those of Events
    refused      its writes that the API server refused then
    held_back    its passes that ended then because it saw itself that it does not lead any more
    wrong        what else was wrong
    """

    takeover: Takeover | None = None
    late_writes: list[str] = field(default_factory=list)
    events: int = 0
    refused: list[str] = field(default_factory=list)
    held_back: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether anything was not as it must be."""
        return bool(self.wrong or self.late_writes)


def run(bench: Bench, trial: Trial) -> Found:
    """One trial on a stage of its own."""
    story, found = STORIES[trial.story], Found()
    with a_stage(bench.mirror, bench.folder, story, lease=LEASE_SECONDS) as stage:
        if trial.way == "late":
            stage.proxy.plan = {("PATCH httproutes/shop", trial.write): How.WITHHELD}
        stage.play()
        play_until(stage, story, lambda: looked(stage.proxy) is not None, "the one leads")
        with a_rival(stage) as rival:
            try:
                _until_due(stage, rival, trial)
                if trial.way in ("deleted", "emptied"):
                    _take_away(stage, rival, trial, found)
                    _to_its_end(stage, story)
                else:
                    _hand_over(stage, rival, trial, found)
                found.wrong += broken_rules(carried_out(stage.proxy, rival.proxy))
                end = as_kept(end_of(stage, story))
                found.wrong += differences(end, references()[trial.story].end)
            except NotOver as error:
                log = (rival.setting.folder / "operator.log").read_text()[-1500:]
                found.wrong.append(f"{error}\n{log}")
            finally:
                stage.proxy.released.set()
                _signal(stage, signal.SIGCONT)
    return found


def _until_due(stage: Stage, rival: Rival, trial: Trial) -> None:
    """Both are there, and the moment of the trial has come."""
    story = STORIES[trial.story]
    play_until(stage, story, lambda: rival.proxy.counted["WATCH canarymigrations"] > 0, "the other watches")
    due = time.monotonic() + trial.after

    def has_come() -> bool:
        if trial.way == "late":
            return bool(stage.proxy.met) or story.is_over(stage)
        return time.monotonic() > due

    play_until(stage, story, has_come, "the moment of the trial")


def _hand_over(stage: Stage, rival: Rival, trial: Trial, found: Found) -> None:
    """What happens to the one, until the other leads; then the one goes on, if it can, to the end of the story."""
    story = STORIES[trial.story]
    lateness, waited_before = Lateness(), waited(rival.process.pid)
    with lateness.measuring():
        struck = time.monotonic()
        _signal(stage, SIGNALS[trial.way])
        play_until(stage, story, lambda: looked(rival.proxy) is not None, "the other leads")
    lost = lateness.seconds + waited(rival.process.pid) - waited_before
    leads, term = looked(rival.proxy) or 0.0, lease_of(stage).get("leaseTransitions")
    if trial.way == "late":  # what comes before the other has written its term came before it led, for all it can see
        play_until(stage, story, lambda: wrote_route(rival) or story.is_over(stage), "the other writes its term")
    stage.proxy.released.set()
    _signal(stage, signal.SIGCONT)
    play_rounds(stage, story, 10)
    gone_on = time.monotonic()
    _to_its_end(stage, story)
    # Had the other lost the Lease since, on a machine that stalls, the one may write again.
    until = math.inf if lease_of(stage).get("leaseTransitions") == term else gone_on
    sort_late(found, list(stage.proxy.calls), leads, until)
    found.held_back = len(_HELD_BACK.findall((stage.setting.folder / "operator.log").read_text()))
    found.takeover = Takeover(trial.way, leads - struck, lost, max(0.0, first_write(rival) - struck))


def sort_late(found: Found, calls: list[Record], since: float, until: float = math.inf) -> None:
    """What became of the writes of the one that ended between these moments."""
    writes = [one for one in calls if one.call.is_write and since < one.done < until]
    taken = [one.call.what for one in writes if 0 < one.status < 400]
    found.late_writes = [what for what in taken if what != EVENT]
    found.events = len(taken) - len(found.late_writes)
    found.refused = [one.call.what for one in writes if one.status >= 400]


def _take_away(stage: Stage, rival: Rival, trial: Trial, found: Found) -> None:
    """Somebody meddles with the Lease, and the one makes it anew: the other never leads."""
    path, before = lease_path(stage), lease_of(stage)
    with stage.mirror.server.client() as client:
        done = client.delete(path) if trial.way == "deleted" else client.merge(path, {"spec": None})
        assert done.ok, done.message
    over = time.monotonic() + LEASE_SECONDS + PROMISED["told"]
    play_until(stage, STORIES[trial.story], lambda: time.monotonic() > over, "the Lease would have run out")
    after = lease_of(stage)
    if looked(rival.proxy) is not None:
        found.wrong.append("two led")
    same = ("holderIdentity", "leaseTransitions")
    if [after.get(key) for key in same] != [before[key] for key in same]:
        found.wrong.append(f"the Lease became {after}, and was {before}")


def _to_its_end(stage: Stage, story: Story) -> None:
    play_until(stage, story, lambda: story.is_over(stage), "the story ends", 120.0)
    play_rounds(stage, story, 5)


def _signal(stage: Stage, number: signal.Signals) -> None:
    if stage.operator is not None and stage.operator.pid is not None and stage.operator.is_alive():
        os.kill(stage.operator.pid, number)


def trials(number: int, seed: int) -> list[Trial]:
    """So many of each way by SIGSTOP, a third as many of each other; order, stories and moments by chance."""
    chance = random.Random(seed)
    ways = [way for way in WAYS for _ in range(number if way in STOPPED else math.ceil(number / 3))]
    chance.shuffle(ways)
    return [Trial(chance.choice(STORY_NAMES), way, chance.uniform(0.5, 5.0), chance.randint(2, 3)) for way in ways]


def attempt(bench: Bench, number: int, seed: int) -> list[tuple[Trial, Found]]:
    """What failed once, and so many trials; what a busy machine explains is tried once more, alone."""
    told = []
    asked = [*(Trial(*key) for key in FAILED.read()), *trials(number, seed)]
    for trial, found in side_by_side(lambda trial: run(bench, trial), asked, float("inf")):
        told.append((trial, found))
        keep(trial, found)
    for trial, found in list(told):
        if found.takeover is not None and found.takeover.is_void:
            print(f"  {trial}\n    once more, alone: {found.takeover}", flush=True)
            found.takeover = None
            told.append((trial, run(bench, trial)))
            keep(*told[-1])
    return told


def keep(trial: Trial, found: Found) -> None:
    """Say and store at once what failed: what comes later may end all this."""
    if found.failed:
        lines = [*found.wrong, *(f"took effect: {one}" for one in found.late_writes)]
        print(f"  {trial}\n    " + "\n    ".join(line[:2500] for line in lines), flush=True)
        FAILED.add([list(astuple(trial))])


def times(told: list[tuple[Trial, Found]]) -> list[Takeover]:
    """A write that is withheld holds up the renewal, too, and tells nothing."""
    return [one.takeover for trial, one in told if one.takeover is not None and trial.way != "late"]


def summary(told: list[tuple[Trial, Found]]) -> str:
    """Counts of trials and of late writes, and the times of takeovers by way."""
    found = [one for _, one in told]
    stopped = sum(trial.way in STOPPED for trial, _ in told)
    refused = sum(len(one.refused) for one in found)
    taken, events = sum(len(one.late_writes) for one in found), sum(one.events for one in found)
    lines = [
        f"lead: {len(told)} trials, {stopped} of SIGSTOP and SIGCONT, {sum(one.failed for one in found)} failed",
        f"late writes: {refused + taken + events} reached the API server: {refused} refused, {taken} took effect, "
        f"{events} Events; {sum(one.held_back for one in found)} passes ended before theirs",
        *takeovers.told(times(told)),
    ]
    return "\n  ".join(lines)


def main() -> int:
    """Exit code: 1 when a trial failed, takeovers are too slow, or too many are void."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.live.lead", description=__doc__)
    parser.add_argument("--trials", type=int, default=100, help="of each way by SIGSTOP; of the others a third")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with a_bench() as bench:
        told = attempt(bench, given.trials, given.seed)
    print(summary(told))
    slow, unjudged = takeovers.too_slow(times(told)), takeovers.unjudged(times(told))
    for way in slow:
        print(f"  {way}: {PROMISED[way]:.0f} s are promised")
    for way in unjudged:
        print(f"  {way}: the machine was too busy to say how long it takes")
    return 1 if any(found.failed for _, found in told) or slow or unjudged else 0


if __name__ == "__main__":
    sys.exit(main())
