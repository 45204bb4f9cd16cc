"""Every example backend, built from its sources and started, passes the conformance checks.

The images themselves are built by `make images`; this needs only Node, Go and Rust, and no cluster. Rust is not
optimised here: it says the same, and five fat links would take as long as all else. What runs under load is the images.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cluster import bases, images
from tests.cluster.tools import go_program
from tests.contract.backends import conformance

BACKENDS = {recipe.parent.name: recipe.parent for recipe in sorted(images.BACKENDS.glob("*/Dockerfile"))}
ALL = BACKENDS | {recipe.parent.name: recipe.parent for recipe in sorted(images.TEST_BACKENDS.glob("*/Dockerfile"))}
EXAMPLES = images.BACKENDS.parent
TARGET = EXAMPLES.parent / "build" / "cargo"
RUST = {name: folder for name, folder in BACKENDS.items() if (folder / "Cargo.toml").exists()}
LOCKS = [path for folder in BACKENDS.values() for path in (*folder.glob("*.lock"), *folder.glob("*-lock.json"))]
ORDINARY = {"registry+https://github.com/rust-lang/crates.io-index", "https://registry.npmjs.org"}


def run(folder: Path, *command: str, **environment: str) -> None:
    """Run a build; what it says is shown only when it fails."""
    words = ["env", *(f"{name}={value}" for name, value in environment.items()), *command]
    done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}"


def build_rust(folder: Path, scratch: Path) -> list[str]:
    # In one folder for all, which git leaves out: what several need is compiled once, and the second time is quick.
    run(folder, "cargo", "build", "--locked", CARGO_TARGET_DIR=str(TARGET))
    return [str(TARGET / "debug" / f"{folder.name}-backend")]


def build_go(folder: Path, scratch: Path) -> list[str]:
    program = str(scratch / folder.name)
    run(folder, go_program(), "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".", CGO_ENABLED="0")
    return [program]


def build_node(folder: Path, scratch: Path) -> list[str]:
    if (folder / "package-lock.json").exists():
        run(folder, "npm", "ci", "--omit=dev", "--no-audit", "--no-fund")
    return ["node", str(folder / "server.js")]


BUILDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "Cargo.toml": build_rust,
    "go.mod": build_go,
    "package.json": build_node,
}


@pytest.mark.backends
@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_conforms(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    build = next(build for file, build in BUILDS.items() if (BACKENDS[name] / file).exists())
    command = build(BACKENDS[name], tmp_path)
    failed = conformance.start_and_check(command)
    said = capfd.readouterr().out
    assert failed == 0, said
    assert said.count("Pass  ") == len(conformance.CHECKS) + 2  # and that it starts, and ends


def test_the_raw_backends_speak_the_same_http() -> None:
    files = {(BACKENDS[name] / "src" / "http.rs").read_text() for name in ("rust-std", "tokio")}
    assert len(files) == 1, "src/http.rs differs: what is changed in one is to be copied to the other"


def test_every_rust_backend_is_built_alike() -> None:
    profiles = [tomllib.loads((folder / "Cargo.toml").read_text())["profile"] for folder in RUST.values()]
    assert len(profiles) >= 5
    assert all(profile == profiles[0] for profile in profiles)
    assert (profiles[0]["release"]["opt-level"], profiles[0]["release"]["lto"]) == (3, "fat")
    recipes = {(folder / "Dockerfile").read_text().replace(name, "NAME") for name, folder in RUST.items()}
    assert len(recipes) == 1


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.parent.name)
def test_lock_files_name_only_the_ordinary_registries(path: Path) -> None:
    named = re.findall(r'^\s*"?(?:source|resolved)"?\s*[=:]\s*"([^"]+)"', path.read_text(), re.MULTILINE)
    assert {source for source in named if not any(source.startswith(ordinary) for ordinary in ORDINARY)} == set()


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_made_from_the_bases_and_runs_as_nobody(name: str) -> None:
    recipe = (ALL[name] / "Dockerfile").read_text()
    assert next(source for source in images.sources() if source.name == name).recipe.parent == ALL[name]
    assert images.needed_bases(recipe), f"none of {', '.join(bases.ARGUMENTS.values())}"
    made_from = set(re.findall(r"^FROM (\S+)", recipe, re.MULTILINE))
    assert made_from <= {"scratch", *(f"${{{argument}}}" for argument in bases.ARGUMENTS.values())}
    assert "\nUSER 65532:65532\n" in recipe


def test_every_candidate_of_the_examples_has_a_backend() -> None:
    used = {
        (candidate["name"], candidate["image"])
        for path in EXAMPLES.glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text())
        for candidate in (document or {}).get("spec", {}).get("candidates", [])
    }
    known = {(source.name, source.reference) for source in images.sources()}
    assert used and used <= known
