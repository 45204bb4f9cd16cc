"""Writes small OCI image archives by hand: one layer with a few files, no base, no shell; reads a file out of any.

The cluster's own images (gateway, DNS, Prometheus, pause) are one static program each. Written here they take a second
and need neither a base image nor an image builder, so the first cluster does not wait for either.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Image:
    """An image: which files it holds (path inside -> path here) and what it runs."""

    reference: str
    files: Mapping[str, Path]
    entrypoint: Sequence[str]
    user: str = "65532:65532"


def write(image: Image, target: Path) -> None:
    """Write the archive; the same files make the same bytes."""
    layer = _layer(image.files)
    settings = {"Entrypoint": list(image.entrypoint), "User": image.user, "WorkingDir": "/"}
    config = _json({
        "architecture": "amd64", "os": "linux", "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [_name(layer)]},
    })  # fmt: skip
    manifest = _json({
        "schemaVersion": 2, "mediaType": _MANIFEST, "config": _descriptor(_CONFIG, config),
        "layers": [_descriptor(_LAYER, layer)],
    })  # fmt: skip
    listed = {
        **_descriptor(_MANIFEST, manifest),
        "annotations": {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
        },
    }
    index = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [listed]})
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", index)
        for blob in (layer, config, manifest):
            _add(archive, _path(_name(blob)), blob)


def read(archive: Path, inside: str) -> bytes:
    """A file of an image, whose path inside is given, from the newest layer that has it; KeyError when none has."""
    with tarfile.open(archive) as whole:
        index = json.loads(_blob(whole, "index.json"))
        manifest = json.loads(_blob(whole, _path(index["manifests"][0]["digest"])))
        for layer in reversed(manifest["layers"]):
            with tarfile.open(fileobj=whole.extractfile(_path(layer["digest"]))) as files:
                if inside.lstrip("/") in files.getnames():
                    return _blob(files, inside.lstrip("/"))
    raise KeyError(f"{archive}: no layer has {inside}")


def _blob(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    if found is None:
        raise KeyError(f"{name} is not a file")
    return found.read()


def _path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _layer(files: Mapping[str, Path]) -> bytes:
    """The files as a tar, with /tmp for programs that want one."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(folder)
        for inside, here in sorted(files.items()):
            _add(archive, inside.lstrip("/"), here.read_bytes(), mode=0o755)
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def _name(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _name(blob), "size": len(blob)}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
