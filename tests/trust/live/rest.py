"""``python -m tests.trust.live.rest``: what has ended is at rest.

After a restart and a hundred full lists nothing is written.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

from tests.trust.live.stage import a_stage, tell
from tests.trust.live.stories import STORIES
from tests.trust.live.trials import Bench, a_bench, side_by_side

RESYNC_SECONDS = 0.05
RESYNCS = 100
MOST_SECONDS = 60.0


@dataclass(frozen=True)
class Rest:
    """Full lists that were made after the end, and writes: there should be none."""

    resyncs: int
    writes: list[str]


def run(bench: Bench, name: str) -> Rest:
    """A story to its end; then the operator is started again, and lists everything a hundred times."""
    story = STORIES[name]
    with a_stage(bench.mirror, bench.folder, story) as stage:
        tell(stage, story)
        stage.kill()
        before = len(stage.proxy.writes)
        stage.setting = replace(stage.setting, resync=RESYNC_SECONDS)
        listed = stage.proxy.counted["GET canarymigrations"]
        deadline = time.monotonic() + MOST_SECONDS
        while stage.proxy.counted["GET canarymigrations"] < listed + RESYNCS and time.monotonic() < deadline:
            stage.play()
        writes = [call.what for call in stage.proxy.writes[before:]]
        return Rest(stage.proxy.counted["GET canarymigrations"] - listed, writes)


def attempt(bench: Bench, names: list[str]) -> dict[str, Rest]:
    """By story."""
    told = {}
    for name, rest in side_by_side(lambda name: run(bench, name), names, float("inf")):
        told[name] = rest
        print(f"  {name}: {rest.resyncs} full lists, {len(rest.writes)} writes {rest.writes[:5] or ''}", flush=True)
    return told


def failed(told: dict[str, Rest]) -> list[str]:
    """The stories that were not at rest, or not looked at long enough to say so."""
    return [name for name, rest in told.items() if rest.writes or rest.resyncs < RESYNCS]


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
