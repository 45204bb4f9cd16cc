"""python3 -m tests.cluster VERB: the local cluster, from the repository's root."""

from __future__ import annotations

import argparse
import os
import sys
import time

from . import down as ending
from . import images, packages, preflight
from .layout import Cluster, cluster_from_environment
from .locks import exclusive
from .processes import pid_of, recorded
from .progress import Runner, duration
from .shell import Problem, Words, run
from .up import up


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.cluster", description=__doc__)
    parser.add_argument("verb", choices=sorted(VERBS))
    parser.add_argument("names", nargs="*", help="images: which ones (default: all)")
    parser.add_argument("--name", help="the cluster's name (default: $CHANGEOVER_CLUSTER, then changeover)")
    asked = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian puts what a root shell finds
    try:
        return VERBS[asked.verb](cluster_from_environment(asked.name), asked.names)
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1


def _up(cluster: Cluster, _: list[str]) -> int:
    begun = time.monotonic()
    with exclusive(cluster.cache / "locks", cluster.name):
        up(cluster)
    print(f"The cluster is up ({duration(time.monotonic() - begun)}). To use it:\n  {environment(cluster)}")
    return 0


def _down(cluster: Cluster, _: list[str]) -> int:
    with exclusive(cluster.cache / "locks", cluster.name):
        ending.down(cluster)
    return _leftovers(cluster, [])


def _leftovers(cluster: Cluster, _: list[str]) -> int:
    left = ending.leftovers(cluster)
    for line in left:
        print(line)
    return 1 if left else 0


def _kubeconfig(cluster: Cluster, _: list[str]) -> int:
    if not cluster.kubeconfig.exists():
        raise Problem("there is no cluster; make one with `make cluster`")
    print(cluster.kubeconfig)
    return 0


def _env(cluster: Cluster, _: list[str]) -> int:
    print(environment(cluster))
    return 0


def _images(cluster: Cluster, names: list[str]) -> int:
    preflight.check(cluster)
    packages.install(cluster)
    Runner(images.steps(cluster, names), cluster.cache / "timings.json").run()
    return 0


def _status(cluster: Cluster, _: list[str]) -> int:
    if not cluster.kubeconfig.exists():
        raise Problem("there is no cluster; make one with `make cluster`")
    for name in recorded(cluster):
        pid = pid_of(cluster, name)
        print(f"{name:32} {f'process {pid}' if pid else 'NOT RUNNING: see ' + str(cluster.logs / name) + '.log'}")
    kubectl: Words = [cluster.bin / "kubectl", "--kubeconfig", cluster.kubeconfig]
    print(run([*kubectl, "get", "nodes,gateways,pods", "-A", "-o", "wide"]))
    return 0


def environment(cluster: Cluster) -> str:
    """What to put into a shell."""
    return f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.bin}:$PATH"


VERBS = {
    "up": _up, "down": _down, "images": _images, "status": _status, "leftovers": _leftovers, "kubeconfig": _kubeconfig,
    "env": _env,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
