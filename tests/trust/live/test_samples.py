"""A minute's sample of the other goals on a real API server; each whole takes ``make trust-rest`` and its like."""

from __future__ import annotations

from tests.apiserver.test_rbac import EXPECTED
from tests.trust.live import lead, naive, rest, rights, soak
from tests.trust.live.__main__ import Tally, attempt
from tests.trust.live.calls import UNSEEN
from tests.trust.live.stories import TOLD_FOR_RIGHTS
from tests.trust.live.trials import Bench, Trial

SECONDS = 15.0
LEADERS = 6  # trials of the Lease, one of each way
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
    print(f"\n  {len(found.rights)} rights used, {len(found.denied)} calls denied")
    assert found.denied == ()
    assert found.rights == EXPECTED


def test_of_two_operators_one_leads_and_the_other_takes_over(bench: Bench) -> None:
    told = lead.attempt(bench, LEADERS, SEED)
    print("\n" + lead.summary(told))
    assert len(told) >= LEADERS
    assert not [found for _, found in told if found.failed]


def test_takeovers_that_mostly_take_longer_than_promised_are_told() -> None:
    def took(way: str, seconds: float) -> tuple[lead.Trial, lead.Found]:
        return lead.Trial("migration, promoted", way, 1.0, 2), lead.Found(took=seconds)

    slow = [took("killed", 5.1), took("told", 1.2), took("told", 0.3), took("told", 0.3), took("stopped", 20.0)]
    assert lead.too_slow(slow) == ["killed"]
