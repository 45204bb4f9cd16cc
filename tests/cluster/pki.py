"""The cluster's own certificate authority and certificates, made by the openssl program.

Made anew for each cluster: they are worth nothing once it is gone, and nothing has to be renewed.
"""

from __future__ import annotations

from pathlib import Path

from .layout import CONTROL_ADDRESS, KUBERNETES_ADDRESS, NODES, Cluster
from .shell import run

_DAYS = "365"
_API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
_API_SAN = ",".join(
    [f"DNS:{name}" for name in ("localhost", *_API_NAMES)]
    + [f"IP:{address}" for address in ("127.0.0.1", CONTROL_ADDRESS, KUBERNETES_ADDRESS)]
)


def make(cluster: Cluster) -> None:
    """Make what is missing."""
    folder = cluster.pki
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if (folder / "complete").exists():
        return
    _authority(folder)
    _issue(folder, "apiserver", "/CN=kube-apiserver", san=_API_SAN, usage="serverAuth")
    _issue(folder, "apiserver-kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    _issue(folder, "admin", "/O=system:masters/CN=admin")
    for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        _issue(folder, name, f"/CN=system:{name}")
    for node in NODES:
        subject = f"/O=system:nodes/CN=system:node:{node.name}"
        san = f"DNS:{node.name},IP:{node.address}"
        _issue(folder, f"kubelet-{node.name}", subject, san=san, usage="serverAuth,clientAuth")
    run(["openssl", "genrsa", "-out", folder / "service-account.key", "2048"])
    (folder / "complete").touch()


def _authority(folder: Path) -> None:
    run([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", _DAYS,
        "-subj", "/CN=changeover-local-cluster", "-keyout", folder / "ca.key", "-out", folder / "ca.crt",
        "-addext", "keyUsage=critical,keyCertSign,digitalSignature",
    ])  # fmt: skip


def _issue(folder: Path, name: str, subject: str, *, san: str = "", usage: str = "clientAuth") -> None:
    extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={usage}"]
    if san:
        extensions += ["-addext", f"subjectAltName={san}"]
    run([
        "openssl", "req", "-x509", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-nodes", "-days", _DAYS,
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", subject, *extensions,
        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt",
    ])  # fmt: skip


def kubeconfig(cluster: Cluster, user: str, server: str) -> str:
    """A kubeconfig whose certificates are inside it, so that the one file can be moved."""
    authority, certificate, key = (_base64(cluster.pki / name) for name in ("ca.crt", f"{user}.crt", f"{user}.key"))
    return f"""apiVersion: v1
kind: Config
clusters:
- name: {cluster.name}
  cluster: {{server: "{server}", certificate-authority-data: {authority}}}
users:
- name: {user}
  user: {{client-certificate-data: {certificate}, client-key-data: {key}}}
contexts:
- name: {cluster.name}
  context: {{cluster: {cluster.name}, user: {user}}}
current-context: {cluster.name}
"""


def _base64(path: Path) -> str:
    return run(["openssl", "base64", "-A", "-in", path]).strip()
