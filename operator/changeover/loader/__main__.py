"""python3 -m changeover.loader: progress on stderr, and one line of JSON on stdout at the end.

Exit code 0 with a report, however bad its numbers are; 1 with {"version":1,"failed":REASON,"message":TEXT}
where REASON is a class of failures.py; 143 when SIGTERM came first.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from changeover.loader import report
from changeover.loader.failures import LoadFailure, Terminated
from changeover.loader.session import perform, progress
from changeover.loader.settings import parse_settings

EXIT_FAILED, EXIT_TERMINATED = 1, 128 + signal.SIGTERM


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, _terminate)
    try:
        line = perform(parse_settings(arguments))
    except LoadFailure as failure:
        progress(f"{failure.reason}: {failure}")
        _print({"version": report.VERSION, "failed": failure.reason, "message": str(failure)})
        return EXIT_TERMINATED if isinstance(failure, Terminated) else EXIT_FAILED
    _print(line)
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first one is being obeyed
    raise Terminated("SIGTERM")


def _print(line: dict[str, Any]) -> None:
    # allow_nan=False: NaN is no JSON, and a report that a reader refuses is worse than a traceback here.
    print(json.dumps(line, separators=(",", ":"), allow_nan=False), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
