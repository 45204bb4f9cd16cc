"""A candidate that is a copy of a Deployment: what comes along, what does not, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.v1alpha1.candidate import Candidate
from changeover.core.errors import InvalidSpec
from changeover.core.manifests.template import copied_pod
from pydantic import ValidationError

BACKEND = {
    "name": "shop", "image": "registry/shop:7", "args": ["--fast"],
    "env": [{"name": "A", "value": "1"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    "ports": [{"containerPort": 8080, "hostPort": 80}], "resources": {"limits": {"cpu": "2"}},
    "livenessProbe": {"tcpSocket": {"port": 1}}, "securityContext": {"privileged": True, "runAsUser": 1000},
    "volumeMounts": [{"name": "settings", "mountPath": "/etc/shop"}],
}  # fmt: skip
SPEC = {
    "serviceAccountName": "root", "hostNetwork": True, "nodeName": "n1", "priorityClassName": "high",
    "imagePullSecrets": [{"name": "pull"}], "volumes": [{"name": "settings", "configMap": {"name": "shop"}}],
    "securityContext": {"fsGroup": 7, "sysctls": [{"name": "kernel.x", "value": "1"}]},
    "initContainers": [{"name": "first", "image": "init:1", "securityContext": {"privileged": True}}],
    "containers": [BACKEND, {"name": "beside", "image": "sidecar:1"}],
}  # fmt: skip


def candidate(**more: Any) -> Candidate:
    return Candidate.model_validate({"name": "copy", "templateFrom": {"deploymentRef": {"name": "shop"}}, **more})


def copied(own: Candidate | None = None, **more: Any) -> dict[str, Any]:
    return copied_pod(own or candidate(), {"spec": {**SPEC, **more}})


def test_what_runs_is_the_same() -> None:
    pod = copied()
    backend, beside = pod["containers"]
    for key in ("name", "image", "args", "env", "resources", "volumeMounts"):
        assert backend[key] == BACKEND[key]
    assert beside["image"] == "sidecar:1"
    assert pod["volumes"] == SPEC["volumes"] and pod["imagePullSecrets"] == SPEC["imagePullSecrets"]


def test_what_gives_power_does_not_come_along() -> None:
    pod = copied()
    assert not {"serviceAccountName", "hostNetwork", "nodeName", "priorityClassName"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True and "sysctls" not in pod["securityContext"]
    for container in (*pod["containers"], *pod["initContainers"]):
        assert "privileged" not in container["securityContext"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert all("hostPort" not in port for port in container.get("ports", []))


def test_who_the_process_is_comes_along() -> None:
    pod = copied()
    assert pod["securityContext"]["fsGroup"] == 7
    assert pod["containers"][0]["securityContext"]["runAsUser"] == 1000


def test_no_probe_kills_during_a_run_and_ours_says_when_it_is_ready() -> None:
    backend = copied(candidate(readinessPath="/health"))["containers"][0]
    assert "livenessProbe" not in backend
    assert backend["readinessProbe"]["httpGet"] == {"path": "/health", "port": 8080}


def test_env_and_resources_of_the_candidate_win() -> None:
    own = candidate(env=[{"name": "A", "value": "2"}], resources={"limits": {"cpu": "200m"}})
    backend = copied(own)["containers"][0]
    assert backend["env"] == [{"name": "A", "value": "2"}, BACKEND["env"][1]]
    assert backend["resources"] == {"requests": {}, "limits": {"cpu": "200m"}}


def test_the_hosts_files_are_refused_by_name() -> None:
    with pytest.raises(InvalidSpec, match=r"candidate copy: .*\(volume logs\)"):
        copied(volumes=[{"name": "logs", "hostPath": {"path": "/var/log"}}])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": "x"}, "set exactly one of image and templateFrom"),
        ({"templateFrom": None}, "set exactly one of image and templateFrom"),
        ({"args": ["--slow"]}, "command and args belong to image"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        candidate(**changes)
