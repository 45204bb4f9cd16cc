"""Figures on the local cluster.

make measure WHAT="by-hand | twins [--times N] | seven | stopping | kills [--times N] [--seed S] |
                   over-budget [--times N]"
"""

from __future__ import annotations

import argparse
import sys

from tests.bench.measured import by_hand, kills, over_budget, seven, short, stopping, twins
from tests.demo.kube import CommandFailed, local


def main() -> int:
    """Exit code 0 when the measurement ended; its figures are printed, not judged."""
    parser = argparse.ArgumentParser(prog="make measure", description=__doc__)
    parser.add_argument("what", choices=["by-hand", "twins", "seven", "stopping", "kills", "over-budget"])
    parser.add_argument("--times", type=int, help="A/A benchmarks (20), kills (5), or lanes (18)")
    parser.add_argument("--seed", type=int, default=1, help="of the kills' moments and of the rounds' order with it")
    asked = parser.parse_args()
    try:
        kube = local(short.NAMESPACE)
        short.prepare(kube)
        if asked.what == "by-hand":
            by_hand.compare(kube)
        elif asked.what == "twins":
            twins.count_ties(kube, asked.times or 20)
        elif asked.what == "kills":
            kills.measure(kube, asked.times or 5, asked.seed)
        elif asked.what == "over-budget":
            over_budget.measure(kube, asked.times or 18)
        elif asked.what == "stopping":
            stopping.measure(kube)
        else:
            seven.measure(kube)
    except CommandFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
