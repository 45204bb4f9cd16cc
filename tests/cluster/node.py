"""One node: containerd, the kubelet and kube-proxy in a network namespace, a mount namespace and a cgroup of its own.

In its mount namespace /run, /var/lib and /var/log are the node's own. So every program finds its usual paths, two nodes
do not meet, and whatever is mounted or left there vanishes with the namespace instead of staying on the machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import cgroups, pki
from .controlplane import SERVER
from .layout import DNS_ADDRESS, POD_RANGE, ROLE, Cluster, Node
from .processes import Place, enter, pid_of, start
from .shell import Problem, Words, run, succeeds, wait_until, write_if_changed

CONTAINERD_SOCKET = "unix:///run/containerd/containerd.sock"
PARTS = ("kubelet", "kube-proxy", "containerd", "holder")  # in order of stopping


@dataclass(frozen=True)
class Machine:
    """What the machine gives each node."""

    core: int
    memory_bytes: int  # kept back from pods, so that two nodes do not promise the same memory twice


def holder_script(node_dir: Path, image_store: Path, core: int) -> str:
    """What the process that holds a node's mount namespace runs before it sleeps for ever.

    The kubelet reports the cores it finds under /sys/devices/system/node: a folder that lists one core makes the node's
    capacity the one core that its cgroup has.
    """
    sysfs = "/sys/devices/system/node"
    return f"""set -e
mount --make-rshared /
cd {node_dir}
mkdir -p run lib/containerd log {image_store}
mount --bind {image_store} lib/containerd
mount -t tmpfs -o mode=755 tmpfs run
mount --rbind run /run
mount --rbind lib /var/lib
mount --rbind log /var/log
mkdir -p /run/netns
if [ -d {sysfs}/node0 ]; then
  mkdir -p cores/node0
  cp {sysfs}/node0/meminfo {sysfs}/node0/distance cores/node0/
  ln -sfn /sys/devices/system/cpu/cpu{core} cores/node0/cpu{core}
  mount --bind cores {sysfs}
fi
touch holder-ready
exec sleep infinity
"""


def containerd_config(sandbox_image: str, cni_dir: Path) -> str:
    """containerd's settings.

    OOM scores cannot be lowered without CAP_SYS_RESOURCE; ports below 1024 are open to any user, as in containerd 2.
    """
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox_image}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni_dir}"
"""


def cni_config(node: Node) -> dict[str, object]:
    """Point-to-point links rather than a bridge: every packet is routed, so services work within a node too."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": node.pod_range}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": ipam}],
    }


def kubelet_config(cluster: Cluster, node: Node, machine: Machine) -> dict[str, object]:
    """JSON is YAML: no library is needed to write it."""
    taints = [{"key": ROLE, "value": node.role, "effect": "NoSchedule"}] if node.tainted else []
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{cluster.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{cluster.pki}/kubelet-{node.name}.crt",
        "tlsPrivateKeyFile": f"{cluster.pki}/kubelet-{node.name}.key",
        "address": node.address,
        "containerRuntimeEndpoint": CONTAINERD_SOCKET,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cluster.name}/{node.name}",
        "failCgroupV1": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(cluster.node_dir(node) / "resolv.conf"),
        "registerWithTaints": taints,
        "maxPods": 250,
        # A load generator that opens thousands of connections a second may ask for these in its pod.
        "allowedUnsafeSysctls": ["net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_max_tw_buckets", "net.core.somaxconn"],
        "systemReserved": {"memory": str(machine.memory_bytes)},
        # The disk is shared with everything else on the machine, and an image that is collected cannot be pulled again.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "volumePluginDir": "/var/lib/kubelet/plugins",
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
    }


def proxy_config(cluster: Cluster, node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(cluster.run / "kube-proxy.kubeconfig")},
        "conntrack": {"maxPerCore": 0, "min": 0},
        "oomScoreAdj": 0,
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "127.0.0.1:10256",
    }


def write_files(cluster: Cluster, node: Node, machine: Machine, sandbox_image: str) -> None:
    """Write all that the node's programs read."""
    folder = cluster.node_dir(node)
    files = {
        "holder.sh": holder_script(folder, cluster.image_store(node), machine.core),
        "containerd.toml": containerd_config(sandbox_image, folder / "cni"),
        "cni/10-pods.conflist": json.dumps(cni_config(node), indent=1),
        "kubelet.json": json.dumps(kubelet_config(cluster, node, machine), indent=1),
        "kube-proxy.json": json.dumps(proxy_config(cluster, node), indent=1),
        "kubelet.kubeconfig": pki.kubeconfig(cluster, f"kubelet-{node.name}", SERVER),
        "resolv.conf": f"nameserver {DNS_ADDRESS}\n",
    }
    for name, text in files.items():
        write_if_changed(folder / name, text)
    write_if_changed(cluster.run / "kube-proxy.kubeconfig", pki.kubeconfig(cluster, "kube-proxy", SERVER))


