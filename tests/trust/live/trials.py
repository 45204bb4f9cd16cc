"""One trial: a story told while something happens at chosen places; and many of them side by side."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.apiserver.conftest import CRDS, GROUP_PATH, REPOSITORY
from tests.apiserver.harness import ApiServer
from tests.cluster.layout import cluster_from_environment
from tests.cluster.shell import wait_until
from tests.cluster.tools import gateway_api_crds
from tests.trust.failures import write_whole
from tests.trust.live.calls import BACK, ONE_OF_TEN, TEN, WRITES, Call, How, Place, Record, is_of_events, is_of_set_up
from tests.trust.live.ends import broken_rules, end_of
from tests.trust.live.mirror import COLLECTIONS, Mirror, mirroring
from tests.trust.live.proxy import carried_out
from tests.trust.live.repeated import Disturbed, too_many
from tests.trust.live.stage import NotOver, Stage, a_stage, tell
from tests.trust.live.stories import STORIES

Asked, Came = TypeVar("Asked"), TypeVar("Came")
SIDE_BY_SIDE = int(os.environ.get("CHANGEOVER_STAGES", "5"))  # they mostly wait
STORED = Path(__file__).parent / "failed.json"
REFERENCES = Path(__file__).parent / "references.json"


@dataclass(frozen=True)
class Trial:
    """A story, and what happens where."""

    story: str
    plan: tuple[tuple[str, int, How], ...] = ()

    def __str__(self) -> str:
        return f"{self.story}: " + ("; ".join(f"{how} at {what} no. {n}" for what, n, how in self.plan) or "nothing")

    def as_kept(self) -> dict[str, Any]:
        """As it is stored when it failed."""
        return {"story": self.story, "plan": [list(place) for place in self.plan]}


@dataclass(frozen=True)
class Course:
    """How a trial went.

    end     how it ended
    calls   what the operator asked, in order
    met     which places of the plan came, and did something
    starts  of the operator
    events  that it was to be told of: how many of each name
    wrong   what may not be: rules that were broken, a story that did not end
    """

    end: dict[str, Any]
    calls: list[Call]
    met: list[Place]
    starts: int
    seconds: float
    wrong: list[str] = field(default_factory=list)
    events: Mapping[str, int] = field(default_factory=dict)

    def did(self, trial: Trial) -> bool:
        """Whether everything that the trial is about happened."""
        return all(bool(self.met) if what == ONE_OF_TEN else (what, n) in self.met for what, n, _ in trial.plan)


def run_safely(mirror: Mirror, folder: Path, trial: Trial) -> Course:
    """One trial. Whatever ends it otherwise is a failure of that trial, which is told, not the end of the others."""
    try:
        return run(mirror, folder, trial)
    except Exception:
        return Course({}, [], [], 0, 0.0, [traceback.format_exc()])


def run(mirror: Mirror, folder: Path, trial: Trial) -> Course:
    """One trial on a stage of its own."""
    story, began = STORIES[trial.story], time.monotonic()
    with a_stage(mirror, folder, story) as stage:
        stage.proxy.plan = {(what, number): how for what, number, how in trial.plan if what != ONE_OF_TEN}
        for _, number, how in (place for place in trial.plan if place[0] == ONE_OF_TEN):
            stage.proxy.chance = one_of_ten(number, how, stage.proxy.met)
        try:
            tell(stage, story)
            wrong = wrong_writes(carried_out(stage.proxy), trial, stage)
        except NotOver as error:
            wrong = [str(error)]
        calls = [record.call for record in list(stage.proxy.calls)]
        events = {what: number for what, number in stage.proxy.counted.items() if is_of_events(what)}
        seconds, end = time.monotonic() - began, as_kept(end_of(stage, story))
        return Course(end, calls, list(stage.proxy.met), stage.starts, seconds, wrong, events)


def wrong_writes(writes: list[Record], trial: Trial, stage: Stage) -> list[str]:
    """What they may not do, and which came too often; of a story that has no reference yet the number is not known."""
    rewound = sum(how in BACK for _, _, how in trial.plan)
    by = Disturbed(stage.starts, len(stage.proxy.met), rewound)
    reference = references().get(trial.story)
    return broken_rules(writes, by) + (too_many(writes, reference.writes, by) if reference else [])


def one_of_ten(number: int, how: How, met: list[Place]) -> Callable[[Call], How | None]:
    """What meets one of each ten calls; where it did is told as a place of the plan is.

    Which of the ten is drawn anew for each: a pass of ten calls must not meet it at the same one for ever.
    """
    counts: Counter[str] = Counter()

    def meets(call: Call) -> How | None:
        if is_of_set_up(call.what):
            return None
        tens, which = divmod(counts.total(), TEN)
        counts[call.what] += 1
        if random.Random(tens).sample(range(TEN), TEN)[number - 1] != which:
            return None
        met.append((call.what, counts[call.what]))
        return how

    return meets


@dataclass(frozen=True)
class Reference:
    """The undisturbed course of a story: how it ends, its calls by name and number, how many events of each name."""

    end: dict[str, Any]
    calls: list[tuple[str, int]]
    events: dict[str, int]

    @property
    def writes(self) -> Counter[str]:
        """How often each name of a write came."""
        return Counter(what for what, _ in self.calls if what.split()[0] in WRITES)


def references() -> dict[str, Reference]:
    """As they are kept beside this file."""
    kept = json.loads(REFERENCES.read_text())
    return {name: Reference(one["end"], [(w, n) for w, n in one["calls"]], one["events"]) for name, one in kept.items()}


class Bench:
    """An API server with everything that stories need."""

    def __init__(self, mirror: Mirror, folder: Path) -> None:
        self.mirror, self.folder = mirror, folder

    def run_all(self, trials: list[Trial], until: float = float("inf")) -> Iterator[tuple[Trial, Course]]:
        """Side by side; none begins after the moment ``until`` (monotonic seconds)."""

        return side_by_side(lambda trial: run_safely(self.mirror, self.folder, trial), trials, until)


def side_by_side(do: Callable[[Asked], Came], trials: Sequence[Asked], until: float) -> Iterator[tuple[Asked, Came]]:
    """What came of each trial, as soon as it has come; none begins after the moment ``until`` (monotonic seconds)."""

    def one(trial: Asked) -> Came | None:
        return do(trial) if time.monotonic() < until else None

    pool = ThreadPoolExecutor(SIDE_BY_SIDE)
    try:
        asked = {pool.submit(one, trial): trial for trial in trials}
        for future in as_completed(asked):
            if (came := future.result()) is not None:
                yield asked[future], came
    finally:
        pool.shutdown(cancel_futures=True)


def as_kept(end: dict[str, Any]) -> dict[str, Any]:
    """As it is after it was written and read again."""
    kept: dict[str, Any] = json.loads(json.dumps(end))
    return kept


def numbered(calls: Iterable[Call]) -> Iterator[tuple[str, int]]:
    """Name and number, from 1, of each call."""
    counts: Counter[str] = Counter()
    for call in calls:
        counts[call.what] += 1
        yield call.what, counts[call.what]


@contextlib.contextmanager
def a_bench() -> Iterator[Bench]:
    """An API server of its own, with our kinds and the Gateway API's."""
    with _ended_by_sigterm() as before, ApiServer() as server:
        install(server)
        with mirroring(server) as mirror, tempfile.TemporaryDirectory(prefix="changeover-trust-") as folder:
            before.append(mirror.stop)
            yield Bench(mirror, Path(folder))


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[list[Callable[[], None]]]:
    """SIGTERM ends this process as Ctrl-C does: by way of every ``with``, so that nothing that it started is left.

    Before that what is in the list is called: trials that are under way see that it is over, and are waited for.
    """
    first = list[Callable[[], None]]()

    def end(number: int, frame: object) -> None:
        for do in first:
            do()
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield first
    finally:
        signal.signal(signal.SIGTERM, before)


