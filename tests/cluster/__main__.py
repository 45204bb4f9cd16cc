"""python3 -m tests.cluster VERB: the local cluster, from the repository's root."""

from __future__ import annotations

import argparse
import os
import sys
import time

from . import down as ending
from . import images, packages, preflight
from .layout import NODES, Cluster, cluster_from_environment
from .locks import exclusive
from .processes import enter, pid_of, recorded
from .progress import Runner, duration
from .shell import Problem, Words, run
from .up import up


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.cluster", description=__doc__)
    parser.add_argument("verb", choices=sorted(("up", *VERBS)))
    parser.add_argument(
        "names", nargs="*", help="images: which ones (default: all); inside: the node, and after -- a command"
    )
    parser.add_argument("--name", help="the cluster's name (default: $CHANGEOVER_CLUSTER, then changeover)")
    parser.add_argument("--bare", action="store_true", help="up: without gateway, Gateway API and Prometheus")
    words = sys.argv[1:]
    mark = words.index("--") if "--" in words else len(words)
    asked = parser.parse_args(words[:mark])
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian puts what a root shell finds
    try:
        cluster, more = cluster_from_environment(asked.name), [*asked.names, *words[mark + 1 :]]
        return _up(cluster, bare=asked.bare) if asked.verb == "up" else VERBS[asked.verb](cluster, more)
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1


def _up(cluster: Cluster, *, bare: bool) -> int:
    begun = time.monotonic()
    preflight.check(cluster)
    with exclusive(cluster.cache / "locks", cluster.name):
        up(cluster, bare=bare)
    print(f"The cluster is up ({duration(time.monotonic() - begun)}). To use it:\n  {environment(cluster)}")
    return 0


def _down(cluster: Cluster, _: list[str]) -> int:
    preflight.need_root()
    with exclusive(cluster.cache / "locks", cluster.name):
        ending.down(cluster)
    return _leftovers(cluster, [])


def _leftovers(cluster: Cluster, _: list[str]) -> int:
    preflight.need_root()
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
    Runner(images.steps(cluster, names), cluster.cache / "timings.json", images.AT_ONCE).run()
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


def _inside(cluster: Cluster, words: list[str]) -> int:
    preflight.need_root()
    known = {node.name: node for node in NODES}
    if not words or words[0] not in known:
        raise Problem(f"say in which node: inside {'|'.join(known)} -- COMMAND")
    holder = pid_of(cluster, f"{words[0]}-holder")
    if not holder:
        raise Problem(f"node {words[0]} does not run; start it with `make cluster`")
    command = [*enter(cluster.netns(words[0]), holder), *(words[1:] or ["bash"])]
    os.execvp(command[0], command)


def environment(cluster: Cluster) -> str:
    """What to put into a shell."""
    return f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.bin}:$PATH"


VERBS = {
    "down": _down,
    "images": _images,
    "status": _status,
    "inside": _inside,
    "leftovers": _leftovers,
    "kubeconfig": _kubeconfig,
    "env": _env,
}

if __name__ == "__main__":
    sys.exit(main())
