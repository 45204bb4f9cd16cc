"""Both charts come out the same by Helm 3 and by Helm 4, and Prometheus takes the configuration in one of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apiserver.test_chart import VARIANTS
from tests.cluster import tools
from tests.cluster.layout import cluster_from_environment
from tests.cluster.versions import pin

pytestmark = pytest.mark.programs
CHARTS = Path(__file__).resolve().parents[3] / "charts"
OF_DEMO: dict[str, dict[str, Any]] = {
    "its defaults": {},
    "as the local cluster has it": {
        "prometheus": {"verifyKubelets": True, "scrapeIntervalSeconds": 15},
        "discovery": {"image": "targets:1", "builtIn": True},
        "nodeSelector": {"changeover.dev/role": "load"},
    },
}
CASES = [("changeover", name, values) for name, values in VARIANTS.items()]
CASES += [("demo", name, values) for name, values in OF_DEMO.items()]


def helm(name: str, *words: str, values: dict[str, Any]) -> str:
    program = tools.fetch_helm(cluster_from_environment(), name)
    done = subprocess.run(
        [program, *words, "--kube-version=1.34.0", "--values=-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def objects(name: str, chart: str, values: dict[str, Any]) -> dict[str, Any]:
    """By kind, namespace and name: the order is the business of each Helm."""
    text = helm(name, "template", "release", str(CHARTS / chart), "--namespace=there", values=values)
    made = [one for one in yaml.safe_load_all(text) if one]
    return {f"{o['kind']} {o['metadata'].get('namespace', '')}/{o['metadata']['name']}": o for o in made}


@pytest.mark.parametrize(("chart", "name", "values"), CASES, ids=lambda one: one if isinstance(one, str) else "")
def test_helm_3_and_helm_4_make_the_same_of_a_chart(chart: str, name: str, values: dict[str, Any]) -> None:
    older, newer = (objects(helm_, chart, values) for helm_ in ("helm3", "helm"))
    assert {one["kind"] for one in newer.values()} >= {"ConfigMap", "Deployment", "Service"}
    assert older == newer
    helm("helm3", "lint", "--strict", str(CHARTS / chart), values=values)


def test_they_are_what_they_are_called() -> None:
    for name, major in (("helm3", "v3."), ("helm", "v4.")):
        said = subprocess.run(
            [tools.fetch_helm(cluster_from_environment(), name), "version", "--short"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert said.startswith(f"{major}") and pin(name, "helm") in said


@pytest.mark.parametrize("values", OF_DEMO.values(), ids=OF_DEMO)
def test_prometheus_takes_the_configuration(values: dict[str, Any], tmp_path: Path) -> None:
    config = objects("helm", "demo", values)["ConfigMap monitoring/prometheus"]["data"]["prometheus.yml"]
    for secret in ("token", "ca.crt"):  # promtool looks for the files of the pod
        config = config.replace(f"/var/run/secrets/kubernetes.io/serviceaccount/{secret}", str(tmp_path / secret))
        (tmp_path / secret).touch()
    path = tmp_path / "prometheus.yml"
    path.write_text(config)
    done = subprocess.run(["promtool", "check", "config", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    parsed = yaml.safe_load(config)
    seconds = (parsed["global"]["scrape_interval"], parsed["global"]["scrape_timeout"])
    assert seconds == (("15s", "10s") if values else ("5s", "4s"))
