"""``python -m tests.trust.live.rest``: what has ended is at rest.

After a restart and a hundred full lists nothing is written. What the world had still to say when a story was over (the
share that the gateway measures falls to 0 within the next scrapes) is told after a restart before that one.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

from tests.trust.live.stage import Stage, a_stage, looks, tell
from tests.trust.live.stories import STORIES
from tests.trust.live.trials import Bench, a_bench, side_by_side

RESYNC_SECONDS = 0.05
RESYNCS = 100
LOOKS = 2  # at each object of ours
MOST_SECONDS = 60.0


@dataclass(frozen=True)
class Rest:
    """Full lists that were made after the end, looks at what was looked at least, and writes: there should be none."""

    resyncs: int
    looks: int
    writes: list[str]


def run(bench: Bench, name: str) -> Rest:
    """A story to its end; then the operator is started again, and lists everything a hundred times."""
    story = STORIES[name]
    with a_stage(bench.mirror, bench.folder, story) as stage:
        tell(stage, story)
        stage.kill()
        stage.setting = replace(stage.setting, resync=RESYNC_SECONDS)
        _list(stage, 1)
        stage.kill()
        before = len(stage.proxy.writes)
        resyncs, looked = _list(stage, RESYNCS)
        return Rest(resyncs, looked, [call.what for call in stage.proxy.writes[before:]])


def _list(stage: Stage, resyncs: int) -> tuple[int, int]:
    """Play until so many full lists are made, and each object is looked at. Returns the lists, and the fewest looks."""
    listed, looked = stage.proxy.counted["GET canarymigrations"], looks(stage)
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        told = stage.proxy.counted["GET canarymigrations"] - listed
        fewest = min((n - looked[what] for what, n in looks(stage).items()), default=LOOKS)
        if (told >= resyncs and fewest >= LOOKS) or time.monotonic() > deadline:
            return told, fewest
        stage.play()


def attempt(bench: Bench, names: list[str]) -> dict[str, Rest]:
    """By story."""
    told = {}
    for name, rest in side_by_side(lambda name: run(bench, name), names, float("inf")):
        told[name] = rest
        writes = f"{len(rest.writes)} writes {rest.writes[:5] or ''}"
        print(f"  {name}: {rest.resyncs} full lists, {rest.looks} looks, {writes}", flush=True)
    return told


def failed(told: dict[str, Rest]) -> list[str]:
    """The stories that were not at rest, or not looked at long enough to say so."""
    return [name for name, rest in told.items() if rest.writes or rest.resyncs < RESYNCS or rest.looks < LOOKS]


def main() -> int:
    """Exit code: 1 when something was written."""
    with a_bench() as bench:
        told = attempt(bench, list(STORIES))
    print(
        f"rest: {len(told)} stories, {sum(one.resyncs for one in told.values())} full lists, {len(failed(told))} failed"
    )
    return 1 if failed(told) else 0


if __name__ == "__main__":
    sys.exit(main())
