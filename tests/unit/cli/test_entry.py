"""The entry point itself: what goes wrong is one line and exit code 1, whoever found it wrong."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from changeover.cli.kubectl import Kubectl
from changeover.cli.main import app, run
from changeover.core.plan import Ref
from changeover.testing.builders import NAMESPACE, a_migration
from typer.testing import CliRunner

from tests.unit.cli.fake import a_world, go_on, play

__all__ = ["play"]  # the fixture


def entered(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of ``kubectl changeover`` with these words."""
    monkeypatch.setattr(sys, "argv", ["kubectl-changeover", *words])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


def saved(folder: Path, text: str | bytes) -> str:
    path = folder / "given.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("wait", "cmig/shop", "--timout", "1h"), "No such option: --timout"),
        (("wait",), "Missing argument 'TYPE/NAME'"),
        (("nosuch",), "No such command 'nosuch'"),
        (("lint",), "Missing option '--filename'"),
        (("simulate", "-f", "x.yaml", "--rate", "-1"), "Invalid value for '--rate'"),
        (("lint", "-f", "/no/such.yaml"), "/no/such.yaml: No such file or directory"),
    ],
)
def test_a_mistyped_command_is_one_line_and_never_reads_as_rolled_back(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entered(monkeypatch, *words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line


def test_without_words_the_help_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert entered(monkeypatch) == 1
    shown = capsys.readouterr()
    assert "Usage:" in shown.out + shown.err and "error" not in shown.err


def test_the_codes_of_commands_are_theirs(
    play: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = a_world()
    go_on(world, 3)
    play(world)
    assert entered(monkeypatch, "get", "cmig/shop") == 0
    assert entered(monkeypatch, "--help") == 0
    world.cluster.patch(
        Ref("CanaryMigration", NAMESPACE, "shop"),
        {"metadata": {"annotations": {"changeover.dev/requested-abort": "1"}}},
    )
    go_on(world, 20)
    assert entered(monkeypatch, "wait", "cmig/shop") == 2
    assert "error" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [("explain", "shop"), ("preflight", "cmig/shop"), ("replay", "shop")])
def test_a_spec_of_a_later_release_is_one_line(
    play: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """The CRDs of a cluster are updated before everybody's plugin is."""
    play(a_world())
    body = a_migration()
    later = {**body, "spec": {**body["spec"], "mirror": {"percent": 10}}}
    monkeypatch.setattr(Kubectl, "get", lambda self, kind, name, *flags: later)
    assert entered(monkeypatch, *words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: spec.mirror: Extra inputs are not permitted; update the plugin")


def test_a_report_into_a_folder_that_is_not_there(
    play: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world = a_world()
    go_on(world, 3)
    play(world)
    path = tmp_path / "none" / "shop.html"
    assert entered(monkeypatch, "report", "cmig/shop", "-o", str(path)) == 1
    assert capsys.readouterr().err == f"error: {path}: No such file or directory\n"


NAMELESS = {key: value for key, value in a_migration().items() if key != "metadata"}


@pytest.mark.parametrize("command", ["lint", "simulate --rate 10", "preflight"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: \xff", "is no text in UTF-8"),
        (yaml.safe_dump(NAMELESS), "metadata.name is missing; give it one"),
        (yaml.safe_dump({**NAMELESS, "metadata": "shop"}), "metadata.name is missing; give it one"),
        (yaml.safe_dump([a_migration()]), "there is no "),
    ],
)
def test_a_file_that_is_no_migrations_is_told(
    command: str, text: str | bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdout", errors)
    assert entered(monkeypatch, *command.split(), "-f", saved(tmp_path, text)) == 1
    assert said in errors.getvalue() and "Traceback" not in errors.getvalue()


def test_a_migration_is_found_in_a_list_and_beside_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As ``kubectl get cmig -o yaml`` prints it."""
    listed = {"kind": "List", "items": [a_migration(), "nonsense"]}
    text = yaml.safe_dump_all([[1, 2], listed, {"kind": ["odd"]}])
    assert entered(monkeypatch, "simulate", "-f", saved(tmp_path, text), "--rate", "400", "--runs", "1") == 0
    assert "promoted" in capsys.readouterr().out


def test_kubectls_own_completion_is_left_alone() -> None:
    """What typer would install completes the word kubectl itself."""
    assert CliRunner().invoke(app, ["--install-completion"]).exit_code != 0
