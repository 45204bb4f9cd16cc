"""How a story ended: what must be the same whatever happened on the way, and what may never happen on the way."""

from __future__ import annotations

import itertools
from typing import Any

from changeover.core.mark import Mark
from changeover.core.names import ANNOTATION_ABOUT
from changeover.core.plan import Manifest
from changeover.testing.world import weights

from tests.trust.ladder.edges import edge, known
from tests.trust.live.calls import Call, Record
from tests.trust.live.mirror import COLLECTIONS
from tests.trust.live.named import unnamed
from tests.trust.live.repeated import REPEATED, UNDISTURBED, Disturbed, measured_again, told_again
from tests.trust.live.stage import OURS, Stage, Story
from tests.unit.crash.guard import mark_of
from tests.unit.crash.replay import route_facts, status_facts

WAYS = known()


def end_of(stage: Stage, story: Story) -> dict[str, Any]:
    """The facts. Times, messages with figures, and the number of tries of a run are left out."""
    everything = [found for kind in COLLECTIONS for found in stage.world.cluster.all(kind)]
    return {
        "objects": sorted(f"{one['kind']} {one['metadata']['name']}" for one in everything if one["kind"] != "Pod"),
        "routes": [_route(one, story) for one in everything if one["kind"] == "HTTPRoute"],
        "finalizers": [one["metadata"].get("finalizers", []) for one in everything if one["kind"] in OURS],
        "records": sorted({REPEATED.sub("", key) for one in everything for key in _records(one)}),
        "statuses": [_status(one.get("status") or {}, story) for one in everything if one["kind"] in OURS],
    }


def _records(found: Manifest) -> list[str]:
    return list(found.get("data") or {}) if found["kind"] == "ConfigMap" else []


def _route(found: Manifest, story: Story) -> Any:
    labels, spec, mark = route_facts(found)
    kept = mark and {key: said for key, said in mark.items() if key not in story.undetermined}
    return labels, spec["rules"], kept


def _status(status: Manifest, story: Story) -> dict[str, Any]:
    facts = {key: fact for key, fact in status_facts(status).items() if key not in story.undetermined}
    facts["conditions"] = [one for one in facts["conditions"] if one[0] not in story.undetermined]
    facts["ranking"] = [(row["rank"], row["candidate"]) for row in status.get("ranking") or []]
    facts["results"] = [(row["candidate"], row["scenario"], row["valid"]) for row in status.get("results") or []]
    return facts


def differences(end: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """In what an end is not as the reference; empty when in nothing that matters."""
    return [f"{key}: {end[key]} instead of {reference[key]}" for key in reference if end[key] != reference[key]]


def broken_rules(writes: list[Record], by: Disturbed = UNDISTURBED) -> list[str]:
    """What no sequence of writes may do, whatever happens on the way."""
    calls = [record.call for record in writes]
    ways = [f"no way of the search: {one}" for one in edges(calls) if one not in WAYS]
    return [
        *_of_attempts(calls),
        *ways,
        *unnamed(writes, by.rewound),
        *told_again(writes, by),
        *measured_again(writes, by),
    ]


def _of_attempts(writes: list[Call]) -> list[str]:
    """What no sequence of writes to the route may do, attempt by attempt."""
    marks = [(weights(call.body), mark_of(call.body) or {}) for call in writes if _of_traffic(call)]
    found = []
    for attempt, group in itertools.groupby(marks, lambda one: (one[1].get("generation"), one[1].get("attempt"))):
        written = [(100 - split["old"], str(mark.get("phase"))) for split, mark in group]
        phases = [phase for _, phase in written]
        first = phases.index("RollingBack") if "RollingBack" in phases else len(written)
        if any(weight for weight, _ in written[first:]):
            found.append(f"attempt {attempt}: a weight after the rollback: {written}")
        lower = [phase for (a, _), (b, phase) in itertools.pairwise(written[:first]) if a > b]
        # A route that somebody deleted is made anew, with all traffic on stable.
        if any(phase != "Preparing" for phase in lower):
            found.append(f"attempt {attempt}: a weight fell and no rollback was decided: {written}")
    return found


def edges(writes: list[Call]) -> list[str]:
    """What each write of weight and mark made of the mark before."""
    found, before = list[str](), None
    for call in (one for one in writes if "/httproutes" in one.path and ANNOTATION_ABOUT not in _annotations(one)):
        if _of_traffic(call):
            found.append(edge(before, mark_of(call.body) or {}))
        before = Mark.parse(mark_of(call.body))  # a route that is made, or given back, has none
    return found


def _of_traffic(call: Call) -> bool:
    return "/httproutes/" in call.path and "spec" in (call.body or {}) and ANNOTATION_ABOUT not in _annotations(call)


def _annotations(call: Call) -> dict[str, Any]:
    return ((call.body or {}).get("metadata") or {}).get("annotations") or {}
