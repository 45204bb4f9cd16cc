"""Print the tables of docs/decision-quality.md and docs/decisions-measured.md.

python -m tests.bench.decision [--runs N] [--seed S] [--only PART]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from changeover.core.capacity import PLAIN, PROJECTED
from changeover.core.sequential import Design

from . import cpu, one_burst, race, side_by_side, steps
from .noise import MODELS, ar, burst, iid, jump, regimes

Rows = Iterator[Sequence[str]]


def error_rows(runs: int, seed: int) -> Rows:
    """False advances by margin, false rollbacks at 0.6 q, per noise model."""
    yield "noise", "advance 1.0q", "1.1q", "1.25q", "rollback .6q", "advance .6q"
    for name, model in MODELS.items():
        bad = [steps.measure(steps.Scene(model, ratio), runs, f"{seed}/{name}/{ratio}") for ratio in (1.0, 1.1, 1.25)]
        good = steps.measure(steps.Scene(model, 0.6), runs, f"{seed}/{name}/0.6")
        yield name, *(_percent(c.advanced) for c in bad), _percent(good.rolled_back), _blocks(good.advance_blocks)


def speed_rows(runs: int, seed: int) -> Rows:
    """Median blocks to advance and to roll back (p90 in brackets), per noise model."""
    yield "noise", "advance .1q", ".3q", ".6q", "rollback 1.25q", "1.5q", "2q", "3q", "5q"
    for name, model in MODELS.items():
        good = [steps.measure(steps.Scene(model, ratio), runs, f"{seed}/{name}/{ratio}") for ratio in (0.1, 0.3, 0.6)]
        bad = [steps.measure(steps.Scene(model, r), runs, f"{seed}/{name}/{r}") for r in (1.25, 1.5, 2.0, 3.0, 5.0)]
        slow = [f"{_blocks(cell.rollback_blocks)} ({_blocks(cell.rollback_p90)})" for cell in bad]
        yield name, *(_blocks(cell.advance_blocks) for cell in good), *slow


def traffic_rows(runs: int, seed: int) -> Rows:
    """The same at low traffic, without a baseline, and for an error target."""
    yield "cell", "advance 1.0q", "1.25q", "rollback .6q", "advance .3q", "rollback 3q"
    shared, own = ar(shared=True), ar(shared=False)
    scenes = {
        "60 req/block, iid": steps.Scene(iid, 1.0, requests=60),
        "60 req/block, ar_cand": steps.Scene(own, 1.0, requests=60),
        "60000 req/block, ar_cand": steps.Scene(own, 1.0, requests=60_000),
        "no baseline, iid": steps.Scene(iid, 1.0, with_baseline=False),
        "no baseline, ar_cand": steps.Scene(own, 1.0, with_baseline=False),
        "no baseline, ar_shared": steps.Scene(shared, 1.0, with_baseline=False),
        "no baseline, diurnal": steps.Scene(MODELS["diurnal"], 1.0, with_baseline=False),
        "no baseline, burst": steps.Scene(burst(shared=True), 1.0, with_baseline=False),
        "errors .1 %, ar_cand": steps.Scene(own, 1.0, q=0.001),
        "weight 50 %, ar_cand": steps.Scene(own, 1.0, weight=0.5),
    }
    for name, scene in scenes.items():
        cells = [steps.measure(replace(scene, ratio=r), runs, f"{seed}/{name}/{r}") for r in (1.0, 1.25, 0.6, 0.3, 3.0)]
        edge, beyond, good, calm, clear = cells
        yield (
            name, _percent(edge.advanced), _percent(beyond.advanced), _percent(good.rolled_back),
            _blocks(calm.advance_blocks), f"{_blocks(clear.rollback_blocks)} ({_blocks(clear.rollback_p90)})",
        )  # fmt: skip


def block_rows(runs: int, seed: int) -> Rows:
    """Short blocks: noise that lasts as in production (phi .7 a minute) against `Design.for_block`, no baseline.

    Half of the runs: short blocks make long series.
    """
    runs = max(10, runs // 2)
    yield "block", "requests", "noise phi", "advance 1.0q", "1.1q", "1.25q", "advance .1q", ".3q", "rollback 2q", "3q"
    for seconds in (5, 10, 20, 30, 60, 300):
        design = Design.for_block(seconds)
        horizon = min(1440, 4 * 3600 // seconds) if seconds < 60 else 240
        for requests in (100, 1000):
            for phi in sorted({0.7 ** (seconds / 60), design.phi}):
                base = steps.Scene(
                    ar(phi, shared=False), 1.0, requests=requests, horizon=horizon, with_baseline=False, design=design
                )
                key = f"{seed}/{seconds}/{requests}"
                bad = [steps.measure(replace(base, ratio=r), runs, key) for r in (1.0, 1.1, 1.25)]
                calm = replace(base, model=iid)
                few = max(20, runs // 5)
                good = [steps.measure(replace(calm, ratio=r), few, key) for r in (0.1, 0.3)]
                worse = [steps.measure(replace(calm, ratio=r), few, key) for r in (2.0, 3.0)]
                yield (
                    f"{seconds} s", f"{requests}", f"{phi:.2f}", *(_percent(cell.advanced) for cell in bad),
                    *(_minutes(cell.advance_blocks, seconds) for cell in good),
                    *(_minutes(cell.rollback_blocks, seconds) for cell in worse),
                )  # fmt: skip


def projection_rows(runs: int, seed: int) -> Rows:
    """The CPU gate that projects to three times the peak; limit 40 %."""
    yield "scenario", "passes", "refused", "over", "median block", "first look 8: passes", "median block"
    early = replace(PROJECTED, first_look=8)
    for name, machine in cpu.MACHINES.items():
        usual, short = (
            cpu.summarise([cpu.run_projection(machine, Random(f"{seed}/{name}/{i}"), design) for i in range(runs)])
            for design in (PROJECTED, early)
        )
        yield (
            name, _percent(usual.passed), _percent(usual.refused), _percent(usual.failed), _blocks(usual.block),
            _percent(short.passed), _blocks(short.block),
        )  # fmt: skip


def share_rows(runs: int, seed: int) -> Rows:
    """The CPU gate without projection; limit 40 %."""
    yield "mean share", "cv", "phi", "passes", "fails", "median block"
    for mean, cv, phi in (
        (0.4, 0.1, 0.0), (0.4, 0.1, 0.7), (0.4, 0.3, 0.7), (0.4, 0.1, 0.9), (0.42, 0.1, 0.7), (0.44, 0.1, 0.7),
        (0.38, 0.1, 0.7), (0.35, 0.1, 0.7), (0.3, 0.1, 0.7), (0.3, 0.3, 0.7), (0.2, 0.3, 0.7), (0.2, 0.1, 0.7),
        (0.5, 0.1, 0.7), (0.6, 0.3, 0.7),
    ):  # fmt: skip
        key = f"{seed}/{mean}/{cv}/{phi}"
        cell = cpu.summarise([cpu.run_share(mean, cv, phi, Random(f"{key}/{i}"), PLAIN) for i in range(runs)])
        yield f"{mean}", f"{cv}", f"{phi}", _percent(cell.passed), _percent(cell.failed), _blocks(cell.block)


def race_rows(runs: int, seed: int) -> Rows:
    """The race of candidates."""
    yield "candidates", "wrong order", "best lost", "sole right winner", "not decided", "runs used"
    for name, field in race.FIELDS.items():
        cell = race.measure(field, runs, f"{seed}/{name}")
        shares = (cell.wrong_order, cell.best_lost, cell.sole_winner, cell.undecided)
        yield name, *(_percent(share) for share in shares), f"{cell.runs_used:.1f} of {cell.runs_planned}"


def beyond_rows(runs: int, seed: int) -> Rows:
    """How noise of other lengths and sizes breaks the edge (canary only)."""
    yield "noise", "advance 1.0q", "1.1q", "1.25q", "rollback .6q"
    models = {
        "ar phi .5 cv .7": ar(0.5, 0.7, shared=False),
        "ar phi .8 cv .5": ar(0.8, 0.5, shared=False),
        "ar phi .7 cv .3": ar(0.7, 0.3, shared=False),
        "regimes cv .25, stay 10": regimes(0.25),
        "single-block bursts": burst(shared=False, stay=0.0),
    }
    for name, model in models.items():
        cells = [steps.measure(steps.Scene(model, r), runs, f"{seed}/{name}/{r}") for r in (1.0, 1.1, 1.25, 0.6)]
        yield name, *(_percent(cell.advanced) for cell in cells[:3]), _percent(cells[3].rolled_back)


def edge_rows(runs: int, seed: int) -> Rows:
    """The hardest promise, canary-only AR(1) at and just beyond the limit, with five times the runs."""
    yield "requests/block", "runs", "advance 1.0q", "1.1q"
    runs *= 5
    for requests in (60, 1000, 60_000):
        scene = steps.Scene(ar(shared=False), 1.0, requests=requests)
        cells = [steps.measure(replace(scene, ratio=r), runs, f"{seed}/edge/{requests}/{r}") for r in (1.0, 1.1)]
        yield f"{requests}", f"{runs}", *(_percent(cell.advanced) for cell in cells)


def incident_rows(runs: int, seed: int) -> Rows:
    """Things that happen during a step; blocks count from its start."""
    yield "scenario", "advance", "rollback", "median block"
    own = ar(shared=False)
    scenes = {
        "10 % of the blocks missing, 1.25q, ar_cand": steps.Scene(own, 1.25, missing=0.1),
        "10 % of the blocks missing, .6q, ar_cand": steps.Scene(own, 0.6, missing=0.1),
        "half of the blocks missing, .3q, iid": steps.Scene(iid, 0.3, missing=0.5),
        "both arms x5 from block 6, .6q, iid": steps.Scene(jump(iid, 6, 5, 5), 0.6),
        "stable alone x5 from block 6, 1.25q, ar_cand": steps.Scene(jump(own, 6, 1, 5), 1.25),
        "stable itself at 2q, 1.25q, iid": steps.Scene(iid, 1.25, stable=2.0),
        "equal to a stable at .9q, iid": steps.Scene(iid, 0.9, stable=0.9),
        "equal to a stable at .9q, betabin": steps.Scene(MODELS["betabin"], 0.9, stable=0.9),
        ".9q, from block 30 at 2q, iid": steps.Scene(jump(iid, 30, 2 / 0.9, 1), 0.9),
        ".9q, from block 120 at 2q, iid": steps.Scene(jump(iid, 120, 2 / 0.9, 1), 0.9),
        ".9q, from block 120 at 3q, iid": steps.Scene(jump(iid, 120, 3 / 0.9, 1), 0.9),
        ".9q, from block 120 at 5q, iid": steps.Scene(jump(iid, 120, 5 / 0.9, 1), 0.9),
    }
    for name, scene in scenes.items():
        cell = steps.measure(scene, runs, f"{seed}/{name}")
        blocks = cell.rollback_blocks or cell.advance_blocks
        yield name, _percent(cell.advanced), _percent(cell.rolled_back), _blocks(blocks)


def rival_rows(runs: int, seed: int) -> Rows:
    """Every rule on the same blocks; the cells of our promises have all runs, the others at most FEW_RUNS."""
    yield "noise", "rule", "advance 1.0q", "1.1q", "1.25q", "rollback .6q", "advance .3q", "rollback 1.25q", "2q", "3q"
    few = min(runs, side_by_side.FEW_RUNS)
    for noise in DESIGN_NOISE:
        cells = {
            ratio: side_by_side.measure(
                steps.Scene(MODELS[noise], ratio), runs if ratio in PROMISED else few, f"{seed}/{noise}/{ratio}", few
            )
            for ratio in (1.0, 1.1, 1.25, 0.6, 0.3, 2.0, 3.0)
        }
        for rule in side_by_side.NAMES:
            yield (
                noise, rule, *(_percent(cells[ratio][rule].advanced) for ratio in (1.0, 1.1, 1.25)),
                _percent(cells[0.6][rule].rolled_back), _blocks(cells[0.3][rule].advance_blocks),
                *(_blocks(cells[ratio][rule].rollback_blocks) for ratio in (1.25, 2.0, 3.0)),
            )  # fmt: skip


def burst_rows(runs: int, seed: int) -> Rows:
    """Blocks until rollback, median (p90): errors at a limit of 0.1 %, and three times a limit of 1 %; iid noise."""
    yield "violation", "requests/block", "from the start", "after 10 blocks at .5q"
    clear = [(f"{share:.0%} errors", 0.001, share, requests) for share in (0.01, 0.05, 1.0) for requests in (60, 1000)]
    triple = [("3q, limit 1 %", 0.01, 0.03, requests) for requests in (60, 1000, 6000, 60_000)]
    for name, q, rate, requests in clear + triple:
        early = steps.Scene(iid, rate / q, requests=requests, q=q)
        late = steps.Scene(jump(iid, LATE, rate / q / 0.5, 1), 0.5, requests=requests, q=q)
        cells = (steps.measure(scene, runs, f"{seed}/{name}/{requests}") for scene in (early, late))
        texts = (_median_and_p90(cell, after) for cell, after in zip(cells, (0, LATE), strict=True))
        yield name, f"{requests}", *texts


def one_burst_rows(_: int, __: int) -> Rows:
    """Blocks until a good canary with one burst is advanced; nothing here is drawn by chance."""
    yield "burst, times the limit", "calm at 0", ".1q", ".3q", "least for 1 %"
    design = Design()
    for size in (1, 2, 4, 8, 16):
        waits = [one_burst.blocks_until_advance(size, calm, design) for calm in (0.0, 0.1, 0.3)]
        yield f"{size}", *(_blocks(wait) for wait in waits), f"{one_burst.least_blocks(size, design.alpha)}"


DESIGN_NOISE = ("iid", "betabin", "ar_shared", "ar_cand", "diurnal", "burst")
"""The specification's models."""