def install(server: ApiServer) -> None:
    """The kinds that stories are about."""
    texts = [path.read_text() for path in sorted((REPOSITORY / "crds").glob("*.yaml"))]
    texts.append(gateway_api_crds(cluster_from_environment()).read_text())
    with server.client() as client:
        for document in (one for text in texts for one in yaml.safe_load_all(text) if one):
            client.apply(f"{CRDS}/{document['metadata']['name']}", document)
        paths = [*COLLECTIONS.values(), f"{GROUP_PATH}/canarymigrations"]
        wait_until("all kinds", lambda: all(client.get(path).ok for path in paths), seconds=30, every=0.05)


def stored(goal: str) -> list[Trial]:
    """Trials of a goal that have failed once; they are tried first for ever."""
    kept = json.loads(STORED.read_text()) if STORED.exists() else {}
    return [Trial(one["story"], tuple((w, n, How(h)) for w, n, h in one["plan"])) for one in kept.get(goal, [])]


def store(goal: str, failed: Trial) -> None:
    """Keep what failed; to be committed, and tried first from then on."""
    kept = json.loads(STORED.read_text()) if STORED.exists() else {}
    if failed not in stored(goal):
        kept[goal] = [*kept.get(goal, []), failed.as_kept()]
        write_whole(STORED, json.dumps(kept, indent=1) + "\n")
