"""Charts as SVG, drawn by Altair and vl-convert without a browser. Colours for the colour-blind, and shapes besides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import vl_convert

# Okabe and Ito, "Color Universal Design", 2008: told apart with every common colour vision.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999933", "#882255"]
FIXED = {"stable": PALETTE[0], "canary": PALETTE[1], "asked": PALETTE[2], "measured": PALETTE[3]}  # in every panel
INK = "#010203"  # stands for the page's own text colour, which an SVG in a page can take
WIDTH, BAR, HEIGHT = 620, 26, 260
Row = dict[str, Any]
PERCENTILES = ((2, "50 %"), (10, "90 %"), (100, "99 %"), (1000, "99.9 %"), (10_000, "99.99 %"))


def bars_with_intervals(rows: Sequence[Row], unit: str) -> str:
    """`rows` with name, mean, low and high, the best first: a bar each, with the interval on it."""
    order = [row["name"] for row in rows]
    y = alt.Y("name:N", sort=order, title=None)
    base = alt.Chart(_data(rows))
    bars = base.mark_bar(color=PALETTE[0], opacity=0.75).encode(x=alt.X("mean:Q", title=unit), y=y)
    rules = base.mark_rule(color=INK, strokeWidth=1.5).encode(x="low:Q", x2="high:Q", y=y)
    ends = [base.mark_tick(color=INK, size=10, thickness=1.5).encode(x=f"{end}:Q", y=y) for end in ("low", "high")]
    return svg(alt.layer(bars, rules, *ends).properties(width=WIDTH, height=BAR * max(2, len(rows))))


def percentile_curves(rows: Sequence[Row]) -> str:
    """`rows` with name, one_in and ms, by rising ms: but one in so many requests took no longer than that.

    Both axes are logarithmic, as in Gil Tene's percentile plots. A step reaches back to the share before it: the
    requests between two shares took up to the later one's time.
    """
    first = {row["name"]: {**row, "one_in": 1} for row in reversed(rows)}
    values = [row for row in [*first.values(), *rows] if row["ms"] > 0]
    labels = " : ".join(f"datum.value == {x} ? '{text}'" for x, text in PERCENTILES) + " : ''"
    axis = alt.Axis(values=[x for x, _ in PERCENTILES], labelExpr=labels)
    x = alt.X("one_in:Q", scale=alt.Scale(type="log"), axis=axis, title="share of requests that were faster")
    y = alt.Y("ms:Q", scale=alt.Scale(type="log"), title="latency, ms")
    line = alt.Chart(_data(values)).mark_line(interpolate="step-before").encode(
        x=x, y=y, color=_by_name(values), strokeDash=alt.StrokeDash("name:N", legend=None)
    )  # fmt: skip
    return svg(line.properties(width=WIDTH, height=HEIGHT))


def knee_curves(rows: Sequence[Row]) -> str:
    """`rows` with name, rate, p99 and held: a line each; rates that did not hold are hollow."""
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("rate:Q", title="offered, requests/s"), y=alt.Y("p99:Q", title="p99, ms", scale=alt.Scale(type="log")),
        color=_by_name(rows),
    )  # fmt: skip
    held = base.mark_point(filled=True, size=60).transform_filter("datum.held")
    broke = base.mark_point(filled=False, size=60, shape="cross").transform_filter("!datum.held")
    return svg(alt.layer(base.mark_line(), held, broke).properties(width=WIDTH, height=HEIGHT))


def over_time(panels: Sequence[tuple[str, Sequence[Row], float | None]], decisions: Sequence[Row]) -> str:
    """Panels below one another on one time axis: title, rows with name, at and value, and a target.

    ``decisions`` have at; each is a dashed line through every panel. Times are milliseconds since the epoch.
    """
    drawn = []
    for title, rows, target in panels:
        base = alt.Chart(_data(rows))
        x, y = alt.X("at:T", title=None), alt.Y("value:Q", title=title)
        layers: list[Any] = [base.mark_line(interpolate="step-after").encode(x=x, y=y, color=_by_name(rows))]
        if target is not None:
            at_target = alt.Chart(_data([{"value": target}]))
            layers.append(at_target.mark_rule(color=PALETTE[4], strokeDash=[6, 4]).encode(y="value:Q"))
        marks = alt.Chart(_data(decisions))
        layers.append(marks.mark_rule(color=INK, strokeDash=[2, 3], opacity=0.6).encode(x="at:T"))
        drawn.append(alt.layer(*layers).properties(width=WIDTH, height=110))
    return svg(alt.vconcat(*drawn).resolve_scale(x="shared", color="independent"))


def _data(values: Sequence[Row]) -> Any:
    return alt.Data(values=list(values))  # type: ignore[no-untyped-call]


def _by_name(rows: Sequence[Row]) -> Any:
    names = list(dict.fromkeys(row["name"] for row in rows))
    free = (colour for colour in PALETTE * (1 + len(names) // len(PALETTE)))
    colours = [FIXED.get(name) or next(free) for name in names]
    return alt.Color("name:N", title=None, scale=alt.Scale(domain=names, range=colours))


def svg(chart: Any) -> str:
    """The chart as SVG text in the page's own ink, on no background."""
    text = {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12}
    settings = {
        "background": None, "view": {"stroke": None}, "legend": text, "text": {"color": INK},
        "axis": {**text, "domainColor": INK, "tickColor": INK, "gridOpacity": 0.25},
    }  # fmt: skip
    drawn: str = vl_convert.vegalite_to_svg({**chart.to_dict(), "config": settings})
    # An id of one chart must not be taken for that of another on the same page.
    return re.sub(r"<\?xml[^>]*\?>|<!DOCTYPE[^>]*>", "", drawn).replace(INK, "currentColor")
