"""The committed CRDs, and the chart's copies of them, are what the models say."""

from __future__ import annotations

from pathlib import Path

import pytest
from changeover.api.crds import files, main

REPOSITORY = Path(__file__).resolve().parents[2]
GENERATED = dict(files())


@pytest.mark.parametrize("name", GENERATED)
def test_the_committed_file_is_fresh(name: str) -> None:
    assert (REPOSITORY / name).read_text() == GENERATED[name], "run `make crds` and commit the result"


@pytest.mark.parametrize("folder", ["crds", "charts/changeover/templates/crds"])
def test_nothing_else_lies_beside_them(folder: str) -> None:
    committed = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / folder).iterdir()}
    assert committed == {name for name in GENERATED if name.rpartition("/")[0] == folder}


def test_the_command_writes_what_is_missing_and_then_has_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.yaml")} == set(GENERATED)
    capsys.readouterr()
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_check_names_a_stale_file_and_leaves_it_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path)])
    stale = tmp_path / "crds" / "changeover.dev_canarymigrations.yaml"
    stale.write_text("stale")
    assert main([str(tmp_path), "--check"]) == 1
    complaint = capsys.readouterr().err
    assert complaint == (
        "crds/changeover.dev_canarymigrations.yaml is not what the models say: run `make crds` and commit it\n"
    )
    assert stale.read_text() == "stale"
