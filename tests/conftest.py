"""Options of the whole test run."""

from __future__ import annotations

import pytest
from hypothesis import settings

# The same examples at every run, and no deadline: a busy machine must not make a test fail.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/manifests/*.yaml anew")
