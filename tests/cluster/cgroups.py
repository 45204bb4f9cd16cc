"""The cluster's own cgroups: one each for the control plane and the nodes, pinned to a core.

`NAME/system/kubepods/…` and the like are the kubelet's. Everything the cluster ever starts is below `NAME`, which is
how ending it finds every process, whatever has become of its parents.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from .layout import Cluster

_ROOT = Path("/sys/fs/cgroup")
_NEEDED = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
_OPTIONAL = ("systemd", "hugetlb", "perf_event", "net_cls", "net_prio")


def is_v2() -> bool:
    """Whether the machine has the one hierarchy of cgroup v2."""
    return (_ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The mounted roots, each once (cpu and cpuacct are often one, with links)."""
    if is_v2():
        return [_ROOT]
    found = {(_ROOT / name).resolve() for name in (*_NEEDED, *_OPTIONAL) if (_ROOT / name).is_dir()}
    return sorted(found)


def missing_controllers() -> list[str]:
    """The controllers that a node needs and the machine does not offer."""
    if is_v2():
        offered = (_ROOT / "cgroup.controllers").read_text().split()
        return [name for name in ("cpu", "cpuset", "memory", "pids") if name not in offered]
    return [name for name in _NEEDED if not (_ROOT / name).is_dir()]


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def make(cluster: Cluster, part: str, core: int) -> list[Path]:
    """Make the part's cgroup in every hierarchy, on one core; the files that a process enters it by."""
    files = []
    for root in hierarchies():
        for folder in (root / cluster.name, root / cluster.name / part):
            folder.mkdir(exist_ok=True)
            if is_v2():
                _delegate(folder.parent)
            _pin(folder, str(core) if folder.name == part else "")
            _prefer(folder)
        leaf = root / cluster.name / part / "processes"
        leaf.mkdir(exist_ok=True)
        if is_v2():
            _delegate(leaf.parent)
        else:
            _pin(leaf, str(core))
        files.append(leaf / "cgroup.procs")
    return files


def _delegate(folder: Path) -> None:
    """Let the children of a v2 cgroup use the controllers that a node needs."""
    for name in ("cpu", "cpuset", "memory", "pids", "io", "hugetlb"):
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{name}")


def _pin(folder: Path, core: str) -> None:
    """Set cores and memory nodes; v1 starts with none, which would refuse every process."""
    for field, wanted in (("cpuset.cpus", core), ("cpuset.mems", "")):
        file = folder / field
        if file.exists() and (wanted or not is_v2()):
            file.write_text(wanted or (folder.parent / field).read_text())


def _prefer(folder: Path) -> None:
    """Sixteen times the share of what else the machine does: a build or an editor beside it must not look like a slow
    backend."""
    for field, value in (("cpu.shares", "16384"), ("cpu.weight", "1600")):
        if (folder / field).exists():
            (folder / field).write_text(value)


def processes(cluster: Cluster, part: str = "") -> set[int]:
    """The ids of all processes in the cluster's cgroups."""
    found: set[int] = set()
    for root in hierarchies():
        # Not by glob, which fails when a pod and its folder go away under its hands.
        for folder, _, _ in os.walk(root / cluster.name / part):
            with contextlib.suppress(OSError):
                found.update(int(word) for word in Path(folder, "cgroup.procs").read_text().split())
    return found - {0}


def kill_all(cluster: Cluster, part: str = "", *, seconds: float = 15.0) -> None:
    """Kill until none is left: a shim may start another while we look."""
    end = time.monotonic() + seconds
    while (left := processes(cluster, part)) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def folders(cluster: Cluster) -> list[Path]:
    """The cluster's cgroups, the deepest first."""
    found = []
    for root in hierarchies():
        found += [Path(folder) for folder, _, _ in os.walk(root / cluster.name)]
    return sorted(found, key=lambda path: -len(path.parts))


def remove(cluster: Cluster) -> None:
    """Remove the cgroups; a dying process holds its own for a moment longer."""
    for _ in range(50):
        for folder in folders(cluster):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if not folders(cluster):
            return
        time.sleep(0.1)
