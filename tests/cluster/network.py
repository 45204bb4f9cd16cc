"""Network namespaces: one for the control plane, one a node, joined by a bridge in the first.

Every link is made inside the namespaces, so nothing shows on the machine and no name can collide with one there.
"""

from __future__ import annotations

from . import before
from .before import NETNS
from .layout import CONTROL_ADDRESS, LINK_BITS, NODES, Cluster, Node
from .shell import run, succeeds

# A run with a new connection a request leaves thousands of closed ones a second; kept for the usual two minutes they
# would fill the machine's connection table and packets would be dropped.
_NODE_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": "5",
}


def up(cluster: Cluster) -> None:
    """Make the namespaces, the bridge and the routes; nothing when they are there."""
    if exists(cluster):
        return
    down(cluster)
    control = cluster.netns("control")
    run(["ip", "netns", "add", control])
    run(["ip", "-n", control, "link", "set", "lo", "up"])
    run(["ip", "-n", control, "link", "add", "bridge", "type", "bridge", "forward_delay", "0"])
    run(["ip", "-n", control, "address", "add", f"{CONTROL_ADDRESS}/{LINK_BITS}", "dev", "bridge"])
    run(["ip", "-n", control, "link", "set", "bridge", "up"])
    for node in NODES:
        _join(cluster, node)
    for node in NODES:
        _route(control, node)
        for other in NODES:
            if other != node:
                _route(cluster.netns(other.name), node)


def _join(cluster: Cluster, node: Node) -> None:
    """Make a node's namespace and connect it to the bridge."""
    control, mine = cluster.netns("control"), cluster.netns(node.name)
    run(["ip", "netns", "add", mine])
    run(["ip", "-n", mine, "link", "set", "lo", "up"])
    veth = ["type", "veth", "peer", "name", "eth0", "netns", mine]
    run(["ip", "-n", control, "link", "add", node.name, *veth])
    run(["ip", "-n", control, "link", "set", node.name, "master", "bridge", "up"])
    run(["ip", "-n", mine, "address", "add", f"{node.address}/{LINK_BITS}", "dev", "eth0"])
    run(["ip", "-n", mine, "link", "set", "eth0", "up"])
    # kube-proxy and the kubelet look for a default route to know their address; it leads to the control namespace,
    # which forwards nothing.
    run(["ip", "-n", mine, "route", "add", "default", "via", CONTROL_ADDRESS])
    for name, value in _NODE_SYSCTLS.items():
        path = "/proc/sys/" + name.replace(".", "/")
        run(["nsenter", f"--net={NETNS / mine}", "sh", "-c", f"echo {value} >{path}"])


def _route(namespace: str, node: Node) -> None:
    """The way to a node's pods."""
    run(["ip", "-n", namespace, "route", "add", node.pod_range, "via", node.address])


def exists(cluster: Cluster) -> bool:
    """Whether the last thing that `up` makes is there."""
    last = cluster.netns(NODES[-1].name)
    if not (NETNS / last).exists():
        return False
    return all(node.pod_range in run(["ip", "-n", cluster.netns("control"), "route"]) for node in NODES)


def namespaces(cluster: Cluster) -> list[str]:
    """Those of the cluster's namespaces that exist."""
    names = [cluster.netns(part) for part in ("control", *(node.name for node in NODES))]
    return [name for name in names if (NETNS / name).exists()]


def down(cluster: Cluster) -> None:
    """Delete the namespaces; links, routes and filter rules go with them."""
    for name in namespaces(cluster):
        if not succeeds(["ip", "netns", "delete", name]):
            (NETNS / name).unlink(missing_ok=True)


def forget_mount_point(cluster: Cluster) -> None:
    """Remove /run/netns when we were the first to need it and nobody uses it now."""
    if not before.had_netns_folder(cluster) and NETNS.is_dir() and not any(NETNS.iterdir()):
        succeeds(["umount", str(NETNS)])
        NETNS.rmdir()
