"""Options of the whole test run."""

from __future__ import annotations

import pytest
from hypothesis import settings

# The same examples at every run, and no deadline: a busy machine must not make a test fail.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/manifests/*.yaml anew")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What failed is told again after what passed: of a long log often only the tail is kept."""
    if terminalreporter.hasopt("P"):
        terminalreporter.summary_errors()
        terminalreporter.summary_failures()
