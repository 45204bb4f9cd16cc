"""The commands that need no cluster: they look at files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Files = Annotated[list[Path], typer.Option("--filename", "-f", help="YAML file; - is standard input.")]


def lint(filename: Files) -> None:
    """Check files without a cluster. Exit code 1 when something is wrong; what is doubtful is said, too."""
    from changeover.cli.files import read
    from changeover.cli.lint import lint as findings_of
    from changeover.cli.target import UsageError
    from changeover.cli.verdict import BAD, OK, WARNING

    errors, seen = 0, 0
    for path in filename:
        objects, findings = findings_of(read(path), str(path))
        seen += len(objects)
        for finding in findings:
            print(f"{BAD if finding.is_error else WARNING} {finding.where}: {finding.what}")
        wrong = {finding.where for finding in findings if finding.is_error}
        errors += len(wrong)
        for where in objects:
            if where not in wrong:
                print(f"{OK} {where}")
    if not seen and not errors:
        raise UsageError("there is no FrameworkBenchmark or CanaryMigration in it")
    raise typer.Exit(1 if errors else 0)


def simulate(
    filename: Annotated[Path, typer.Option("--filename", "-f", help="A migration.")],
    rate: Annotated[float, typer.Option("--rate", help="Requests a second through the route.", min=0.001)],
    worse: Annotated[
        list[float], typer.Option("--worse", help="Bad share of the canary, as a multiple of each limit.", min=0)
    ] = [0.25, 0.5, 1.25, 2.0],  # noqa: B006 (typer reads it, and nobody changes it)
    runs: Annotated[int, typer.Option("--runs", help="Migrations to draw for each.", min=1, max=1000)] = 20,
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same migrations.")] = 1,
) -> None:
    """How long this migration needs at this traffic, and what it does with a canary that is this much worse."""
    from changeover.api.v1alpha1 import MigrationSpec
    from changeover.cli.files import migrations_in
    from changeover.cli.render import make_console, table
    from changeover.cli.simulate import row_of, summarise

    for body in migrations_in([filename]):
        spec = MigrationSpec.model_validate(body["spec"])
        found = [summarise(spec, rate, one, runs, seed) for one in worse]
        columns = ("bad share of its limit", "promoted", "rolled back", "undecided", "median time", "")
        console = make_console()
        console.print(table(f"{runs} migrations each at {rate:g} requests/s", columns, [row_of(one) for one in found]))
    print("Drawn: independent requests, no windows, gates or approvals, CPU at half of its target.")
