"""kubectl and helm, as a user would call them: for the demonstration and the end-to-end tests alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT_SECONDS = 300


class CommandFailed(RuntimeError):
    """A command ended with an error; the message holds what it printed."""


@dataclass(frozen=True)
class Kube:
    """A cluster to talk to, and the namespace that commands mean."""

    namespace: str
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Standard output of a command. Raises CommandFailed."""
        program = shutil.which(command[0], path=self.environment.get("PATH")) or command[0]
        done = subprocess.run(
            [program, *command[1:]],
            env=dict(self.environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(command)}\n{done.stdout}{done.stderr}".strip())
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output of kubectl in our namespace."""
        return self.run("kubectl", "--namespace", self.namespace, *arguments, stdin=stdin)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """An object; empty when there is none."""
        text = self.kubectl("get", kind, name, "--output", "json", "--ignore-not-found")
        found: dict[str, Any] = json.loads(text) if text.strip() else {}
        return found

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind that a label selector finds."""
        chosen = ["--selector", selector] if selector else []
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, *chosen, "--output", "json"))["items"]
        return found

    def apply(self, path: str) -> None:
        """Apply a file of the repository."""
        self.kubectl("apply", "--filename", str(ROOT / path))

    def prometheus(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """Result of an instant query to the local cluster's Prometheus, through the API server's proxy."""
        from urllib.parse import urlencode

        parameters = urlencode({"query": query} | ({"time": f"{at:.3f}"} if at is not None else {}))
        path = f"/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?{parameters}"
        result: list[dict[str, Any]] = json.loads(self.run("kubectl", "get", "--raw", path))["data"]["result"]
        return result


def local(namespace: str) -> Kube:
    """The local cluster of `make cluster`. Raises CommandFailed when there is none."""
    try:
        done = subprocess.run(
            ["python3", "-m", "tests.cluster", "env"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except subprocess.CalledProcessError as error:
        raise CommandFailed(f"no local cluster; run make cluster\n{error.stderr}") from error
    variables = dict(part.split("=", 1) for part in done.stdout.removeprefix("export ").split())
    path = variables["PATH"].replace("$PATH", os.environ["PATH"])
    return Kube(namespace, {**os.environ, "KUBECONFIG": variables["KUBECONFIG"], "PATH": path})


def current(namespace: str) -> Kube:
    """The cluster of the current kube-context."""
    return Kube(namespace)
