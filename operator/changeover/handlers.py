"""kopf tells us that something changed; we remember which object, and wake the scheduler. Nothing is decided here.

Only ``on.event``: kopf's create and update handlers write twice and can lose the status between the two writes
(docs/decisions/0002). An event's content is not used either, except to see that nothing but our own status moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kopf

from changeover.api.v1alpha1 import GROUP, VERSION
from changeover.core.plan import Ref
from changeover.scheduler import Scheduler

PLURALS = {"CanaryMigration": "canarymigrations", "FrameworkBenchmark": "frameworkbenchmarks"}


def make_registry(scheduler: Scheduler) -> kopf.OperatorRegistry:
    """The registry: how to log in, and one handler for both kinds."""
    registry = kopf.OperatorRegistry()
    known: dict[Ref, tuple[Any, ...]] = {}

    async def on_event(event: Mapping[str, Any], **_: Any) -> None:
        ref, aspect = ref_of(event["object"]), aspect_of(event["object"])
        if event["type"] == "DELETED":
            # Not forgotten here: kopf has a queue per uid, and one made anew under its name may have been told before.
            known.pop(ref, None)
            scheduler.wake(ref)
        elif known.get(ref) != aspect:
            known[ref] = aspect
            scheduler.wake(ref)

    kopf.on.login(registry=registry)(log_in)
    for plural in PLURALS.values():
        kopf.on.event(GROUP, VERSION, plural, registry=registry)(on_event)
    return registry


def log_in(**given: Any) -> kopf.ConnectionInfo | None:
    """The pod's service account; outside a cluster, the current kube-context."""
    return kopf.login_with_service_account(**given) or kopf.login_with_kubeconfig(**given)


def ref_of(body: Mapping[str, Any]) -> Ref:
    """Which object an event speaks of."""
    return Ref(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])


def aspect_of(body: Mapping[str, Any]) -> tuple[Any, ...]:
    """What of an object is news to us; our own writes of status are not."""
    metadata = body["metadata"]
    annotations = tuple(sorted((metadata.get("annotations") or {}).items()))
    return metadata["uid"], metadata["generation"], metadata.get("deletionTimestamp"), annotations


def make_settings() -> kopf.OperatorSettings:
    """kopf without its own events, and without anything that needs more rights than a watch of our kinds."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    # Its SIGKILL ten minutes after its end is meant for a process that hangs, and we begin again (wiring.watch).
    settings.process.ultimate_exiting_timeout = None
    return settings
