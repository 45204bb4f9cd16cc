"""``python -m tests.trust.live.rights``: what the operator's account may do is what it does, no more and no less.

Each story is told by a release of the chart of its own: its account, its Lease, and a Secret of notifications that it
names. What is granted is read off the release's roles and bindings, what was used and what was denied off the API
server's audit log. The stories are told twice: with rights everywhere, and in named namespaces.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from changeover.core.plan import Manifest

from tests.apiserver.chart import NAMESPACE, render
from tests.apiserver.harness import Client
from tests.apiserver.test_rbac import Account, install, may
from tests.cluster import audit
from tests.cluster.audit import Asked
from tests.cluster.shell import wait_until
from tests.trust.live.rival import LEASE_SECONDS
from tests.trust.live.stage import Stage, Story, a_stage, tell
from tests.trust.live.stories import STORIES, TOLD_FOR_RIGHTS
from tests.trust.live.trials import Bench, a_bench, side_by_side

TOKEN_SECONDS = 3600
HOOKS = "hooks"
NOTIFY = [{"name": "on-call", "type": "Slack", "secretRef": {"name": HOOKS}}]
NO_KUBELET = "pods/log"  # of which nothing more comes than that it is allowed


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource; in every namespace, and on any name, where none is said."""

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""

    def covers(self, asked: Asked) -> bool:
        """Whether it is what a request needs."""
        same = (self.group, self.resource) == (asked.group, asked.resource) and self.verb in verbs(asked)
        return same and self.namespace in ("", asked.namespace) and self.name in ("", asked.name)

    def __str__(self) -> str:
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.group}/{self.resource}{named} in {self.namespace or 'every namespace'}"


@dataclass(frozen=True)
class Judged:
    """What was granted, what of it was used, what was asked in vain, and what was allowed that nobody granted."""

    granted: frozenset[Right] = frozenset()
    used: frozenset[Right] = frozenset()
    denied: frozenset[str] = frozenset()
    more: frozenset[str] = frozenset()

    def __or__(self, other: Judged) -> Judged:
        return Judged(
            self.granted | other.granted, self.used | other.used, self.denied | other.denied, self.more | other.more
        )

    @property
    def left(self) -> frozenset[Right]:
        """Granted and not used."""
        return self.granted - self.used

    @property
    def is_as_promised(self) -> bool:
        """Something was granted, all of it was used, and nothing beyond it asked for."""
        return bool(self.granted) and not (self.left or self.denied or self.more)


def verbs(asked: Asked) -> tuple[str, ...]:
    """To apply what is not there takes the right to create it, too."""
    return (asked.verb, "create") if asked.verb == "patch" and asked.status == 201 else (asked.verb,)


def judge(granted: Iterable[Right], asked: Iterable[Asked]) -> Judged:
    """One account's rights by what it asked for; only what came to something counts as use."""
    rights, used, denied, more = frozenset(granted), set[Right](), set[str](), set[str]()
    for one in asked:
        if one.is_denied:
            denied.add(str(one))
        elif one.decision == "allow" and not one.resource.startswith("/"):  # a path is discovery
            covering = {right for right in rights if right.covers(one)}
            if one.status < 400 or one.resource == NO_KUBELET:
                used |= covering
            if not covering:
                more.add(str(one))
    return Judged(rights, frozenset(used), frozenset(denied), frozenset(more))


def rights_of(documents: Sequence[Manifest], account: Account) -> Iterator[Right]:
    """What the bindings among these objects give to an account."""
    roles = {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in documents}
    subject = {"kind": "ServiceAccount", "name": account[1], "namespace": account[0]}
    for binding in documents:
        if binding["kind"].endswith("RoleBinding") and subject in binding["subjects"]:
            kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
            namespace = binding["metadata"].get("namespace", "")
            for rule in roles[kind, namespace if kind == "Role" else "", name]["rules"]:
                yield from _rights(rule, namespace)


def _rights(rule: Manifest, namespace: str) -> Iterator[Right]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", [""]):
                    yield Right(group, resource, verb, namespace, name)


