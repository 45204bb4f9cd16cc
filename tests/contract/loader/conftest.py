"""The real wrk, oha and h2load against servers whose behaviour is known.

The generators come from PATH; oha, which Debian does not have, out of the loader's image, so that it is the very
program that drives the load, however old the cache is that the image came from. Where one is missing its tests are
skipped, and the summary of the test run says so; `pytest -m generators` asks for them, and then a missing one is a
failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import images, ociarchive, tools
from tests.cluster.layout import REPOSITORY, cluster_from_environment

Load = Callable[..., dict[str, Any]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "generators(*names): runs these real load generators; a missing one is told")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("generators")
    missing = [name for name in marker.args if not shutil.which(name, path=search_path())] if marker else []
    if not missing:
        return
    told = f"{', '.join(missing)}: not on PATH, and oha not in an image of the loader: make images"
    if "generators" in (item.config.option.markexpr or "").replace("not generators", ""):
        pytest.fail(told, pytrace=False)
    pytest.skip(told)


@cache
def search_path() -> str:
    """PATH, and behind it the folder of the oha that the loader's image has."""
    cluster = cluster_from_environment()
    [loader] = images.chosen(["loader"])
    image = images.archive_folder(cluster, loader)
    if not image.is_dir():
        return os.environ.get("PATH", "")

    def take_out(folder: Path) -> None:
        (folder / "oha").write_bytes(ociarchive.read(image / "image.tar", "/usr/local/bin/oha"))
        (folder / "oha").chmod(0o755)

    # Beside the archive, so that it goes when the archive goes.
    return f"{os.environ.get('PATH', '')}:{tools.complete(image / 'programs', take_out)}"


@pytest.fixture
def load() -> Load:
    """Runs the loader as a process with these flags; its report."""

    def run(*flags: str) -> dict[str, Any]:
        environment = {**os.environ, "PATH": search_path(), "PYTHONPATH": str(REPOSITORY / "operator")}
        command = [sys.executable, "-m", "changeover.loader", *flags]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert found.returncode == 0, found.stdout[-500:] + found.stderr[-2_000:]
        report: dict[str, Any] = json.loads(found.stdout)
        return report

    return run
