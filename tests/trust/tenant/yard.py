"""A namespace of others beside a stage: the objects of a world as it was at one moment, spoilt one after the other."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import re
from datetime import datetime
from typing import Any

from changeover.core.conditions import timestamp
from changeover.core.plan import Manifest, Ref
from changeover.testing.cluster import ref_of

from tests.apiserver.harness import Answer, Client
from tests.trust.live.mirror import COLLECTIONS
from tests.trust.live.objects import COMPLETED
from tests.trust.tenant.nonsense import NEIGHBOUR, State, attack

PATHS = {**COLLECTIONS, "Secret": "/api/v1/secrets", "Node": "/api/v1/nodes"}
OURS = ("CanaryMigration", "FrameworkBenchmark")
FIRST = (*OURS, "Deployment", "Job")  # what others are owned by
KEPT = ("labels", "annotations", "finalizers", "ownerReferences")  # of metadata, by who writes an object
NOT_THEIRS = ("Node",)  # one for all namespaces
POKE = "tests.changeover.dev/poke"
_MOMENT = re.compile(r"2030-01-\d\dT\d\d:\d\d:\d\d")  # as the worlds' clock tells them


class Yard:
    """One state, in a namespace that is made for it. Its moments are moved so that the state is of just now."""

    def __init__(self, client: Client, namespace: str, state: State, now: datetime) -> None:
        self._client, self.namespace, self._state = client, namespace, state
        self._later = now - state.world.clock.now()
        self._uids: dict[str, str] = {}
        self._spoilt: set[Ref] = set()
        self.unlike: list[str] = []  # what the API server does not let be as the state has it
        assert client.create("/api/v1/namespaces", {"metadata": {"name": namespace}}).ok
        bodies = [body for kind in PATHS for body in state.world.cluster.all(kind) if _is_put(body)]
        for body in sorted(bodies, key=lambda one: one["kind"] not in FIRST):
            self._put(body)

    @property
    def owner(self) -> str:
        """The path of the object that a pass is made for."""
        return self._path(self._state.ref)

    def write(self, seed: str, is_hostile: bool) -> bool:
        """A case: all as it was, and then one thing that is nonsense, or nothing. Whether it was taken."""
        ours = Ref("HTTPRoute", self._state.ref.namespace, "shop")
        for ref in {self._state.ref, ours, *self._spoilt}:
            self._restore(ref)
        self._spoilt.clear()
        taken = not is_hostile or self._spoil(random.Random(seed))
        self._client.merge(self.owner, {"metadata": {"annotations": {POKE: seed}}})
        return taken

    def logs(self, seed: str = "") -> dict[str, str]:
        """By pod, the logs that a case spoils; without one, all as they are."""
        known = attack(self._state, random.Random(seed))[1].logs if seed else self._state.world.cluster.logs
        return {pod: text for (_, pod), text in known.items()}

    def clear(self) -> None:
        """What is in it goes, so that the API server stays small."""
        for kind in ("Pod", "Job", "Deployment", *OURS):
            collection = self._path(Ref(kind, "", "")).rstrip("/")
            self._client.request("DELETE", collection, {"gracePeriodSeconds": 0})

    def _spoil(self, chance: random.Random) -> bool:
        _, cluster = attack(self._state, chance)
        answers = []
        for ref, body in cluster.replaced.items():
            if not _is_put(body):
                return False
            before = self._state.world.cluster.peek(ref)
            answers += self._write(body, before or {})
            self._spoilt.add(ref)
        return all(answer.ok for answer in answers)

    def _restore(self, ref: Ref) -> None:
        body = self._state.world.cluster.peek(ref)
        if body is not None:
            self._write(body, {})

    def _put(self, body: Manifest) -> None:
        self.unlike += [f"{ref_of(body)}: {answer.message[:200]}" for answer in self._write(body, {}) if not answer.ok]

    def _write(self, body: Manifest, before: Manifest) -> list[Answer]:
        """What of it is not as before; all of it when there was nothing before."""
        ref, answers = ref_of(body), []
        moved = self._moved(body)
        if any(body.get(key) != before.get(key) for key in ("metadata", "data")) or not before:
            answers.append(self._replace(ref, {key: part for key, part in moved.items() if key != "status"}))
        if body.get("status") and body["status"] != before.get("status"):
            answers.append(self._replace(ref, {**moved, "status": _completed(moved)}, "/status"))
        return answers

    def _replace(self, ref: Ref, body: Manifest, part: str = "") -> Answer:
        path = self._path(ref)
        there = self._client.get(path)
        known = there.body.get("metadata", {}) if there.ok else {}
        body = copy.deepcopy(body)
        metadata = {key: body["metadata"][key] for key in KEPT if key in body["metadata"]} | {"name": ref.name}
        for owner in metadata.get("ownerReferences") or []:
            owner["uid"] = self._uids.get(owner["uid"], owner["uid"])
            owner.setdefault("apiVersion", "apps/v1")
        if there.ok:
            body["metadata"] = {**metadata, "resourceVersion": known["resourceVersion"]}
            return self._client.request("PUT", f"{path}{part}", body)
        answer = self._client.create(path.rpartition("/")[0], {**body, "metadata": metadata})
        if answer.ok:
            was = self._state.world.cluster.peek(ref) or answer.body
            self._uids[was["metadata"]["uid"]] = answer.body["metadata"]["uid"]
        return answer

    def _moved(self, body: Manifest) -> Manifest:
        """With its moments in the time of the stage."""

        def later(found: re.Match[str]) -> str:
            moment = datetime.fromisoformat(f"{found.group()}+00:00") + self._later
            return timestamp(moment)[: len(found.group())]

        moved: Manifest = json.loads(_MOMENT.sub(later, json.dumps(body)))
        return moved

    def _path(self, ref: Ref) -> str:
        prefix, _, plural = PATHS[ref.kind].rpartition("/")
        return f"{prefix}/namespaces/{self.namespace}/{plural}/{ref.name}"


def _completed(body: Manifest) -> Any:
    """Its status with what the API server wants beyond a fake one; nonsense that cannot be completed as it is."""
    with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
        if body["kind"] in COMPLETED:
            return COMPLETED[body["kind"]](body["status"], body)
    return body["status"]


def _is_put(body: Manifest) -> bool:
    """Whether it is of this state alone: not a node, and nothing of the neighbour that states have, too."""
    of_neighbour = ref_of(body) == NEIGHBOUR or (body["kind"] == "HTTPRoute" and body["metadata"]["name"] == "other")
    return body["kind"] not in NOT_THEIRS and not of_neighbour
