"""The project's images: built when their sources changed, and brought into the nodes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import bases, systemimages, tools
from .bases import Builder
from .layout import NODES, REPOSITORY, Cluster
from .processes import pid_of
from .progress import Step
from .shell import Problem
from .systemimages import Archive

BACKENDS = REPOSITORY / "examples" / "backends"
TEST_BACKENDS = REPOSITORY / "tests" / "backends"
OPERATOR, LOADER = (f"localhost/changeover-{target}:dev" for target in ("operator", "loader"))
TYPICAL = {  # seconds, the first time, with another beside
    "operator": 60, "loader": 400, "express": 20, "faulty": 10, "gin": 60, "go-net-http": 40, "hyperlane": 120,
    "node-http": 5, "rocket": 120, "rust-std": 10, "slow-rust": 30, "tokio": 20,
}  # fmt: skip
AT_ONCE = 2  # images; the last link of a Rust program has but one of two cores
_NOT_CONTENT = {"__pycache__", "node_modules", "target", ".git"}


@dataclass(frozen=True)
class Source:
    """One image that can be built."""

    name: str
    reference: str
    context: Path
    target: str = ""

    @property
    def recipe(self) -> Path:
        return self.context / "Dockerfile"


def sources() -> list[Source]:
    """The project's images: the operator, the loader, and every backend of the examples and of the tests."""
    found = [Source("operator", OPERATOR, REPOSITORY, "operator"), Source("loader", LOADER, REPOSITORY, "loader")]
    for recipe in [*sorted(BACKENDS.glob("*/Dockerfile")), *sorted(TEST_BACKENDS.glob("*/Dockerfile"))]:
        name = recipe.parent.name
        found.append(Source(name, f"localhost/changeover-{name}:1", recipe.parent))
    return found


def chosen(names: Iterable[str]) -> list[Source]:
    """Those asked for by name, or all."""
    known = {source.name: source for source in sources()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Problem(f"no such image: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(known.values())


def needed_bases(recipe: str) -> list[str]:
    """The bases whose build argument a Dockerfile declares."""
    words = {line.split("=")[0].split()[1] for line in recipe.splitlines() if line.startswith("ARG ")}
    return [name for name, argument in bases.ARGUMENTS.items() if argument in words]


def content_key(source: Source, base_references: Iterable[str]) -> str:
    """A digest of everything that the image is made from."""
    whole = hashlib.sha256("\n".join([source.reference, source.target, *base_references]).encode())
    for path in _content(source.context):
        whole.update(f"{path.relative_to(source.context)} {path.stat().st_mode}\n".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]


def _content(context: Path) -> Iterator[Path]:
    """The files of a build context. A .dockerignore that starts with `*` lists what is let in again by `!`."""
    ignore = context / ".dockerignore"
    lines = ignore.read_text().split("\n") if ignore.exists() else []
    roots = [context / line[1:].strip() for line in lines if line.startswith("!")] if "*" in lines else [context]
    for root in [*roots, context / "Dockerfile"]:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and not _NOT_CONTENT & set(path.parts) and path.suffix != ".pyc":
                yield path


def archive_folder(cluster: Cluster, source: Source) -> Path:
    """Where the image's archive is or will be; another content is another folder."""
    references = [bases.reference(name) for name in needed_bases(source.recipe.read_text())]
    return cluster.cache / "images" / f"{source.name}-{content_key(source, references)}"


def build(builder: Builder, source: Source) -> Archive:
    """Build one image unless it was built from the same content before; its archive."""
    folder = archive_folder(builder.cluster, source)

    def make(unfinished: Path) -> None:
        extra = []
        for name in needed_bases(source.recipe.read_text()):
            extra.append(f"--build-arg={bases.ARGUMENTS[name]}={bases.ensure(builder, name)}")
        if source.target:
            extra.append(f"--target={source.target}")
        builder.build(source.reference, source.recipe, source.context, extra)
        _write_archive(builder, source, unfinished)

    tools.complete(folder, make)
    for other in _older(folder):
        shutil.rmtree(other, ignore_errors=True)
    return Archive(source.reference, folder / "image.tar", (folder / "image-id").read_text())


def _write_archive(builder: Builder, source: Source, unfinished: Path) -> None:
    """Write the image as an archive; when the build came to the same image as last time, the last archive will do.

    The operator and the loader share a context, so a change of one builds both; mostly only one comes out different.
    """
    identity = builder.buildah("images", "-q", "--no-trunc", "--filter", f"reference={source.reference}").strip()
    (unfinished / "image-id").write_text(identity)
    for other in _older(unfinished):
        if (other / "image-id").exists() and (other / "image-id").read_text() == identity:
            (unfinished / "image.tar").hardlink_to(other / "image.tar")
            return
    archive = f"oci-archive:{unfinished / 'image.tar'}:{source.reference}"
    builder.buildah("push", "--disable-compression", source.reference, archive)


def _older(folder: Path) -> list[Path]:
    """Archives of the same image from other content; each is some hundred megabytes, and only the newest is of use."""
    name = folder.name.rpartition("-")[0]
    found = [path for path in folder.parent.glob(f"{name}-*") if path.name.rpartition("-")[0] == name]
    return [path for path in found if path.suffix != ".part" and path != folder]


def bring(cluster: Cluster, archive: Archive) -> None:
    """Import an image into the nodes that run and do not hold it."""
    for target in NODES:
        if pid_of(cluster, f"{target.name}-containerd"):
            systemimages.bring(cluster, target, [archive])


def steps(cluster: Cluster, names: Iterable[str]) -> list[list[Step]]:
    """What is to be done, the bases first; what is in the cache already is only checked."""
    builder = Builder(cluster)
    wanted = chosen(names)
    new = [source for source in wanted if not archive_folder(cluster, source).is_dir()]
    names_of_bases = {name for source in new for name in needed_bases(source.recipe.read_text())}
    missing = [name for name in bases.ARGUMENTS if name in names_of_bases and not builder.has(bases.reference(name))]
    making = [
        [Step(f"make base image {name}", bases.TYPICAL[name], partial(bases.ensure, builder, name))] for name in missing
    ]
    building = [
        Step(f"image {source.name}", _typical(cluster, source), partial(_ready, builder, source)) for source in wanted
    ]
    # What takes longest first: begun last it would be waited for alone.
    return [*making, sorted(building, key=lambda step: -step.typical)]


def _typical(cluster: Cluster, source: Source) -> float:
    """Seconds: nothing to do; the caches of an earlier build help; the first time."""
    folder = archive_folder(cluster, source)
    if folder.is_dir():
        return 1
    return 20 if _older(folder) else TYPICAL.get(source.name, 60)


def _ready(builder: Builder, source: Source) -> None:
    bring(builder.cluster, build(builder, source))
