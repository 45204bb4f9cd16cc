"""What a step's evidence comes to, with the day, the peak and the benchmark beside it, and without an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.as_measured import Benchmarked
from changeover.core.day import Day
from changeover.core.design import Baseline
from changeover.core.mark import Phase
from changeover.core.migration import decide
from changeover.core.migration_state import CanaryChoice
from changeover.core.observed import NoData, Peak
from changeover.core.sequential import Verdict

from tests.unit.core.seen import NOW, blocks, counts, kept, seen, workload
from tests.unit.core.test_migration_ladder import BAD, TIMEOUT, written

# Twice the highest traffic is to leave the canary below 40 % of its CPU.
FORESEEN: dict[str, Any] = {
    "objectives": [
        {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}},
        {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40, "atTrafficMultiple": 2}},
    ]
}


def test_evidence_of_this_step_is_gone_on_with() -> None:
    step = decide(seen(evidence=kept(2), blocks=blocks(5)[2:]))
    assert step.weighing is not None and step.weighing.evidence.requests == 5 * 600


def test_a_bad_canary_is_rolled_back_for_what_status_kept_though_prometheus_is_down() -> None:
    step = decide(seen(evidence=kept(5, BAD), blocks=TIMEOUT, latest=TIMEOUT))
    assert step.mark is not None
    assert (step.reason, step.mark.reason) == (Reason.ROLLING_BACK, Reason.LATENCY_MISSED)


@pytest.mark.parametrize(("seconds", "verdict"), [(360, Verdict.HOLD), (361, Verdict.ROLLBACK)])
def test_without_an_answer_it_is_blind_for_the_spans_limit_and_one_block_more(seconds: int, verdict: Verdict) -> None:
    evidence = replace(kept(20), until=NOW - timedelta(seconds=seconds))
    step = decide(seen(evidence=evidence, blocks=TIMEOUT, latest=TIMEOUT))
    assert step.weighing is not None
    assert (step.weighing.verdict, step.weighing.reason) == (verdict, Reason.BLIND)
    assert f"no evidence for {seconds} s, at most 360 s: timed out" in step.message


def test_a_rollback_for_blindness_is_marked_so() -> None:
    step = decide(seen(blocks=TIMEOUT, latest=TIMEOUT))
    assert step.mark is not None
    assert (step.mark.phase, step.mark.reason) == (Phase.ROLLING_BACK, Reason.BLIND)


def test_cpu_is_held_against_the_limit_of_all_pods_together() -> None:
    """0.36 cores are 36 % of two pods with half a core each, and 72 % of one."""
    busy = kept(0)
    two = decide(seen(evidence=busy, blocks=blocks(20, cores=0.36)))
    one = decide(seen(evidence=replace(busy, pods=1), blocks=blocks(20, cores=0.36), canary=workload(1, 1)))
    assert written(two) == 50
    assert one.mark is not None and one.mark.reason is Reason.CPU_MISSED


def test_a_canary_without_a_cpu_limit_is_blind_on_that_side_and_is_not_promoted() -> None:
    step = decide(seen(blocks=blocks(5), canary=workload(cpu_limit=None)))
    assert step.mark is not None and step.mark.reason is Reason.BLIND
    assert "have its pods a CPU limit or request?" in step.message


def test_the_highest_traffic_that_was_seen_is_remembered_and_a_lower_one_does_not_lessen_it() -> None:
    evidence = replace(kept(0), peak=50.0)
    for rate, highest in ((80.1234567, 80.1235), (20.0, 50.0)):
        step = decide(seen(FORESEEN, evidence=evidence, peak=Peak(rate, NOW, 60.0)))
        assert step.weighing is not None and step.weighing.evidence.peak == highest


def test_without_a_known_peak_what_is_to_bear_it_is_undecided() -> None:
    step = decide(seen(FORESEEN, blocks=blocks(20), peak=NoData("no series")))
    assert step.reason is Reason.WAITING_EVIDENCE
    assert "the highest traffic of the last 24 hours is not known yet" in step.message


@pytest.mark.parametrize(("pods", "a_pod", "seen_a_pod"), [(1, 80, 10), (2, 40, 5)])
def test_the_peak_is_foreseen_for_as_many_pods_as_there_are(pods: int, a_pod: int, seen_a_pod: int) -> None:
    """Twice 40 requests/s are to be borne, and 10 requests/s reach the canary now; each is shared among its pods."""
    canary = workload(pods, pods, cpu_limit=1.0 / pods)
    step = decide(seen(FORESEEN, blocks=blocks(20), peak=Peak(40.0, NOW, 60.0), canary=canary))
    assert f"a projection to {a_pod} requests/s a pod needs at least {a_pod // 2} to have been seen" in step.message
    assert f"the most was {seen_a_pod}:" in step.message


def test_while_it_is_scaled_to_none_the_pod_that_still_answers_counts_as_one() -> None:
    one = workload(1, 1, cpu_limit=1.0)
    before = decide(seen(FORESEEN, blocks=blocks(20), peak=Peak(40.0, NOW, 60.0), canary=one)).weighing
    assert before is not None
    step = decide(seen(FORESEEN, evidence=before.evidence, blocks=(), canary=replace(one, replicas=0)))
    assert "a projection to 80 requests/s a pod" in step.message


def test_what_a_pod_carried_in_the_benchmark_counts_as_seen() -> None:
    """A tenth of the traffic says too little of the whole, but the benchmark has seen as much."""
    world = seen(FORESEEN, blocks=blocks(20), peak=Peak(20.0, NOW, 60.0))
    assert "the most was 5:" in decide(world).message
    measured = replace(world, choice=CanaryChoice(benchmarked=Benchmarked(rps=50.0)))
    assert decide(measured).message.endswith("20 blocks; the first look is at block 24")


def test_what_stable_was_like_over_a_day_counts_where_it_is_known() -> None:
    both = tuple(replace(b, canary=counts(600, slow=9), stable=counts(5400, slow=65)) for b in blocks(12))
    day = Day(NOW, "key", 24, {"latency": Baseline(0.002, 0.0021, 0.0019)})
    assert decide(seen(blocks=both, day=day)).reason is Reason.SHARED_INCIDENT
    assert decide(seen(blocks=both)).reason is not Reason.SHARED_INCIDENT


def test_minutes_of_the_days_busiest_hour_are_counted_where_a_step_is_to_cover_it() -> None:
    """The busiest hour is the one that ends now; the blocks begin half an hour ago."""
    day = Day(NOW, "key", 24, peaks=(NOW.hour * 60 - 60,))
    covering = {"steps": [{"weightPercent": 10, "maxDuration": "48h", "covers": ["DailyPeak"]}, {"weightPercent": 100}]}
    for spec, seconds in ((covering, 20 * 60.0), ({}, 0.0)):
        weighing = decide(seen(spec, blocks=blocks(20), day=day)).weighing
        assert weighing is not None and weighing.evidence.covered.best == seconds
