"""A migration as part of a Helm release, as a user's chart has it, installed with --wait."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.demo.kube import Kube

WAIT_MINUTES = 9


@dataclass(frozen=True)
class Installed:
    """What `helm install --wait` said, with which exit code, and in what time."""

    code: int
    said: str
    seconds: float


def install_and_wait(kube: Kube, name: str, body: dict[str, Any]) -> Installed:
    """A release that holds one object; helm returns when kstatus has a verdict on it."""
    with TemporaryDirectory() as folder:
        chart = Path(folder)
        (chart / "templates").mkdir()
        (chart / "Chart.yaml").write_text(json.dumps({"apiVersion": "v2", "name": name, "version": "0.1.0"}))
        (chart / "templates" / "migration.yaml").write_text(json.dumps(body))
        command = ("helm", "install", name, folder, f"--namespace={kube.namespace}")
        uninstall(kube, name)  # what an earlier run left
        begun = time.monotonic()
        done = subprocess.run(
            [*command, "--wait", f"--timeout={WAIT_MINUTES}m"],
            env=dict(kube.environment), capture_output=True, text=True, timeout=60 * (WAIT_MINUTES + 1), check=False,
        )  # fmt: skip
    return Installed(done.returncode, done.stdout + done.stderr, time.monotonic() - begun)


def uninstall(kube: Kube, name: str) -> None:
    """Remove the release and what it holds."""
    kube.run(
        "helm", "uninstall", name, f"--namespace={kube.namespace}", "--ignore-not-found", "--wait", "--timeout=60s"
    )
