"""The tests of the decision notice what is changed in it: a sample of mutants, and every branch."""

from __future__ import annotations

import subprocess
import sys

from tests.trust.made_of.pins import REPOSITORY


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_a_sample_of_mutants_is_killed() -> None:
    done = run("tests.trust.mutants", "--sample", "20", "--seed", "20261128")
    print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_branch_of_the_decision_is_taken() -> None:
    done = run("tests.trust.coverage")
    print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr
