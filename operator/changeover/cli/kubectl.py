"""kubectl as a subprocess: whatever context, login and proxy the user has, we have too."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]


class KubectlFailed(Exception):
    """kubectl ended with an error; the text is its own."""


class NotThere(KubectlFailed):
    """The cluster answered, and there is no such object."""


@dataclass(frozen=True)
class Kubectl:
    """One context and namespace; what is empty is as the user's kubeconfig has it."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""

    def run(self, *words: str, stdin: str | None = None) -> str:
        """Standard output. Raises KubectlFailed with kubectl's own words."""
        command = ["kubectl", *self._flags(), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)
        except FileNotFoundError as error:
            raise KubectlFailed("kubectl is not on the PATH; install it first") from error
        if done.returncode != 0:
            raise KubectlFailed(done.stderr.strip() or f"kubectl ended with {done.returncode}")
        return done.stdout

    def get(self, kind: str, name: str, *flags: str) -> Manifest | None:
        """An object; None when there is none. Raises KubectlFailed."""
        text = self.run("get", kind, name, "--ignore-not-found", "--output=json", *flags)
        found: Manifest | None = json.loads(text) if text.strip() else None
        return found

    def items(self, kind: str, labels: Mapping[str, str] | None = None) -> list[Manifest]:
        """The objects that carry all of these labels. Raises KubectlFailed."""
        chosen = ["--selector=" + ",".join(f"{key}={value}" for key, value in labels.items())] if labels else []
        found: list[Manifest] = json.loads(self.run("get", kind, *chosen, "--output=json"))["items"]
        return found

    def _flags(self) -> list[str]:
        named = {"namespace": self.namespace, "context": self.context, "kubeconfig": self.kubeconfig}
        return [f"--{name}={value}" for name, value in named.items() if value]
