"""What runs in the cluster from the start: Gateway API resources, DNS, and charts/demo: a gateway and Prometheus."""

from __future__ import annotations

import json
from pathlib import Path

from . import tools
from .controlplane import kubectl
from .layout import DNS_ADDRESS, MANIFESTS, REPOSITORY, ROLE, SYSTEM, Cluster
from .shell import Words, run, succeeds, wait_until
from .systemimages import Archive

DEPLOYMENTS = {"coredns": "kube-system", "traefik": "gateway", "prometheus": "monitoring"}
BARE = ("coredns",)  # of a cluster that is to bring nothing that a user's may lack


def render(text: str, images: dict[str, str]) -> str:
    """Fill in a manifest's @PLACES@. @KEY@ changes with the manifest, so that pods are replaced when it does."""
    text = text.replace("@KEY@", tools.digest(text)).replace("@DNS_ADDRESS@", DNS_ADDRESS)
    for name, reference in images.items():
        text = text.replace(f"@IMAGE_{name}@", reference)
    return text


def stack(cluster: Cluster, images: dict[str, str]) -> str:
    """Gateway and Prometheus as users get them, by charts/demo, of our own images."""
    values = {
        "gateway": {"image": images["traefik"]},
        "prometheus": {"image": images["prometheus"], "verifyKubelets": True},
        "discovery": {"image": images["targets"], "builtIn": True},
        "nodeSelector": {ROLE: SYSTEM.role},
    }
    words: Words = [tools.fetch_helm(cluster), "template", "demo", REPOSITORY / "charts" / "demo", "--values", "-"]
    return run(words, stdin=json.dumps(values))


def apply(cluster: Cluster, programs: Path, archives: dict[str, Archive], *, bare: bool) -> None:
    """Apply all manifests, unless exactly these were applied before."""
    images = {name: archive.reference for name, archive in archives.items()}
    texts = [render((MANIFESTS / "coredns.yaml").read_text(), images)]
    crds = "" if bare else tools.gateway_api_crds(cluster).read_text()
    if not bare:
        texts.append(stack(cluster, images))
    memory = cluster.run / "addons-applied"
    key = tools.digest(crds, *texts)
    if memory.exists() and memory.read_text() == key:
        return
    server_side = ["--server-side", "--force-conflicts", "--field-manager=changeover-local-cluster"]
    if crds:
        kubectl(cluster, programs, "apply", *server_side, "-f", "-", stdin=crds)
        kubectl(cluster, programs, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    kubectl(cluster, programs, "apply", *server_side, "-f", "-", stdin="\n---\n".join(texts))
    memory.write_text(key)


def wait(cluster: Cluster, programs: Path, *, seconds: int, bare: bool) -> None:
    """Wait for the nodes, the deployments and the gateway."""
    kubectl(cluster, programs, "wait", "--for=condition=Ready", "node", "--all", f"--timeout={seconds}s")
    for name in BARE if bare else DEPLOYMENTS:
        kubectl(
            cluster,
            programs,
            "-n",
            DEPLOYMENTS[name],
            "rollout",
            "status",
            f"deployment/{name}",
            f"--timeout={seconds}s",
        )
    if bare:
        return
    gateway = ["wait", "--for=condition=Programmed", "-n", "gateway", "gateway/public", f"--timeout={seconds}s"]
    kubectl(cluster, programs, *gateway)


def nodes_registered(cluster: Cluster, programs: Path, names: list[str]) -> None:
    """Wait until the kubelets have registered: `kubectl wait` refuses what does not exist yet."""
    words: Words = [programs / "kubectl", "--kubeconfig", cluster.kubeconfig, "get", "node", *names]
    wait_until("the kubelets to register", lambda: succeeds(words), seconds=60, every=0.5)
