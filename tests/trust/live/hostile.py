"""``python -m tests.trust.live.hostile [--cases N] [--seed S]``: nonsense ends no operator, and delays no neighbour.

Two operators side by side on one API server, each with a migration that climbs, lap after lap, and with the same
others in namespaces beside it. Beside one of them the others' objects are made nonsense, one case after the other, as
far as the API server takes it (``tests/trust/tenant/nonsense.py``); beside the other they are written as they are.
Neither process may end, all laps climb the same ladder to their promotion, and the steps take about as long.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus

from changeover.core.plan import Manifest
from changeover.testing.world import weights

from tests.trust.live.calls import Call, Record
from tests.trust.live.soak import tracebacks
from tests.trust.live.stage import Stage, Story, a_stage
from tests.trust.live.stories import MIGRATION, ROUTE, migration, outcome_of, two_backends
from tests.trust.live.trials import Bench, a_bench, side_by_side
from tests.trust.tenant.nonsense import State, states
from tests.trust.tenant.yard import Yard

LADDER = [0, 10, 50, 100]
CLIMBING = {
    "steps": [{"weightPercent": weight, "minDuration": "10s", "maxDuration": "1h"} for weight in LADDER[1:]],
    "decision": {"falseAdvancePercent": 20, "block": "5s", "maxBlind": "5m"},
}
AT_ONCE = 5  # states beside a stage: with its neighbour as much as one hurried process can look at
EVERY_SECONDS = 0.15  # a case, in one of the namespaces in turn
UNREAD_SECONDS = 20.0  # until the last case is taken for one that the operator does not look at
MOST_RATIO = 1.5  # of the median lap beside nonsense to that without
CASES, ROUNDS = 300, 7  # of a round, and how many of them there are
REPEATS = 1  # of a round that took longer: a busy machine does so now and then
LAP_SECONDS = 120.0  # one takes some ten on a quiet machine


@dataclass
class Side:
    """What happened beside one of the two operators.

    laps     seconds of each, from the route at 0 % to the promotion
    pace     passes of the neighbour in a second
    read     cases after which the operator looked at the object that the nonsense is about
    ladders  the weights that were written in each lap
    """

    hostile: bool
    taken: int = 0
    refused: int = 0
    read: int = 0
    starts: int = 0
    pace: float = 0.0
    laps: list[float] = field(default_factory=list)
    ladders: list[list[int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """The same time with nonsense, and without."""

    beside: Side
    alone: Side

    @property
    def ratio(self) -> float:
        """Of the median laps; 0 where there are none."""
        return statistics.median(self.beside.laps) / statistics.median(self.alone.laps) if self._laps else 0.0

    @property
    def pace_ratio(self) -> float:
        """How many times as long it is from pass to pass of the neighbour; told, and not judged."""
        return self.alone.pace / self.beside.pace if self.beside.pace else 0.0

    @property
    def _laps(self) -> int:
        return min(len(self.beside.laps), len(self.alone.laps))

    def failed(self) -> list[str]:
        """What may not be; how long it took is judged over repeats."""
        sides = (self.beside, self.alone)
        found = [why for side in sides for why in side.wrong]
        found += [f"the operator was started {side.starts} times" for side in sides if side.starts != 1]
        found += [f"a lap went by {one}" for side in sides for one in side.ladders if one != LADDER]
        found += ["no lap was run"] * (not self._laps) + ["nothing hostile was read"] * (not self.beside.read)
        return found

    def __str__(self) -> str:
        side = self.beside
        laps = " and ".join(f"{len(one.laps)} laps of {statistics.median(one.laps or [0]):.1f} s" for one in
                            (side, self.alone))  # fmt: skip
        cases = f"{side.taken + side.refused} cases, {side.refused} refused by the API server, {side.read} looked at"
        ratios = f"ratio {self.ratio:.2f}, from pass to pass {self.pace_ratio:.2f}"
        return f"{cases}; {laps} without: {ratios}; started {side.starts} time(s)"


class Play:
    """One side, while it is played."""

    def __init__(self, stage: Stage, yards: Sequence[Yard], side: Side, seeds: Sequence[str]) -> None:
        self._stage, self._yards, self._side, self._seeds = stage, yards, side, seeds
        self._own = f"/namespaces/{stage.objects.namespace}/"
        self._known = 0  # calls that were looked at
        self._unread: dict[str, int] = {yard.owner: 0 for yard in yards}  # cases since the last look at an object
        self._began, self._passes = time.monotonic(), 0
        self._lap = ""  # uid of the migration that climbs
        for yard in yards:
            stage.proxy.logs.update(yard.logs())
        stage.proxy.wrote = lambda call: stage.written(call) if self._own in call.path else None

    def run(self) -> None:
        """All cases, one lap at least, and to the end of it."""
        turns = zip(itertools.cycle(self._yards), self._seeds, strict=False)
        began, following, late = self._begin(), 0.0, 0.0
        while True:
            self._stage.play()
            self._note_reads()
            now = time.monotonic()
            turn = next(turns, None) if now >= following else (None, None)
            if turn is None:
                late = late or now + UNREAD_SECONDS
            elif turn[0] is not None:
                following = now + EVERY_SECONDS
                self._write(*turn)
            if self._is_over(began):
                if late and (now > late or not any(self._unread.values())):
                    return
                began = self._begin()
            elif now > began + LAP_SECONDS:
                self._side.wrong.append(f"a lap is not over: {self._stage.objects.peek(MIGRATION)}"[:1500])
                return

    def _write(self, yard: Yard, seed: str) -> None:
        taken = yard.write(seed, self._side.hostile)
        if self._side.hostile:
            self._stage.proxy.logs.update(yard.logs(seed))
        self._side.taken += taken
        self._side.refused += not taken
        self._unread[yard.owner] += taken

    def _note_reads(self) -> None:
        calls = self._stage.proxy.calls
        own = f"{self._own}canarymigrations/{MIGRATION.name}"
        for record in calls[self._known :]:
            self._passes += record.call.method == "GET" and record.call.path.endswith(own)
            if record.call.method == "GET" and self._unread.get(record.call.path):
                self._side.read += self._unread[record.call.path]
                self._unread[record.call.path] = 0
        self._known = len(calls)
        self._side.pace = self._passes / (time.monotonic() - self._began)

    def _begin(self) -> float:
        """A new lap: the migration and its route go, and it is made anew."""
        objects, stage = self._stage.objects, self._stage
        if objects.fresh(MIGRATION) is not None:
            objects.discard(MIGRATION)
            until = time.monotonic() + LAP_SECONDS
            while objects.fresh(MIGRATION) is not None and time.monotonic() < until:
                stage.play()
            objects.discard(ROUTE)
        began = time.monotonic()
        objects.put(migration(**CLIMBING))
        self._lap = (objects.fresh(MIGRATION) or {"metadata": {"uid": ""}})["metadata"]["uid"]
        return began

    def _is_over(self, began: float) -> bool:
        """Whether the lap that began then has ended, which is noted."""
        found = self._stage.objects.peek(MIGRATION)
        is_of_this_lap = found is not None and found["metadata"]["uid"] == self._lap  # what shows it may be late
        if not is_of_this_lap or not outcome_of(self._stage)[0]:
            return False
        writes = [(at, weight) for at, weight in self._written() if at > began]
        self._side.ladders.append([weight for weight, _ in itertools.groupby(weight for _, weight in writes)])
        self._side.laps.append(time.monotonic() - (writes[0][0] if writes else began))
        return True

    def _written(self) -> list[tuple[float, int]]:
        """When which weight was written to the neighbour's route."""
        own = [one for one in list(self._stage.proxy.calls) if self._own in one.call.path and _sets_weights(one)]
        return [(one.done, weights(one.call.body).get("new", 0)) for one in own]


