"""A LabelSelector is followed as the API server follows it, with all that it says."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core.selector import matches, refusal

NEW = {"app": "shop", "track": "new"}


def expression(operator: str, *values: str, key: str = "track") -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def selector(*expressions: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {"matchLabels": labels, "matchExpressions": list(expressions)}


@pytest.mark.parametrize(
    ("chosen", "by"),
    [
        pytest.param(True, selector(app="shop"), id="labels"),
        pytest.param(False, selector(app="shop", track="old"), id="one label differs"),
        pytest.param(False, selector(app="shop", zone="a"), id="one label is not there"),
        pytest.param(True, {"matchLabels": NEW}, id="no expressions"),
        pytest.param(True, {"matchExpressions": [expression("In", "new")]}, id="no labels"),
        pytest.param(True, selector(expression("In", "new", "newer"), app="shop"), id="In: one of them"),
        pytest.param(False, selector(expression("In", "old"), app="shop"), id="In: none of them"),
        pytest.param(False, selector(expression("In", "a", key="zone")), id="In: without the label"),
        pytest.param(True, selector(expression("NotIn", "old"), app="shop"), id="NotIn: none of them"),
        pytest.param(False, selector(expression("NotIn", "old", "new"), app="shop"), id="NotIn: one of them"),
        pytest.param(True, selector(expression("NotIn", "a", key="zone")), id="NotIn: without the label"),
        pytest.param(True, selector(expression("Exists")), id="Exists: there"),
        pytest.param(False, selector(expression("Exists", key="zone")), id="Exists: not there"),
        pytest.param(True, selector(expression("DoesNotExist", key="zone")), id="DoesNotExist: not there"),
        pytest.param(False, selector(expression("DoesNotExist")), id="DoesNotExist: there"),
        pytest.param(False, selector(expression("Exists"), expression("In", "old")), id="all must hold"),
        pytest.param(False, selector(expression("In", "new"), app="other"), id="labels and expressions must hold"),
    ],
)
def test_what_is_chosen(chosen: bool, by: dict[str, Any]) -> None:
    assert matches(by, NEW) is chosen
    assert refusal(by) == ""


@pytest.mark.parametrize(
    ("by", "mend"),
    [
        pytest.param({}, "name its own pods with matchLabels", id="empty"),
        pytest.param({"matchLabels": {}, "matchExpressions": []}, "with matchLabels", id="empty, spelled out"),
        pytest.param(selector(expression("Gt", "1"), app="shop"), "use one of In, NotIn", id="an operator of later"),
    ],
)
def test_one_that_cannot_be_followed_chooses_nothing_and_says_the_mend(by: dict[str, Any], mend: str) -> None:
    assert mend in refusal(by)
    assert not matches(by, NEW)
