"""The operator as it is, in a process of its own, in a hurry: its clock and its timer run faster by a factor.

    python -m tests.apiserver.hurried CONFIG EPOCH FACTOR

At EPOCH (seconds since 1970) its clock is right; a process that is started again goes on with the same clock. All else
is ``python -m changeover``: the watches, the API server, the writes and the queries are real.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

from changeover import __main__ as program
from changeover import wiring
from changeover.core.plan import Ref
from changeover.scheduler import Scheduler


class HurriedClock:
    """The port ``Clock``."""

    def __init__(self, epoch: float, factor: float) -> None:
        self._epoch, self._factor = epoch, factor

    def now(self) -> datetime:
        """Now, in UTC."""
        return datetime.fromtimestamp(self._epoch + (time.time() - self._epoch) * self._factor, UTC)


def main() -> int:
    """As the operator's."""
    config, epoch, factor = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])

    class HurriedScheduler(Scheduler):
        def wake(self, ref: Ref, after: float = 0.0) -> None:
            super().wake(ref, after / factor)

    wiring.SystemClock = lambda: HurriedClock(epoch, factor)  # type: ignore[assignment,misc]
    wiring.Scheduler = HurriedScheduler  # type: ignore[misc]
    sys.argv = ["changeover", config]
    return program.main()


if __name__ == "__main__":
    sys.exit(main())
