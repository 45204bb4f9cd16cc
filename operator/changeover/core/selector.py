"""Which objects does a LabelSelector choose? All of it is read: half of it would choose other workloads' pods, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Selector = Mapping[str, Any]
Test = Callable[[str | None, Sequence[str]], bool]

_OPERATORS: Mapping[str, Test] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,  # as the API server has it: also without the label
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether it chooses an object of these labels; nothing is chosen by one that cannot be followed."""
    asked = (selector.get("matchLabels") or {}).items() <= labels.items()
    return asked and not refusal(selector) and all(_holds(one, labels) for one in _expressions(selector))


def refusal(selector: Selector) -> str:
    """Why it cannot be followed, and the mend; empty when it can. Of no words means all objects, and no workload's."""
    unknown = [one["operator"] for one in _expressions(selector) if one["operator"] not in _OPERATORS]
    if unknown:
        return f"spec.selector: operator {unknown[0]!r} is not known; use one of {', '.join(_OPERATORS)}"
    if not (selector.get("matchLabels") or _expressions(selector)):
        return "spec.selector is empty and would choose all pods; name its own pods with matchLabels"
    return ""


def _expressions(selector: Selector) -> Sequence[Mapping[str, Any]]:
    return selector.get("matchExpressions") or ()


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    test = _OPERATORS[expression["operator"]]
    return test(labels.get(expression["key"]), expression.get("values") or ())
