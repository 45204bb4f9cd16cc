"""Rendering the chart as a user's helm would."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.apiserver.harness import helm_program

CHART = Path(__file__).resolve().parents[2] / "charts" / "changeover"
RELEASE = "changeover"
NAMESPACE = "changeover-system"
KUBE_VERSION = "1.34.0"


def helm(verb: str, *words: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a verb of helm on the chart with values; its exit code is the caller's to judge."""
    where = [RELEASE, str(CHART), "--namespace", NAMESPACE] if verb == "template" else [str(CHART)]
    version = ["--kube-version", KUBE_VERSION]
    argv = [str(helm_program()), verb, *where, *version, "--values", "-", *words]
    return subprocess.run(argv, input=yaml.safe_dump(values or {}), text=True, capture_output=True)


def render(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """All objects of the chart."""
    done = helm("template", values=values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def only(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The one object of a kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found