def start_runtime(cluster: Cluster, node: Node, cgroup_files: Sequence[Path]) -> None:
    """Start containerd in the node's namespaces and wait until it answers."""
    folder = cluster.node_dir(node)
    ready = folder / "holder-ready"
    if not pid_of(cluster, f"{node.name}-holder"):
        # Whatever of this node still runs sits in the mount namespace of a holder that is gone: nothing can join it.
        cgroups.kill_all(cluster, node.name)
        ready.unlink(missing_ok=True)
    unshare = ["unshare", "--mount", "--propagation", "slave", "sh", str(folder / "holder.sh")]
    start(cluster, f"{node.name}-holder", unshare, Place(cgroup_files, netns=cluster.netns(node.name)))
    wait_until(f"the mounts of node {node.name}", ready.exists, seconds=10, every=0.02)
    containerd = ["containerd", "--config", str(folder / "containerd.toml")]
    start(cluster, f"{node.name}-containerd", containerd, _inside(cluster, node, cgroup_files))
    wait_until(f"containerd of node {node.name}", lambda: succeeds(ctr(cluster, node, "version")), seconds=30)


def start_agents(cluster: Cluster, node: Node, programs: Path, cgroup_files: Sequence[Path]) -> None:
    """Start the kubelet and kube-proxy."""
    folder = cluster.node_dir(node)
    place = _inside(cluster, node, cgroup_files)
    kubelet: Words = [
        programs / "kubelet", f"--config={folder}/kubelet.json", f"--kubeconfig={folder}/kubelet.kubeconfig",
        f"--hostname-override={node.name}", f"--node-ip={node.address}", f"--node-labels={ROLE}={node.role}",
        "--housekeeping-interval=1s",  # cAdvisor waits up to twice this: CPU counters are never older than 2 s
    ]  # fmt: skip
    proxy: Words = [programs / "kube-proxy", f"--config={folder}/kube-proxy.json"]
    start(cluster, f"{node.name}-kubelet", kubelet, place)
    start(cluster, f"{node.name}-kube-proxy", proxy, place)


def _inside(cluster: Cluster, node: Node, cgroup_files: Sequence[Path]) -> Place:
    """The node's own namespaces and cgroup."""
    return Place(cgroup_files, netns=cluster.netns(node.name), mounts_of=_holder(cluster, node))


def _holder(cluster: Cluster, node: Node) -> int:
    pid = pid_of(cluster, f"{node.name}-holder")
    if not pid:
        raise Problem(f"node {node.name} does not run; start it with `make cluster`")
    return pid


def ctr(cluster: Cluster, node: Node, *words: str | Path) -> Words:
    """A ctr command for the node's containers."""
    return [*enter("", _holder(cluster, node)), "ctr", "-n", "k8s.io", *words]


def remove_containers(cluster: Cluster, node: Node) -> None:
    """Kill and forget all containers, so that the kept image store holds nothing but images."""
    for task in run(ctr(cluster, node, "tasks", "list", "-q"), seconds=20).split():
        succeeds(ctr(cluster, node, "tasks", "delete", "--force", task), seconds=20)
    names = run(ctr(cluster, node, "containers", "list", "-q"), seconds=20).split()
    if names:
        succeeds(ctr(cluster, node, "containers", "delete", *names), seconds=60)
