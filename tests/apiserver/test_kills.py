"""The operator's process is killed with SIGKILL at its writes, on a real API server: it ends as if nothing had been.

`tests/unit/crash` replays the same against a fake, in which every write is tried. Here the process, the API server and
the queries are real: what a fake forgives (a lost answer, a watch that starts over, an apply that is sent twice) is
asked for. `make test` tries a sample of the writes; `make trust-crash` every one, before it and after it.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apiserver.conftest import CRDS
from tests.apiserver.harness import ApiServer
from tests.apiserver.stage import (
    NAME,
    OURS,
    Stage,
    Story,
    a_stage,
    outcome_of,
    tell,
    weight_of,
    written_weights,
)  # fmt: skip
from tests.cluster.layout import cluster_from_environment
from tests.cluster.tools import gateway_api_crds
from tests.unit.crash.replay import route_facts, status_facts

SAMPLE = 3  # kills a story in `make test`
SIDE_BY_SIDE = 3
MOST_MISSED = 0.3  # share of the kills whose write did not come
Kill = tuple[str, int, bool]  # which write by its name, which of those, and whether after it
_numbers = itertools.count(1)


def abort(stage: Stage) -> None:
    """A person asks for it while the canary has traffic; again and again with the same token is once."""
    if weight_of(stage) == 10:
        annotation = {"changeover.dev/requested-abort": "enough"}
        stage.merge(OURS, "canarymigrations", NAME, {"metadata": {"annotations": annotation}})


def delete(stage: Stage) -> None:
    """A person deletes it while the canary has traffic."""
    found = stage.migration()
    if found is not None and weight_of(stage) == 10 and "deletionTimestamp" not in found["metadata"]:
        stage.delete(OURS, "canarymigrations", NAME)


STORIES = {
    "promoted": Story(lambda stage: outcome_of(stage) == "Promoted"),
    "rolled back for its errors": Story(lambda stage: outcome_of(stage) == "RolledBack", failed={"new": 0.5}),
    # Whether the objectives were judged before depends on when the person came.
    "aborted by a person": Story(
        lambda stage: outcome_of(stage) == "RolledBack", abort, undetermined=frozenset({"ObjectivesMet"})
    ),
    "deleted under way": Story(lambda stage: stage.migration() is None, delete),
}


@dataclass(frozen=True)
class Course:
    """One run: how it ended, the writes that it took, and what was written to the route."""

    end: dict[str, Any]
    writes: list[str]
    route: list[tuple[int, str]]
    starts: int


@pytest.fixture(scope="session")
def routed(server: ApiServer) -> Iterator[ApiServer]:
    """The API server with the Gateway API's kinds."""
    with server.client() as client:
        for document in yaml.safe_load_all(gateway_api_crds(cluster_from_environment()).read_text()):
            if document is not None:
                client.apply(f"{CRDS}/{document['metadata']['name']}", document)
    yield server


def run(server: ApiServer, story: Story, folder: Path, kill: Kill | None = None) -> Course:
    """A story on a stage of its own; the operator is killed at one of its writes, or at none."""
    place = folder / f"stage-{next(_numbers)}"
    place.mkdir()
    with a_stage(server, f"killed-{place.name}", place, story.failed) as stage:
        if kill is not None:
            stage.proxy.kill_at(*kill)
        tell(stage, story)
        return Course(end_of(stage, story), [w.what for w in stage.proxy.writes], written_weights(stage), stage.starts)


def end_of(stage: Stage, story: Story) -> dict[str, Any]:
    """What must be the same however often the process died."""
    route, migration = stage.route(), stage.migration()
    assert route is not None
    labels, spec, mark = route_facts(route)
    facts = status_facts(migration["status"]) if migration is not None else {}
    if facts:
        facts["conditions"] = [one for one in facts["conditions"] if one[0] not in story.undetermined]
    finalizers = migration["metadata"].get("finalizers") if migration is not None else None
    return {"labels": labels, "rules": spec["rules"], "mark": mark, "finalizers": finalizers, **facts}


def differences(course: Course, reference: Course) -> list[str]:
    """In what a run that was killed is not as the reference; empty when in nothing that matters."""
    found = [
        f"{key}: {course.end[key]} instead of {reference.end[key]}"
        for key in reference.end
        if course.end[key] != reference.end[key]
    ]
    return found + broken_rules(course.route)


def broken_rules(written: list[tuple[int, str]]) -> list[str]:
    """What no sequence of writes to the route may do."""
    weights = [weight for weight, _ in written]
    phases = [phase for _, phase in written]
    found = []
    if "RollingBack" in phases and any(weights[phases.index("RollingBack") :]):
        found.append(f"a weight after the rollback: {written}")
    rises = [after for before, after in itertools.pairwise([0, *weights]) if after > before]
    if rises != sorted(set(rises)):
        found.append(f"a weight rose twice: {written}")
    return found


def kills_of(reference: Course) -> list[Kill]:
    """Which kills are tried: before and after each write, or after the first few of the route."""
    counted: Counter[str] = Counter()
    numbered = []
    for what in reference.writes:
        counted[what] += 1
        numbered.append((what, counted[what]))
    if os.environ.get("CHANGEOVER_KILLS") == "all":
        return [(*write, after) for write in numbered for after in (False, True)]
    return [(what, number, True) for what, number in numbered if "httproutes" in what][:SAMPLE]


@pytest.mark.parametrize("name", STORIES)
def test_killed_at_its_writes_it_ends_as_if_it_had_not_been(name: str, routed: ApiServer, tmp_path: Path) -> None:
    story = STORIES[name]
    reference = run(routed, story, tmp_path)
    assert reference.starts == 1 and broken_rules(reference.route) == []
    kills = kills_of(reference)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        courses = list(pool.map(lambda kill: run(routed, story, tmp_path, kill), kills))
    # How often status is written depends on how the passes fall, so its last write may never come.
    missed = sum(course.starts < 2 for course in courses)
    wrong = {
        kill: found for kill, course in zip(kills, courses, strict=True) if (found := differences(course, reference))
    }
    print(f"\n  {name}: {len(reference.writes)} writes, {len(kills) - missed} kills, {len(wrong)} ended otherwise")
    assert missed <= MOST_MISSED * len(kills)
    assert not wrong, "\n".join(
        f"{'after' if kill[2] else 'before'} {kill[:2]}: {found}" for kill, found in wrong.items()
    )
