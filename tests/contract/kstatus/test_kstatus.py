"""The real kstatus library reads every state rightly: `helm install --wait`, Flux and kpt go by it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.gitops.states import DONE, FAILED, STATES, WORKING

pytestmark = pytest.mark.programs
HERE = Path(__file__).parent
EXPECTED = {WORKING: "InProgress", DONE: "Current", FAILED: "Failed"}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What kstatus says of each state."""
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    assert go, "Go is missing: install Go 1.24 or newer so that `go version` works"
    program = tmp_path_factory.mktemp("kstatus") / "kstatus"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    subprocess.run([go, "build", "-o", program, "."], cwd=HERE, env=environment, check=True)
    bodies = json.dumps([state.body() for state in STATES.values()])
    said = subprocess.run([program], input=bodies, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(zip(STATES, json.loads(said), strict=True))


@pytest.mark.parametrize("name", STATES)
def test_kstatus_says_of_a_state_what_it_means(verdicts: dict[str, dict[str, str]], name: str) -> None:
    assert verdicts[name]["status"] == EXPECTED[STATES[name].means], verdicts[name]["message"]


def test_what_failed_says_why(verdicts: dict[str, dict[str, str]]) -> None:
    for name, state in STATES.items():
        if state.means == FAILED:
            assert len(verdicts[name]["message"]) > 20, name
