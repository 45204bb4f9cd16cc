"""Draw a view with Rich: colours on a terminal, plain text in a pipe or with NO_COLOR."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text
from rich.tree import Tree

from changeover.cli.verdict import BAD, OK, PAUSED, WAITING, WARNING
from changeover.cli.view import Node, View

STYLES = {OK: "green", BAD: "red", WARNING: "yellow", WAITING: "blue", PAUSED: "yellow"}


def make_console(width: int | None = None) -> Console:
    """Standard output. Rich leaves colours out in a pipe, and honours NO_COLOR and TERM=dumb."""
    console = Console(highlight=False, width=width, soft_wrap=False)
    # A pipe has no width: nothing is cut there.
    return console if console.is_terminal or width else Console(highlight=False, width=200)


def drawing(view: View) -> RenderableType:
    """All of a view, one below the other."""
    header = RichTable.grid(padding=(0, 2))
    for name, value in view.header:
        header.add_row(Text(f"{name}:", style="bold"), _coloured(value))
    parts: list[RenderableType] = [header]
    for one in view.tables:
        parts += [Text(), table(one.title, one.columns, one.rows)]
    parts += [Text(), _tree(view.tree)]
    parts += [Text(), *(Text(note) for note in view.notes)] if view.notes else []
    return Group(*parts)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> RichTable:
    """A table with its title, without lines."""
    drawn = RichTable(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column, header_style="dim", overflow="fold")
    for row in rows:
        drawn.add_row(*(_coloured(cell) for cell in row))
    return drawn


def pairs(lines: Iterable[tuple[str, str, str]]) -> RichTable:
    """A sign, what it is about, and how that is: a line each."""
    drawn = RichTable.grid(padding=(0, 1))
    drawn.add_column(width=1)
    drawn.add_column(min_width=28)
    drawn.add_column(overflow="fold")
    for sign, what, how in lines:
        drawn.add_row(_coloured(sign), Text(what), Text(how))
    return drawn


def _tree(node: Node) -> Tree:
    drawn = Tree(_coloured(node.text))
    _grow(drawn, node)
    return drawn


def _grow(drawn: Tree, node: Node) -> None:
    for child in node.children:
        _grow(drawn.add(_coloured(child.text)), child)


def _coloured(text: str) -> Text:
    """The signs in their colours; what is told by colour is told by the sign as well."""
    drawn = Text(text)
    for sign, style in STYLES.items():
        drawn.highlight_words([sign], style)
    return drawn
