"""The scalar types and the base model, where they meet what an API server does."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.api.v1alpha1.backend import Canary
from changeover.api.v1alpha1.base import Model, duration_seconds, member_of, quantity_value
from changeover.api.v1alpha1.candidate import NodeChoice, ResourceAmounts, Toleration
from changeover.api.v1alpha1.objective import Objective
from changeover.api.v1alpha1.step import Step
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

UNITS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("50ms", 0.05),
        ("90s", 90),
        ("1h30m", 5400),
        ("1m30s500ms", 90.5),
        ("24h", 86400),
        ("0s", 0),
        ("99999h", 359996400),
    ],
)
def test_seconds_of_a_duration(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@given(st.lists(st.tuples(st.integers(0, 99999), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_equal_durations_are_equal_numbers_however_written(parts: list[tuple[int, str]]) -> None:
    millis = sum(count * UNITS[unit] for count, unit in parts)
    assert duration_seconds("".join(f"{count}{unit}" for count, unit in parts)) == duration_seconds(f"{millis}ms")


def test_a_step_may_last_exactly_its_longest() -> None:
    """4100 × 0.001 is not 4.1 in floating point."""
    step = Step.model_validate({"weightPercent": 1, "minDuration": "4100ms", "maxDuration": "4s100ms"})

    assert duration_seconds(step.min_duration) == duration_seconds(step.max_duration)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("400m", 0.4),
        ("1", 1),
        ("0.5", 0.5),
        ("1Ki", 1024),
        ("256Mi", 2**28),
        ("1.5Gi", 1.5 * 2**30),
        ("2k", 2000),
        ("1T", 1e12),
    ],
)
def test_value_of_a_quantity(text: str, value: float) -> None:
    assert quantity_value(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("type_name", "member"),
    [("Latency", "latency"), ("GatewayAPI", "gatewayAPI"), ("CPU", "cpu"), ("NewSockets", "newSockets")],
)
def test_member_of_a_type(type_name: str, member: str) -> None:
    assert member_of(type_name) == member


def test_null_is_left_out() -> None:
    assert Toleration.model_validate({"key": None, "operator": None}) == Toleration()
    assert NodeChoice.model_validate({"nodeSelector": {"a": None, "b": "c"}}).node_selector == {"b": "c"}


@pytest.mark.parametrize("value", [None, 1])
def test_an_unknown_field_is_refused_even_as_null(value: Any) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Toleration.model_validate({"unknown": value})


def test_names_of_python_are_not_names_of_fields() -> None:
    with pytest.raises(ValidationError):
        NodeChoice.model_validate({"node_selector": {}})


@pytest.mark.parametrize(("given", "stored"), [(5.0, 5), (5, 5)])
def test_a_whole_number_may_be_written_with_a_point(given: float, stored: int) -> None:
    step = Step.model_validate({"weightPercent": given})
    assert (step.weight_percent, type(step.weight_percent)) == (stored, int)


@pytest.mark.parametrize("given", [5.5, "5", True, 1e300, 0, 101, None])
def test_other_weights_are_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        Step.model_validate({"weightPercent": given})


@pytest.mark.parametrize(("given", "stored"), [(1, "1"), (2**63 - 1, str(2**63 - 1)), (4.0, "4"), ("400m", "400m")])
def test_a_quantity_is_a_whole_number_or_a_text(given: Any, stored: str) -> None:
    assert ResourceAmounts.model_validate({"cpu": given}).cpu == stored


@pytest.mark.parametrize("given", [-1, 0.5, True, 2**63, "-1", "1e3", "1 Gi", "1\n", "1.0001"])
def test_other_quantities_are_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        ResourceAmounts.model_validate({"cpu": given})


BENCHMARK = {"ref": {"name": "web-frameworks"}}
WORKLOAD = {"service": {"name": "a", "port": 80}, "workload": {"name": "a"}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"type": "Workload"}, "set workload exactly when type is Workload"),
        ({"type": "Benchmark", "workload": WORKLOAD}, "set workload exactly when type is Workload"),
        ({"type": "Workload", "workload": WORKLOAD, "benchmark": BENCHMARK}, "set benchmark exactly when"),
        ({"type": "Benchmark", "benchmark": BENCHMARK, "workload": None}, ""),
        ({"type": "Workload", "workload": WORKLOAD}, ""),
    ],
)
def test_a_union_has_exactly_the_member_that_its_type_names(given: dict[str, Any], says: str) -> None:
    if says:
        with pytest.raises(ValidationError, match=says):
            Canary.model_validate(given)
    else:
        Canary.model_validate(given)


def test_every_type_of_a_union_has_a_member() -> None:
    for model in unions(Model):
        types = model.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
        assert {member_of(name) for name in types} == set(model.union), model.__name__
    assert Objective in set(unions(Model))


def unions(model: type[Model]) -> list[type[Model]]:
    """All our models that are unions."""
    below = [union for child in model.__subclasses__() for union in unions(child)]
    return ([model] if model.union else []) + [m for m in below if m.__module__.startswith("changeover.")]
