"""The charts of a report as files of their own, for documents: SVG in the reader's scheme, or PNG on white."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import vl_convert

from changeover.cli.target import UsageError

FORMATS = ("svg", "png")
SCALE = 2.0  # pixels of a PNG for each of the SVG's
_SECTION = re.compile(r"<section><h2>(.*?)</h2>(.*?)</section>", re.DOTALL)
_CHART = re.compile(r"<figure>(<svg.*?</svg>)</figure>", re.DOTALL)
# In a page of its own a chart has no text colour to take; #1b1f24 and #e6edf3 are those of the report.
_INK = "<style>:root{color:#1b1f24}@media(prefers-color-scheme:dark){:root{color:#e6edf3}}</style>"


def write_charts(page: str, folder: Path, kind: str) -> list[Path]:
    """Each chart of a page as a file, named by its section and its number in it. Raises UsageError."""
    if kind not in FORMATS:
        raise UsageError(f"--format {kind!r}: there are {' and '.join(FORMATS)}")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, chart in charts_of(page):
        path = folder / f"{name}.{kind}"
        path.write_bytes(standing_alone(chart).encode() if kind == "svg" else as_png(chart))
        written.append(path)
    return written


def charts_of(page: str) -> Iterator[tuple[str, str]]:
    """Name and SVG of every chart of a report, in order."""
    for title, content in _SECTION.findall(page):
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        for number, chart in enumerate(_CHART.findall(content), start=1):
            yield f"{name}-{number}", chart


def standing_alone(chart: str) -> str:
    """With a text colour of its own, light or dark as the reader prefers."""
    return chart.replace(">", f">{_INK}", 1)


def as_png(chart: str) -> bytes:
    """Dark on white."""
    paper = '<rect width="100%" height="100%" fill="white"/>'
    drawn: bytes = vl_convert.svg_to_png(
        chart.replace(">", f">{paper}", 1).replace("currentColor", "#1b1f24"), scale=SCALE
    )
    return drawn
