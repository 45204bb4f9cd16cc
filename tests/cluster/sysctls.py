"""The kubelet sets a few settings of the whole machine. They are remembered here and put back when the cluster ends."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from .layout import Cluster

_TOUCHED_BY_KUBELET = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)  # fmt: skip


def remember(cluster: Cluster) -> None:
    """Note the values of before, once."""
    memory = cluster.run / "sysctls.json"
    if not memory.exists():
        memory.write_text(json.dumps({name: _path(name).read_text().strip() for name in _TOUCHED_BY_KUBELET}))


def restore(cluster: Cluster) -> None:
    """Put the values of before back."""
    memory = cluster.run / "sysctls.json"
    before = json.loads(memory.read_text()) if memory.exists() else {}
    for name, value in before.items():
        if _path(name).read_text().strip() != value:
            with contextlib.suppress(OSError):
                _path(name).write_text(value)


def _path(name: str) -> Path:
    return Path("/proc/sys") / name
