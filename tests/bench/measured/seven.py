"""The seven frameworks of the story and Express, measured here, beside the published figures.

Runs examples/seven-frameworks.yaml and writes its table into docs/seven-frameworks.md, between the two marks there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.bench.measured import short
from tests.demo.kube import ROOT, Kube

EXAMPLE = ROOT / "examples" / "seven-frameworks.yaml"
PAGE = ROOT / "docs" / "seven-frameworks.md"
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")

# Requests per second with and without keep-alive: wrk -c360 -d60s on one i9-14900KF, client on the same machine.
# Source: eastspire/ltpp-docs, src/hyperlane/speed/{open,close}-keep-alive.md at 45ae7ef. Express is not in it.
PUBLISHED: dict[str, tuple[int, int]] = {
    "tokio": (340_131, 49_556),
    "hyperlane": (324_324, 51_031),
    "rocket": (298_945, 49_346),
    "rust-std": (291_219, 30_143),
    "gin": (242_570, 40_150),
    "go-net-http": (234_179, 38_364),
    "node-http": (139_412, 28_287),
}


def measure(kube: Kube) -> None:
    """Run the example, print its table, and put it into the page."""
    status = short.run(kube, yaml.safe_load(EXAMPLE.read_text()))
    text = make_tables(status)
    print(text)
    write_between_marks(PAGE, text, MARKS)


def make_tables(status: dict[str, Any]) -> str:
    """Markdown: a table a scenario, best first, with the published rank and figure beside ours; then where it ran."""
    parts = []
    for column, scenario in enumerate(("keep-alive", "new-sockets")):
        results = [r for r in status["results"] if r["scenario"] == scenario and "requestsPerSecond" in r]
        results.sort(key=lambda r: -float(r["requestsPerSecond"]["mean"]))
        published = sorted(PUBLISHED, key=lambda name: -PUBLISHED[name][column])
        parts += [f"### {scenario}", "", HEADER]
        parts += [_row(r, published, column) for r in results]
        parts.append("")
    if status.get("ranking"):
        parts += ["Ranking in `keep-alive`: " + "; ".join(_rank(row) for row in status["ranking"]) + ".", ""]
    parts += ["Measured on: `" + json.dumps(status.get("environment", {})) + "`.", ""]
    return "\n".join(parts)


HEADER = (
    "| candidate | requests/s (95 % interval) | p50 / p99 ms | CPU µs a request (95 % interval) "
    "| errors | valid | published (rank) |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def _row(result: dict[str, Any], published: list[str], column: int) -> str:
    name, speed, latency = result["candidate"], result["requestsPerSecond"], result.get("latency")
    times = f"{latency['p50']} / {latency['p99']}" if latency else "unknown"
    told = f"{PUBLISHED[name][column]:,} ({published.index(name) + 1})" if name in PUBLISHED else "not in it"
    cpu = result.get("cpuPerRequest")
    used = (
        "{:,.2f} ({:,.2f} to {:,.2f})".format(*(float(cpu[k]) for k in ("mean", "low", "high"))) if cpu else "unknown"
    )
    rate = f"{float(speed['mean']):,.0f} ({float(speed['low']):,.0f} to {float(speed['high']):,.0f})"
    valid = "yes" if result["valid"] else ", ".join(result["invalidReasons"])
    return f"| {name} | {rate} | {times} | {used} | {result['errors']} | {valid} | {told} |"


def _rank(row: dict[str, Any]) -> str:
    tied = f" (tied with {', '.join(row['tiedWith'])})" if row["tiedWith"] else ""
    against = f", {row['relativeToFirst']} of the first [{row['relativeLow']}, {row['relativeHigh']}]"
    raw = " raw" if row["class"] == "Raw" else ""
    return f"{row['rank']}{raw} {row['candidate']}{tied}{'' if row['relativeLow'] == row['relativeHigh'] else against}"


def write_between_marks(page: Path, text: str, marks: tuple[str, str]) -> None:
    """Replace what stands between the two marks. Raises ValueError when one is not there."""
    begin, end = marks
    before, found, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{page} lacks {begin} or {end}")
    page.write_text(f"{before}{begin}\n{text}{end}{after}")
