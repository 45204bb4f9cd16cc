"""What mkdocs does besides: files of the repository that pages speak of are part of the site, decisions are listed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = re.compile(r"\]\(((?:\.\./)+)((?:examples|charts|operator|tests)/[^)#]+)\)")


def on_config(config: Any) -> Any:
    """Every decision in the navigation, by its number."""
    found = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    config.nav[-1] = {"Decisions": [f"decisions/{path.name}" for path in found]}
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add each file outside of docs that a page links to."""
    from mkdocs.structure.files import File

    pages = (ROOT / "docs").rglob("*.md")
    for name in sorted({name for page in pages for _, name in OUTSIDE.findall(page.read_text())}):
        files.append(File.generated(config, f"files/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Such a link leads to that file."""
    up = "../" * page.file.src_uri.count("/")
    return OUTSIDE.sub(lambda found: f"]({up}files/{found[2]})", markdown)