PROMISED = (1.1, 1.25, 0.6)
"""Ratios to the limit at which docs/decision-quality.md promises error rates."""

LATE = 10
"""Good blocks before a late violation; too few to advance at these rates."""

PARTS: dict[str, tuple[str, Callable[[int, int], Rows]]] = {
    "errors": ("Wrong decisions, % of runs (1 000 canary requests a block, weight 10 %, 480 blocks)", error_rows),
    "speed": ("Blocks until the decision: median (p90)", speed_rows),
    "traffic": ("Other traffic, no baseline, other targets", traffic_rows),
    "beyond": ("Noise beyond and beside the design", beyond_rows),
    "edge": ("The edge, with five times the runs", edge_rows),
    "incidents": ("During a step", incident_rows),
    "blocks": ("Short and long blocks; times in minutes", block_rows),
    "projection": ("CPU gate, projected", projection_rows),
    "share": ("CPU gate, as it is", share_rows),
    "race": ("Race of candidates", race_rows),
    "rivals": ("Side by side with the rules of Flagger, Argo Rollouts and Kayenta, on the same blocks", rival_rows),
    "one-burst": ("Blocks until a good canary with one burst of bad requests is advanced", one_burst_rows),
    "bursts": ("Blocks until a clear violation is rolled back: median (p90)", burst_rows),
}


