"""What the machine was like before the cluster, so that ending it can put everything back and prove it.

The kubelet changes a few settings of the whole machine, and `ip netns` makes a folder. The record lies in the cache,
not with the cluster, because the proof is asked for after the cluster's own folder is gone.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from .layout import Cluster

NETNS = Path("/run/netns")
_SET_BY_KUBELET = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)  # fmt: skip
# Where Kubernetes programs write when they are not told otherwise; a machine may have its own from something else.
_USUAL_FOLDERS = tuple(
    map(
        Path,
        ("/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers", "/run/containerd", "/run/flannel"),
    )
)


def remember(cluster: Cluster) -> None:
    """Note how it is, before a cluster is begun. While another one runs, how it was before that one is what counts."""
    other = next((_file(cluster, name) for name in _running(cluster) if _file(cluster, name).exists()), None)
    record = {
        "settings": {name: _setting(name).read_text().strip() for name in _SET_BY_KUBELET if _setting(name).exists()},
        "folders": [str(path) for path in (*_USUAL_FOLDERS, NETNS) if path.exists()],
    }
    file = _file(cluster, cluster.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(other.read_text() if other else json.dumps(record, indent=1))


def restore(cluster: Cluster) -> None:
    """Put the settings back, unless another cluster still needs them."""
    record = _read(cluster)
    if record is None or _running(cluster):
        return
    for name, value in record["settings"].items():
        if _setting(name).read_text().strip() != value:
            with contextlib.suppress(OSError):
                _setting(name).write_text(value)


def new_folders(cluster: Cluster) -> list[Path]:
    """Usual folders that exist now and did not before."""
    record = _read(cluster) or {"folders": []}
    return [path for path in _USUAL_FOLDERS if path.exists() and str(path) not in record["folders"]]


def had_netns_folder(cluster: Cluster) -> bool:
    """Whether /run/netns was there before; true when nobody knows."""
    record = _read(cluster)
    return record is None or str(NETNS) in record["folders"]


def changed_settings(cluster: Cluster) -> list[str]:
    """Settings that are not as they were."""
    record = _read(cluster)
    if record is None or _running(cluster):
        return []
    now = {name: _setting(name).read_text().strip() for name in record["settings"]}
    return [f"{name} is {now[name]} and was {was}" for name, was in record["settings"].items() if now[name] != was]


def _running(cluster: Cluster) -> list[str]:
    """The names of other clusters that are up."""
    return [path.name for path in sorted(cluster.run.parent.glob("*")) if path.is_dir() and path.name != cluster.name]


def _read(cluster: Cluster) -> dict[str, Any] | None:
    file = _file(cluster, cluster.name)
    return json.loads(file.read_text()) if file.exists() else None


def _file(cluster: Cluster, name: str) -> Path:
    return cluster.cache / "before" / f"{name}.json"


def _setting(name: str) -> Path:
    return Path("/proc/sys") / name
