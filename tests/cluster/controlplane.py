"""etcd, the API server, the controller manager, the scheduler, and the relay that makes the API reachable."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

from . import audit, pki
from .layout import API_PORT, CONTROL_ADDRESS, FIRST_RELAY_PORT, HERE, SERVICE_RANGE, Cluster
from .processes import Place, pid_of, start
from .shell import Problem, Words, run, succeeds, wait_until

PROCESSES = ("kube-scheduler", "kube-controller-manager", "relay", "kube-apiserver", "etcd")  # in order of stopping
SERVER = f"https://{CONTROL_ADDRESS}:{API_PORT}"


def up(cluster: Cluster, programs: Path, cgroup_files: list[Path]) -> None:
    """Start what does not run and wait until the API answers."""
    inside = Place(cgroup_files, netns=cluster.netns("control"))
    for user in ("kube-controller-manager", "kube-scheduler"):
        _write_secret(cluster.run / f"{user}.kubeconfig", pki.kubeconfig(cluster, user, SERVER))
    start(cluster, "etcd", _etcd(cluster), inside)
    start(cluster, "kube-apiserver", _apiserver(cluster, programs), inside)
    port = _relay(cluster, Place(cgroup_files))
    _write_secret(cluster.kubeconfig, pki.kubeconfig(cluster, "admin", f"https://127.0.0.1:{port}"))
    wait_until("the API server", lambda: ready(cluster, programs), seconds=90)
    start(cluster, "kube-controller-manager", _controller_manager(cluster, programs), inside)
    start(cluster, "kube-scheduler", _scheduler(cluster, programs), inside)


def ready(cluster: Cluster, programs: Path) -> bool:
    """Whether the API server answers through the relay and says that it is ready."""
    if not pid_of(cluster, "kube-apiserver"):
        raise Problem(f"the API server ended; the reason is at the end of {cluster.logs / 'kube-apiserver.log'}")
    return succeeds([programs / "kubectl", "--kubeconfig", cluster.kubeconfig, "get", "--raw", "/readyz"])


def _etcd(cluster: Cluster) -> Words:
    """Without fsync: the data is thrown away with the cluster, and a slow disk must not slow the API."""
    return [
        shutil.which("etcd") or "etcd", "--name=etcd", "--data-dir", cluster.run / "etcd", "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=etcd=http://127.0.0.1:2380", "--log-level=warn",
    ]  # fmt: skip


def _apiserver(cluster: Cluster, programs: Path) -> Words:
    p = cluster.pki
    return [
        programs / "kube-apiserver",
        f"--advertise-address={CONTROL_ADDRESS}", f"--bind-address={CONTROL_ADDRESS}", f"--secure-port={API_PORT}",
        "--etcd-servers=http://127.0.0.1:2379", f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={p}/ca.crt",
        f"--tls-cert-file={p}/apiserver.crt", f"--tls-private-key-file={p}/apiserver.key",
        f"--kubelet-certificate-authority={p}/ca.crt",
        f"--kubelet-client-certificate={p}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={p}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",  # node names are in nobody's DNS
        f"--service-account-key-file={p}/service-account.key",
        f"--service-account-signing-key-file={p}/service-account.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--enable-aggregator-routing=true",  # no kube-proxy here: reach a webhook by its pod's address
        "--profiling=false", "--event-ttl=24h", *audit.flags(cluster.audit),
    ]  # fmt: skip


def _controller_manager(cluster: Cluster, programs: Path) -> Words:
    kubeconfig = cluster.run / "kube-controller-manager.kubeconfig"
    return [
        programs / "kube-controller-manager", f"--kubeconfig={kubeconfig}", "--bind-address=127.0.0.1",
        f"--service-account-private-key-file={cluster.pki}/service-account.key",
        f"--root-ca-file={cluster.pki}/ca.crt", "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--allocate-node-cidrs=false",  # each node's CNI file already holds its range
        f"--cluster-name={cluster.name}",
    ]  # fmt: skip


def _scheduler(cluster: Cluster, programs: Path) -> Words:
    kubeconfig = cluster.run / "kube-scheduler.kubeconfig"
    return [
        programs / "kube-scheduler", f"--kubeconfig={kubeconfig}", "--bind-address=127.0.0.1", "--leader-elect=false",
        f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}",
    ]  # fmt: skip


def _relay(cluster: Cluster, place: Place) -> int:
    """Start the relay; the port on loopback that it listens on."""
    memory = cluster.run / "relay.json"
    before = [int(number) for number in json.loads(memory.read_text()).values()] if memory.exists() else []
    if pid_of(cluster, "relay"):
        return before[0]
    ports: list[int] = [*before, *range(FIRST_RELAY_PORT, FIRST_RELAY_PORT + 500)]
    port = next(number for number in ports if _free(number))
    script = str(HERE / "relay.py")
    namespace = f"/run/netns/{cluster.netns('control')}"
    start(cluster, "relay", [sys.executable, script, str(port), namespace, CONTROL_ADDRESS, str(API_PORT)], place)
    memory.write_text(json.dumps({"port": port}))
    return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _write_secret(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.touch(mode=0o600)
        path.write_text(text)


def kubectl(cluster: Cluster, programs: Path, *words: str, stdin: str = "") -> str:
    """Run kubectl as the administrator."""
    return run([programs / "kubectl", "--kubeconfig", cluster.kubeconfig, *words], stdin=stdin)
