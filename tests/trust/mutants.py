"""What would the tests of the decision not notice? `python -m tests.trust.mutants [MODULE...] [--sample N --seed S]`.

mutmut changes the decision in one small way at a time (a comparison, an operator, a number, a text, an argument left
out), and runs the tests that are named after the module. A change at which no test fails has survived: it is shown.
The exit code is 1 when less than 90 % of a module's changes are noticed. Changes that change nothing are listed with
their reasons in equivalents.toml; they are counted as survivors all the same, and the score without them is told too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.trust.noticed.modules import MODULES, ROOT, source_of, tests_of
from tests.trust.noticed.mutant import Equivalent, Mutant, all_names, equivalents, read

LEAST_PERCENT = 90.0
SETTINGS = """[mutmut]
source_paths=changeover
process_isolation=forkserver
also_copy=tests
timeout_multiplier=20.0
pytest_add_cli_args=
    -k
    not TestMeasured
only_mutate=
    {sources}
pytest_add_cli_args_test_selection=
    {tests}
"""
# Hypothesis refuses to run a test twice in one process, hence forkserver: each mutant gets a process of its own.
# A timeout counts as noticed, so it must not come from a busy machine, hence 20 times what the tests took.
# Whole simulations (TestMeasured) are left out: they take the most time, and notice only what is grossly wrong.
NOT_NEEDED = ("__pycache__", "apiserver", "cluster", "contract", "demo", "e2e", "golden")


def main() -> int:
    """Exit code 0 when every module asked for is at 90 % or more, and no listed equivalent is out of date."""
    asked = _arguments()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, contextlib.chdir(folder):
        _stage(asked.modules)
        names = all_names(asked.modules)
        if asked.sample is not None:
            names = sorted(random.Random(asked.seed).sample(names, min(asked.sample, len(names))))
        print(f"{len(names)} mutants of {', '.join(asked.modules)} …", flush=True)
        _run(names if asked.sample is not None else [], asked.jobs)
        mutants = read(names)
    known = [one for one in equivalents() if one.module in asked.modules]
    passed = _report(mutants, known, asked.modules)
    stale = [] if asked.sample is not None else [one for one in known if not any(map(one.is_of, _survivors(mutants)))]
    for one in stale:
        print(f"equivalents.toml names no survivor: {one.module}.{one.function}: {one.was}")
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if passed and not stale else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all by default")
    parser.add_argument("--sample", type=int, metavar="N", help="only so many, drawn at random")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the draw (1)")
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="mutants tried at once (1)")
    asked = parser.parse_args()
    asked.modules = asked.modules or list(MODULES)
    unknown = set(asked.modules) - set(MODULES)
    if unknown:
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    return asked


def _stage(modules: Sequence[str]) -> None:
    """A copy of what the tests need, with the package at the top, where mutmut looks for it."""
    shutil.copytree(ROOT / "operator" / "changeover", "changeover", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", "tests", ignore=shutil.ignore_patterns(*NOT_NEEDED))
    shutil.copy(ROOT / "pyproject.toml", ".")
    sources, tests = "\n    ".join(map(source_of, modules)), "\n    ".join(tests_of(modules))
    Path("setup.cfg").write_text(SETTINGS.format(sources=sources, tests=tests))


def _run(names: Sequence[str], jobs: int) -> None:
    """mutmut itself; its own progress is shown only when it fails."""
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    # The tests are to find the changed modules, not those of the working tree.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [mutmut, "run", "--max-children", str(jobs), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"mutmut failed:\n{(done.stdout + done.stderr)[-4000:]}")


def _survivors(mutants: Sequence[Mutant]) -> list[Mutant]:
    return [one for one in mutants if not one.is_killed]


def _report(mutants: Sequence[Mutant], known: Sequence[Equivalent], modules: Sequence[str]) -> bool:
    """Print what survived and a line for each module; whether each is good enough."""
    for one in _survivors(mutants):
        reason = next((f"equivalent: {e.reason}" for e in known if e.is_of(one)), one.status)
        print(f"\n{one.module}.{one.function}: {reason}\n{one.diff}")
    print(
        f"\n{'module':<12}{'mutants':>8}{'killed':>8}{'timeouts':>9}{'survived':>9}{'score':>8}{'equivalent':>11}{'without':>9}"
    )
    scores = [_score(module, [one for one in mutants if one.module == module], known) for module in modules]
    return all(score >= LEAST_PERCENT for score in scores)


def _score(module: str, mutants: Sequence[Mutant], known: Sequence[Equivalent]) -> float:
    """Print the module's line, and give its share of killed mutants in per cent; 100 when the sample has none."""
    survivors = _survivors(mutants)
    killed = len(mutants) - len(survivors)
    timeouts = sum(one.status == "timeout" for one in mutants)
    same = sum(any(e.is_of(one) for e in known) for one in survivors)
    score, without = _percent(killed, len(mutants)), _percent(killed, len(mutants) - same)
    print(
        f"{module:<12}{len(mutants):>8}{killed - timeouts:>8}{timeouts:>9}{len(survivors):>9}{score:>6.1f} %{same:>11}"
        f"{without:>7.1f} %"
    )
    return score


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


if __name__ == "__main__":
    sys.exit(main())
