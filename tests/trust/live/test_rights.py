"""What is judged by the audit log: a right too many is found, and so is a read that was denied."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.cluster import audit
from tests.cluster.audit import Asked
from tests.trust.live.rights import Right, judge, rights_of

ACCOUNT = ("changeover-system", "changeover")
SUBJECT = {"kind": "ServiceAccount", "name": "changeover", "namespace": "changeover-system"}
AT = "2026-11-29T15:30:00.000001Z"
LISTED = Asked("changeover", "list", "apps", "deployments", "shop", "", "allow", 200, AT)
LEASE = Asked("changeover", "get", "coordination.k8s.io", "leases", "changeover-system", "changeover", "allow", 200)
LIST, LOG = Right("apps", "deployments", "list"), Right("", "pods/log", "get")
HOLD = Right("coordination.k8s.io", "leases", "get", "changeover-system", "changeover")


def event(**more: Any) -> dict[str, Any]:
    """As kube-apiserver 1.36 writes it, shortened."""
    return {
        "stage": "ResponseComplete",
        "requestURI": "/apis/apps/v1/namespaces/shop/deployments?limit=5",
        "verb": "list",
        "requestReceivedTimestamp": AT,
        "user": {"username": "system:serviceaccount:changeover-system:changeover"},
        "objectRef": {"resource": "deployments", "namespace": "shop", "apiGroup": "apps", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
        **more,
    }


def test_the_log_is_read_with_the_files_before_it_and_without_a_line_that_is_half_written(tmp_path: Path) -> None:
    audit.flags(tmp_path)
    denied = event(annotations={"authorization.k8s.io/decision": "forbid"}, responseStatus={"code": 403})
    (tmp_path / "audit-2026-11-29T15-00-00.000.log").write_text(json.dumps(denied) + "\n")
    discovery = json.dumps(event(verb="get", objectRef=None, requestURI="/apis?timeout=5"))
    (tmp_path / "audit.log").write_text(f"{json.dumps(event())}\n{discovery}\n{discovery[:30]}")
    first, second, third = audit.read(tmp_path)
    assert (first.is_denied, second) == (True, LISTED)
    assert (third.resource, third.is_denied) == ("/apis", False)


def test_what_was_granted_and_never_asked_for_is_left_over() -> None:
    found = judge([LIST, HOLD], [LISTED])
    assert (set(found.used), set(found.left), found.is_as_promised) == ({LIST}, {HOLD}, False)
    assert judge([LIST, HOLD], [LISTED, LEASE]).is_as_promised
    assert not judge([], []).is_as_promised


def test_a_read_that_was_denied_is_no_use() -> None:
    """Whether the authorizer forbade it, or what is asked of it later did."""
    for forbidden in (replace(LISTED, decision="forbid", status=403), replace(LISTED, status=403)):
        found = judge([LIST], [forbidden])
        assert (found.used, len(found.denied), found.is_as_promised) == (frozenset(), 1, False)


def test_what_came_to_nothing_is_no_use_but_for_a_log_without_a_kubelet() -> None:
    assert judge([LIST], [replace(LISTED, status=404)]).left == {LIST}
    log = Asked("changeover", "get", "", "pods/log", "shop", "web-1", "allow", 500)
    assert judge([LOG], [log]).is_as_promised
    assert not judge([LOG], [replace(log, decision="forbid", status=403)]).is_as_promised


def test_another_name_or_namespace_is_not_what_was_granted() -> None:
    for other in (replace(LEASE, name="other"), replace(LEASE, namespace="shop")):
        found = judge([HOLD], [other])
        assert (set(found.left), len(found.more)) == ({HOLD}, 1)


def test_to_apply_what_is_not_there_is_to_create_it() -> None:
    change, make = Right("apps", "deployments", "patch"), Right("apps", "deployments", "create")
    applied = replace(LISTED, verb="patch", name="web", status=201)
    assert judge([change, make], [applied]).is_as_promised
    assert judge([change, make], [replace(applied, status=200)]).left == {make}


def test_rights_are_read_off_roles_and_bindings_with_their_namespace_and_names() -> None:
    def role(kind: str, namespace: str, rule: dict[str, Any]) -> list[dict[str, Any]]:
        metadata = {"name": "its", "namespace": namespace} if namespace else {"name": "its"}
        reference = {"kind": kind, "name": "its"}
        return [
            {"kind": kind, "metadata": metadata, "rules": [rule]},
            {"kind": f"{kind}Binding", "metadata": metadata, "roleRef": reference, "subjects": [SUBJECT]},
        ]

    lease = {"apiGroups": [HOLD.group], "resources": ["leases"], "verbs": ["get"], "resourceNames": ["changeover"]}
    documents = role("Role", "changeover-system", lease)
    documents += role("ClusterRole", "", {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]})
    assert set(rights_of(documents, ACCOUNT)) == {LIST, HOLD}
    assert set(rights_of(documents, ("changeover-system", "nobody"))) == set()
