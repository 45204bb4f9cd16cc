"""Testers: whose requests go to the canary at any weight, by a header or a cookie. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.traffic import RouteMatch, Testers
from changeover.core import names
from changeover.core.errors import ChangeoverError
from changeover.core.manifests.common import owner_reference
from changeover.core.manifests.route import ALL, RouteShape, make_testers_route, takes
from changeover.core.mark import Phase
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import Unreadable, Workload
from changeover.core.plan import Apply, Manifest

PARKED = ""  # what a testers' route is for that is on no Gateway


def as_match(match: RouteMatch) -> dict[str, Any]:
    """As the Gateway API has it."""
    found: dict[str, Any] = {"path": {"type": match.path.type, "value": match.path.value}}
    if match.method:
        found["method"] = match.method
    if match.headers:
        found["headers"] = [{"type": "Exact", "name": h.name, "value": h.value} for h in match.headers]
    return found


def matches_of_testers(spec: MigrationSpec) -> list[dict[str, Any]]:
    """What the route takes, and one sign of a tester besides: each with each."""
    gateway, asked = spec.traffic.gateway_api, spec.match
    assert gateway is not None and asked is not None
    return [
        {**match, "headers": [*match.get("headers", []), sign]}
        for match in (as_match(one) for one in gateway.matches or [RouteMatch()])
        for sign in _signs(asked)
    ]


def _signs(asked: Testers) -> list[dict[str, Any]]:
    headers = [{"type": "Exact", "name": header.name, "value": header.value} for header in asked.headers]
    # A browser sends all cookies in one header; the Gateway API has no match of its own for them.
    cookies = [
        {
            "type": "RegularExpression",
            "name": "Cookie",
            "value": rf"(^|;\s*){_exactly(c.name)}={_exactly(c.value)}(;|$)",
        }
        for c in asked.cookies
    ]
    return headers + cookies


def _exactly(text: str) -> str:
    """Characters that mean something to a regular expression, made to mean themselves; also understood by RE2."""
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", text)


def take_testers(seen: SeenMigration, step: Step, shape: RouteShape) -> tuple[Apply, ...]:
    """The testers' route, on a Gateway while it is wanted; ``seen.testers`` says what the one that is there is for.

    It is parked and not deleted, so that the operator needs no right to delete routes; it goes with its migration.
    """
    if isinstance(seen.testers, Unreadable) or seen.is_partly_unread:
        return ()
    wanted = _is_wanted(seen, step)
    if not wanted and seen.testers in (None, PARKED):
        return ()
    matches = matches_of_testers(seen.spec) if wanted else list(ALL)
    manifest = make_testers_route(shape if wanted else replace(shape, parents=()), matches)
    about = purpose(manifest)
    if seen.testers == about:
        return ()
    manifest["metadata"] |= {
        "annotations": {names.ANNOTATION_ABOUT: about},
        "ownerReferences": [owner_reference(seen.owner)],
    }
    return (Apply(manifest),)


def purpose(route: Manifest) -> str:
    """What a testers' route is for, by what it takes and whom that goes to: another, once somebody edited it."""
    spec = route.get("spec") or {}
    if not spec.get("parentRefs"):
        return PARKED
    backends = [one for rule in spec.get("rules") or [] for one in rule.get("backendRefs") or []]
    to = [[one.get("name"), one.get("port")] for one in backends]
    return names.digest([*takes(spec, route["metadata"].get("namespace", "")), to])


def told(seen: SeenMigration, actions: tuple[Apply, ...], failure: ChangeoverError | None) -> dict[str, Any] | None:
    """What status says of the testers; None where there is nothing to say."""
    route = names.testers_route(seen.owner.name)
    if failure is not None or isinstance(seen.testers, Unreadable):
        why = str(failure) if isinstance(seen.testers, str | None) else seen.testers.reason
        return {"route": route, "state": "Failed", "message": why[:1024]}
    now = next((a.manifest["metadata"]["annotations"][names.ANNOTATION_ABOUT] for a in actions), seen.testers)
    if now is None:
        return None if seen.spec.match is None else {"route": route, "state": "Waiting"}
    return {"route": route, "state": "Parked" if now == PARKED else "OnCanary"}


def _is_wanted(seen: SeenMigration, step: Step) -> bool:
    """From when the canary is ready to the end; a canary that is rolled back has no testers either."""
    if seen.spec.match is None or step.outcome is not None or step.mark is None:
        return False
    under_way = step.mark.phase is not Phase.ROLLING_BACK and step.reason is not Reason.ROUTE_NOT_OURS
    return under_way and isinstance(seen.canary, Workload) and seen.canary.ready > 0
