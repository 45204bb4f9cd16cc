"""The real wrk, oha and h2load against servers whose behaviour is known.

The generators come from PATH or from what the images' builds left in the local cluster's cache. Where one is missing
its tests are skipped, and the summary of the test run says so; `pytest -m generators` asks for them, and then a missing
one is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.bases import cargo_target
from tests.cluster.images import LOADER
from tests.cluster.layout import REPOSITORY, cluster_from_environment

BUILT = cargo_target(cluster_from_environment(), LOADER) / "release"
SEARCH_PATH = f"{os.environ.get('PATH', '')}:{BUILT}"

Load = Callable[..., dict[str, Any]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "generators(*names): runs these real load generators; a missing one is told")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("generators")
    missing = [name for name in marker.args if not shutil.which(name, path=SEARCH_PATH)] if marker else []
    if not missing:
        return
    told = f"{', '.join(missing)}: neither on PATH nor in {BUILT}"
    if "generators" in (item.config.option.markexpr or "").replace("not generators", ""):
        pytest.fail(told, pytrace=False)
    pytest.skip(told)


@pytest.fixture
def load() -> Load:
    """Runs the loader as a process with these flags; its report."""

    def run(*flags: str) -> dict[str, Any]:
        environment = {**os.environ, "PATH": SEARCH_PATH, "PYTHONPATH": str(REPOSITORY / "operator")}
        command = [sys.executable, "-m", "changeover.loader", *flags]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert found.returncode == 0, found.stdout[-500:] + found.stderr[-2_000:]
        report: dict[str, Any] = json.loads(found.stdout)
        return report

    return run
