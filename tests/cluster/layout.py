"""Where everything lives and which addresses are used: the one place to look when something must move.

Two roots: what may be kept between clusters (the cache) and what belongs to one running cluster (`run/NAME`), which
`down` deletes. All addresses live inside network namespaces of our own, so they cannot collide with the machine's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
GO_SOURCE = HERE / "go"
MANIFESTS = HERE / "manifests"

DEFAULT_NAME = "changeover"
ROLE = "changeover.dev/role"

CONTROL_ADDRESS = "10.200.0.1"
LINK_BITS = 24
POD_RANGE = "10.201.0.0/16"
SERVICE_RANGE = "10.202.0.0/16"
KUBERNETES_ADDRESS = "10.202.0.1"  # the first of the service range: Service `kubernetes` always gets it
DNS_ADDRESS = "10.202.0.10"
API_PORT = 6443
FIRST_RELAY_PORT = 26443  # on the machine's loopback; the next free one is taken when it is in use


@dataclass(frozen=True)
class Node:
    """One node: a network namespace, a mount namespace, a cgroup and a core."""

    name: str
    role: str
    address: str
    pod_range: str
    tainted: bool


SYSTEM = Node("system", "load", "10.200.0.2", "10.201.0.0/23", tainted=False)
CANDIDATE = Node("candidate", "candidate", "10.200.0.3", "10.201.2.0/23", tainted=True)
NODES = (SYSTEM, CANDIDATE)


@dataclass(frozen=True)
class Cluster:
    """The paths and names of one cluster."""

    name: str
    cache: Path

    @property
    def run(self) -> Path:
        """Everything that `down` deletes."""
        return self.cache / "run" / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.run / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.run / "pki"

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    @property
    def audit(self) -> Path:
        """What the operator's accounts asked of the API server."""
        return self.logs / "audit"

    @property
    def records(self) -> Path:
        """One file a process that we started: its id and start time, so that only ours is ever stopped."""
        return self.run / "processes"

    @property
    def bin(self) -> Path:
        """Links to kubectl and helm, for a person's PATH."""
        return self.cache / "bin"

    def node_dir(self, node: Node) -> Path:
        return self.run / node.name

    def image_store(self, node: Node) -> Path:
        """A node's containerd root. It is kept when the cluster ends, so that images are imported once."""
        return self.cache / "image-store" / f"{self.name}-{node.name}"

    def netns(self, part: str) -> str:
        """The network namespace of `control` or of a node."""
        return f"{self.name}-{part}"


def cluster_from_environment(name: str | None = None) -> Cluster:
    """The cluster that the environment and the command line ask for."""
    cache = Path(os.environ.get("CHANGEOVER_CACHE", "/var/cache/changeover")).resolve()
    return Cluster(name or os.environ.get("CHANGEOVER_CLUSTER", DEFAULT_NAME), cache)
