"""What must hold at every instant, whoever writes: watched at each change of the fake API server."""

from __future__ import annotations

import json
from typing import Any

from changeover.core import names
from changeover.core.plan import Manifest
from changeover.core.requests import VERBS
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World, weights

STABLE, CANARY = "old", "new"
MOST_BAD = 0.1  # share of requests; what tests call bad is beyond doubt
Attempt = tuple[int, int]  # generation of the spec, attempt


class Guard:
    """Raises AssertionError at the write that breaks an invariant."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rolled_back: set[Attempt] = set()  # in which a rollback was decided
        self.retries: dict[Attempt, str] = {}  # the token by which each further attempt began
        self.raised: set[tuple[Attempt, int]] = set()  # attempt and weight of each rise that was decided
        self.by_hand: dict[tuple[str, str], Attempt] = {}  # verb and token of each raise that a person asked for
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
        if not after["spec"].get("parentRefs"):
            assert before is None, "a route that had a gateway has none"
            return
        now = weights(after)
        assert sum(now.values()) == 100, f"weights {now} do not sum to 100"
        mark, old_mark = mark_of(after), mark_of(before)
        if mark is not None and mark["phase"] == "RollingBack":
            assert 100 - now[STABLE] == mark["weight"] <= mark["from"], "a rollback only ever lowers the weight"
            self.rolled_back.add(attempt_of(mark))
        self._attempts(old_mark, mark)
        old_weights = weights(before) if before is not None else {}
        new, old = 100 - now[STABLE], 100 - old_weights.get(STABLE, 0) if old_weights else 0
        if new > old:
            self._rise(old_mark, mark, new)

    def _rise(self, old: dict[str, Any] | None, mark: dict[str, Any] | None, weight: int) -> None:
        owner = self._owner()
        outcome = ((owner or {}).get("status") or {}).get("outcome") or {}
        if outcome.get("result") == "Promoted":
            # Somebody took the route or its mark away after the end: what ended is put back, and nothing beyond it.
            assert weight == max(weight for _, weight in self.raised)
            return
        assert owner is not None and old is not None and mark is not None, f"a rise to {weight} without a mark"
        attempt = (owner["metadata"]["generation"], mark["attempt"])
        where = "generation {}, attempt {}".format(*attempt)
        assert attempt not in self.rolled_back, f"rises to {weight} after a rollback in {where}"
        assert old["phase"] != "RollingBack", f"rises to {weight} while marked RollingBack"
        assert outcome.get("result") != "RolledBack" or attempt_of(outcome) != attempt
        if weight != old["weight"]:  # else what somebody else had changed is put back
            assert not old["paused"], f"rises to {weight} while paused"
            self._asked_for(owner, old, mark, attempt)
            self.raised.add((attempt, weight))
            assert weight == owner["spec"]["steps"][mark["step"] - 1]["weightPercent"]
            assert self.world.metrics.mode == "good", f"rises to {weight} with evidence {self.world.metrics.mode}"
            canary = self.world.metrics.behaviours.get(CANARY, Behaviour())
            does_well = canary.slow_share + canary.error_share < MOST_BAD
            assert does_well or not old["weight"], f"rises from {old['weight']} to {weight} with a canary that fails"

    def _attempts(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Another attempt begins by a token that was given for it, after the one before was rolled back."""
        if old is None or new is None or new["attempt"] == old["attempt"]:
            return
        token, before = taken(new, "retry"), attempt_of(old)
        assert new["attempt"] == old["attempt"] + 1 and new["weight"] == 0
        assert token and token == asked(self._owner(), "retry") and token not in self.retries.values()
        assert old["phase"] == "RollingBack" and before in self.rolled_back
        self.retries[attempt_of(new)] = token

    def _asked_for(self, owner: Manifest, old: dict[str, Any], new: dict[str, Any], attempt: Attempt) -> None:
        """More than one step, or a step that wants approval, needs a token that was not used before."""
        promoted = new["reason"] == "PromotedByHand"
        assert promoted or new["step"] == old["step"] + 1, "more than one step at once"
        if not promoted and owner["spec"]["steps"][new["step"] - 1].get("approval") != "Manual":
            return
        verb = "promote" if promoted else "approve"
        token = taken(new, verb)
        assert token and token == asked(owner, verb), f"{verb} without a request"
        assert (verb, token) not in self.by_hand, f"{verb} {token} was carried out twice"
        self.by_hand[verb, token] = attempt

    def _owner(self) -> Manifest | None:
        return next(self.world.cluster.all("CanaryMigration"), None)

    def _records(self, before: Manifest, after: Manifest | None) -> None:
        assert after is not None, "the records are gone"
        old, new = before.get("data", {}), after.get("data", {})
        assert old.items() <= new.items(), f"a record was lost or changed: {sorted(old)} -> {sorted(new)}"

    def _measured(self, job: Manifest) -> None:
        """What was measured is on record before its Job goes: no crash costs more than the run in progress."""
        if names.LABEL_MIGRATION in job["metadata"]["labels"]:
            told = ((self._owner() or {}).get("status") or {}).get("acceptance") or {}
            runs = job["metadata"]["name"].startswith("shop-acceptance") and told.get("state") == "Running"
            assert not job.get("status") or not runs, "the acceptance's report is lost"
            return
        run = job["metadata"]["labels"][names.LABEL_RUN].rsplit(".", 1)[0]
        kept = [found.get("data", {}) for found in self.world.cluster.all("ConfigMap")]
        assert not job.get("status") or any(run in data for data in kept), f"the report of {run} is lost"

    def _status(self, before: Manifest, after: Manifest) -> None:
        old, new = before.get("status", {}), after.get("status", {})
        history, longer = old.get("history", []), new.get("history", [])
        assert longer[: len(history)] == history, "history was rewritten"
        assert len(longer) <= len(history) + 2, "more than the decision of this pass and one that a crash left untold"
        ended = old.get("outcome")
        if ended is not None and ended["generation"] == after["metadata"]["generation"]:
            retried = (ended["generation"], ended["attempt"] + 1) in self.retries
            assert new.get("outcome") == ended or retried, "an outcome is for good, but for a retry"
        self._answers(old.get("requests", []), new.get("requests", []))

    def _answers(self, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
        """An answer is for good; only that to another token of the same verb takes its place."""
        for old in (request for request in before if request["verb"] in VERBS):
            new = next((request for request in after if request["verb"] == old["verb"]), None)
            assert new is not None, f"the answer to {old} was lost"
            assert new["token"] != old["token"] or new == old, f"answered twice: {old}, {new}"


def attempt_of(told: dict[str, Any]) -> Attempt:
    """Of a mark or an outcome."""
    return told["generation"], told["attempt"]


def taken(mark: dict[str, Any], verb: str) -> str:
    """The token that a mark remembers of a verb."""
    return next((str(r["token"]) for r in mark["requests"] if r["verb"] == verb), "")


def asked(owner: Manifest | None, verb: str) -> str:
    """The token that is annotated."""
    annotations = (owner or {}).get("metadata", {}).get("annotations") or {}
    return str(annotations.get(names.ANNOTATION_REQUESTED + verb, ""))


def mark_of(route: Manifest | None) -> dict[str, Any] | None:
    text = ((route or {}).get("metadata", {}).get("annotations") or {}).get(names.ANNOTATION_MARK)
    try:
        mark: dict[str, Any] | None = json.loads(text) if text else None
    except ValueError:
        return None  # somebody broke it
    return mark if mark is not None and "weight" in mark else None