def run(bench: Bench, name: str, named: bool) -> tuple[str, frozenset[Right]]:
    """A story, told by a release of its own; its account and what it was granted, by names that all releases share."""
    story = STORIES.get(name) or TOLD_FOR_RIGHTS[name]
    with a_stage(bench.mirror, bench.folder, replace(story, bodies=lambda: list(_notifying(story)))) as stage:
        release = f"changeover-of-{stage.objects.namespace}"
        watched = [stage.objects.namespace] if named else []
        values = {
            "fullnameOverride": release, "watchNamespaces": watched, "notifications": {"secretNames": [HOOKS]},
        }  # fmt: skip
        with bench.mirror.server.client() as client:
            account = install(client, values)
            granted = frozenset(rights_of(render(values), account))
            _hand_in(stage, client, account, granted)
        tell(stage, story)
    return account[1], granted


def _notifying(story: Story) -> Iterator[Manifest]:
    for body in story.bodies():
        yield {**body, "spec": {**body["spec"], "notify": NOTIFY}} if body["kind"] == "CanaryMigration" else body


def _hand_in(stage: Stage, client: Client, account: Account, granted: frozenset[Right]) -> None:
    """The operator is the account's bearer, when that may do all it was granted; with its Lease and its Secret."""
    namespace, name = account
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token = client.create(path, {"spec": {"expirationSeconds": TOKEN_SECONDS}}).body["status"]["token"]
    stage.mirror.server.kubeconfig(stage.setting.folder / "kubeconfig", stage.proxy.url, token)
    hook = f"http://127.0.0.1:{stage.prometheus.server_port}"  # it answers that it takes no POST, and is asked again
    secret = {"metadata": {"name": HOOKS}, "stringData": {"url": f"{hook}/hook"}}
    assert client.create(f"/api/v1/namespaces/{stage.objects.namespace}/secrets", secret).ok
    file = stage.setting.folder / "config.yaml"
    more = {
        "lease": {"namespace": NAMESPACE, "name": name, "seconds": LEASE_SECONDS},
        "notifications": {"allowedHosts": [hook]},
    }
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))

    def may_all() -> bool:
        wheres = [(right, right.namespace or stage.objects.namespace) for right in granted]
        return all(may(client, account, (r.group, r.resource, r.verb), where, r.name) for r, where in wheres)

    wait_until("the API server to learn of the bindings", may_all, seconds=20)


def attempt(bench: Bench, names: Sequence[str], named: bool = False) -> Judged:
    """What these stories take together."""
    told = side_by_side(lambda name: run(bench, name, named), names, float("inf"))
    granted: dict[str, frozenset[Right]] = dict(release for _, release in told)
    asked: dict[str, list[Asked]] = {account: [] for account in granted}
    for one in audit.read(bench.mirror.server.audit_folder):
        if one.account in asked:
            asked[one.account].append(one)
    found = Judged()
    for account, rights in granted.items():
        found |= shared(judge(rights, asked[account]))
    return found


def shared(judged: Judged) -> Judged:
    """Told alike for all releases."""
    common: Any = {key: frozenset(map(_common, value)) for key, value in vars(judged).items()}
    return Judged(**common)


def _common(one: Right | str) -> Right | str:
    def without(text: str) -> str:
        return re.sub(r"\bstage-\d+", "stage", text)

    return (
        without(one) if isinstance(one, str) else replace(one, namespace=without(one.namespace), name=without(one.name))
    )


def main() -> int:
    """Exit code: 1 when something was denied, or granted for nothing."""
    with a_bench() as bench:
        told = {named: attempt(bench, [*STORIES, *TOLD_FOR_RIGHTS], named) for named in (False, True)}
    for named, found in told.items():
        print(summary(found, "in named namespaces" if named else "everywhere"))
    return 0 if all(found.is_as_promised for found in told.values()) else 1


def summary(found: Judged, where: str) -> str:
    """Counts, and all that is not as promised."""
    lines = [f"rights {where}: {len(found.granted)} granted, {len(found.used)} used, {len(found.denied)} denied"]
    for what, those in (("not used", found.left), ("denied", found.denied), ("not granted", found.more)):
        lines.append(f"  {what}: {', '.join(sorted(map(str, those))) or 'none'}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
