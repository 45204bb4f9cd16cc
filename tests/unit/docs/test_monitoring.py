"""Dashboard, alerts and their page speak of metrics that there are, and of no others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from changeover.adapters.endpoints import Telemetry
from changeover.core.plan import Ref

from tests.apiserver.statuses import BENCHMARK, MIGRATION

ROOT = Path(__file__).resolve().parents[3]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "charts/changeover/dashboards/changeover.json").read_text())
ALERTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "charts/changeover/alerts.yaml").read_text())["groups"][0][
    "rules"
]
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
QUERIES += [alert["expr"] for alert in ALERTS]


def served() -> dict[str, set[str]]:
    """Names of the labels of each sample that the operator serves, by the sample's name."""
    telemetry = Telemetry()
    telemetry.passed("CanaryMigration", 0.1, failed=True)
    telemetry.resources.show(Ref("CanaryMigration", "shop", "shop"), MIGRATION)
    telemetry.resources.show(Ref("FrameworkBenchmark", "shop", "web"), BENCHMARK)
    found: dict[str, set[str]] = {}
    for family in telemetry.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_is_served(query: str) -> None:
    metrics = served()
    asked = re.findall(r"(changeover_\w+)(?:\{([^}]*)\})?", query)
    assert asked
    for name, matchers in asked:
        assert name in metrics, name
        assert set(re.findall(r"(\w+)(?:=|!)", matchers)) <= metrics[name]


def test_the_page_names_every_metric_with_its_labels() -> None:
    page = (ROOT / "docs/monitoring.md").read_text()
    rows = dict(re.findall(r"^\| `(changeover_\w+)` \|([^|]*)\|", page, re.MULTILINE))
    suffix = re.compile(r"_(bucket|sum|count|created)$")
    metrics = {
        suffix.sub("", name): labels - {"le"} for name, labels in served().items() if not name.endswith("_created")
    }
    assert {name: set(labels.replace(",", " ").split()) for name, labels in rows.items()} == metrics


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_what_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("info", "warning", "critical")
    assert len(alert["annotations"]["summary"]) > 20 and len(alert["annotations"]["description"]) > 20


def test_the_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
