"""What the kubelet says of a pod's containers."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core.conditions import parse_timestamp
from changeover.reconcilers.workloads import parse_pod, parse_workload
from changeover.testing.builders import a_deployment

EARLY, LATE = "2030-01-01T00:00:05Z", "2030-01-01T00:00:09Z"


def end(at: str | None, **more: Any) -> dict[str, Any]:
    return {"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": at, **more}}


def pod(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {}, "status": {"containerStatuses": list(containers)}}


@pytest.mark.parametrize(
    ("containers", "at", "why"),
    [
        pytest.param([], None, "", id="not started"),
        pytest.param([{"state": {"running": {}}}], None, "", id="running since it was made"),
        pytest.param([{"state": {}, "lastState": end(LATE)}], LATE, "Error, exit code 1", id="started again"),
        pytest.param([{"state": end(LATE), "lastState": end(EARLY)}], LATE, "Error, exit code 1", id="ended twice"),
        pytest.param(
            [{"lastState": end(EARLY)}, {"lastState": end(LATE, reason="OOMKilled", exitCode=137)}],
            LATE, "OOMKilled, exit code 137", id="two containers",
        ),
        pytest.param([{"state": end(None)}], None, "", id="an end without a time"),
    ],
)  # fmt: skip
def test_the_last_end_of_a_container_counts(containers: list[dict[str, Any]], at: str | None, why: str) -> None:
    found = parse_pod(pod(*containers))
    assert (found.ended, found.why_ended) == (parse_timestamp(at) if at else None, why)


@pytest.mark.parametrize(
    ("containers", "image"),
    [
        pytest.param(["shop", "agent"], "shop", id="the first of the pod, though the kubelet sorts them by name"),
        pytest.param(["agent", "backend"], "backend", id="ours, though a webhook put another before it"),
        pytest.param(["web", "agent"], "", id="it has no status yet, and another's image is not its own"),
    ],
)
def test_the_image_is_that_of_the_backend(containers: list[str], image: str) -> None:
    body = pod(*({"name": name, "imageID": name} for name in ("agent", "backend", "shop")))
    body["spec"] = {"containers": [{"name": name} for name in containers]}
    assert parse_pod(body).image_id == image


def test_the_backend_is_the_one_of_the_template_though_a_webhook_put_a_proxy_before_it() -> None:
    body = pod(*({"name": name, "imageID": name} for name in ("linkerd-proxy", "web")))
    body["spec"] = {"containers": [{"name": "linkerd-proxy"}, {"name": "web"}]}
    made = {"metadata": {"creationTimestamp": EARLY}}
    [found] = parse_workload(a_deployment("shop", **made), [body]).pods
    assert found.image_id == "web"


@pytest.mark.parametrize(("said", "started"), [(EARLY, parse_timestamp(EARLY)), ("soon", None), ("", None), (7, None)])
def test_when_a_pod_was_started_is_known_or_not(said: Any, started: Any) -> None:
    body = pod()
    body["status"]["startTime"] = said
    assert parse_pod(body).started == started
    assert parse_pod(pod()).started is None
