"""The first run on a cluster that has nothing: what is missing is said, five commands bring it, and it is seen to work.

The cluster is a second one, bare, that lives for this test alone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from changeover.cli.demo import NAMESPACE

from tests.demo import acts
from tests.demo.kube import ROOT, Kube
from tests.e2e.plugin import changeover

NAME = "bare"
MOST_SECONDS = 300  # from the first command to the end
IMAGES_SECONDS = 60  # until the kubelet has told of all its images
CACHE = Path(os.environ.get("CHANGEOVER_CACHE", "/var/cache/changeover"))
KUBECONFIG = CACHE / "run" / NAME / "kubeconfig"


def on_machine(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


def cluster(*words: str) -> None:
    done = on_machine("python3", "-m", "tests.cluster", *words, "--name", NAME)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def bare() -> Iterator[Kube]:
    """A cluster without Gateway API, gateway, Prometheus and operator, whose nodes hold the operator's two images."""
    environment = {**os.environ, "PATH": f"{CACHE / 'bin'}:{os.environ['PATH']}", "KUBECONFIG": str(KUBECONFIG)}
    cluster("up", "--bare")
    try:
        cluster("images", "operator", "loader")
        yield Kube(NAMESPACE, environment)
    finally:
        cluster("down")


def local_images(kube: Kube) -> dict[str, str]:
    """The cluster's own images of Traefik and Prometheus: registries are out of reach here."""
    found: dict[str, str] = {}

    def listed() -> bool:
        images = json.loads(kube.run("kubectl", "get", "node", "system", "--output=json"))["status"].get("images", [])
        # An image that is being imported has no name yet, and a kubelet lists it with null.
        names = [name for image in images for name in image["names"] or () if "@" not in name]
        found.update((what, name) for what in ("traefik", "prometheus") for name in names if what in name)
        return len(found) == 2

    acts.wait_until("the node lists the images of Traefik and Prometheus", IMAGES_SECONDS, listed)
    return found


def commands() -> list[str]:
    """The commands of docs/first-run.md, in order."""
    text = (ROOT / "docs/first-run.md").read_text().split("## Five commands")[1].split("```")[1]
    return [" ".join(one.split()) for one in re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip())]


def test_five_commands_lead_from_a_bare_cluster_to_a_promotion(bare: Kube) -> None:
    lacks = on_machine("make", "-s", "demo", environment={**bare.environment, "CLUSTER": "current"})
    print(f"\n{lacks.stderr}")
    assert lacks.returncode != 0
    for what in ("the Gateway API's CRDs", "a Gateway named public", "Prometheus as Service prometheus:9090"):
        assert f"- {what}" in lacks.stderr, "what is missing is said"
    crds, stack, operator, plugin, demo = commands()
    assert (crds.split()[:2], plugin, demo) == (
        ["kubectl", "apply"], "pip install '.[cli]'", "kubectl changeover demo",
    )  # fmt: skip
    begun = time.monotonic()
    file = next((CACHE / "tools").glob("gateway-api-*/crds.yaml"))  # what the address in the first command serves
    bare.run("kubectl", "apply", "--server-side", "--filename", str(file))
    images = local_images(bare)
    ours = f"--set=gateway.image={images['traefik']},prometheus.image={images['prometheus']}"
    for command in (f"{stack} {ours}", operator):
        done = on_machine("bash", "-c", command, environment=dict(bare.environment))
        assert done.returncode == 0, done.stdout + done.stderr
    code, said, wrong = changeover(bare, "demo")
    took = time.monotonic() - begun
    print(f"{said}{wrong}\n  {took:.0f} s without pip")
    assert (code, wrong) == (0, "")
    assert took < MOST_SECONDS
    assert "✖ RolledBack: errors: " in said and "bad in the last scrapes" in said
    assert acts.status_of(bare, "cmig", "to-new")["outcome"]["result"] == "Promoted"
    code, _, wrong = changeover(bare, "demo")
    assert code == 1 and f"kubectl delete namespace {NAMESPACE}" in wrong, "it is not played over another"
    code, told, _ = changeover(replace(bare, namespace=NAMESPACE), "replay", "cmig/to-new")
    assert code == 0, told
