"""``python -m tests.trust.live.soak [--minutes N] [--seed N]``: faults and churn for long; what is kept must not grow.

Migrations and benchmarks come and go, and a share of all calls meets a fault. Memory and descriptors of the operator's
process are read twice a second: the slope of the memory over the later half, and the most descriptors. Tracebacks in
its log are counted: each is an error that nobody foresaw. The allocator is set as the image sets it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import sys
import time
from dataclasses import dataclass, field

from changeover.core.plan import Ref
from changeover.testing.builders import NAMESPACE, a_benchmark, a_migration

from tests.apiserver.conftest import REPOSITORY
from tests.trust.live.calls import FAULTS, Call, How
from tests.trust.live.stage import Stage, a_stage
from tests.trust.live.stories import DECISION, STEPS, STORIES
from tests.trust.live.trials import Bench, a_bench

STORY = STORIES["migration, promoted"]
FAULT_SHARE = 0.03  # of all calls
LIVING = 6  # objects besides the story's, at most
LOOK_SECONDS = 0.5
SAY_SECONDS = 600.0
WARM_SHARE = 0.5  # of the time, after which the slope is taken
MOST_SLOPE = 1.0  # MiB an hour, over two hours (architecture: F.3 R12)
DESCRIPTORS_MORE = 40  # than at the middle of the time: connections that are being opened anew


@dataclass
class Soaked:
    """Samples of (seconds, MiB resident, open descriptors), objects that came and went, faults, and tracebacks."""

    samples: list[tuple[float, float, int]] = field(default_factory=list)
    churned: int = 0
    faults: int = 0
    tracebacks: list[str] = field(default_factory=list)

    @property
    def slope(self) -> float:
        """MiB an hour over the later part of the time."""
        later = self.samples[int(WARM_SHARE * len(self.samples)) :]
        fit = statistics.linear_regression([at for at, _, _ in later], [size for _, size, _ in later])
        return 3600 * fit.slope

    @property
    def most_descriptors(self) -> int:
        """In the later part, more than in the middle."""
        half = len(self.samples) // 2
        return max(n for _, _, n in self.samples[half:]) - statistics.median_high(n for _, _, n in self.samples[:half])

    def __str__(self) -> str:
        sizes = [size for _, size, _ in self.samples]
        said = f"soak: {self.samples[-1][0] / 60:.1f} min, {self.churned} objects came and went, {self.faults} faults"
        memory = f"{sizes[len(sizes) // 4]:.0f} -> {sizes[-1]:.0f} MiB, {self.slope:+.1f} MiB/h"
        return f"{said}, {memory}, descriptors {self.most_descriptors:+d}, {len(self.tracebacks)} tracebacks"


def run(bench: Bench, seconds: float, seed: int, told: Soaked) -> None:
    """One operator for so many seconds; what is seen of it is told as it comes."""
    chance = random.Random(seed)
    with a_stage(bench.mirror, bench.folder, STORY) as stage:
        stage.proxy.chance = lambda call: _fault(call, chance, told)
        began, living = time.monotonic(), list[Ref]()
        looked = said = began
        while (now := time.monotonic()) < began + seconds:
            stage.play()
            if now > looked + LOOK_SECONDS:
                looked = now
                _churn(stage, living, chance, told)
                _look(stage, now - began, told)
            if len(told.samples) > 2 and now > said + SAY_SECONDS:
                said = now
                print(told, flush=True)
        told.tracebacks = tracebacks((stage.setting.folder / "operator.log").read_text())
        assert stage.starts == 1, "the operator ended"


def tracebacks(log: str) -> list[str]:
    """The last line of each traceback in a log."""
    return re.findall(r"^Traceback[^\n]*\n(?:[ |+][^\n]*\n|\n)*([^\n]*)", log, re.MULTILINE)


def _fault(call: Call, chance: random.Random, told: Soaked) -> How | None:
    if call.is_watch or chance.random() > FAULT_SHARE:
        return None
    told.faults += 1
    return chance.choice(FAULTS)


def _churn(stage: Stage, living: list[Ref], chance: random.Random, told: Soaked) -> None:
    """One comes, or the oldest goes."""
    told.churned += 1
    if len(living) >= LIVING or (living and chance.random() < 0.4):
        stage.objects.discard(living.pop(0))
        return
    name = f"passing-{told.churned}"
    if chance.random() < 0.5:
        route = {"gatewayAPI": {"route": {"name": name}, "parentRefs": [{"name": "public"}]}}
        stage.objects.put(a_migration(name, steps=STEPS, decision=DECISION, traffic=route))
        living.append(Ref("CanaryMigration", NAMESPACE, name))
    else:
        stage.objects.put(a_benchmark(name))
        living.append(Ref("FrameworkBenchmark", NAMESPACE, name))


def _look(stage: Stage, at: float, told: Soaked) -> None:
    assert stage.operator is not None
    place = f"/proc/{stage.operator.pid}"
    with open(f"{place}/statm") as file:
        pages = int(file.read().split()[1])
    size = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    told.samples.append((at, size, len(os.listdir(f"{place}/fd"))))


def allocator(dockerfile: str) -> dict[str, str]:
    """The environment that an image gives to glibc's allocator."""
    return dict(re.findall(r"\b(MALLOC_\w+)=(\w+)", dockerfile))


def main() -> int:
    """Exit code: 1 when it grew, or an error came that nobody foresaw."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.live.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.environ |= allocator((REPOSITORY / "Dockerfile").read_text())  # read by the processes that are yet to start
    told = Soaked()
    try:
        with a_bench() as bench:
            run(bench, 60 * given.minutes, given.seed, told)
    finally:  # what was seen in hours is not lost with what ended them
        if len(told.samples) > 2:
            print(told)
    for line in sorted(set(told.tracebacks)):
        print(f"  {line}")
    return 1 if told.tracebacks or told.slope > MOST_SLOPE or told.most_descriptors > DESCRIPTORS_MORE else 0


if __name__ == "__main__":
    sys.exit(main())
