"""``python -m tests.trust.live.lead [--trials N] [--seed N]``: two operators, one Lease; who led is stopped or ended.

Six ways, in turn: SIGSTOP past the Lease and SIGCONT; the same while one of its writes is on its way, which comes when
the other leads; SIGKILL; SIGTERM; and the Lease itself is deleted, or emptied, by somebody: then the one leads on.
Nothing that it writes after the other has taken over may take effect, and the story must end as it does with one
operator. A takeover is timed until the other's first look at the migration. What failed once is stored, to be tried
first from then on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.trust.failures import Failures
from tests.trust.live.calls import How, Record
from tests.trust.live.ends import broken_rules, differences, end_of
from tests.trust.live.hurried import Setting, start
from tests.trust.live.proxy import Proxy, carried_out
from tests.trust.live.stage import NotOver, Stage, a_stage, configure, states
from tests.trust.live.stories import STORIES
from tests.trust.live.trials import Bench, a_bench, as_kept, references, side_by_side
from tests.unit.loopback import serving

FAILED = Failures(Path(__file__).parent / "led.json")
LEASE_SECONDS = 4
PATIENCE = 30.0  # seconds until the other leads
PROMISED = {"killed": 5.0, "told": 1.0}  # seconds of most takeovers, on a machine that is not overloaded
WAYS = ("stopped", "late", "killed", "told", "deleted", "emptied")
STORY_NAMES = ("migration, promoted", "migration, rolled back for its errors", "migration, aborted by a person")
# Fenced by time alone (decision 0023): it names no version, tells what was so, and nothing is decided by it.
EVENT = "POST events"
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
    """Seconds that the takeover took, writes of the old one that took effect, and what else was wrong."""

    took: float = 0.0
    late_writes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether anything was not as it must be."""
        return bool(self.wrong or self.late_writes)


@dataclass
class Rival:
    """The other operator, with a way of its own to the API server."""

    proxy: Proxy
    setting: Setting
    process: BaseProcess


def looked(proxy: Proxy) -> float | None:
    """When an operator looked at the migration first (monotonic seconds); None before. Who waits looks at nothing."""
    return next((one.at for one in list(proxy.calls) if one.call.what == "GET canarymigrations/shop"), None)


@contextlib.contextmanager
def a_rival(stage: Stage) -> Iterator[Rival]:
    """Started beside the first."""
    folder = stage.setting.folder / "rival"
    folder.mkdir()
    server = stage.mirror.server
    with serving(Proxy(server.host, server.port, str(server.certificates))) as proxy:
        proxy.wrote = stage.written
        configure(stage, folder, proxy, LEASE_SECONDS)
        setting = Setting(folder, stage.setting.epoch, stage.setting.factor, stage.setting.resync)
        rival = Rival(proxy, setting, start(setting))
        try:
            yield rival
        finally:
            rival.process.kill()
            rival.process.join()


def run(bench: Bench, trial: Trial) -> Found:
    """One trial on a stage of its own."""
    story, found = STORIES[trial.story], Found()
    with a_stage(bench.mirror, bench.folder, story, lease=LEASE_SECONDS) as stage:
        if trial.way == "late":
            stage.proxy.plan = {("PATCH httproutes/shop", trial.write): How.WITHHELD}
        stage.play()
        _play_until(stage, lambda: looked(stage.proxy) is not None, "the one leads")
        with a_rival(stage) as rival:
            try:
                _until_due(stage, rival, trial)
                if trial.way in ("deleted", "emptied"):
                    _take_away(stage, rival, trial, found)
                else:
                    _hand_over(stage, rival, trial, found)
                _to_its_end(stage, trial)
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
    _play_until(stage, lambda: rival.proxy.counted["WATCH canarymigrations"] > 0, "the other watches")
    story, due = STORIES[trial.story], time.monotonic() + trial.after

    def has_come() -> bool:
        story.meddle(stage)
        late = bool(stage.proxy.met) or story.is_over(stage)
        return late if trial.way == "late" else time.monotonic() > due

    _play_until(stage, has_come, "the moment of the trial")


def _hand_over(stage: Stage, rival: Rival, trial: Trial, found: Found) -> None:
    """What happens to the one, until the other leads; then the one goes on, if it can."""
    struck = time.monotonic()
    _signal(stage, SIGNALS[trial.way])
    _play_until(stage, lambda: looked(rival.proxy) is not None, "the other leads")
    leads = looked(rival.proxy) or 0.0
    found.took = leads - struck
    if trial.way == "late":  # what comes before the other has written its term came before it led, for all it can see
        _play_until(
            stage, lambda: _wrote_route(rival) or STORIES[trial.story].is_over(stage), "the other writes its term"
        )
    stage.proxy.released.set()
    _signal(stage, signal.SIGCONT)
    for _ in range(10):
        stage.play_others()
    writes = [one for one in list(stage.proxy.calls) if one.call.is_write and _took_effect_after(one, leads)]
    found.late_writes = [one.call.what for one in writes if one.call.what != EVENT]


