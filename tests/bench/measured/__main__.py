"""python3 -m tests.bench.measured by-hand | twins [--times N] | seven | stopping

On the local cluster; `make cluster images` first.
"""

from __future__ import annotations

import argparse
import sys

from tests.bench.measured import by_hand, seven, short, stopping, twins
from tests.demo.kube import CommandFailed, local


def main() -> int:
    """Exit code 0 when the measurement ended; its figures are printed, not judged."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench.measured", description=__doc__)
    parser.add_argument("what", choices=["by-hand", "twins", "seven", "stopping"])
    parser.add_argument("--times", type=int, default=20, help="A/A benchmarks")
    asked = parser.parse_args()
    try:
        kube = local(short.NAMESPACE)
        short.prepare(kube)
        if asked.what == "by-hand":
            by_hand.compare(kube)
        elif asked.what == "twins":
            twins.count_ties(kube, asked.times)
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
