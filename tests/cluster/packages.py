"""The Debian packages that the cluster needs, installed without starting their services."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .layout import Cluster
from .shell import Problem, run

# program -> the package that brings it
PACKAGES = {
    "etcd": "etcd-server", "containerd": "containerd", "runc": "runc", "/usr/lib/cni/ptp": "containernetworking-plugins",
    "ip": "iproute2", "nft": "nftables", "iptables": "iptables", "conntrack": "conntrack", "openssl": "openssl",
    "prometheus": "prometheus", "buildah": "buildah", "debootstrap": "debootstrap", "wrk": "wrk", "nsenter": "util-linux",
    "mount": "mount",
}  # fmt: skip
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """The packages whose programs are not there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
    return sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path=path)})


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
        run(["apt-get", "update", "-q"], env=env, log=log)
        run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted], env=env, log=log)
    finally:
        if ours:
            _POLICY.unlink()
