"""The commands of ``kubectl changeover``. What a command needs is imported when it runs, so that --help is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from changeover.cli import offline

if TYPE_CHECKING:
    from changeover.cli.kubectl import Kubectl

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace; as the kubeconfig has it by default.")]
Context = Annotated[str, typer.Option("--context", help="Context of the kubeconfig.")]
Kubeconfig = Annotated[str, typer.Option("--kubeconfig", help="Path of the kubeconfig.")]
TypeName = Annotated[str, typer.Argument(metavar="TYPE/NAME", help="fb/NAME or cmig/NAME.", show_default=False)]
Migration = Annotated[str, typer.Argument(metavar="NAME", help="cmig/NAME, or the name alone.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
TokenOption = Annotated[str, typer.Option("--token", help="Token of the request; who and when by default.")]

app = typer.Typer(
    name="kubectl changeover",
    help="See and steer benchmarks of backends, and migrations of live traffic.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,  # what typer would install takes the place of kubectl's own
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run() -> NoReturn:
    """The entry point: errors of use, of files and of kubectl are one line on standard error, and exit code 1.

    Never 2, by which typer itself would say that a command was mistyped: of ``wait`` it means rolled back.
    """
    from changeover.cli.kubectl import KubectlFailed
    from changeover.cli.target import UsageError

    try:
        sys.exit(app(prog_name="kubectl changeover", standalone_mode=False))
    except (KubectlFailed, UsageError) as failure:
        said = str(failure)
    except typer.TyperException as failure:
        said = failure.format_message()
    except OSError as failure:
        said = f"{failure.filename}: {failure.strerror}" if failure.filename else str(failure)
    except ValueError as failure:
        said = _not_understood(failure)
    except KeyboardInterrupt:
        sys.exit(130)
    if said:  # of a command without words the help was shown
        print(f"error: {said}", file=sys.stderr)
    sys.exit(1)


def _not_understood(failure: ValueError) -> str:
    """Of a spec that the cluster has and this release refuses. Raises the failure when it is another."""
    from pydantic import ValidationError

    from changeover.reconcilers.spec import plain_errors

    if not isinstance(failure, ValidationError):
        raise failure
    return f"{plain_errors(failure)}; update the plugin, if the cluster's CRDs are of a later release"


def _kubectl(namespace: str, context: str, kubeconfig: str) -> Kubectl:
    from changeover.cli.kubectl import Kubectl

    return Kubectl(namespace, context, kubeconfig)


@app.command()
def get(
    target: TypeName,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until it ends.")] = False,
    output: Annotated[str, typer.Option("--output", "-o", help="wide, json or yaml.")] = "",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Show how it stands: a header, its steps or candidates against their targets, and what belongs to it."""
    from changeover.cli.gather import fetch, gather
    from changeover.cli.render import drawing, make_console
    from changeover.cli.target import UsageError, parse
    from changeover.cli.view import make_view
    from changeover.cli.watching import watch as follow

    if output not in ("", "wide", "json", "yaml"):
        raise UsageError(f"--output {output!r}: there are wide, json and yaml")
    kubectl, what = _kubectl(namespace, context, kubeconfig), parse(target)
    if output in ("json", "yaml"):
        _dump(fetch(kubectl, what), output)
    elif watch:
        follow(kubectl, what, make_console(), output == "wide")
    else:
        make_console().print(drawing(make_view(gather(kubectl, what, output == "wide"), output == "wide")))


def _dump(body: dict[str, object], output: str) -> None:
    import json

    import yaml

    print(json.dumps(body, indent=2) if output == "json" else yaml.safe_dump(body, sort_keys=False), end="\n")


