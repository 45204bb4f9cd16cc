"""Who may know whom, and where things live."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_operator_is_the_standard_librarys() -> None:
    """operator/ is a plain folder; with an __init__.py it would shadow the standard library's module."""
    assert not (REPOSITORY / "operator" / "__init__.py").exists()
    code = "import operator; print(operator.__file__); operator.add(1, 2)"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).parent == Path(os.__file__).parent


def test_the_contracts_between_the_layers_hold() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    environment = {**os.environ, "PYTHONPATH": "operator"}
    found = subprocess.run(
        [*command, "--config", "pyproject.toml", "--no-cache"],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-1000:]
    assert int(found.stdout.split("Contracts: ")[1].split(" kept")[0]) >= 7


def test_what_a_project_needs_is_there() -> None:
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml"):
        assert (REPOSITORY / name).stat().st_size > 100, name
