"""The Debian packages that the cluster needs, installed without starting their services."""

from __future__ import annotations

import shutil
from pathlib import Path

from .layout import Cluster
from .shell import Problem, run_logged

# program -> the package that brings it
PACKAGES = {
    "etcd": "etcd-server", "containerd": "containerd", "ctr": "containerd", "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins", "ip": "iproute2", "nft": "nftables", "iptables": "iptables",
    "conntrack": "conntrack", "openssl": "openssl", "prometheus": "prometheus", "buildah": "buildah",
    "debootstrap": "debootstrap", "nsenter": "util-linux", "mount": "mount",
}  # fmt: skip
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """The packages whose programs are not there."""
    return sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})


def install(cluster: Cluster) -> None:
    """Install what is missing.

    Debian starts a service when it is installed unless policy-rc.d says no; a second etcd or Prometheus on the
    machine's own addresses is the last thing wanted.
    """
    wanted = missing()
    if not wanted:
        return
    if not shutil.which("apt-get"):
        raise Problem(f"these programs are missing and there is no apt-get to install them: {', '.join(wanted)}")
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    log = cluster.cache / "logs" / "apt.log"
    try:
        run_logged(["apt-get", "update", "-q"], log, env=env)
        run_logged(["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted], log, env=env)
    finally:
        if ours:
            _POLICY.unlink()
