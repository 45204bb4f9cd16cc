"""What was not counted is blindness, never a good sign."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from changeover.api.v1alpha1 import MigrationSpec
from changeover.core.evidence import Split, StepEvidence, fold
from changeover.core.observed import Counts, Evidence
from changeover.core.sequential import Verdict
from changeover.core.weighing import Weighing, hard_trip, weigh

START = datetime(2030, 1, 1, tzinfo=UTC)
BLOCK = timedelta(minutes=1)
LATENCY = {"name": "fast", "type": "Latency", "latency": {"percentile": "99", "max": "50ms"}}
CPU = {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}}


def spec_with(objective: dict[str, Any]) -> MigrationSpec:
    return MigrationSpec.model_validate({
        "stable": {"service": {"name": "old", "port": 80}, "workload": {"name": "old"}},
        "canary": {
            "type": "Workload",
            "workload": {"service": {"name": "new", "port": 80}, "workload": {"name": "new"}},
        },
        "traffic": {"gatewayAPI": {"route": {"name": "shop"}, "parentRefs": [{"name": "public"}]}},
        "steps": [{"weightPercent": 100}],
        "objectives": [objective],
    })  # fmt: skip


def after(blocks: int, objective: dict[str, Any], counts: Counts, cores: float | None = None) -> Weighing:
    spec, evidence = spec_with(objective), StepEvidence(START, START)
    for number in range(blocks):
        block = Evidence(START + number * BLOCK, START + (number + 1) * BLOCK, counts, None, cores)
        evidence = fold(evidence, spec, [block], Split(100, 1.0))
    return weigh(evidence, spec, Split(100, 1.0))


def test_latency_that_was_not_counted_is_blind_and_rolled_back_however_few_errors_there_are() -> None:
    weighing = after(5, LATENCY, Counts(10_000, 0, {}, {}))

    assert (weighing.verdict, weighing.reason) == (Verdict.ROLLBACK, "Blind")


def test_latency_that_was_counted_is_judged_by_the_slow_and_not_by_the_errors() -> None:
    assert after(40, LATENCY, Counts(10_000, 9_000, {"fast": 0}, {})).verdict is Verdict.ADVANCE


STRICTER = {**LATENCY, "latency": {"percentile": "99", "max": "10ms"}}
FEWER = {**LATENCY, "latency": {"percentile": "95", "max": "50ms"}}


@pytest.mark.parametrize(("edited", "verdict"), [(STRICTER, Verdict.HOLD), (FEWER, Verdict.ADVANCE)])
def test_of_a_bound_that_was_edited_under_way_nothing_was_counted_yet(edited: dict[str, Any], verdict: Verdict) -> None:
    """How many may be slow is judged by the counts that there are; what is slow is not."""
    kept = after(40, LATENCY, Counts(10_000, 0, {"fast": 0}, {})).evidence
    restarted = StepEvidence.parse(kept.to_text(), START)
    assert restarted is not None
    of_an_earlier_release = replace(restarted, counted={})

    for evidence in (kept, restarted):
        folded = fold(evidence, spec_with(edited), [], Split(100, 1.0))
        assert weigh(folded, spec_with(edited), Split(100, 1.0)).verdict is verdict
    assert fold(of_an_earlier_release, spec_with(LATENCY), [], Split(100, 1.0)).states == kept.states


def test_cpu_that_stays_unknown_is_rolled_back_and_the_message_names_the_mend() -> None:
    weighing = after(5, CPU, Counts(10_000, 0, {}, {}))

    assert (weighing.verdict, weighing.reason) == (Verdict.ROLLBACK, "Blind")
    assert "limit or request" in weighing.message


def test_cpu_of_a_canary_that_nobody_asks_is_no_evidence() -> None:
    """Of CPU alone, silence would be a success."""
    weighing = after(40, CPU, Counts(0, 0, {}, {}), cores=0.01)

    assert (weighing.verdict, weighing.reason) == (Verdict.ROLLBACK, "Blind")
    assert "is it asked anything" in weighing.message
    assert after(40, CPU, Counts(1, 0, {}, {}), cores=0.01).verdict is Verdict.ADVANCE


@pytest.mark.parametrize("objective", [LATENCY, CPU])
def test_of_blocks_of_another_length_nothing_is_left(objective: dict[str, Any]) -> None:
    """What blocks of a minute tell is not what as many of ten minutes would."""
    kept = after(40, objective, Counts(10_000, 0, {"fast": 0}, {}), cores=0.1).evidence
    restarted = StepEvidence.parse(kept.to_text(), START)
    assert restarted is not None
    edited = spec_with(objective)
    longer = edited.model_copy(update={"decision": edited.decision.model_copy(update={"block": "10m"})})

    for evidence in (kept, restarted):
        folded = fold(evidence, longer, [], Split(100, 1.0))
        assert weigh(folded, longer, Split(100, 1.0)).verdict is Verdict.HOLD
        assert (folded.requests, folded.until) == (kept.requests, kept.until)
        assert weigh(fold(evidence, edited, [], Split(100, 1.0)), edited, Split(100, 1.0)).verdict is Verdict.ADVANCE
    of_an_earlier_release = replace(restarted, block=0.0)
    assert fold(of_an_earlier_release, longer, [], Split(100, 1.0)).states == kept.states


ANSWERED = Counts(10_000, 0, {"fast": 0}, {})
SLOWLY = Counts(10_000, 0, {"fast": 10_000}, {})


def of(*builds: str) -> Split:
    return Split(100, 1.0, builds=frozenset(builds))


def one_block_more(evidence: StepEvidence, objective: dict[str, Any], split: Split, counts: Counts) -> StepEvidence:
    block = Evidence(evidence.until, evidence.until + BLOCK, counts, None, 0.1)
    return fold(evidence, spec_with(objective), [block], split)


@pytest.mark.parametrize("objective", [LATENCY, CPU])
def test_of_another_build_nothing_is_known(objective: dict[str, Any]) -> None:
    """Two hours of good evidence, and then the Deployment is given another image."""
    spec = spec_with(objective)
    kept = fold(after(40, objective, ANSWERED, cores=0.1).evidence, spec, [], of("a"))
    restarted = StepEvidence.parse(kept.to_text(), START)
    assert restarted is not None

    for evidence in (kept, restarted):
        assert weigh(fold(evidence, spec, [], of("a")), spec, of("a")).verdict is Verdict.ADVANCE
        assert fold(evidence, spec, [], of()) == evidence, "not known for a moment"
        anew = one_block_more(evidence, objective, of("b"), ANSWERED)
        assert weigh(anew, spec, of("b")).verdict is Verdict.HOLD
        assert (anew.requests, anew.since, anew.until) == (0, kept.since, kept.until + BLOCK)
        assert one_block_more(anew, objective, of("b"), ANSWERED).requests == 10_000


def test_evidence_of_another_build_begins_no_earlier_than_it_was_seen() -> None:
    """A backlog of blocks, or the one in which the pods were replaced, was answered by those of before."""
    kept = fold(after(40, LATENCY, ANSWERED).evidence, spec_with(LATENCY), [], of("a"))
    now = kept.until + 50 * BLOCK
    anew = one_block_more(kept, LATENCY, replace(of("b"), anew=now), ANSWERED)
    assert (anew.until, anew.requests) == (now, 0)


@pytest.mark.parametrize("objective", [CPU, {**CPU, "cpu": {"maxPercent": 40, "atTrafficMultiple": 3}}])
@pytest.mark.parametrize("why", ["a pod is younger", "there are fewer pods"])
def test_of_a_time_when_other_pods_were_there_no_cpu_is_known(objective: dict[str, Any], why: str) -> None:
    """A pod that moved to another node has no samples of before, and those that are gone are asked for no more."""
    spec, before = spec_with(objective), Split(100, 1.0, 4, complete_from=START)
    kept = one_block_more(StepEvidence(START, START), objective, before, ANSWERED)
    assert kept.cpu["cpu"].blocks == 1
    later = kept.until + BLOCK
    then = replace(before, complete_from=later) if why == "a pod is younger" else replace(before, pods=2, anew=later)
    restarted = StepEvidence.parse(kept.to_text(), START)
    assert restarted is not None
    unknown = Evidence(kept.until, kept.until + BLOCK, ANSWERED, None, None)
    for evidence in (kept, restarted):
        # It is seen in a pass before the block is whole in which it happened.
        folded = fold(fold(evidence, spec, [], then), spec, [unknown], replace(then, anew=later + BLOCK))
        assert (folded.cpu, folded.load, folded.requests) == (kept.cpu, kept.load, 20_000)
        assert one_block_more(folded, objective, then, ANSWERED).cpu["cpu"].blocks == 2
    assert fold(replace(restarted, pods=0), spec, [unknown], before).cpu["cpu"].unseen == 1


def test_while_pods_are_replaced_they_only_speak_against_the_canary() -> None:
    kept = fold(after(40, LATENCY, ANSWERED).evidence, spec_with(LATENCY), [], of("a"))

    well = one_block_more(kept, LATENCY, of("a", "b"), ANSWERED)
    assert (well.states, well.requests, well.off) == (kept.states, kept.requests, 0)
    badly = one_block_more(kept, LATENCY, of("a", "b"), SLOWLY)
    assert badly.states["fast"].bad == 10_000 and badly.build == "a"


def test_cpu_that_is_unknown_for_a_moment_only_holds() -> None:
    assert after(4, CPU, Counts(10_000, 0, {}, {})).verdict is Verdict.HOLD


def test_a_latency_that_was_not_counted_trips_nothing_by_itself() -> None:
    latest = Evidence(START, START + BLOCK, Counts(10_000, 0, {}, {}), None, None)

    assert hard_trip(spec_with(LATENCY), latest) is None


AT_THREE_TIMES = {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40, "atTrafficMultiple": 3}}
PEAK = 200.0  # requests/s: three times on two pods is 300 a pod


def projected(cores_a_request: float, peak: float = PEAK, rps: float = 260.0, **split: float) -> Weighing:
    """After 24 blocks of so many requests/s on two pods, which may use a core each."""
    spec, evidence = spec_with(AT_THREE_TIMES), StepEvidence(START, START)
    arm = Split(100, 2.0, 2, **split)
    for number in range(24):
        load = rps * (0.8 + 0.02 * number)
        begin = START + number * BLOCK
        block = Evidence(begin, begin + BLOCK, Counts(round(60 * load), 0, {}, {}), None, cores_a_request * load)
        evidence = fold(evidence, spec, [block], arm)
    return weigh(replace(evidence, peak=peak), spec, arm)


@pytest.mark.parametrize(
    ("weighing", "verdict", "why"),
    [
        # 1 ms a request is 30 % of a core at 300 requests/s a pod, 2 ms is 60 %; both are well under 40 % as it is
        pytest.param(projected(0.001), Verdict.ADVANCE, "cpu 13.4% within 40%", id="30 % at the peak"),
        pytest.param(
            projected(0.002), Verdict.ROLLBACK, "CPU 60.0% of the limit projected to 300", id="60 % at the peak"
        ),
        pytest.param(projected(0.001, peak=0.0), Verdict.HOLD, "is not known yet", id="no peak known"),
        pytest.param(
            projected(0.001, rps=20.0),
            Verdict.HOLD,
            "needs at least 150 to have been seen",
            id="too far from what was seen",
        ),
        pytest.param(
            projected(0.001, rps=20.0, benchmarked_rps=250.0),
            Verdict.ADVANCE,
            "cpu 1.0%",
            id="its benchmark drove as much",
        ),
    ],
)
def test_cpu_is_judged_at_a_multiple_of_the_peak(weighing: Weighing, verdict: Verdict, why: str) -> None:
    assert (weighing.verdict, why in weighing.message) == (verdict, True), weighing.message


def test_what_a_projection_knows_outlives_a_restart() -> None:
    evidence = projected(0.001).evidence
    restarted = StepEvidence.parse(evidence.to_text(), START)
    assert restarted == replace(evidence, last=None)
    assert restarted is not None and (restarted.load.blocks, restarted.peak) == (24, PEAK)


def test_without_a_multiple_nothing_of_a_projection_is_kept() -> None:
    assert "load" not in after(8, CPU, Counts(100, 0, {}, {}), cores=0.1).evidence.to_text()


def test_a_look_that_somebody_spoilt_is_no_evidence() -> None:
    text = after(40, CPU, Counts(100, 0, {}, {}), cores=0.1).evidence.to_text()
    content = json.loads(text)
    content["cpu"]["cpu"]["look"][3] = False

    assert StepEvidence.parse(text, START) is not None
    assert StepEvidence.parse(json.dumps(content), START) is None
