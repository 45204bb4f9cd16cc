"""kubectl changeover, found by kubectl on the PATH as any plugin is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.demo.kube import ROOT, Kube

SECONDS = 600
_FOLDER = TemporaryDirectory(prefix="changeover-plugin-")  # it goes when the tests end


def changeover(kube: Kube, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command in the namespace of the tests."""
    script = Path(_FOLDER.name) / "kubectl-changeover"
    if not script.exists():
        script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT}/operator exec {sys.executable} -m changeover.cli.main "$@"\n')
        script.chmod(0o755)
    environment = {**kube.environment, "PATH": f"{_FOLDER.name}:{kube.environment['PATH']}", "COLUMNS": "160"}
    command = ["kubectl", "changeover", *words]
    if words[0] not in ("lint", "simulate", "demo"):
        command.append(f"--namespace={kube.namespace}")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.returncode, done.stdout, done.stderr
