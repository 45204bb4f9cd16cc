"""What runs in the cluster from the start: Gateway API resources, DNS, the gateway, Prometheus."""

from __future__ import annotations

from pathlib import Path

from . import tools
from .controlplane import kubectl
from .layout import DNS_ADDRESS, MANIFESTS, Cluster
from .shell import Words, succeeds, wait_until
from .systemimages import Archive

DEPLOYMENTS = {"coredns": "kube-system", "traefik": "gateway", "prometheus": "monitoring"}


def render(text: str, images: dict[str, str]) -> str:
    """Fill in a manifest's @PLACES@. @KEY@ changes with the manifest, so that pods are replaced when it does."""
    text = text.replace("@KEY@", tools.digest(text)).replace("@DNS_ADDRESS@", DNS_ADDRESS)
    for name, reference in images.items():
        text = text.replace(f"@IMAGE_{name}@", reference)
    return text


def apply(cluster: Cluster, programs: Path, archives: dict[str, Archive]) -> None:
    """Apply all manifests, unless exactly these were applied before."""
    images = {name: archive.reference for name, archive in archives.items()}
    crds = tools.gateway_api_crds(cluster).read_text()
    texts = [render((MANIFESTS / f"{name}.yaml").read_text(), images) for name in DEPLOYMENTS]
    memory = cluster.run / "addons-applied"
    key = tools.digest(crds, *texts)
    if memory.exists() and memory.read_text() == key:
        return
    server_side = ["--server-side", "--force-conflicts", "--field-manager=changeover-local-cluster"]
    kubectl(cluster, programs, "apply", *server_side, "-f", "-", stdin=crds)
    kubectl(cluster, programs, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    kubectl(cluster, programs, "apply", *server_side, "-f", "-", stdin="\n---\n".join(texts))
    memory.write_text(key)


def wait(cluster: Cluster, programs: Path, *, seconds: int) -> None:
    """Wait for the nodes, the deployments and the gateway."""
    kubectl(cluster, programs, "wait", "--for=condition=Ready", "node", "--all", f"--timeout={seconds}s")
    for name, namespace in DEPLOYMENTS.items():
        kubectl(cluster, programs, "-n", namespace, "rollout", "status", f"deployment/{name}", f"--timeout={seconds}s")
    gateway = ["wait", "--for=condition=Programmed", "-n", "gateway", "gateway/public", f"--timeout={seconds}s"]
    kubectl(cluster, programs, *gateway)


def nodes_registered(cluster: Cluster, programs: Path, names: list[str]) -> None:
    """Wait until the kubelets have registered: `kubectl wait` refuses what does not exist yet."""
    words: Words = [programs / "kubectl", "--kubeconfig", cluster.kubeconfig, "get", "node", *names]
    wait_until("the kubelets to register", lambda: succeeds(words), seconds=60, every=0.5)
