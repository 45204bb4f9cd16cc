"""The modules that decide over live traffic, and the tests that are to notice any change of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MODULES = ("sequential", "migration", "ranking")


def source_of(module: str) -> str:
    """The module's file, below the folder of the package."""
    return f"changeover/core/{module}.py"


def tests_of(modules: Iterable[str]) -> list[str]:
    """The test files that are named after these modules; what other tests happen to run through is no proof."""
    folder = ROOT / "tests" / "unit" / "core"
    return sorted(str(path.relative_to(ROOT)) for one in modules for path in folder.glob(f"test_{one}*.py"))
