"""The pinned versions, and the check that go.mod pins the same."""

from __future__ import annotations

import functools
import tomllib

from .layout import GO_SOURCE, HERE
from .shell import Problem

_GO_MODULES = {"kubernetes": "k8s.io/kubernetes", "coredns": "github.com/coredns/coredns"}


@functools.cache
def pins() -> dict[str, dict[str, str]]:
    """Read versions.toml and refuse when it and go.mod have drifted apart."""
    with (HERE / "versions.toml").open("rb") as file:
        found: dict[str, dict[str, str]] = tomllib.load(file)
    required = go_requirements((GO_SOURCE / "go.mod").read_text())
    for name, module in _GO_MODULES.items():
        wanted = found[name]["version"]
        if required.get(module) != wanted:
            raise Problem(
                f"tests/cluster/versions.toml says {name} {wanted} and go/go.mod requires {module} "
                f"{required.get(module)}: make them equal, then run `go mod tidy` in tests/cluster/go"
            )
    return found


def pin(name: str, field: str = "version") -> str:
    """One pinned value."""
    return pins()[name][field]


def go_requirements(go_mod: str) -> dict[str, str]:
    """Map each module that a go.mod requires to its version, without the leading v."""
    words = (line.removeprefix("require ").split() for line in go_mod.splitlines())
    return {w[0]: w[1][1:] for w in words if len(w) >= 2 and "/" in w[0] and w[1].startswith("v")}
