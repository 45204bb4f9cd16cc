"""``python -m tests.trust.live.rights``: what the operator's account may do is what it does, no more and no less.

The stories are told with the account that the chart makes, and what it asks is read off the proxy. Nothing may be
denied; of what was granted nothing may be left over.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.apiserver.test_rbac import EXPECTED, Right, install
from tests.trust.live.calls import Record
from tests.trust.live.stage import a_stage, tell
from tests.trust.live.stories import STORIES, TOLD_FOR_RIGHTS
from tests.trust.live.trials import Bench, a_bench, side_by_side

TOKEN_SECONDS = 3600
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Used:
    """What was asked, and what of it was denied."""

    rights: frozenset[Right]
    denied: tuple[str, ...]


def used(records: Iterable[Record]) -> Used:
    """As the API server's authorizer names it: (group, resource with its subresource, verb)."""
    rights, denied = set[Right](), list[str]()
    for record in records:
        right = right_of(record)
        if right is None:
            continue
        rights.add(right)
        if right[2] == "patch" and record.status == 201:
            rights.add((right[0], right[1], "create"))  # server-side apply of what was not there
        if record.status == 403:
            denied.append(record.call.what)
    return Used(frozenset(rights), tuple(denied))


def right_of(record: Record) -> Right | None:
    """Of one call; None for discovery, which everybody may ask."""
    parts = urlsplit(record.call.path).path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    resource = "/".join([rest[0], *rest[2:3]])
    reads = "watch" if record.call.is_watch else ("get" if len(rest) > 1 else "list")
    return group, resource, _VERBS.get(record.call.method, reads)


def run(bench: Bench, name: str, token: str) -> Used:
    """A story, told by the bearer of a token."""
    story = STORIES.get(name) or TOLD_FOR_RIGHTS[name]
    with a_stage(bench.mirror, bench.folder, story, token=token) as stage:
        tell(stage, story)
        return used(list(stage.proxy.calls))


def attempt(bench: Bench, names: Sequence[str]) -> Used:
    """What these stories take together."""
    with bench.mirror.server.client() as client:
        namespace, account = install(client, {})
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        token = client.create(path, {"spec": {"expirationSeconds": TOKEN_SECONDS}}).body["status"]["token"]
    told = [came for _, came in side_by_side(lambda name: run(bench, name, token), names, float("inf"))]
    return Used(frozenset().union(*(one.rights for one in told)), tuple(what for one in told for what in one.denied))


def main() -> int:
    """Exit code: 1 when something was denied, or granted for nothing."""
    with a_bench() as bench:
        found = attempt(bench, [*STORIES, *TOLD_FOR_RIGHTS])
    left, more = EXPECTED - found.rights, found.rights - EXPECTED
    print(f"rights: {len(EXPECTED)} granted, {len(found.rights)} used, {len(found.denied)} calls denied")
    for what, rights in (("granted and not used", left), ("used and not granted", more)):
        print(f"  {what}: {', '.join(' '.join(right) for right in sorted(rights)) or 'none'}")
    return 1 if left or more or found.denied else 0


if __name__ == "__main__":
    sys.exit(main())
