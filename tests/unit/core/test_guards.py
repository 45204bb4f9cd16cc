"""A query of the user's own as a guard: what holds, what rolls back, and what clears."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.api.v1alpha1.objective import QueryObjective
from changeover.core.evidence import Split, StepEvidence, fold
from changeover.core.guards import Guard, Reading, fold_guards
from changeover.core.migration import decide
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import Evidence, NoData, Unreadable
from changeover.core.plan import SetSplit
from changeover.core.queries import fill_for_migration
from changeover.core.sequential import TargetVerdict
from changeover.core.verbs import decide as decide_asked
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.core.seen import SCRAPE, blocks, counts, latest, mark, migration_spec, seen
from tests.unit.core.test_migration_ladder import NO_WEIGHT
from tests.unit.core.test_verbs import asking

QUEUE = {"name": "queue", "type": "Query", "query": {"promQL": "max(queue_length)", "max": "100", "unit": "jobs"}}
ERRORS = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}}
SPEC = {"objectives": [ERRORS, QUEUE]}
GONE, DOWN = NoData("the query gave no sample"), Unreadable("timed out")


def read(block: Evidence, reading: Reading | None) -> Evidence:
    return replace(block, readings={} if reading is None else {"queue": reading})


def told(*readings: Reading | None) -> Guard:
    found = Guard()
    for reading in readings:
        found = found.add(reading, 100)
    return found


@pytest.mark.parametrize(
    ("readings", "verdict"),
    [
        ((), TargetVerdict.NO_DATA),
        ((100.0,), TargetVerdict.PASSING),
        ((-5.0,), TargetVerdict.PASSING),
        ((100.1,), TargetVerdict.UNDECIDED),
        ((101.0, 101.0), TargetVerdict.UNDECIDED),
        ((101.0, 101.0, 101.0), TargetVerdict.FAILING),
        ((101.0, 101.0, 99.0, 101.0), TargetVerdict.UNDECIDED),
        ((101.0, 101.0, 99.0), TargetVerdict.PASSING),
        ((99.0, GONE), TargetVerdict.NO_DATA),
        ((99.0, DOWN), TargetVerdict.NO_DATA),
        ((99.0, None), TargetVerdict.NO_DATA),
        ((101.0, 101.0, GONE), TargetVerdict.NO_DATA),
        ((101.0, GONE, 101.0, DOWN, 101.0), TargetVerdict.FAILING),  # silence clears nothing
    ],
)
def test_the_verdict(readings: tuple[Reading | None, ...], verdict: TargetVerdict) -> None:
    assert told(*readings).judge(100, "jobs")[0] is verdict


@given(st.lists(st.floats(-200, 300) | st.sampled_from([GONE, DOWN])))
def test_it_fails_exactly_when_the_last_three_numbers_are_too_high(readings: list[Any]) -> None:
    """Up to the first time: there the weight is 0."""
    numbers = [one for one in readings if isinstance(one, float)]
    high = [one > 100 for one in numbers[-3:]]
    assert (told(*readings).judge(100, "")[0] is TargetVerdict.FAILING) == (high == [True] * 3)


@pytest.mark.parametrize("edit", [{"max": "200"}, {"promQL": "max(other_length)"}], ids=["bound", "query"])
def test_an_edit_begins_its_count_anew(edit: dict[str, Any]) -> None:
    """Two blocks above 100, for which somebody mends it; then one above what is asked now is one, and not the third."""
    spec = migration_spec(**SPEC)
    edited = migration_spec(objectives=[ERRORS, {**QUEUE, "query": {**QUEUE["query"], **edit}}])
    guards: dict[str, Guard] = {}
    for _ in range(2):
        guards = fold_guards(guards, spec, read(blocks(1)[0], 150.0), is_off=False)
    same = fold_guards(guards, spec, read(blocks(1)[0], 250.0), is_off=False)["queue"]
    other = fold_guards(guards, edited, read(blocks(1)[0], 250.0), is_off=False)["queue"]
    assert (same.over, other.over) == (3, 1)
    assert Guard.from_dict(other.to_dict()) == other
    of_an_earlier_release = Guard.from_dict({"over": 2, "value": 150.0})
    assert (
        fold_guards({"queue": of_an_earlier_release}, spec, read(blocks(1)[0], 150.0), is_off=False)["queue"].over == 3
    )


def test_it_outlives_a_restart() -> None:
    found = told(101.0, 102.0)
    evidence = replace(StepEvidence.start(mark().since, SCRAPE), guards={"queue": found, "other": told(GONE)})
    assert StepEvidence.parse(evidence.to_text(), mark().since) == evidence


def test_a_block_whose_split_is_off_may_only_speak_against() -> None:
    spec, before = migration_spec(**SPEC), {"queue": told(101.0)}
    assert fold_guards(before, spec, read(blocks(1)[0], 12.0), is_off=True) == before
    assert fold_guards(before, spec, read(blocks(1)[0], GONE), is_off=True) == before
    assert fold_guards(before, spec, read(blocks(1)[0], 102.0), is_off=True)["queue"].over == 2
    off = tuple(replace(read(block, 200.0), stable=counts(600)) for block in blocks(2))
    assert fold(StepEvidence.start(mark().since, SCRAPE), spec, off, Split(10, 1.0)).guards["queue"].over == 2


def on_step(last: Reading | None = 12.0, look: Reading | None = 12.0, **more: Any) -> SeenMigration:
    """Twenty good blocks; the last ends with this reading, and the last look gave that one."""
    all_ = tuple(read(block, 12.0) for block in blocks(20))
    return seen(SPEC, **{"blocks": (*all_[:-1], read(all_[-1], last)), "latest": read(latest(), look), **more})


def weight(step: Step) -> int | None:
    return next((a.canary_percent for a in step.actions if isinstance(a, SetSplit)), None)


def test_in_bounds_it_goes_on() -> None:
    step = decide(on_step())
    assert (step.reason, weight(step)) == (Reason.STEPPED, 50)
    assert "queue 12jobs within 100jobs" in step.message


@pytest.mark.parametrize(
    ("last", "look", "reason", "says"),
    [
        (101.0, 12.0, Reason.WAITING_EVIDENCE, "queue: 101jobs above 100jobs (1 of 3 blocks)"),
        (GONE, 12.0, Reason.METRICS_MISSING, "queue: the query had no value at the end of the last block"),
        (DOWN, 12.0, Reason.METRICS_MISSING, "queue: the query had no value"),
        (None, 12.0, Reason.METRICS_MISSING, "queue: the query had no value"),
        (12.0, 101.0, Reason.QUERY_HOLDS, "queue: 101jobs above 100jobs at the last look"),
        (12.0, GONE, Reason.QUERY_HOLDS, "queue: the query gave no sample"),
        (12.0, DOWN, Reason.QUERY_HOLDS, "queue: timed out"),
        (12.0, None, Reason.QUERY_HOLDS, "queue: the query was not asked"),
    ],
)
def test_else_the_weight_stays(last: Reading | None, look: Reading | None, reason: Reason, says: str) -> None:
    step = decide(on_step(last, look))
    assert (step.reason, weight(step)) == (reason, None)
    assert says in step.message
    at_the_end = decide(replace(on_step(last, look), spec=migration_spec(**SPEC, steps=[{"weightPercent": 10}])))
    assert (at_the_end.reason, at_the_end.outcome) == (reason, None)


def test_three_blocks_above_it_roll_back() -> None:
    step = decide(seen(SPEC, blocks=tuple(read(block, 250.0) for block in blocks(3))))
    assert (step.reason, weight(step)) == (Reason.ROLLING_BACK, 0)
    assert step.mark is not None and step.mark.reason is Reason.QUERY_MISSED
    assert step.message.startswith("queue: above 100jobs at the end of 3 blocks at weight 10")


def test_no_promotion_by_hand_over_it() -> None:
    step = decide_asked(replace(on_step(12.0, 101.0), owner=asking("promote").owner))
    assert step.request is not None and step.request.result == "Refused" and weight(step) is None
    few, person = tuple(read(block, 12.0) for block in blocks(3)), asking("promote").owner
    early = decide_asked(seen(SPEC, latest=read(latest(), 101.0), blocks=few, owner=person))
    assert early.request is not None
    assert early.request.answer == "not promoted at step 1/3: queue: 101jobs above 100jobs at the last look"


@pytest.mark.parametrize(
    ("look", "refused", "reason"),
    [
        (GONE, "", Reason.STEPPED),  # without traffic it may have no value yet
        (12.0, "", Reason.STEPPED),
        (DOWN, "", Reason.METRICS_MISSING),
        (Unreadable("no queries"), "no queries", Reason.INVALID_SPEC),
    ],
)
def test_before_any_weight_it_is_known_whether_it_can_be_asked(look: Reading, refused: str, reason: Reason) -> None:
    world = seen(SPEC, **{**NO_WEIGHT, "latest": read(latest(), look), "queries_refused": refused})
    step = decide(world)
    assert step.reason is reason and step.stalled is (reason is Reason.INVALID_SPEC)
    by_hand = decide_asked(replace(world, owner=asking("promote").owner))
    assert (weight(by_hand) == 100) is (reason is Reason.STEPPED)


NAMES = {
    "namespace": "shop", "window": "60s", "canaryService": "new", "stableService": "old", "canaryWorkload": "new-w",
    "stableWorkload": "old-w",
}  # fmt: skip


def test_placeholders_are_filled_in() -> None:
    query = (
        'rate(q{ns="{{ .namespace }}",pod=~"{{ .podRegex }}"}[{{ .window }}]) / '
        "{{ .canaryService }}{{ .stableService }}{{ .canaryWorkload }}{{ .stableWorkload }}"
    )
    assert fill_for_migration(query, NAMES, ["a.b-1", "c"]) == (
        'rate(q{ns="shop",pod=~"a[.]b-1|c"}[60s]) / newoldnew-wold-w'
    )


@pytest.mark.parametrize(
    "query", ["{{ .pod }}", "{{.namespace}}", "x{{ .namespace }", "{{{ .namespace }} {{", "a{{b}}"]
)
def test_an_unknown_placeholder_is_refused(query: str) -> None:
    with pytest.raises(ValidationError, match="promQL holds a placeholder that is not known; take one of"):
        QueryObjective.model_validate({"promQL": query, "max": "1"})


@pytest.mark.parametrize(
    "query", ['q{a="b"}', 'q{ns="{{ .namespace }}",pod=~"{{ .podRegex }}"}', "1", "a{b='{{ .canaryService }}'}\n+ 1"]
)
def test_promql_with_its_own_braces_is_taken(query: str) -> None:
    assert QueryObjective.model_validate({"promQL": query, "max": "-0.5"}).prom_ql == query


@pytest.mark.parametrize("bound", ["", "1e3", "+1", "NaN", "Inf", "01", ".5", "1."])
def test_a_bound_is_a_decimal_number(bound: str) -> None:
    with pytest.raises(ValidationError):
        QueryObjective.model_validate({"promQL": "1", "max": bound})


def test_a_migration_is_not_decided_by_queries_alone() -> None:
    with pytest.raises(ValidationError, match="a Query is a guard and no evidence; add an objective of type"):
        migration_spec(objectives=[QUEUE])