def _sets_weights(record: Record) -> bool:
    call: Call = record.call
    is_taken = 0 < record.status < HTTPStatus.BAD_REQUEST
    return is_taken and call.is_write and "/httproutes" in call.path and "spec" in (call.body or {})


def others(known: Sequence[State], number: int) -> list[State]:
    """So many of the states, in turn, each round others."""
    return list(itertools.islice(itertools.cycle(known), number * AT_ONCE, (number + 1) * AT_ONCE))


def a_round(bench: Bench, around: Sequence[State], seeds: Sequence[str]) -> Round:
    """Both sides at the same time."""

    def one(is_hostile: bool) -> Side:
        side = Side(is_hostile)
        with ExitStack() as stack:
            stage = stack.enter_context(a_stage(bench.mirror, bench.folder, Story(_nobody, lambda stage: False)))
            client = stack.enter_context(bench.mirror.server.client())
            now = stage.world.clock.now()
            yards = [Yard(client, f"{stage.objects.namespace}-{n}", state, now) for n, state in enumerate(around)]
            _watch(stage, [yard.namespace for yard in yards])
            side.wrong += [f"not as the state has it: {why}" for yard in yards for why in yard.unlike]
            for yard in yards:
                stack.callback(yard.clear)
            Play(stage, yards, side, seeds).run()
            side.starts = stage.starts + (stage.operator is None or not stage.operator.is_alive())
            log = (stage.setting.folder / "operator.log").read_text()
            side.wrong += [f"traceback: {line}" for line in sorted(set(tracebacks(log)))]
        return side

    sides = dict(side_by_side(one, [True, False], float("inf")))
    return Round(beside=sides[True], alone=sides[False])


