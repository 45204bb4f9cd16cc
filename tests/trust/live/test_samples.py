"""A minute's sample of the other goals on a real API server; each whole takes ``make trust-rest`` and its like."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from tests.trust.live import lead, naive, rest, rights, soak, takeovers
from tests.trust.live.__main__ import Tally, attempt
from tests.trust.live.calls import UNSEEN, Call, Record
from tests.trust.live.stage import Stage, Story, play_until
from tests.trust.live.stories import TOLD_FOR_RIGHTS
from tests.trust.live.takeovers import Takeover
from tests.trust.live.trials import Bench, Trial

SECONDS = 15.0
LEADERS = 1  # trial of the Lease, of each way
LEAST = ["migration, promoted", "migration, deleted mid-step"]  # that take all rights together with those told for it
RESTING = ["migration, promoted", "migration, rolled back for its errors", "benchmark, published"]
SEED = 20261128


def test_the_harness_finds_the_status_that_is_lost_between_two_writes(bench: Bench) -> None:
    """In an operator by kopf's book; else what it does not find in ours would prove nothing."""
    found = naive.losses(bench)
    print(f"\n  lost for ever: {found}")
    assert any("frameworkbenchmarks" in what for (what, _), _ in found)


def test_the_harness_finds_what_goes_on_for_an_object_that_is_gone(bench: Bench) -> None:
    """In an operator that keeps what it was told of."""
    assert naive.ghosts(bench) == list(UNSEEN)


def test_where_that_one_goes_on_ours_does_not(bench: Bench) -> None:
    name, tally = "benchmark, deleted under way", Tally()
    attempt(bench, [Trial(name, ((*naive.DELETION, how),)) for how in UNSEEN], tally, SECONDS)
    print(f"\n  {tally}")
    assert tally.did == len(UNSEEN), "not every event came"
    assert not tally.failed


def test_what_has_ended_is_at_rest(bench: Bench) -> None:
    told = rest.attempt(bench, RESTING)
    assert set(told) == set(RESTING) and rest.failed(told) == []


def test_among_faults_and_churn_nobody_is_surprised(bench: Bench) -> None:
    """The slope of the memory says something after an hour: ``make trust-soak``."""
    told = soak.Soaked()
    soak.run(bench, SECONDS, SEED, told)
    print(f"\n  {told}")
    assert told.faults > 0 and told.churned > 10
    assert told.tracebacks == []
    assert told.most_descriptors <= soak.DESCRIPTORS_MORE


def test_what_is_granted_is_used_and_nothing_is_denied(bench: Bench) -> None:
    found = rights.attempt(bench, [*TOLD_FOR_RIGHTS, *LEAST])
    print("\n  " + rights.summary(found, "everywhere"))
    assert {("leases", "changeover-of-stage"), ("secrets", rights.HOOKS)} <= {(r.resource, r.name) for r in found.used}
    assert found.is_as_promised


def test_of_two_operators_one_leads_and_the_other_takes_over(bench: Bench) -> None:
    """In time, too: a slow takeover that a busy machine explains is tried once more, alone, and then says nothing."""
    told = lead.attempt(bench, LEADERS, SEED)
    print("\n  " + lead.summary(told))
    assert {trial.way for trial, _ in told} == set(lead.WAYS)
    assert not [found for _, found in told if found.failed]
    assert {"killed", "told"} <= {one.way for one in lead.times(told)}
    assert takeovers.too_slow(lead.times(told)) == []


def test_takeovers_that_take_longer_than_promised_are_told_and_void_ones_are_counted() -> None:
    quick, slow = Takeover("told", 0.3), Takeover("told", 1.2, lost=0.1)
    assert takeovers.too_slow([*[quick] * 9, slow]) == []
    assert takeovers.too_slow([*[quick] * 8, slow, slow]) == ["told"]
    assert takeovers.too_slow([Takeover("killed", 3.9)] * 17 + [Takeover("killed", 29.0, lost=9.0)] * 16) == ["killed"]
    assert takeovers.too_slow([Takeover("stopped", 20.0)]) == []  # it is promised of who is killed, or told to end
    busy = Takeover("told", 1.2, lost=0.4)
    assert busy.is_void and not slow.is_void and not quick.is_void
    assert takeovers.too_slow([quick, busy]) == [] and takeovers.unjudged([quick, busy]) == ["told"]


def test_late_writes_are_those_that_ended_after_the_other_led() -> None:
    def written(what: str, done: float, status: int) -> Record:
        method, _, name = what.partition(" ")
        return Record(Call(method, f"/apis/any/v1/namespaces/stage/{name}"), 0.0, status, done)

    before, found = written("PATCH httproutes/shop", 1.0, 200), lead.Found()
    late = [written("PATCH httproutes/shop", 3.0, status) for status in (409, 200)]
    lead.sort_late(
        found, [before, *late, written("POST events", 3.0, 201), written("GET httproutes/shop", 3.0, 200)], 2.0
    )
    assert (found.late_writes, found.refused, found.events) == ([late[0].call.what], [late[0].call.what], 1)
    assert found.failed


def test_people_act_also_while_nobody_leads() -> None:
    """Who takes over may be past the step in which they would have."""
    acted = list[Any]()
    story = Story(list, lambda stage: False, meddle=acted.append)
    nobody = SimpleNamespace(play_others=lambda: None)
    play_until(cast(Stage, nobody), story, lambda: len(acted) == 3, "three rounds")
    assert acted == [nobody] * 3
