"""Ending the cluster, whatever state it is in, and the proof that nothing is left."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from . import before, cgroups, controlplane, network, node
from .layout import NODES, Cluster
from .processes import pid_of, recorded, stop


def down(cluster: Cluster) -> None:
    """Stop only what the cluster started, then remove every trace outside the cache.

    Agents first, so that nobody restarts what is being removed; then containers, so that the kept image store holds
    images only; then everything that still sits in the cluster's cgroups, whoever its parent is by now.
    """
    for target in NODES:
        for part in ("kubelet", "kube-proxy"):
            stop(cluster, f"{target.name}-{part}")
    for target in NODES:
        if pid_of(cluster, f"{target.name}-containerd") and pid_of(cluster, f"{target.name}-holder"):
            with contextlib.suppress(Exception):  # the store is checked again when it is next used
                node.remove_containers(cluster, target)
        stop(cluster, f"{target.name}-containerd")
    for name in (*controlplane.PROCESSES, *recorded(cluster)):
        stop(cluster, name, grace=2.0)
    cgroups.kill_all(cluster)
    network.down(cluster)
    network.forget_mount_point(cluster)
    cgroups.remove(cluster)
    before.restore(cluster)
    shutil.rmtree(cluster.run, ignore_errors=True)
    with contextlib.suppress(OSError):
        cluster.run.parent.rmdir()


def leftovers(cluster: Cluster) -> list[str]:
    """Everything of the cluster that still exists: after `down` it must be nothing."""
    found = [f"process {pid}: {_command(pid)}" for pid in sorted(cgroups.processes(cluster) | _processes(cluster))]
    found += [f"network namespace {name}" for name in network.namespaces(cluster)]
    found += [f"mount {line}" for line in _mounts(cluster)]
    found += [f"cgroup {folder}" for folder in cgroups.folders(cluster)]
    found += [f"setting {text}" for text in before.changed_settings(cluster)]
    found += [f"folder {path}" for path in (cluster.run, *before.new_folders(cluster)) if path.exists()]
    return found


def _processes(cluster: Cluster) -> set[int]:
    """Processes that name the cluster's folder, wherever they are."""
    mark = f"{cluster.run}/".encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes():
                found.add(int(path.parent.name))
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    return ""


def _mounts(cluster: Cluster) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    ours = (str(cluster.run), str(cluster.cache / "image-store" / cluster.name), f"/run/netns/{cluster.name}-")
    return [point for point in points if point.startswith(ours)]
