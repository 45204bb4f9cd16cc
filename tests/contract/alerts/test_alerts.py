"""Prometheus's own tool takes the chart's alerts, and they fire when they should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.programs
HERE = Path(__file__).parent
ALERTS = Path(__file__).resolve().parents[3] / "charts/changeover/alerts.yaml"


def promtool(*words: str) -> str:
    """What it says. Fails when it finds something."""
    done = subprocess.run(["promtool", *words], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_alerts() -> None:
    told = promtool("check", "rules", str(ALERTS))
    assert f"{len(yaml.safe_load(ALERTS.read_text())['groups'][0]['rules'])} rules found" in told


def test_they_fire_when_they_should_and_not_before() -> None:
    promtool("test", "rules", "alerts_test.yaml")
    tried = {
        one["alertname"]
        for story in yaml.safe_load((HERE / "alerts_test.yaml").read_text())["tests"]
        for one in story["alert_rule_test"]
        if one["exp_alerts"]
    }
    assert tried == {rule["alert"] for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]}
