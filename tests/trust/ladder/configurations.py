"""What is searched: small specs that together use every rung of the ladder, and what may befall each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from changeover.api.v1alpha1 import MigrationSpec
from changeover.testing.builders import a_migration

OBJECTIVES = {
    "errors": {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}},
    # A canary that answers, but too slowly, is taken back in parts; one that answers wrongly, at once.
    "latency": {"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": "50ms"}},
}
CLOSED = {"frozen": ["2029-01-01/2031-01-01"]}  # round the only day on which passes happen
WAITS = (20, 130, 735)  # seconds that pass: each moves some age over a limit


@dataclass(frozen=True)
class Configuration:
    """A spec, its later versions, and which events happen.

    variants   the steps of each version of the spec; an edit goes on to the next
    verbs      what people ask for
    events     what others do besides: see ``events.py``
    stable     ready pods of stable, of which the first is what carried all traffic
    closes     whether spec.windows may be closed in any pass
    """

    name: str
    variants: tuple[tuple[dict[str, Any], ...], ...]
    verbs: tuple[str, ...]
    events: tuple[str, ...]
    objective: str = "errors"
    stable: tuple[int, ...] = (4,)
    closes: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def specs(self) -> list[dict[tuple[bool, bool], MigrationSpec]]:
        """Of each version: its spec by whether it is suspended, and whether the window is closed."""
        return [
            {
                (suspend, closed): self._spec(steps, suspend, closed)
                for suspend in (False, True)
                for closed in (False, True)
            }
            for steps in self.variants
        ]

    def _spec(self, steps: tuple[dict[str, Any], ...], suspend: bool, closed: bool) -> MigrationSpec:
        more: dict[str, Any] = {**({"windows": CLOSED} if closed else {}), **self.more}
        body = a_migration(
            steps=list(steps), objectives=[OBJECTIVES[self.objective]], suspend=suspend,
            decision={"falseAdvancePercent": 20, "block": "1m", "maxBlind": "2m", "baseline": {"policy": "None"}},
            **more,
        )  # fmt: skip
        return MigrationSpec.model_validate(body["spec"])


def steps(*weights: int, manual: int = 0, undecided: str = "Hold", requests: int = 0) -> tuple[dict[str, Any], ...]:
    """Steps of these weights; the one of weight `manual` wants an approval."""
    return tuple(
        {
            "weightPercent": weight, "minDuration": "1m", "maxDuration": "20m", "onUndecided": undecided,
            "minRequests": requests, "approval": "Manual" if weight == manual else "Automatic",
        }
        for weight in weights
    )  # fmt: skip


PLAIN = steps(10, 100)
APPROVED = steps(10, 50, 100, manual=50)
ROUTE = ("route lost", "mark lost", "foreign weight")

CONFIGURATIONS = (
    Configuration("approval", (APPROVED,), ("approve", "abort"), (*ROUTE, "spec edited", "deleted")),
    Configuration("pause", (APPROVED,), ("pause", "resume", "approve"), (*ROUTE, "suspended")),
    Configuration("retry", (steps(10, 100, manual=10),), ("abort", "retry", "approve"), (*ROUTE, "spec edited")),
    Configuration("promote", (APPROVED,), ("promote", "pause", "retry"), (*ROUTE, "spec edited", "deleted")),
    Configuration(
        "parts", (steps(10, 100, undecided="Rollback"),), ("abort", "retry"),
        (*ROUTE, "foreign part", "spec edited", "suspended", "deleted"),
        objective="latency", stable=(4, 1, 2, 0), more={"rollback": {"timeout": "2m"}},
    ),
    Configuration(
        "jump", (steps(10, 100, requests=5000),), ("abort", "retry", "hurry"),
        (*ROUTE, "spec edited", "suspended", "deleted", "taken over"), stable=(4, 1),
        more={"rollback": {"ramp": "Jump"}},
    ),
    Configuration(
        "edits", (APPROVED, steps(5, 20), steps(30, 60, 90, manual=90)), ("approve", "promote"),
        (*ROUTE, "spec replaced", "arms edited", "suspended"),
    ),
    Configuration(
        "windows", (steps(10, 50, 100, manual=100),), ("promote", "approve", "pause", "resume"),
        (*ROUTE, "deleted", "taken over"), closes=True,
    ),
)  # fmt: skip
BY_NAME = {one.name: one for one in CONFIGURATIONS}

TOLD_LIVE = Configuration("live", (PLAIN,), ("abort", "retry"), (*ROUTE, "spec edited", "deleted"))
"""What the stories of ``tests/trust/live`` tell of: their steps, and all that befalls them."""
