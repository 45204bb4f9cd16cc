"""Pictures for the documents, made by the programs themselves: reports in a real browser, the terminal's view as SVG.

    python -m tests.bench.pictures -n demo fb/web-frameworks cmig/migrate-to-winner
    python -m tests.bench.pictures decides

They are of whatever is in the local cluster, so that a run of the main job comes first; ``decides`` is drawn by the
decision rule alone. Chromium is Debian's (apt-get install chromium). Written to docs/pictures/.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import altair as alt
from changeover.api.v1alpha1 import MigrationSpec
from changeover.cli.gather import gather
from changeover.cli.kubectl import Kubectl
from changeover.cli.render import drawing
from changeover.cli.report import benchmark, migration
from changeover.cli.report.charts import PALETTE, svg
from changeover.cli.report.pictures import standing_alone
from changeover.cli.simulate import summarise
from changeover.cli.target import MIGRATION, Target, parse
from changeover.cli.view import make_view
from rich.console import Console

from tests.demo.kube import ROOT, local

FOLDER = ROOT / "docs" / "pictures"
SIZES = {"fb": "1000,1500", "cmig": "1000,1250"}
WORSE = (0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
_ARM = {"service": {"name": "a", "port": 80}, "workload": {"name": "a"}}
SIMULATED = {
    "stable": _ARM,
    "canary": {"type": "Workload", "workload": {**_ARM, "service": {"name": "b", "port": 80}}},
    "traffic": {"gatewayAPI": {"route": {"name": "r"}, "parentRefs": [{"name": "g"}]}},
    "steps": [{"weightPercent": weight, "minDuration": "10m", "maxDuration": "8h"} for weight in (10, 50, 100)],
    "objectives": [
        {"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": "50ms"}},
        {"name": "errors", "type": "Errors", "errors": {"maxPercent": "0.5"}},
    ],
}
SCHEMES = {"light": "1", "dark": "0"}  # Chromium's preferredColorScheme


def main() -> None:
    """One picture of the terminal, and two of the report, for each resource."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", metavar="TYPE/NAME | decides")
    parser.add_argument("--namespace", "-n", default="demo")
    asked = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if asked.targets == ["decides"]:
        decides(FOLDER / "decides.svg")
        return
    os.environ.update(local(asked.namespace).environment)
    kubectl = Kubectl(asked.namespace)
    for text in asked.targets:
        target, short = parse(text), text.split("/")[0]
        terminal(kubectl, target, FOLDER / f"{short}-terminal.svg")
        for scheme, number in SCHEMES.items():
            browser(page_of(kubectl, target), FOLDER / f"{short}-report-{scheme}.png", SIZES[short], number)


def decides(path: Path) -> None:
    """Of 100 migrations, how many end how, by how bad the canary is; 400 requests/s, and what `SIMULATED` asks."""
    spec = MigrationSpec.model_validate(SIMULATED)
    rows = []
    for worse in WORSE:
        found = summarise(spec, rate=400, worse=worse, runs=100, seed=1)
        shares = {"promoted": found.promoted, "undecided": found.undecided, "rolled back": found.rolled_back}
        rows += [{"name": name, "worse": worse, "share": share} for name, share in shares.items()]
        print(f"{worse:g}: {shares}")
    names = list(dict.fromkeys(row["name"] for row in rows))
    line = alt.Chart(alt.Data(values=rows)).mark_line(point=True).encode(
        x=alt.X("worse:Q", title="bad requests of the canary, as a multiple of each limit"),
        y=alt.Y("share:Q", title="of 100 migrations"),
        color=alt.Color("name:N", title=None, scale=alt.Scale(domain=names, range=[PALETTE[i] for i in (2, 4, 1)])),
        strokeDash=alt.StrokeDash("name:N", legend=None),
    )  # fmt: skip
    drawn = svg(line.properties(width=620, height=260))
    path.write_text(standing_alone(drawn))
    print(path)


def page_of(kubectl: Kubectl, target: Target) -> str:
    """The report, as the command writes it."""
    gathered, now = gather(kubectl, target), datetime.now(UTC)
    if target.kind == MIGRATION:
        return migration.make_report(gathered.body, migration.collect(kubectl, gathered.body, now), now)
    return benchmark.make_report(gathered.body, benchmark.collect(kubectl, gathered.body))


def terminal(kubectl: Kubectl, target: Target, path: Path) -> None:
    """What `kubectl changeover get` shows, with its colours."""
    console = Console(record=True, width=132, force_terminal=True, highlight=False, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(drawing(make_view(gather(kubectl, target))))
    console.save_svg(str(path), title=f"kubectl changeover get {target}")
    print(path)


def browser(page: str, path: Path, size: str, scheme: str) -> None:
    """The page as Chromium draws it. Raises CalledProcessError."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "report.html"
        source.write_text(page)
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}",
                f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={path}", f"file://{source}",
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    print(path)


if __name__ == "__main__":
    main()
