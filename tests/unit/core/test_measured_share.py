"""When does a split disagree with the weight? Known answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from changeover.core.measured_share import disagreement, measured_percent

from tests.unit.core.seen import counts, latest


@pytest.mark.parametrize(
    ("canary", "stable", "weight", "agrees"),
    [
        pytest.param(100, 900, 10, True, id="just so"),
        pytest.param(0, 1000, 0, True, id="all on stable"),
        pytest.param(1000, 0, 100, True, id="all on the canary"),
        pytest.param(12_000, 88_000, 10, True, id="two points off"),
        pytest.param(12_100, 87_900, 10, False, id="more than two points off"),
        pytest.param(370, 630, 10, False, id="another weight"),
        pytest.param(9_700, 300, 100, False, id="three points of what should all go to the canary"),
        # four standard deviations of 100 requests at 50 % are 20 points
        pytest.param(30, 70, 50, True, id="few requests, as far off as chance goes"),
        pytest.param(29, 71, 50, False, id="few requests, further"),
        pytest.param(0, 1600, 1, False, id="sixteen expected and none seen"),
        pytest.param(0, 1500, 1, True, id="fifteen expected and none seen"),
        pytest.param(0, 0, 10, True, id="nobody asked"),
    ],
)
def test_it_disagrees_by_two_points_and_more_than_chance(canary: int, stable: int, weight: int, agrees: bool) -> None:
    assert (disagreement(latest(counts(canary), counts(stable)), weight) == "") is agrees


def test_it_says_what_was_seen() -> None:
    found = disagreement(latest(counts(3_700), counts(6_300)), 10)
    assert found == "37.0 % of 10,000 requests reached the canary at weight 10"


@pytest.mark.parametrize("arm", ["canary", "stable"])
def test_an_arm_that_is_not_counted_is_blindness_and_no_split(arm: str) -> None:
    seen = replace(latest(counts(370), counts(630)), **{arm: None})
    assert disagreement(seen, 10) == ""


def test_the_share_is_in_percent_and_unknown_without_stable() -> None:
    assert measured_percent(latest(counts(1), counts(3))) == 25
    assert measured_percent(latest(counts(0), counts(0))) is None
    assert measured_percent(replace(latest(), stable=None)) is None
