"""Who leads: at most one at any moment, and the next soon after the end of the one before."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from changeover.adapters.lease import MARGIN_SECONDS, Lease, NotLeading, Terms
from changeover.core.errors import Unavailable
from changeover.core.plan import Manifest, Ref
from changeover.testing.clock import FakeClock
from changeover.testing.cluster import FakeCluster

REF = Ref("Lease", "system", "changeover")
SECONDS = 4
LOST: dict[str, Manifest] = {"deleted": {}, "emptied": {"spec": {}}, "without spec": {}}


@dataclass
class Time:
    """By which both measure."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(FakeClock())


def a_lease(cluster: FakeCluster, identity: str, time: Time) -> Lease:
    return Lease(cluster, Terms(REF, identity, SECONDS), time)


async def looked(*leases: Lease) -> list[bool]:
    for lease in leases:
        await lease.look()
    return [lease.leading for lease in leases]


async def test_the_first_leads_and_the_second_waits_while_it_is_renewed(cluster: FakeCluster, time: Time) -> None:
    first, second = a_lease(cluster, "a/1", time), a_lease(cluster, "b/1", time)
    for _ in range(20):
        assert await looked(first, second) == [True, False]
        cluster.clock.advance(1)  # type: ignore[attr-defined]
        time.now += 1
    assert (first.term, second.term) == (1, 0)


async def test_who_falls_silent_stops_before_another_takes_over(cluster: FakeCluster, time: Time) -> None:
    first, second = a_lease(cluster, "a/1", time), a_lease(cluster, "b/1", time)
    await looked(first, second)
    first.check()
    for _ in range(10 * SECONDS):
        time.now += 0.1
        await second.look()
        assert not (first.leading and second.leading)
        if second.leading:
            break
    assert second.leading and second.term == 2
    assert time.now == pytest.approx(1000 + SECONDS, abs=0.2)
    with pytest.raises(NotLeading):
        first.check()
    assert await looked(first, second) == [False, True]


async def test_between_the_two_there_is_a_margin(cluster: FakeCluster, time: Time) -> None:
    lease = a_lease(cluster, "a/1", time)
    await lease.look()
    time.now += SECONDS - MARGIN_SECONDS - 0.01
    lease.check()
    time.now += 0.02
    with pytest.raises(NotLeading):
        lease.check()


async def test_what_was_let_go_is_free_at_once_and_only_by_its_holder(cluster: FakeCluster, time: Time) -> None:
    first, second = a_lease(cluster, "a/1", time), a_lease(cluster, "b/1", time)
    await looked(first, second)
    await second.release()
    assert await looked(second) == [False]
    await first.release()
    assert not first.leading
    assert await looked(second, first) == [True, False]
    assert second.term == 2


async def test_the_next_process_of_a_pod_need_not_wait_for_the_one_before(cluster: FakeCluster, time: Time) -> None:
    await a_lease(cluster, "a/1", time).look()
    again = a_lease(cluster, "a/2", time)
    assert await looked(again) == [True]
    assert again.term == 2, "a write of the one before may still be on its way"


async def test_without_a_pod_every_process_is_a_stranger(cluster: FakeCluster, time: Time) -> None:
    await a_lease(cluster, "/1", time).look()
    assert await looked(a_lease(cluster, "/2", time)) == [False]


async def test_of_two_that_take_it_at_once_one_is_refused(cluster: FakeCluster, time: Time) -> None:
    await a_lease(cluster, "a/1", time).look()
    leases = [a_lease(cluster, f"{pod}/1", time) for pod in "bc"]
    await looked(*leases)
    time.now += SECONDS
    read, get = itertools.count(), cluster.get
    found = await get(REF)

    async def both_read_before_either_writes(ref: Ref) -> object:
        next(read)
        return found

    cluster.get = both_read_before_either_writes  # type: ignore[method-assign, assignment]
    assert await looked(*leases) == [True, False]
    assert next(read) == 2


async def test_while_the_api_server_is_away_it_leads_until_its_end_and_no_longer(
    cluster: FakeCluster, time: Time
) -> None:
    lease = a_lease(cluster, "a/1", time)
    await lease.look()

    def away(verb: str, kind: str, name: str) -> None:
        raise Unavailable("away")

    cluster.fault = away
    time.now += 1
    with pytest.raises(Unavailable):
        await lease.look()
    assert lease.leading
    time.now += SECONDS
    assert not lease.leading


@pytest.mark.parametrize("how", LOST)
async def test_what_is_taken_away_under_who_leads_is_made_anew_by_it_and_taken_by_nobody(
    how: str, cluster: FakeCluster, time: Time
) -> None:
    first, second = await the_first_has_lost_it(how, cluster, time)
    assert await looked(second, first, second) == [False, True, False]
    assert first.term == 1, "the same goes on"
    assert (await spec_of(cluster))["holderIdentity"] == "a/1"


@pytest.mark.parametrize("how", LOST)
async def test_what_is_taken_away_and_made_anew_by_nobody_is_free_when_it_would_have_run_out(
    how: str, cluster: FakeCluster, time: Time
) -> None:
    first, second = await the_first_has_lost_it(how, cluster, time)
    assert await looked(second) == [False]
    time.now += SECONDS - 0.1
    assert await looked(second) == [False]
    time.now += 0.2
    assert await looked(second) == [True]
    assert not first.leading and second.term == 2, "a term is never given twice"


async def test_a_write_whose_answer_was_lost_is_gone_on_with(cluster: FakeCluster, time: Time) -> None:
    first, second = a_lease(cluster, "a/1", time), a_lease(cluster, "b/1", time)
    await looked(first, second)
    time.now += SECONDS
    await second.look()
    await second.release()
    merge = cluster.merge

    async def unanswered(ref: Ref, patch: Manifest) -> None:
        await merge(ref, patch)
        raise Unavailable("the answer was lost")

    cluster.merge = unanswered  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await first.look()
    cluster.merge = merge  # type: ignore[method-assign]
    assert await looked(first) == [True]
    assert first.term == (await spec_of(cluster))["leaseTransitions"] == 3


async def the_first_has_lost_it(how: str, cluster: FakeCluster, time: Time) -> tuple[Lease, Lease]:
    """Of two the first leads, and somebody meddles with the Lease."""
    first, second = a_lease(cluster, "a/1", time), a_lease(cluster, "b/1", time)
    await looked(first, second)
    if how == "deleted":
        cluster.discard(REF)
    else:
        cluster.put({"kind": "Lease", "metadata": {"name": REF.name, "namespace": REF.namespace}, **LOST[how]})
    return first, second


async def spec_of(cluster: FakeCluster) -> Manifest:
    found = await cluster.get(REF)
    assert found is not None
    spec: Manifest = found["spec"]
    return spec
