"""What is pinned, and how: the requirements, the local cluster's parts, the images' bases, the lock files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
EXACT = re.compile(r"[0-9]+(\.[0-9]+)+")
LOCKS = {"Cargo.toml": "Cargo.lock", "package.json": "package-lock.json", "go.mod": "go.sum"}
NEEDS = {
    "Cargo.toml": re.compile(r"^\[dependencies\]\s*^\w", re.M), "package.json": re.compile(r'ependencies"'),
    "go.mod": re.compile(r"^require", re.M),
}  # fmt: skip
MOVING = frozenset({
    "python:3.13-slim-bookworm", "rust:1.95-slim-bookworm", "debian:bookworm-slim", "golang:1.26-bookworm",
    "node:24-bookworm-slim",
})  # fmt: skip
"""Base images by a tag that moves within its minor version: known, so that no looser one comes unseen."""


@dataclass(frozen=True)
class Pin:
    """One line of a requirements file with its hashes."""

    name: str
    version: str
    hashes: tuple[str, ...]


def requirements(file: Path) -> list[Pin]:
    """Raises ValueError for a line that names no exact version or no hash."""
    joined = file.read_text().replace("\\\n", " ")
    lines = [line.split(" #")[0].strip() for line in joined.splitlines() if line and not line.lstrip().startswith("#")]
    return [_pin(line) for line in lines if line]


def _pin(line: str) -> Pin:
    found = re.fullmatch(r"([a-z0-9-]+)==([0-9A-Za-z.+!]+)((?:\s+--hash=sha256:[0-9a-f]{64})+)", line)
    if not found:
        raise ValueError(f"not pinned, or without a hash: {line[:80]}")
    return Pin(found[1], found[2], tuple(re.findall(r"sha256:([0-9a-f]{64})", found[3])))


def differing() -> list[str]:
    """Run-time pins that the tests do not run with."""
    tested = {(pin.name, pin.version) for pin in requirements(REPOSITORY / "requirements-dev.txt")}
    shipped = requirements(REPOSITORY / "requirements.txt")
    return [f"{pin.name} {pin.version}" for pin in shipped if (pin.name, pin.version) not in tested]


def loose() -> list[str]:
    """What is not exact: of the local cluster's parts, of the Dockerfiles, of lock files that are missing."""
    return [*_loose_versions(), *_loose_images(), *_loose_installs(), *_without_lock()]


def _loose_versions() -> Iterator[str]:
    table = tomllib.loads((REPOSITORY / "tests/cluster/versions.toml").read_text())
    for name, part in table.items():
        if "version" in part and not EXACT.fullmatch(part["version"]):
            yield f"versions.toml: {name} {part['version']}"
        if "package" in part and not re.fullmatch(r"[0-9a-f]{64}", part.get("sha256", "")):
            yield f"versions.toml: {name} has no hash"


def dockerfiles() -> list[Path]:
    """All of the repository."""
    return [REPOSITORY / "Dockerfile", *sorted((REPOSITORY / "examples").glob("**/Dockerfile"))]


def bases() -> set[str]:
    """The images that ours are made from."""
    return {base for file in dockerfiles() for base in re.findall(r"^ARG [A-Z]+_IMAGE=(\S+)", file.read_text(), re.M)}


def _loose_images() -> Iterator[str]:
    yield from (f"image {base}" for base in bases() if "@sha256:" not in base and base not in MOVING)
    for file in dockerfiles():
        stages = set(re.findall(r"^FROM \S+ AS (\S+)", file.read_text(), re.M))
        for base in re.findall(r"^FROM (\S+)", file.read_text(), re.M):
            if base != "scratch" and base not in stages and not re.fullmatch(r"\$\{[A-Z]+_IMAGE\}", base):
                yield f"{file.relative_to(REPOSITORY)}: FROM {base}"


def _loose_installs() -> Iterator[str]:
    """pip by hash, cargo and npm by their lock files."""
    wanted = {"pip install": "--require-hashes", "cargo install": "--locked", "cargo build": "--locked"}
    for file in dockerfiles():
        for line in file.read_text().replace("\\\n", " ").splitlines():
            for command, flag in wanted.items():
                if command in line and flag not in line:
                    yield f"{file.relative_to(REPOSITORY)}: {command} without {flag}"
            if re.search(r"npm (install|i)\b", line):
                yield f"{file.relative_to(REPOSITORY)}: npm install; use npm ci"


def _without_lock() -> Iterator[str]:
    for name, lock in LOCKS.items():
        for file in (*REPOSITORY.glob(f"examples/**/{name}"), *REPOSITORY.glob(f"tests/**/{name}")):
            if (
                NEEDS[name].search(file.read_text())
                and "node_modules" not in file.parts
                and not (file.parent / lock).exists()
            ):
                yield f"{file.relative_to(REPOSITORY)} has no {lock}"
