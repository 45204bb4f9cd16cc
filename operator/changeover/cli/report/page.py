"""One HTML page that needs nothing from outside: text, tables, charts as inline SVG, the data to take along. Pure."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Text and lines of the charts take the page's own colour, so that one drawing serves light and dark.
STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --back: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9198a1; --line: #3d444d; --back: #0d1117; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.verdict { font-size: 1.1rem; border-left: 4px solid var(--line); padding-left: .8rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
.wide { overflow-x: auto; } figure { margin: 1rem 0; padding: 0 4rem 0 2rem; }
figure svg { max-width: 100%; height: auto; overflow: visible; }
@media (max-width: 40rem) { body { margin-top: 1rem; } figure { padding: 0 1.5rem 0 1rem; } }
details { margin: .4rem 0; } summary, .note { color: var(--soft); } a { color: inherit; }
dl { display: grid; grid-template-columns: max-content auto; gap: .2rem 1rem; } dt { color: var(--soft); }
dd { margin: 0; }
"""

Cell = str


@dataclass(frozen=True)
class DataTable:
    """A table that can be taken along as CSV and JSON; `name` is that of the files."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Section:
    """A headline, what there is to say, charts as SVG text, and tables."""

    title: str
    text: str = ""
    charts: tuple[str, ...] = ()
    tables: tuple[DataTable, ...] = ()
    folded: bool = False  # whether the tables are folded away below a chart


def make_page(title: str, verdict: str, facts: Mapping[str, str], sections: Sequence[Section], raw: Any) -> str:
    """The whole page; `raw` is the object itself, to be taken along."""
    told = "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>" for key, value in facts.items() if value)
    body = "".join(_section(section) for section in sections)
    whole = _link("the object as JSON", "application/json", "object.json", json.dumps(raw, indent=1))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{html.escape(title)}</h1><p class="verdict">{html.escape(verdict)}</p><dl>{told}</dl>{body}'
        f'<p class="note">Take along: {whole}</p></main></body></html>\n'
    )


def _section(section: Section) -> str:
    charts = "".join(f"<figure>{chart}</figure>" for chart in section.charts)
    tables = "".join(_table(table) for table in section.tables if table.rows)
    if section.folded and tables:
        tables = f"<details><summary>The numbers</summary>{tables}</details>"
    text = f"<p>{html.escape(section.text)}</p>" if section.text else ""
    return f"<section><h2>{html.escape(section.title)}</h2>{text}{charts}{tables}</section>"


def _table(table: DataTable) -> str:
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    as_json = json.dumps([dict(zip(table.columns, row, strict=True)) for row in table.rows], indent=1)
    links = " ".join((
        _link("CSV", "text/csv", f"{table.name}.csv", as_csv(table)),
        _link("JSON", "application/json", f"{table.name}.json", as_json),
    ))  # fmt: skip
    table_ = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="wide">{table_}</div><p class="note">{links}</p>'


def as_csv(table: DataTable) -> str:
    """The table as comma-separated values (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows([table.columns, *table.rows])
    return text.getvalue()


def _link(text: str, kind: str, name: str, content: str) -> str:
    encoded = base64.b64encode(content.encode()).decode()
    return f'<a download="{html.escape(name)}" href="data:{kind};base64,{encoded}">{html.escape(text)}</a>'
