"""The demo: what it applies is valid, what is missing is said, and its server fails as often as it was told to."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from changeover.api.v1alpha1 import MigrationSpec
from changeover.cli import demo
from changeover.cli.kubectl import Kubectl
from changeover.cli.lint import lint
from changeover.cli.target import UsageError
from changeover.cli.verdict import BAD, OK
from changeover.config import SCRAPE_INTERVAL_SECONDS
from rich.console import Console

from tests.unit.cli.fake import Played, a_world, command, play

__all__ = ["play"]  # the fixture
STAGE = demo.Stage("registry.example/loader:1", ("gateway", "public"), "changeover-demo.example.com", 5.0)
OPERATOR = {"kind": "Deployment", "metadata": {"namespace": "changeover-system", "name": "changeover"}}
GATEWAY = {"namespace": "gateway", "name": "public", "url": "http://traefik.gateway.svc"}
SOURCE = {"name": "default", "url": "http://prometheus.monitoring.svc:9090", "scrapeIntervalSeconds": 30}
Play = Callable[[Any], Played]


def told(**more: Any) -> list[dict[str, Any]]:
    config = {"metricSources": [SOURCE], "loaderImage": "registry.example/loader:1", "gateways": [GATEWAY], **more}
    data = {"config.yaml": yaml.safe_dump(config)}
    return [OPERATOR, {"kind": "ConfigMap", "metadata": {"namespace": "changeover-system"}, "data": data}]


def test_the_stage_is_what_the_operator_knows(play: Play) -> None:
    play(a_world()).everywhere = told()
    assert demo.stage_of(Kubectl(), "") == demo.Stage(STAGE.image, STAGE.gateway, STAGE.host, 30.0)
    play(a_world()).everywhere = told(metricSources=[{"name": "default", "url": SOURCE["url"]}])
    assert demo.stage_of(Kubectl(), "").scrape_seconds == SCRAPE_INTERVAL_SECONDS, "the operator's own default"


@pytest.mark.parametrize(
    ("everywhere", "gateway", "said"),
    [
        ([], "", "helm install"),
        (told(gateways=[]), "", "knows none"),
        (told(), "other/one", "knows gateway/public"),
        (told(metricSources=[{**SOURCE, "name": "other"}]), "", "no metric source called default"),
    ],
)
def test_what_the_operator_lacks_is_said_with_the_mend(
    play: Play, everywhere: list[dict[str, Any]], gateway: str, said: str
) -> None:
    play(a_world()).everywhere = everywhere
    with pytest.raises(UsageError, match=said):
        demo.stage_of(Kubectl(), gateway)


@pytest.mark.parametrize("scrape", [1.0, 5.0, 30.0])
def test_its_migrations_are_as_the_api_and_lint_want_them(scrape: float) -> None:
    stage = demo.Stage(STAGE.image, STAGE.gateway, STAGE.host, scrape)
    body = demo.migration(stage, "to-new", demo.OLD, demo.NEW)
    spec = MigrationSpec.model_validate(body["spec"])
    assert float(spec.decision.block[:-1]) >= scrape, "a block holds a scrape"
    _, findings = lint(json.dumps(body), "demo")
    assert [one for one in findings if one.is_error] == []


@pytest.fixture
def server() -> Iterator[Callable[[float], str]]:
    """Starts the demo's server with a share of errors, on a port of its own; its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(bad: float) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        program = demo.SERVER.replace("('', 8080)", f"('127.0.0.1', {port})")
        running.append(subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "BAD": str(bad)}))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.05)
        raise AssertionError("the server does not listen")

    yield start
    for one in running:
        one.terminate()
        assert one.wait(timeout=10) == 0, "SIGTERM ends it in order"


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_its_server_is_as_bad_as_it_was_told_to_be(server: Callable[[float], str]) -> None:
    well, broken = server(0.0), server(1.0)
    assert {status_of(f"{well}/") for _ in range(5)} == {200}
    assert {status_of(f"{broken}/") for _ in range(5)} == {500}
    assert status_of(f"{broken}/ready") == 200, "it becomes ready, and gets traffic"


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A cluster that takes everything; what was applied and followed, in order."""
    done: list[Any] = []
    ends = {"to-new": "Promoted", "to-broken": "RolledBack"}
    monkeypatch.setattr(Kubectl, "get", lambda self, kind, name: None if kind == "namespace" else ended(ends[name]))
    monkeypatch.setattr(
        "changeover.cli.demo.apply", lambda kubectl, *bodies: done.extend(b["metadata"]["name"] for b in bodies)
    )
    monkeypatch.setattr("changeover.cli.demo.watch", lambda kubectl, target, console, wide: done.append(str(target)))
    monkeypatch.setattr(Kubectl, "run", lambda self, *words, stdin=None: done.append(words[0]))
    return done


def ended(result: str) -> dict[str, Any]:
    well = result == "Promoted"
    kinds = {"Finished": True, "Succeeded": well, "Ready": well, "Stalled": not well}
    conditions = [{"type": k, "status": str(v), "reason": result, "message": "so it is"} for k, v in kinds.items()]
    return {"kind": "CanaryMigration", "metadata": {"name": "x", "generation": 1},
            "status": {"observedGeneration": 1, "conditions": conditions}}  # fmt: skip


def quiet() -> Console:
    return Console(file=io.StringIO())


class Found:
    def __init__(self, sign: str, what: str = "Gateway public") -> None:
        self.sign, self.what, self.how = sign, what, "is not there"


def test_it_rolls_back_and_then_promotes(stage: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changeover.cli.demo.preflight", lambda kubectl, body: [Found(OK)])
    assert demo.run(Kubectl(), STAGE, quiet()) == 0
    assert stage[0] == "changeover-demo" and stage.count("rollout") == 3
    order = [one for one in stage if one.startswith(("to-", "canarymigration", "annotate", "delete"))]
    first, second = ("to-broken", "canarymigration/to-broken"), ("to-new", "canarymigration/to-new")
    assert order == [*first, "delete", "annotate", *second]


def test_nothing_moves_where_something_is_missing(stage: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changeover.cli.demo.preflight", lambda kubectl, body: [Found(OK), Found(BAD)])
    assert demo.run(Kubectl(), STAGE, quiet()) == 1
    assert not [one for one in stage if one.startswith("to-")]


def test_a_prometheus_that_begins_has_the_time_for_its_first_scrapes(
    stage: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter([[Found(BAD, "metric source default: x")]] * 2 + [[Found(OK, "metric source default: x")]])
    monkeypatch.setattr("changeover.cli.demo.preflight", lambda kubectl, body: next(said))
    monkeypatch.setattr("changeover.cli.demo.time.sleep", lambda seconds: None)
    console = Console(file=io.StringIO(), width=200, record=True)
    assert demo.run(Kubectl(), STAGE, console) == 0
    assert console.export_text().count("Waiting up to 45 s for the first scrapes") == 1
    monkeypatch.setattr("changeover.cli.demo.FIRST_SCRAPES_SECONDS", -1.0)
    monkeypatch.setattr("changeover.cli.demo.preflight", lambda kubectl, body: [Found(BAD, "metric source default: x")])
    assert demo.run(Kubectl(), STAGE, quiet()) == 1


def test_an_end_that_should_not_be_is_an_exit_code(stage: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changeover.cli.demo.preflight", lambda kubectl, body: [])
    get = lambda self, kind, name: None if kind == "namespace" else ended("Promoted")  # noqa: E731
    monkeypatch.setattr(Kubectl, "get", get)
    assert demo.run(Kubectl(), STAGE, quiet()) == 4


def test_a_migration_that_has_not_ended_is_no_success(stage: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changeover.cli.demo.preflight", lambda kubectl, body: [])
    begun = {"kind": "CanaryMigration", "metadata": {"name": "x", "generation": 1}, "status": {}}
    bodies = {"to-broken": ended("RolledBack"), "to-new": begun}
    monkeypatch.setattr(Kubectl, "get", lambda self, kind, name: None if kind == "namespace" else bodies[name])
    assert demo.run(Kubectl(), STAGE, quiet()) == 4


def test_an_earlier_demo_is_not_overwritten(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play(a_world()).everywhere = told()
    monkeypatch.setattr(Kubectl, "get", lambda self, kind, name: {"kind": "Namespace"})
    done = command("demo")
    assert isinstance(done.exception, UsageError) and "kubectl delete namespace changeover-demo" in str(done.exception)
