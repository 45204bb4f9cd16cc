"""A route that its users own: which of its weights are ours to set, and the same route at another weight. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from changeover.core.manifests.route import Arm

Rule = dict[str, Any]


def unfit(rules: list[Rule], namespace: str, stable: Arm, canary: Arm) -> str:
    """Why these rules cannot carry the two weights, and the mend; empty when they can."""
    arms = (stable, canary)
    found = [_arms_of(rule, namespace, arms) for rule in rules]
    if not any(set(one) == set(arms) for one in found):
        return (
            f"no rule has both backends {stable.service}:{stable.port} and {canary.service}:{canary.port}; add the one "
            "that is missing, with weight 0"
        )
    for number, (rule, one) in enumerate(zip(rules, found, strict=True)):
        if one and set(one) != set(arms):
            # The gateway counts a Service's requests by route, so these could not be told from those that are split.
            return f"rule {number} has only one of the two backends; give it a route of its own, or both backends"
        if len(one) > len(arms):
            return f"rule {number} has a backend twice; leave one of each"
        others = [b for b in rule.get("backendRefs") or [] if _arm(b, namespace, arms) is None]
        if one and any(other.get("weight", 1) for other in others):
            return f"rule {number} has a third backend with weight; set it to 0, or give it a route of its own"
    return ""


def canary_percent(rules: list[Rule], namespace: str, stable: Arm, canary: Arm) -> int | None:
    """The canary's share of every rule with both backends, percent; None when they differ, or it is no whole number."""
    shares = set()
    for weights in _weights(rules, namespace, (stable, canary)):
        total = sum(weights.values())
        shares.add(100 * weights[canary] / total if total else None)
    share = shares.pop() if len(shares) == 1 else None
    return int(share) if share is not None and share.is_integer() else None


def at_weight(rules: list[Rule], namespace: str, stable: Arm, canary: Arm, percent: int) -> list[Rule]:
    """The same rules with the weights of the two backends set; nothing else is touched, and the argument neither."""
    changed = copy.deepcopy(rules)
    for rule in changed:
        if len(_arms_of(rule, namespace, (stable, canary))) == 2:
            for backend in rule["backendRefs"]:
                arm = _arm(backend, namespace, (stable, canary))
                if arm is not None:
                    backend["weight"] = percent if arm == canary else 100 - percent
    return changed


def _weights(rules: Iterable[Rule], namespace: str, arms: tuple[Arm, Arm]) -> list[dict[Arm, int]]:
    """Weight by arm of each rule that has both."""
    found = []
    for rule in rules:
        named = [
            (_arm(backend, namespace, arms), backend.get("weight", 1)) for backend in rule.get("backendRefs") or []
        ]
        weights = {arm: weight for arm, weight in named if arm is not None}
        if len(weights) == len(arms):
            found.append(weights)
    return found


def _arms_of(rule: Rule, namespace: str, arms: tuple[Arm, Arm]) -> list[Arm]:
    """The arms among a rule's backends, as often as they are there."""
    named = (_arm(backend, namespace, arms) for backend in rule.get("backendRefs") or [])
    return [arm for arm in named if arm is not None]


def _arm(backend: dict[str, Any], namespace: str, arms: tuple[Arm, Arm]) -> Arm | None:
    """Which arm a backend is; None for any other. What is left out has the Gateway API's defaults."""
    is_service = backend.get("kind", "Service") == "Service" and backend.get("group", "") == ""
    is_here = backend.get("namespace", namespace) == namespace
    return next(
        (
            arm
            for arm in arms
            if is_service and is_here and (backend.get("name"), backend.get("port")) == (arm.service, arm.port)
        ),
        None,
    )
