"""Does every branch of the decision have a test of its own? `python -m tests.trust.coverage`; exit code 1 when not.

Only the tests that are named after the modules count, as for `tests.trust.mutants`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.trust.noticed.modules import MODULES, ROOT, source_of, tests_of


def main() -> int:
    """Run the tests under coverage, and fail below 100 % of lines and branches."""
    with tempfile.TemporaryDirectory() as folder:
        data = f"--data-file={Path(folder) / 'coverage'}"
        include = "--include=" + ",".join(f"operator/{source_of(one)}" for one in MODULES)
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *tests_of(MODULES)]
        tested = _coverage("run", "--branch", data, include, *pytest)
        return tested or _coverage("report", "--show-missing", "--precision=2", "--fail-under=100", data)


def _coverage(*arguments: str) -> int:
    return 1 if subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=ROOT, check=False).returncode else 0


if __name__ == "__main__":
    sys.exit(main())
