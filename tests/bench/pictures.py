"""Pictures for the documents, made by the programs themselves: reports in a real browser, the terminal's view as SVG.

    python -m tests.bench.pictures -n demo fb/web-frameworks cmig/migrate-to-winner

They are of whatever is in the local cluster, so that a run of the main job comes first. Chromium is Debian's
(apt-get install chromium). Written to docs/pictures/.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from changeover.cli.gather import gather
from changeover.cli.kubectl import Kubectl
from changeover.cli.render import drawing
from changeover.cli.report import benchmark, migration
from changeover.cli.target import MIGRATION, Target, parse
from changeover.cli.view import make_view
from rich.console import Console

from tests.demo.kube import ROOT, local

FOLDER = ROOT / "docs" / "pictures"
SIZES = {"fb": "1000,1500", "cmig": "1000,1250"}
SCHEMES = {"light": "1", "dark": "0"}  # Chromium's preferredColorScheme


def main() -> None:
    """One picture of the terminal, and two of the report, for each resource."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", metavar="TYPE/NAME")
    parser.add_argument("--namespace", "-n", default="demo")
    asked = parser.parse_args()
    os.environ.update(local(asked.namespace).environment)
    kubectl = Kubectl(asked.namespace)
    FOLDER.mkdir(exist_ok=True)
    for text in asked.targets:
        target, short = parse(text), text.split("/")[0]
        terminal(kubectl, target, FOLDER / f"{short}-terminal.svg")
        for scheme, number in SCHEMES.items():
            browser(page_of(kubectl, target), FOLDER / f"{short}-report-{scheme}.png", SIZES[short], number)


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
