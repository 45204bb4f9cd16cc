"""The table of attacks: what a tenant writes into our resources, and what is to come of it. See test_escalation."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changeover.core.plan import Manifest

from tests.trust.tenant.harmless import Check

FB, CMIG = "FrameworkBenchmark", "CanaryMigration"
REFUSED, PRUNED, HARMLESS = "refused", "refused, or pruned when not validated strictly", "harmless"


def _benchmark() -> Manifest:
    amounts = {"cpu": "500m", "memory": "64Mi"}
    candidates = [
        {"name": name, "image": f"localhost/{name}:1", "resources": {"requests": amounts, "limits": amounts}}
        for name in ("api", "spare")
    ]
    rounds = {"min": 3, "max": 3}
    return {
        "candidates": candidates,
        "scenarios": [{"name": "keep-alive", "type": "Closed", "closed": {"connections": 360}}],
        "schedule": {"rounds": rounds, "warmUp": "2s", "measure": "10s", "aaProbe": False, "crossCheck": False},
    }


def _migration() -> Manifest:
    old, new = ({"service": {"name": n, "port": 80}, "workload": {"name": n}} for n in ("old", "new"))
    return {
        "stable": old,
        "canary": {"type": "Workload", "workload": new},
        "traffic": {
            "gatewayAPI": {"route": {"name": "shop"}, "parentRefs": [{"name": "public", "namespace": "gateway"}]}
        },
        "steps": [{"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h"} for weight in (10, 100)],
        "objectives": [{"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}}],
    }


BASES = {FB: ("web", _benchmark), CMIG: ("shop", _migration)}


@dataclass(frozen=True)
class Attack:
    """One row: what is changed in a good object, and what is to come of it.

    ``field`` is in the API server's refusal. ``allowed`` names what of the bystanders' the row may change.
    """

    name: str
    kind: str
    changes: Mapping[str, Any]
    expected: str
    field: str = ""
    checks: tuple[Check, ...] = ()
    allowed: str = ""

    @property
    def named(self) -> str:
        """Its name."""
        return str(self.body()["metadata"]["name"])

    def body(self) -> Manifest:
        """The object that is submitted."""
        name, spec = BASES[self.kind]
        made: Manifest = {
            "apiVersion": "changeover.dev/v1alpha1", "kind": self.kind, "metadata": {"name": name}, "spec": spec(),
        }  # fmt: skip
        for path, value in self.changes.items():
            _put(made, path.split("/"), value)
        return made


def _put(holder: Any, path: list[str], value: Any) -> None:
    """Set a value; `*` is every item of a list, a number one of them."""
    head, *rest = path
    if head == "*":
        for number in range(len(holder)):
            _put(holder, [str(number), *rest], value)
        return
    key: Any = int(head) if isinstance(holder, list) else head
    if not rest:
        holder[key] = copy.deepcopy(value)
        return
    if isinstance(holder, dict):
        holder.setdefault(key, {})
    _put(holder[key], rest, value)


def unknown(name: str, kind: str, path: str, value: Any) -> Attack:
    """A field that our resources do not have."""
    return Attack(name, kind, {path: value}, PRUNED, path.rpartition("/")[2])


def refused(name: str, kind: str, path: str, value: Any, field: str = "") -> Attack:
    """A value that the schema or a rule refuses."""
    return Attack(name, kind, {path: value}, REFUSED, field or path.rpartition("/")[2])


def harmless(name: str, kind: str, changes: Mapping[str, Any], *checks: Check, allowed: str = "") -> Attack:
    """What is taken, and of which nothing comes that anybody could not have anyway."""
    return Attack(name, kind, changes, HARMLESS, checks=checks, allowed=allowed)
