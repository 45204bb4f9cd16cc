"""The images of the cluster's own pods, and bringing any image into the nodes."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import node, ociarchive, tools
from .layout import Cluster, Node
from .locks import exclusive
from .shell import run


@dataclass(frozen=True)
class Archive:
    """An image archive in the cache, with a key that changes when its content does."""

    reference: str
    path: Path
    key: str


def reference(name: str, key: str) -> str:
    """The key is the tag: a changed program is another image, so its pods are replaced."""
    return f"localhost/changeover-{name}:{key}"


def make(cluster: Cluster, programs: dict[str, Path]) -> dict[str, Archive]:
    """Write the archives that are missing; `programs` are the static binaries by image name."""
    contents = {name: {f"/{name}": path} for name, path in programs.items()}
    contents["prometheus"] = _with_libraries(Path(shutil.which("prometheus") or "/usr/bin/prometheus"))
    return {name: _archive(cluster, name, files) for name, files in contents.items()}


def _archive(cluster: Cluster, name: str, files: dict[str, Path]) -> Archive:
    stats = [f"{inside} {path.stat().st_size} {path.stat().st_mtime_ns}" for inside, path in sorted(files.items())]
    key = tools.digest(*stats)
    image = ociarchive.Image(reference(name, key), files, [next(iter(files))])
    folder = cluster.cache / "images" / f"{name}-{key}"
    tools.complete(folder, lambda unfinished: ociarchive.write(image, unfinished / "image.tar"))
    return Archive(image.reference, folder / "image.tar", key)


def _with_libraries(program: Path) -> dict[str, Path]:
    """A dynamic program with the libraries it names, at the paths where it looks for them."""
    files = {f"/{program.name}": program}
    for line in run(["ldd", program]).splitlines():
        for word in line.split():
            if word.startswith("/"):
                files[word] = Path(word)
    return files


def bring(cluster: Cluster, target: Node, archives: list[Archive]) -> list[str]:
    """Import what the node does not hold yet; the references that were imported."""
    with exclusive(cluster.cache / "locks", f"images-of-{cluster.name}-{target.name}"):
        return _bring(cluster, target, archives)


def _bring(cluster: Cluster, target: Node, archives: list[Archive]) -> list[str]:
    memory = cluster.image_store(target) / "changeover-imported.json"
    known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
    held = set(run(node.ctr(cluster, target, "images", "list", "-q")).split())
    brought = []
    for archive in archives:
        if known.get(archive.reference) == archive.key and archive.reference in held:
            continue
        run(node.ctr(cluster, target, "images", "import", archive.path))
        known[archive.reference] = archive.key
        memory.write_text(json.dumps(known, indent=1))
        brought.append(archive.reference)
    return brought