def _take_away(stage: Stage, rival: Rival, trial: Trial, found: Found) -> None:
    """Somebody meddles with the Lease, and the one makes it anew: the other never leads."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{stage.objects.namespace}/leases/changeover"
    with stage.mirror.server.client() as client:
        before = client.get(path).body["spec"]
        done = client.delete(path) if trial.way == "deleted" else client.merge(path, {"spec": None})
        assert done.ok, done.message
        over = time.monotonic() + LEASE_SECONDS + PROMISED["told"]
        _play_until(stage, lambda: time.monotonic() > over, "the Lease would have run out")
        after = client.get(path).body.get("spec") or {}
    if looked(rival.proxy) is not None:
        found.wrong.append("two led")
    same = ("holderIdentity", "leaseTransitions")
    if [after.get(key) for key in same] != [before[key] for key in same]:
        found.wrong.append(f"the Lease became {after}, and was {before}")


def _wrote_route(rival: Rival) -> bool:
    calls = list(rival.proxy.calls)
    return any(one.call.what == "PATCH httproutes/shop" and 0 < one.status < 400 for one in calls)


def _took_effect_after(record: Record, moment: float) -> bool:
    return record.done > moment and 0 < record.status < 400


def _to_its_end(stage: Stage, trial: Trial) -> None:
    story = STORIES[trial.story]

    def over() -> bool:
        story.meddle(stage)
        return story.is_over(stage)

    _play_until(stage, over, "the story ends", 120.0)
    for _ in range(5):
        stage.play_others()


def _play_until(stage: Stage, what: object, said: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise NotOver(f"not within {seconds:.0f} s: {said}: {states(stage)}")
        stage.play_others()


def _signal(stage: Stage, number: signal.Signals) -> None:
    if stage.operator is not None and stage.operator.pid is not None and stage.operator.is_alive():
        os.kill(stage.operator.pid, number)


def trials(number: int, seed: int) -> list[Trial]:
    """The ways in turn; the stories and moments by chance."""
    chance = random.Random(seed)
    return [
        Trial(chance.choice(STORY_NAMES), WAYS[n % len(WAYS)], chance.uniform(0.5, 5.0), chance.randint(2, 3))
        for n in range(number)
    ]


def attempt(bench: Bench, number: int, seed: int) -> list[tuple[Trial, Found]]:
    """What failed once, and so many trials."""
    told = []
    asked = [*(Trial(*key) for key in FAILED.read()), *trials(number, seed)]
    for trial, found in side_by_side(lambda trial: run(bench, trial), asked, float("inf")):
        told.append((trial, found))
        if found.failed:
            lines = [*found.wrong, *(f"took effect: {one}" for one in found.late_writes)]
            print(f"  {trial}\n    " + "\n    ".join(line[:2500] for line in lines), flush=True)
    return told


def summary(told: list[tuple[Trial, Found]]) -> str:
    """Counts, and the times of takeovers by way."""
    failed = sum(found.failed for _, found in told)
    lines = [
        f"lead: {len(told)} trials, {sum(len(f.late_writes) for _, f in told)} late writes took effect, {failed} failed"
    ]
    for way, times in takeovers(told).items():
        lines.append(
            f"  {way}: {len(times)} takeovers, median {statistics.median(times):.2f} s, most {max(times):.2f} s"
        )
    return "\n".join(lines)


def takeovers(told: list[tuple[Trial, Found]]) -> dict[str, list[float]]:
    """Seconds by way; a write that is withheld holds up the renewal, too, and tells nothing."""
    times = {way: [found.took for trial, found in told if trial.way == way and found.took] for way in WAYS}
    return {way: took for way, took in times.items() if took and way != "late"}


def too_slow(told: list[tuple[Trial, Found]]) -> list[str]:
    """The ways in which a takeover mostly takes longer than is promised."""
    return [way for way, took in takeovers(told).items() if statistics.median(took) > PROMISED.get(way, float("inf"))]


def main() -> int:
    """Exit code: 1 when a trial failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.live.lead", description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with a_bench() as bench:
        told = attempt(bench, given.trials, given.seed)
    FAILED.add(list(astuple(trial)) for trial, found in told if found.failed)
    print(summary(told))
    for way in too_slow(told):
        print(f"  {way}: {PROMISED[way]:.0f} s are promised")
    return 1 if any(found.failed for _, found in told) or too_slow(told) else 0


if __name__ == "__main__":
    sys.exit(main())
