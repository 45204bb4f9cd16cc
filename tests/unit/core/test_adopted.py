"""Of a route that its users own, two weights change and nothing else; a route that has no place for them is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.adopted import at_weight, canary_percent, unfit
from changeover.core.manifests.route import Arm
from changeover.core.mark import Phase
from changeover.core.migration import decide
from changeover.core.plan import HoldFinalizer, ReleaseRoute
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.seen import mark, owner, route, seen
from tests.unit.core.test_migration_ladder import ended

OLD, NEW = Arm("old", 80), Arm("new", 80)
ARMS = ("shop", OLD, NEW)
ADOPTED = {"traffic": {"gatewayAPI": {"mode": "Adopted", "route": {"name": "shop"}}}}


def backend(name: str, weight: int | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": 80, **more} | ({} if weight is None else {"weight": weight})


def rule(*backends: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"backendRefs": list(backends), **more}


BOTH = rule(backend("old", 1), backend("new", 0))
ELSE = rule(backend("else"), matches=[{"path": {"value": "/else"}}])

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
extras = st.dictionaries(st.sampled_from(["filters", "timeouts", "name", "fromTheFuture"]), anything, max_size=3)
theirs = st.builds(lambda more: rule(backend("else", 3), **more), extras)
split_ = st.builds(
    lambda more, old, new, swapped: rule(*[backend("old", old), backend("new", new)][:: -1 if swapped else 1], **more),
    extras, st.none() | st.integers(0, 100), st.none() | st.integers(0, 100), st.booleans(),
)  # fmt: skip


@settings(max_examples=80, derandomize=True, database=None, deadline=None)
@given(st.lists(theirs, max_size=2), split_, st.lists(theirs | split_, max_size=2), st.integers(0, 100))
def test_but_for_two_weights_it_stays_as_it_was(before: list[Any], ours: Any, after: list[Any], percent: int) -> None:
    rules = [*before, ours, *after]
    kept = copy.deepcopy(rules)
    changed = at_weight(rules, *ARMS, percent)
    assert rules == kept, "what was read was changed"
    assert canary_percent(changed, *ARMS) == percent
    assert without_weights(changed) == without_weights(rules)
    assert [list(one) for one in changed] == [list(one) for one in rules], "the order of fields"


def without_weights(rules: list[Any]) -> list[Any]:
    bare = copy.deepcopy(rules)
    for one in bare:
        for found in one["backendRefs"]:
            if found["name"] in ("old", "new"):
                found.pop("weight", None)
    return bare


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        pytest.param([BOTH], "", id="both"),
        pytest.param([ELSE, BOTH, BOTH], "", id="two rules with both, and another"),
        pytest.param([rule(backend("old"), backend("new"), backend("x", 0))], "", id="a third without weight"),
        pytest.param([], "no rule has both", id="no rules"),
        pytest.param([rule(backend("old"))], "add the one that is missing, with weight 0", id="no canary"),
        pytest.param([rule(backend("old"), backend("new", port=81))], "no rule has both", id="another port"),
        pytest.param([rule(backend("old"), backend("new", namespace="x"))], "no rule has both", id="another namespace"),
        pytest.param([rule(backend("old"), backend("new", kind="Bucket"))], "no rule has both", id="no Service"),
        pytest.param([BOTH, rule(backend("old"))], "rule 1 has only one of the two", id="a rule of stable's own"),
        pytest.param([rule(backend("old"), backend("new"), backend("old"))], "a backend twice", id="twice"),
        pytest.param([rule(backend("old"), backend("new"), backend("x"))], "a third backend with weight", id="a third"),
    ],
)
def test_rules_that_have_no_place_for_the_weights_say_why(rules: list[Any], says: str) -> None:
    found = unfit(rules, *ARMS)
    assert (says in found, bool(found)) == (True, bool(says)), found


@pytest.mark.parametrize(
    ("rules", "percent"),
    [
        ([BOTH], 0), ([rule(backend("old", 0), backend("new", 1))], 100),
        ([rule(backend("old", 9), backend("new", 1))], 10),
        ([rule(backend("old"), backend("new"))], 50), ([rule(backend("old", 2), backend("new", 1))], None),
        ([rule(backend("old", 0), backend("new", 0))], None), ([BOTH, rule(backend("old"), backend("new"))], None),
        ([ELSE], None),
    ],
)  # fmt: skip
def test_a_share_is_known_when_every_rule_has_it_in_whole_percent(rules: list[Any], percent: int | None) -> None:
    assert canary_percent(rules, *ARMS) == percent


@pytest.mark.parametrize(
    ("found", "says"), [(None, "does not exist"), (route(unfit="no rule has both"), "no rule has")]
)
@pytest.mark.parametrize("told", [mark(), mark(0, 0, Phase.PREPARING)])
def test_a_route_that_cannot_be_adopted_is_told_of_and_not_written(found: Any, says: str, told: Any) -> None:
    step = decide(seen(ADOPTED, route=found if found is None else route(told, unfit=found.unfit)))
    assert (step.reason, step.stalled, step.actions) == (Reason.ROUTE_UNFIT, True, ())
    assert says in step.message


def test_a_rollback_waits_until_the_route_can_be_written_again() -> None:
    rolling = mark(0, 1, Phase.ROLLING_BACK)
    step = decide(seen(ADOPTED, route=route(rolling, canary_percent=None, unfit="no rule has both")))
    assert (step.reason, step.actions, step.outcome) == (Reason.ROUTE_UNFIT, (), None)


def test_what_ended_lets_its_users_take_the_old_backend_out() -> None:
    told = {
        "owner": owner(status=ended("Promoted")),
        "route": route(mark(100, 3), canary_percent=None, unfit="no rule"),
    }
    step = decide(seen(ADOPTED, **told))
    assert (step.reason, step.actions) == (Reason.PROMOTED, ())


def test_a_deletion_is_not_kept_by_a_route_that_cannot_be_written() -> None:
    step = decide(seen(ADOPTED, owner=owner(deleting=True), route=route(canary_percent=None, unfit="no rule")))
    assert step.actions == (ReleaseRoute(), HoldFinalizer(False))
