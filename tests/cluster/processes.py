"""Starting and stopping long-lived processes, known by process id and start time.

A process id alone may have been reused by somebody else's process; together with the start time it cannot.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .layout import Cluster
from .shell import Words

# Moves itself into the cgroups named before `--`, then becomes the command after it.
_ENTER = 'cd /; while [ "$1" != -- ]; do echo 0 >"$1" || exit 70; shift; done; shift; exec "$@"'


@dataclass(frozen=True)
class Place:
    """Where a process runs: cgroups, network namespace, mount namespace; what is not given is the machine's."""

    cgroup_files: Sequence[Path] = ()
    netns: str = ""
    mounts_of: int = 0  # a process id, whose mount namespace is entered


def start(cluster: Cluster, name: str, command: Words, place: Place) -> int:
    """Start it unless it runs already; it outlives us. Its output goes to logs/NAME.log."""
    running = pid_of(cluster, name)
    if running:
        return running
    for folder in (cluster.logs, cluster.records):
        folder.mkdir(parents=True, exist_ok=True)
    cgroups = [str(file) for file in place.cgroup_files]
    argv = ["sh", "-c", _ENTER, "sh", *cgroups, "--", *enter(place.netns, place.mounts_of), *map(str, command)]
    output = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(cluster.logs / f"{name}.log"), output, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawnp("sh", argv, os.environ, file_actions=files, setsid=True)
    record = {"pid": pid, "started": _start_time(pid), "argv": argv}
    (cluster.records / f"{name}.json").write_text(json.dumps(record, indent=1))
    return pid


def enter(netns: str, mounts_of: int = 0) -> list[str]:
    """The words to put before a command so that it runs in the namespaces.

    Not `ip netns exec`: that remounts /sys, which hides the cgroup controllers and kills the kubelet.
    """
    if not netns and not mounts_of:
        return []
    net = [f"--net=/run/netns/{netns}"] if netns else []
    mount = [f"--mount=/proc/{mounts_of}/ns/mnt"] if mounts_of else []
    return ["nsenter", *net, *mount, "--"]


def pid_of(cluster: Cluster, name: str) -> int:
    """The process id when the recorded process still runs, else 0."""
    try:
        record = json.loads((cluster.records / f"{name}.json").read_text())
    except (FileNotFoundError, ValueError):
        return 0
    pid = int(record["pid"])
    return pid if record["started"] and _start_time(pid) == record["started"] else 0


def recorded(cluster: Cluster) -> list[str]:
    """The names of all processes that were started."""
    return sorted(path.stem for path in cluster.records.glob("*.json"))


def stop(cluster: Cluster, name: str, *, grace: float = 5.0) -> None:
    """Ask it to end, insist after `grace` seconds, forget it."""
    for sign, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        pid = pid_of(cluster, name)
        if not pid:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        end = time.monotonic() + patience
        while pid_of(cluster, name) and time.monotonic() < end:
            time.sleep(0.05)
    (cluster.records / f"{name}.json").unlink(missing_ok=True)


def _start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat (clock ticks since boot), or nothing when it ended or is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
