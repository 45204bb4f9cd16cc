"""Base images, made here: no registry that holds Debian, Python, Node, Go or Rust images has to be reachable.

A project's Dockerfile names the usual bases as defaults of build arguments; these stand in for them. Debian comes from
debootstrap. Compilers are the machine's own, mounted while an image is built, and so are their caches.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from . import tools
from .layout import HERE, Cluster
from .shell import Problem, Words, run, run_logged
from .versions import pin

RECIPES = HERE / "bases"
ARGUMENTS = {
    "debian": "DEBIAN_IMAGE",  # first: the others are made from it
    "python": "PYTHON_IMAGE",
    "node": "NODE_IMAGE",
    "go": "GO_IMAGE",
    "rust": "RUST_IMAGE",
}
TYPICAL = {"debian": 90, "python": 30, "node": 10, "go": 5, "rust": 40}  # seconds, the first time
_AS_ROOT = {"BUILDAH_ISOLATION": "chroot"}  # no user namespace and no cgroup: neither is needed for root
_CERTIFICATES = "/etc/ssl/certs"
_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt", "var/lib/apt/lists")


class Builder:
    """buildah with a storage of its own in the cache, so that `down` and other users of buildah do not meet it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.folder = cluster.cache / "buildah"
        self.driver = "overlay" if "overlay" in Path("/proc/filesystems").read_text().split() else "vfs"

    def buildah(self, *words: str | Path) -> str:
        """Run buildah and return what it says."""
        return run([*self._buildah(), *words], env=_AS_ROOT)

    def _buildah(self) -> Words:
        storage = ["--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        return ["buildah", *storage, "--storage-driver", self.driver]

    def has(self, reference: str) -> bool:
        """Whether an image is in the storage."""
        return bool(self.buildah("images", "-q", "--filter", f"reference={reference}").strip())

    def build(self, reference: str, recipe: Path, context: Path, extra: Words) -> None:
        """Build an image with the compilers, their caches and the machine's certificates mounted."""
        name = plain_name(reference)
        options = ["--layers", "--network=host", "--pull-never", "--format=oci", *mounts(self.cluster, reference)]
        command: Words = [*self._buildah(), "bud", *options, *extra, "-t", reference, "-f", recipe, context]
        run_logged(command, self.cluster.cache / "logs" / f"image-{name}.log", env=_AS_ROOT)


def plain_name(reference: str) -> str:
    """Of an image, for files."""
    return reference.rpartition("/")[2].replace(":", "-")


def cargo_target(cluster: Cluster, reference: str) -> Path:
    """Where cargo builds for an image: of two that build in one place, one waits for the other."""
    return cluster.cache / "build" / "cargo-target" / plain_name(reference)


def mounts(cluster: Cluster, reference: str) -> list[str]:
    """What is mounted into a build: read-only from the machine, writable from the cache."""
    pairs = [f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
    go, rust = go_root(), rust_root()
    if go:
        pairs.append(f"{go}:/usr/local/go:ro")
    if rust:
        pairs.append(f"{rust}:/usr/local/rust:ro")
    build = cluster.cache / "build"
    kept = {
        build / "go-mod": "/go/pkg/mod", build / "go-build": "/root/.cache/go-build", build / "npm": "/root/.npm",
        build / "pip": "/root/.cache/pip", build / "cargo-home": "/var/cargo",
        cargo_target(cluster, reference): "/var/cargo-target",
    }  # fmt: skip
    for folder, inside in kept.items():
        folder.mkdir(parents=True, exist_ok=True)
        pairs.append(f"{folder}:{inside}:rw")
    return [word for pair in pairs for word in ("-v", pair)]


def go_root() -> str:
    """Where the machine's Go is."""
    try:
        return run([tools.go_program(), "env", "GOROOT"]).strip()
    except Problem:
        return ""


def rust_root() -> str:
    """Where the machine's Rust is: the toolchain itself, not rustup's wrappers."""
    rustc = shutil.which("rustc") or shutil.which(str(Path.home() / ".cargo/bin/rustc"))
    return run([rustc, "--print", "sysroot"]).strip() if rustc else ""


def reference(name: str) -> str:
    """The image that stands in for a base; its tag changes with its recipe."""
    recipe = RECIPES / f"{name}.Dockerfile"
    own = recipe.read_text() if name != "debian" else ""
    return f"localhost/changeover-base-{name}:{tools.digest(pin('debian', 'suite'), str(_SLIM), own)}"


def rootfs_folder(cluster: Cluster) -> Path:
    """Where Debian's root file system is or will be."""
    return cluster.cache / "tools" / f"debian-{tools.digest(pin('debian', 'suite'), str(_SLIM))}"


def make_rootfs(cluster: Cluster) -> Path:
    """Debian's smallest root file system, as a tar; documentation and package lists are left out."""

    def make(folder: Path) -> None:
        root = folder / "rootfs"
        log = cluster.cache / "logs" / "debootstrap.log"
        words: Words = ["debootstrap", "--variant=minbase", "--include=ca-certificates", pin("debian", "suite"), root]
        run_logged(words, log)
        for path in _SLIM:
            shutil.rmtree(root / path, ignore_errors=True)
            (root / path).mkdir(parents=True, exist_ok=True)
        # pip brings its own list of authorities and would not look at the machine's.
        (root / "etc/pip.conf").write_text(f"[global]\ncert = {_CERTIFICATES}/ca-certificates.crt\n")
        run(["tar", "--sort=name", "-C", root, "-cf", folder / "rootfs.tar", "."])
        shutil.rmtree(root)

    return tools.complete(rootfs_folder(cluster), make) / "rootfs.tar"


def ensure(builder: Builder, name: str) -> str:
    """Make a base image when it is missing; its reference."""
    wanted = reference(name)
    if builder.has(wanted):
        return wanted
    if name == "debian":
        container = builder.buildah("from", "scratch").strip()
        builder.buildah("add", container, make_rootfs(builder.cluster), "/")
        builder.buildah("config", "--cmd", "/bin/bash", "--env", "LANG=C.UTF-8", container)
        builder.buildah("commit", "--rm", container, wanted)
        return wanted
    if name == "rust" and not rust_root():
        raise Problem("Rust is missing: install it so that `rustc --version` works")
    argument = ["--build-arg", f"DEBIAN_IMAGE={ensure(builder, 'debian')}"]
    context = _node_context(builder.cluster) if name == "node" else RECIPES
    builder.build(wanted, RECIPES / f"{name}.Dockerfile", context, argument)
    return wanted


def _node_context(cluster: Cluster) -> Path:
    """The machine's node and npm, gathered in a folder that a build can copy from."""
    node = shutil.which("node")
    if not node:
        raise Problem("Node is missing: install Node 20 or newer so that `node --version` works")
    version = run([node, "--version"]).strip()

    def make(folder: Path) -> None:
        shutil.copy2(Path(node).resolve(), folder / "node")
        modules = Path(run(["npm", "root", "-g"]).strip())
        shutil.copytree(modules / "npm", folder / "node_modules" / "npm", symlinks=True)

    return tools.complete(cluster.cache / "tools" / f"node-{version}", make)