@app.command()
def wait(
    target: TypeName,
    timeout: Annotated[str, typer.Option("--timeout", help="How long at most: 90s, 10m, 24h.")] = "24h",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Wait for the end. Exit code 0: promoted or published, 2: rolled back, 4: undecided or invalid, 124: timeout."""
    import re

    from changeover.api.v1alpha1.base import DURATION, duration_seconds
    from changeover.cli.target import UsageError, parse
    from changeover.cli.watching import wait as until_it_ends

    if not re.match(DURATION, timeout):
        raise UsageError(f"--timeout {timeout!r} is no duration; write 90s, 10m or 24h")
    code = until_it_ends(_kubectl(namespace, context, kubeconfig), parse(target), duration_seconds(timeout), print)
    raise typer.Exit(code)


def _verb(name: str, what: str) -> Callable[..., None]:
    def command(
        target: TypeName,
        dry_run: DryRun = False,
        token: TokenOption = "",
        namespace: Namespace = "",
        context: Context = "",
        kubeconfig: Kubeconfig = "",
    ) -> None:
        from changeover.cli import steer
        from changeover.cli.target import parse

        kubectl = _kubectl(namespace, context, kubeconfig)
        done, said = steer.ask(kubectl, parse(target), name, token or steer.token(), dry_run)
        print(said, file=sys.stdout if done else sys.stderr)
        raise typer.Exit(0 if done else 1)

    command.__doc__ = what
    return command


for _name, _what in {
    "approve": "Set the weight that waits for a person.",
    "promote": "Go to the last step at once; it is watched like every other.",
    "abort": "Roll back.",
    "pause": "Let the weight rise no more; harm still rolls back.",
    "resume": "End a pause.",
    "retry": "Start a migration over after a rollback, or a benchmark anew.",
}.items():
    app.command(_name, help=_what)(_verb(_name, _what))


@app.command()
def explain(target: Migration, namespace: Namespace = "", context: Context = "", kubeconfig: Kubeconfig = "") -> None:
    """Why not yet: every gate, its value, what is missing, and what Prometheus is asked."""
    from datetime import UTC, datetime

    from rich.text import Text

    from changeover.api.v1alpha1 import MigrationSpec
    from changeover.cli.explain import explain as gates_of
    from changeover.cli.explain import queries
    from changeover.cli.gather import fetch
    from changeover.cli.prometheus import label_as_configured
    from changeover.cli.render import make_console, pairs
    from changeover.cli.target import migration

    kubectl, console = _kubectl(namespace, context, kubeconfig), make_console()
    body = fetch(kubectl, migration(target))
    console.print(pairs([(sign, gate, value) for sign, gate, value in gates_of(body, datetime.now(UTC))]))
    console.print(Text("\nPrometheus is asked:", style="bold"))
    here = _kubectl(body["metadata"]["namespace"], context, kubeconfig)
    label = label_as_configured(here, MigrationSpec.model_validate(body["spec"]).metrics.source)
    for name, query in queries(body, label).items():
        console.print(Text(f"  {name}: {query}"), soft_wrap=True)


@app.command()
def preflight(
    target: Annotated[str, typer.Argument(metavar="[NAME]", help="cmig/NAME, or -f FILE.", show_default=False)] = "",
    filename: Annotated[
        Path | None, typer.Option("--filename", "-f", help="A migration that is not applied yet.")
    ] = None,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Is all there that a migration needs? Exit code 1 when something is not."""
    from changeover.cli.files import migrations_in
    from changeover.cli.gather import fetch
    from changeover.cli.preflight import preflight as checks
    from changeover.cli.render import make_console, pairs
    from changeover.cli.target import UsageError, migration
    from changeover.cli.verdict import BAD

    if bool(target) == (filename is not None):
        raise UsageError("give either cmig/NAME or -f FILE")
    kubectl, console, well = _kubectl(namespace, context, kubeconfig), make_console(), True
    for body in [fetch(kubectl, migration(target))] if target else migrations_in([filename or Path("-")]):
        for check in checks(kubectl, body):
            console.print(pairs([(check.sign, check.what, check.how)]))
            well = well and check.sign != BAD
    raise typer.Exit(0 if well else 1)


app.command()(offline.lint)
app.command()(offline.simulate)


@app.command()
def report(
    target: TypeName,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: one HTML page that opens offline.")],
    charts: Annotated[Path | None, typer.Option("--charts", help="Folder for its charts, to be put elsewhere.")] = None,
    kind: Annotated[str, typer.Option("--format", help="Of the charts: svg or png.")] = "svg",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Write one HTML file with charts, tables and the data to take along (needs the extra report)."""
    from datetime import UTC, datetime

    from changeover.cli.gather import fetch
    from changeover.cli.target import MIGRATION, UsageError, parse

    try:
        from changeover.cli.report import benchmark, migration
        from changeover.cli.report.pictures import write_charts
    except ImportError as error:
        raise UsageError(f"{error}; in a clone, pip install '.[report]' brings what draws the charts") from error
    kubectl, what = _kubectl(namespace, context, kubeconfig), parse(target)
    body, now = fetch(kubectl, what), datetime.now(UTC)
    if what.kind == MIGRATION:
        page = migration.make_report(body, migration.collect(kubectl, body, now), now)
    else:
        page = benchmark.make_report(body, benchmark.collect(kubectl, body))
    output.write_text(page)
    print(f"{output}: {len(page) / 1000:,.0f} kB")
    for path in write_charts(page, charts, kind) if charts is not None else ():
        print(path)


@app.command()
def replay(target: Migration, namespace: Namespace = "", context: Context = "", kubeconfig: Kubeconfig = "") -> None:
    """Its decisions again, from what Prometheus still has. Exit code 4 when the evidence does not say the same now."""
    import asyncio
    from datetime import UTC, datetime

    from changeover.api.v1alpha1 import MigrationSpec
    from changeover.cli.gather import fetch
    from changeover.cli.kubectl import Kubectl
    from changeover.cli.prometheus import series_of
    from changeover.cli.render import make_console, table
    from changeover.cli.replay import COLUMNS, replay_all, rows_of
    from changeover.cli.target import migration

    kubectl = _kubectl(namespace, context, kubeconfig)
    body = fetch(kubectl, migration(target), "--show-managed-fields")  # they say when the spec was edited
    here = Kubectl(body["metadata"]["namespace"], context, kubeconfig)
    series = series_of(here, MigrationSpec.model_validate(body["spec"]).metrics.source)
    found = asyncio.run(replay_all(here, body, series, datetime.now(UTC)))
    if not found:
        print("no weight was ever raised: there is nothing to replay")
        return
    make_console().print(table("What was decided, and what the evidence says now", COLUMNS, rows_of(found)))
    raise typer.Exit(4 if any(one.agrees is False for one in found) else 0)


@app.command()
def demo(
    gateway: Annotated[
        str, typer.Option("--gateway", help="NAMESPACE/NAME; the first that the operator knows by default.")
    ] = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """See a promotion and a rollback on this cluster, in a namespace of its own: some three minutes."""
    from changeover.cli.demo import run as play
    from changeover.cli.demo import stage_of
    from changeover.cli.render import make_console

    kubectl = _kubectl("", context, kubeconfig)
    raise typer.Exit(play(kubectl, stage_of(kubectl, gateway), make_console()))


if __name__ == "__main__":
    run()
