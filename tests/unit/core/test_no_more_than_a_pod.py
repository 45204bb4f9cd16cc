"""What a resource may ask for gives its pods no more than any pod of the namespace has."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.v1alpha1.candidate import Candidate, NodeChoice
from changeover.core.manifests.common import CONTROL_PLANE, placement
from changeover.core.manifests.template import copied_pod

OFF_IT = [{"key": key, "operator": "DoesNotExist"} for key in CONTROL_PLANE]


@pytest.mark.parametrize("toleration", [{}, {"key": CONTROL_PLANE[0]}, {"key": CONTROL_PLANE[1], "operator": "Equal"}])
def test_a_pod_that_tolerates_the_control_plane_is_kept_off_it(toleration: dict[str, Any]) -> None:
    placed = placement(NodeChoice.model_validate({"tolerations": [toleration]}), "node-1")
    (term,) = placed["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == OFF_IT
    assert term["matchFields"][0]["values"] == ["node-1"]


@pytest.mark.parametrize("tolerations", [[], [{"key": "changeover.dev/role"}]])
def test_any_other_pod_may_run_on_a_cluster_of_one_node(tolerations: list[Any]) -> None:
    assert "affinity" not in placement(NodeChoice.model_validate({"tolerations": tolerations}))


def test_a_copy_of_a_deployment_does_not_put_its_secrets_into_a_variable_of_the_candidate() -> None:
    secret = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    template = {"spec": {"containers": [{"name": "web", "image": "x", "env": [secret]}]}}
    candidate = Candidate.model_validate({
        "name": "copy", "templateFrom": {"deploymentRef": {"name": "shop"}},
        "env": [{"name": "PROXY", "value": "http://elsewhere/$(PASSWORD)"}],
    })  # fmt: skip
    env = copied_pod(candidate, template)["containers"][0]["env"]
    assert env == [secret, {"name": "PROXY", "value": "http://elsewhere/$$(PASSWORD)"}]


def test_a_copy_never_asks_to_be_root() -> None:
    security = {"runAsUser": 0, "runAsGroup": 0}
    template = {"spec": {"securityContext": security, "containers": [{"name": "web", "securityContext": security}]}}
    candidate = Candidate.model_validate({"name": "copy", "templateFrom": {"deploymentRef": {"name": "shop"}}})
    pod = copied_pod(candidate, template)
    assert [holder["securityContext"].get("runAsUser") for holder in (pod, *pod["containers"])] == [None, None]
    assert pod["securityContext"]["runAsGroup"] == 0