def main() -> None:
    """Print the chosen tables as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.decision", description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="runs a cell (default 400)")
    parser.add_argument("--seed", type=int, default=1, help="seed (default 1)")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="one part; may be repeated")
    options = parser.parse_args()
    print(f"{options.runs} runs a cell, seed {options.seed}, Python {platform.python_version()}, {os.cpu_count()} CPUs")
    for part in options.only or PARTS:
        title, rows = PARTS[part]
        began = time.monotonic()
        print(f"\n### {title}\n")
        for index, row in enumerate(rows(options.runs, options.seed)):
            print("| " + " | ".join(row) + " |", flush=True)
            if index == 0:
                print("|" + " --- |" * len(row))
        print(f"\n`--only {part}`: {time.monotonic() - began:.0f} s", flush=True)


def _percent(share: float) -> str:
    return f"{share:.2g}" if share < 10 else f"{share:.0f}"


def _blocks(blocks: float | None) -> str:
    return "never" if blocks is None else f"{blocks:.0f}"


def _median_and_p90(cell: steps.Cell, after: int) -> str:
    """Blocks until rollback, counted from block `after` on; a run that advanced counts as never rolled back."""
    values = (cell.rollback_blocks, cell.rollback_p90)
    median, p90 = (_blocks(None if value is None else value - after) for value in values)
    return f"{median} ({p90})"


def _minutes(blocks: float | None, seconds: int) -> str:
    return "never" if blocks is None else f"{blocks * seconds / 60:.1f}"


if __name__ == "__main__":
    main()
