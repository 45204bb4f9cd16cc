"""The documentation is built by mkdocs, with broken links as errors, and its examples are valid."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from changeover.cli.lint import lint

pytestmark = pytest.mark.programs
ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
EXAMPLE = re.compile(r"^```yaml\n(apiVersion: changeover\.dev/.+?)^```$", re.MULTILINE | re.DOTALL)


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(config),
        "--site-dir",
        str(folder),
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_every_link_leads_somewhere_and_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.html")}
    assert len(pages) == len(list((ROOT / "docs").rglob("*.md"))) + 1, "and the one for what is not found"
    fetched = re.compile(r"""<(?:script|img|iframe)[^>]*src="?https?:|<link[^>]*rel="?stylesheet[^>]*https?:""")
    assert [str(name) for name, text in pages.items() if fetched.search(text)] == []
    assert (tmp_path / "files/examples/gitops/argocd-cm.yaml").exists(), "what a page links to outside of docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_can_be_applied(page: Path) -> None:
    for number, example in enumerate(EXAMPLE.findall(page.read_text())):
        _, findings = lint(example, f"{page.name} {number}")
        assert [f"{one.where}: {one.what}" for one in findings if one.is_error] == []


def test_there_are_examples() -> None:
    assert sum(len(EXAMPLE.findall(page.read_text())) for page in PAGES) >= 3