def _nobody() -> list[Manifest]:
    """Two Deployments; the migration comes with each lap."""
    return two_backends()[:2]


def _watch(stage: Stage, namespaces: list[str]) -> None:
    """The operator works in these, too."""
    file = stage.setting.folder / "config.yaml"
    config = json.loads(file.read_text())
    config["watchNamespaces"] += namespaces
    file.write_text(json.dumps(config))


def attempt(bench: Bench, around: Sequence[State], cases: int, seed: int) -> list[Round]:
    """One round of so many cases, and another one if it took too long."""
    rounds = list[Round]()
    while not rounds or (rounds[-1].ratio > MOST_RATIO and len(rounds) <= REPEATS):
        rounds.append(a_round(bench, around, [f"{seed}-{number}" for number in range(cases)]))
        print(f"  {rounds[-1]}", flush=True)
    return rounds


def failed(rounds: Sequence[Round]) -> list[str]:
    """What is wrong with an attempt: of how long it took, only what came again."""
    found = [why for one in rounds for why in one.failed()]
    slowest = min(one.ratio for one in rounds)
    return found + [f"the neighbour's laps took {slowest:.2f} times as long"] * (slowest > MOST_RATIO)


def main() -> int:
    """Exit code: 1 when an operator ended, or a neighbour was delayed."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.live.hostile", description=__doc__)
    parser.add_argument("--cases", type=int, default=CASES * ROUNDS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    known, wrong, told = asyncio.run(states()), list[str](), list[Round]()
    with a_bench() as bench:
        for number in range(-(-asked.cases // CASES)):
            rounds = attempt(bench, others(known, number), CASES, 1000 * asked.seed + number)
            told += rounds
            wrong += failed(rounds)
    print(summary(told, wrong))
    return 1 if wrong else 0


def summary(told: Sequence[Round], wrong: Sequence[str]) -> str:
    """What was wrong, and one line."""
    sides, sums = [one.beside for one in told], Counter[str]()
    for side in sides:
        sums.update(taken=side.taken, refused=side.refused, read=side.read, laps=len(side.laps))
    ratios = sorted(one.ratio for one in told)
    counts = f"{sums['taken'] + sums['refused']} cases, {sums['refused']} refused by the API server"
    laps = f"{sums['laps']} laps beside them, {ratios[0]:.2f} to {ratios[-1]:.2f} times as long as without"
    last = f"hostile: {counts}, {sums['read']} looked at; {laps}; {len(wrong)} failures"
    return "\n".join([*(f"  {why:.500}" for why in wrong), last])


if __name__ == "__main__":
    sys.exit(main())
