"""A real API server of our own: etcd and kube-apiserver on loopback, no kubelet, no controllers.

    with ApiServer() as server:
        server.client().create("/api/v1/namespaces", {...})
        server.kubectl("get", "namespaces")

Ready in seconds. Both are children of this process: they are ended by their process ids, and by the kernel
should we be killed.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from tests.cluster import audit
from tests.cluster.layout import Cluster, cluster_from_environment
from tests.cluster.tools import build_go, fetch_helm

READY_SECONDS = 60.0
STOP_SECONDS = 3.0  # nothing here is worth a longer goodbye
SERVICE_RANGE = "10.0.0.0/24"
ISSUER = "https://kubernetes.default.svc"
ADMIN_TOKEN = "only-for-tests-on-loopback"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class HarnessError(Exception):
    """The API server could not be started; the message holds the end of its log."""


def programs() -> Path:
    """Folder with kube-apiserver and kubectl: the local cluster's own build, made when it is missing."""
    return build_go(cluster_from_environment(), "kube")


def helm_program() -> Path:
    """The local cluster's helm, fetched when it is missing."""
    cluster: Cluster = cluster_from_environment()
    return fetch_helm(cluster)


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.status < http.HTTPStatus.BAD_REQUEST

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Client:
    """One kept connection as one user; not for use by several threads."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, token: str) -> None:
        self._connection = http.client.HTTPSConnection(host, port, context=tls, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send one request; a body that is not a string is sent as JSON."""
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        sent = {**self._headers, "Content-Type": "application/json", **(headers or {})}
        was_kept = self._connection.sock is not None
        try:
            response, data = self._exchange(method, path, text, sent)
        except (ConnectionError, ssl.SSLEOFError):
            if not was_kept:
                raise
            response, data = self._exchange(method, path, text, sent)  # the server had ended a connection that was idle
        try:
            parsed = json.loads(data)
        except ValueError:
            parsed = {"message": data.decode(errors="replace")}
        return Answer(response.status, parsed)

    def _exchange(
        self, method: str, path: str, text: str | None, sent: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            self._connection.request(method, path, text, sent)
            response = self._connection.getresponse()
            return response, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request makes a new one, so that one failure stays one
            raise

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.request("GET", path, headers=headers)

    def create(self, path: str, body: Any) -> Answer:
        return self.request("POST", path, body)

    def merge(self, path: str, body: Any) -> Answer:
        return self.request("PATCH", path, body, {"Content-Type": MERGE_PATCH})

    def apply(self, path: str, body: Any, manager: str = "tests") -> Answer:
        return self.request("PATCH", f"{path}?fieldManager={manager}&force=true", body, {"Content-Type": APPLY_PATCH})

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)


class ApiServer:
    """etcd and kube-apiserver for as long as the `with` block lasts."""

    host = "127.0.0.1"

    def __init__(self, extra_args: Sequence[str] = ()) -> None:
        self.token = ADMIN_TOKEN
        self.port = 0
        self._extra_args = tuple(extra_args)
        self._stack = contextlib.ExitStack()
        self._children: list[subprocess.Popen[bytes]] = []
        self.folder = Path()

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def certificates(self) -> Path:
        """What the server signed itself with, authority included."""
        return self.folder / "pki" / "apiserver.crt"

    @property
    def audit_folder(self) -> Path:
        """Where the log is of what the operator's accounts ask for: see ``tests.cluster.audit``."""
        return self.folder / "audit"

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="changeover-apiserver-")))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children.clear()
        self._stack.close()

    def client(self, token: str | None = None) -> Client:
        """A connection as the administrator, or as the bearer of another token."""
        tls = ssl.create_default_context(cafile=str(self.certificates))
        return Client(self.host, self.port, tls, token or self.token)

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of a watch, as the administrator, until the API server ends it. Raises OSError."""
        tls = ssl.create_default_context(cafile=str(self.certificates))
        connection = http.client.HTTPSConnection(self.host, self.port, context=tls, timeout=None)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            yield from connection.getresponse()

    def kubeconfig(self, path: Path, url: str | None = None, token: str | None = None) -> Path:
        """Write a kubeconfig for the administrator, or another; `url` puts something in between, such as a proxy."""
        authority = base64.b64encode(self.certificates.read_bytes()).decode()
        cluster = {"server": url or self.url, "certificate-authority-data": authority}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token or self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    def kubectl(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator; its exit code is the caller's to judge."""
        config = self.folder / "kubeconfig"
        if not config.exists():
            self.kubeconfig(config)
        argv = [
            programs() / "kubectl",
            "--kubeconfig",
            config,
            "--cache-dir",
            self.folder / "kubectl",
            *words,
        ]
        return subprocess.run([str(word) for word in argv], input=stdin or "", text=True, capture_output=True)

    def _start(self) -> None:
        etcd_port, peer_port, self.port = free_ports(3)
        self._launch("etcd", self._etcd(etcd_port, peer_port))
        self._launch("kube-apiserver", self._apiserver(etcd_port))
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            ended = [child for child in self._children if child.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise HarnessError(f"the API server did not become ready:\n{self._log_tails()}")
            time.sleep(0.05)

    def _etcd(self, port: int, peer_port: int) -> list[str]:
        client, peer = f"http://{self.host}:{port}", f"http://{self.host}:{peer_port}"
        return [
            shutil.which("etcd") or "/usr/bin/etcd", "--name=test", f"--data-dir={self.folder}/etcd",
            "--unsafe-no-fsync", f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=test={peer}", "--log-level=warn",
        ]  # fmt: skip

    def _apiserver(self, etcd_port: int) -> list[str]:
        key, tokens = self.folder / "service-account.key", self.folder / "tokens.csv"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self.token},admin,admin,"system:masters"\n')
        return [
            str(programs() / "kube-apiserver"), f"--bind-address={self.host}", f"--secure-port={self.port}",
            f"--advertise-address={self.host}", "--endpoint-reconciler-type=none",
            f"--cert-dir={self.folder}/pki", f"--etcd-servers=http://{self.host}:{etcd_port}",
            f"--service-cluster-ip-range={SERVICE_RANGE}", "--authorization-mode=RBAC",
            f"--token-auth-file={tokens}", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", f"--service-account-issuer={ISSUER}",
            "--disable-admission-plugins=ServiceAccount",  # nobody makes the accounts here
            "--profiling=false", *audit.flags(self.audit_folder), *self._extra_args,
        ]  # fmt: skip

    def _launch(self, name: str, argv: list[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=os.environ.copy(),
            )  # fmt: skip
        self._children.append(child)

    def _is_ready(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/readyz").ok and client.get("/api/v1/namespaces/default").ok
        except OSError:  # no certificates yet, or nobody listens
            return False

    def _log_tails(self) -> str:
        tails = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            tails += [f"--- {path.name}", *lines[-15:]]
        return "\n".join(tails)


def free_ports(count: int) -> Iterator[int]:
    """Ports of loopback that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((ApiServer.host, 0))
        ports = [int(probe.getsockname()[1]) for probe in probes]
    return iter(ports)
