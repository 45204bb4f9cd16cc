"""A sample of the search finds nothing, and the search finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest
from changeover.core import migration, raising, verbs
from changeover.core.mark import Mark, Phase
from changeover.core.migration_state import SeenMigration, Step, split
from changeover.core.observed import Route
from changeover.core.sequential import Verdict

from tests.trust.ladder.configurations import BY_NAME, CONFIGURATIONS, PLAIN, TOLD_LIVE, Configuration
from tests.trust.ladder.edges import known
from tests.trust.ladder.passes import Decide
from tests.trust.search import EVERY, LEAST, Found, Search, main, search_all, summed, told, too_few

SAMPLE = 80_000  # of the sample, shared by the configurations: half a minute
ENOUGH = 20_000  # states: what each broken decision is found within


@pytest.mark.trust
def test_no_decision_in_a_sample_breaks_a_rule() -> None:
    found = list(search_all(CONFIGURATIONS, states=SAMPLE))
    for one in found:
        print(told(one))
    assert {one.name: one.violations for one in found if one.violations} == {}
    assert all(one.memories > EVERY and one.walked for one in found)


def climbs_again(seen: SeenMigration) -> Step:
    """The trap: what is rolled back goes up once more."""
    mark = mark_of(seen)
    if mark is None or mark.phase is not Phase.ROLLING_BACK:
        return verbs.decide(seen)
    return rising(verbs.decide(seen), mark, seen)


def ignores_the_pause(seen: SeenMigration) -> Step:
    mark = mark_of(seen)
    return rising(verbs.decide(seen), mark, seen) if mark is not None and mark.paused else verbs.decide(seen)


def approves_itself(seen: SeenMigration) -> Step:
    step = verbs.decide(seen)
    if step.reason != "WaitingForApproval" or step.mark is None:
        return step
    return rising(step, step.mark, seen)


def takes_what_is_not_ours(seen: SeenMigration) -> Step:
    step = verbs.decide(seen)
    if step.reason != "RouteNotOurs":
        return step
    mark = Mark(Phase.PREPARING, 0, 0, seen.now, seen.owner.generation, seen.arms, "Preparing", "", 0)
    return replace(step, actions=(split(mark),), mark=mark)


def forgets_a_lost_rollback(seen: SeenMigration) -> Step:
    """Status is not asked for a rollback whose route is gone."""
    with mock.patch.object(migration, "remembered_rollback", lambda seen: None):
        return verbs.decide(seen)


def does_not_look_at_the_split(seen: SeenMigration) -> Step:
    """The last scrapes may show that nobody reaches the canary."""
    with mock.patch.object(raising, "disagreement", lambda latest, weight: ""):
        return verbs.decide(seen)


def judges_what_was_read_first(seen: SeenMigration) -> Step:
    """There may be later blocks than those of this pass."""
    step = verbs.decide(seen)
    if not seen.behind or step.mark is None or step.weighing is None or step.weighing.verdict is not Verdict.ADVANCE:
        return step
    return raising.advance(seen, step.mark, step.weighing)


def never_ends(seen: SeenMigration) -> Step:
    return replace(verbs.decide(seen), outcome=None)


class Forgetful:
    """Decides by how often it was asked, and not by what was seen alone."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, seen: SeenMigration) -> Step:
        self.asked += 1
        return replace(verbs.decide(seen), message=str(self.asked))


def rising(step: Step, mark: Mark, seen: SeenMigration) -> Step:
    up = replace(mark, phase=Phase.STEPPING, step=mark.step + 1, weight=50, came_from=mark.weight, since=seen.now)
    return replace(step, actions=(split(up),), mark=up, outcome=None)


def mark_of(seen: SeenMigration) -> Mark | None:
    route = seen.route
    return Mark.parse(route.mark) if isinstance(route, Route) and route.ours else None


SMALL = Configuration("small", (PLAIN,), (), ("route lost",))
APPROVAL, PAUSE, JUMP = (BY_NAME[name] for name in ("approval", "pause", "jump"))
AGAIN = "after a rollback in the same generation and attempt"
BROKEN: list[tuple[Configuration, Decide, str, str]] = [
    (APPROVAL, climbs_again, AGAIN, "a pass"),
    (PAUSE, ignores_the_pause, "while paused", "pause is asked for"),
    (SMALL, forgets_a_lost_rollback, AGAIN, "the route is deleted"),
    (SMALL, does_not_look_at_the_split, "while the last scrapes do not speak for it", "latest split off"),
    (SMALL, judges_what_was_read_first, "while there are blocks to be read", "behind more to read"),
    (APPROVAL, approves_itself, "without a token of approve", "a pass"),
    (JUMP, takes_what_is_not_ours, "a route of somebody else is written", "is taken over by another migration"),
    (SMALL, never_ends, "it has not ended after", ""),
    (SMALL, Forgetful(), "decided otherwise the second time", ""),
]


@pytest.mark.trust
@pytest.mark.parametrize(
    ("configuration", "decide", "rule", "event"),
    BROKEN,
    ids=[getattr(decide, "__name__", "forgetful") for _, decide, _, _ in BROKEN],
)
def test_a_broken_decision_is_found_with_the_way_to_it(
    configuration: Configuration, decide: Decide, rule: str, event: str
) -> None:
    found = Search(configuration, decide).run(states=ENOUGH, until=rule)
    ways = [way for violation, way in found.violations.items() if rule in violation]
    assert ways, f"not found in {told(found)}: {list(found.violations)}"
    assert any(event in happened for happened in ways[0]) or not event, ways[0]


@pytest.mark.trust
def test_what_the_search_writes_is_what_live_courses_are_held_against() -> None:
    """A new way to write a weight is looked at, and kept: ``python -m tests.trust.search --edges --states 1150000``."""
    written = Search(TOLD_LIVE).run(states=ENOUGH // 2).edges
    assert len(written) > 20 and written <= known()
    climbing = Search(TOLD_LIVE, climbs_again).run(states=ENOUGH // 2).edges - known()
    assert any("RollingBack step 1 at 0 % -> Stepping step 2 at 50 %" in edge for edge in climbing), climbing


@pytest.mark.trust
def test_the_way_to_a_violation_is_short() -> None:
    """A pause is asked for, taken up, and broken; before that, no more than a life begins with."""
    found = Search(PAUSE, ignores_the_pause).run(states=ENOUGH, until="while paused")
    ways = [way for violation, way in found.violations.items() if "while paused" in violation]
    assert ways and len(ways[0]) <= 8, ways


@pytest.mark.trust
def test_a_search_says_what_it_left_out() -> None:
    found: Found = Search(BY_NAME["windows"]).run(states=100)
    assert found.waiting > 0 and not found.is_whole and "not played" in told(found)
    assert f"{found.waiting:,} more reached and not played" in summed([found, Found("whole", states=7)])


@pytest.mark.trust
def test_a_search_that_was_cut_short_is_no_proof(capsys: pytest.CaptureFixture[str]) -> None:
    cut, whole = Found("cut", states=LEAST - 1, waiting=1), Found("whole", states=LEAST - 1)
    assert too_few([cut], 2 * LEAST) and not too_few([whole], 2 * LEAST)
    assert not too_few([cut], LEAST - 1) and not too_few([cut, whole], 2 * LEAST)
    assert main(["--only", "windows", "--seconds", "0.1"]) == 1
    assert "too few" in capsys.readouterr().out
    assert main(["--only", "windows", "--states", "50"]) == 0
