"""What must hold at every instant, whoever writes: watched at each change of the fake API server."""

from __future__ import annotations

import json
from typing import Any

from changeover.core import names
from changeover.core.plan import Manifest
from changeover.testing.world import World, weights

STABLE = "old"


class Guard:
    """Raises AssertionError at the write that breaks an invariant."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rolled_back: set[int] = set()  # generations of the spec in which a rollback was decided
        self.foreign = False  # a test plays somebody else; nothing is asked of them
        world.cluster.watchers.append(self.watch)

    def watch(self, before: Manifest | None, after: Manifest | None) -> None:
        kind = (after or before or {}).get("kind")
        if self.foreign or kind is None:
            return
        if kind == "HTTPRoute" and after is not None:
            self._route(before, after)
        elif kind == "Job" and after is None and before is not None:
            self._measured(before)
        elif kind == "ConfigMap" and before is not None:
            self._records(before, after)
        elif kind == "CanaryMigration" and before is not None and after is not None:
            self._status(before, after)

    def _route(self, before: Manifest | None, after: Manifest) -> None:
        now = weights(after)
        assert sum(now.values()) == 100, f"weights {now} do not sum to 100"
        mark, old_mark = mark_of(after), mark_of(before)
        if mark is not None and mark["phase"] == "RollingBack":
            assert now[STABLE] == 100, "RollingBack is never written with weight"
            self.rolled_back.add(mark["generation"])
        new, old = 100 - now[STABLE], 100 - weights(before).get(STABLE, 0) if before is not None else 0
        if new > old:
            self._rise(old_mark, mark, new)

    def _rise(self, old: dict[str, Any] | None, mark: dict[str, Any] | None, weight: int) -> None:
        owner = self._owner()
        assert owner is not None and old is not None and mark is not None, f"a rise to {weight} without a mark"
        generation = owner["metadata"]["generation"]
        assert generation not in self.rolled_back, f"rises to {weight} after a rollback in generation {generation}"
        assert old["phase"] != "RollingBack", f"rises to {weight} while marked RollingBack"
        outcome = owner.get("status", {}).get("outcome", {})
        assert (outcome.get("result"), outcome.get("generation")) != ("RolledBack", generation)
        if weight != old["weight"]:  # else what somebody else had changed is put back
            assert mark["step"] == old["step"] + 1, "more than one step at once"
            assert weight == owner["spec"]["steps"][mark["step"] - 1]["weightPercent"]
            assert self.world.metrics.mode == "good", f"rises to {weight} with evidence {self.world.metrics.mode}"

    def _owner(self) -> Manifest | None:
        return next(self.world.cluster.all("CanaryMigration"), None)

    def _records(self, before: Manifest, after: Manifest | None) -> None:
        assert after is not None, "the records are gone"
        old, new = before.get("data", {}), after.get("data", {})
        assert old.items() <= new.items(), f"a record was lost or changed: {sorted(old)} -> {sorted(new)}"

    def _measured(self, job: Manifest) -> None:
        """What was measured is on record before its Job goes: no crash costs more than the run in progress."""
        run = job["metadata"]["labels"][names.LABEL_RUN].rsplit(".", 1)[0]
        kept = [found.get("data", {}) for found in self.world.cluster.all("ConfigMap")]
        assert not job.get("status") or any(run in data for data in kept), f"the report of {run} is lost"

    def _status(self, before: Manifest, after: Manifest) -> None:
        old, new = before.get("status", {}), after.get("status", {})
        history, longer = old.get("history", []), new.get("history", [])
        assert longer[: len(history)] == history, "history was rewritten"
        assert len(longer) <= len(history) + 1, "two decisions in one pass"
        ended = old.get("outcome")
        if ended is not None and ended["generation"] == after["metadata"]["generation"]:
            assert new.get("outcome") == ended, "an outcome is for good"


def mark_of(route: Manifest | None) -> dict[str, Any] | None:
    text = ((route or {}).get("metadata", {}).get("annotations") or {}).get(names.ANNOTATION_MARK)
    try:
        mark: dict[str, Any] | None = json.loads(text) if text else None
    except ValueError:
        return None  # somebody broke it
    return mark if mark is not None and "weight" in mark else None
