"""Does a query of the user's own keep under its bound? A guard: it holds and rolls back, and raises nothing.

Its value is that at the end of each block, and at each look. What has no value holds; silence clears nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.objective import Objective
from changeover.core import names
from changeover.core.observed import Evidence, NoData, Unreadable
from changeover.core.sequential import TargetVerdict

OVER_BLOCKS = 3  # ends of blocks above the bound, with none at or under it between, are a rollback

Reading = float | NoData | Unreadable


@dataclass(frozen=True)
class Guard:
    """What a query gave: its value at the end of the last block, and at how many ends up to it it was too high.

    `value` is None when it had none. `asked` stands for query and bound; empty: an earlier release did not say.
    """

    over: int = 0
    value: float | None = None
    asked: str = ""

    def add(self, reading: Reading | None, bound: float) -> Guard:
        """With the end of another block."""
        if not isinstance(reading, float):
            return replace(self, value=None)
        return replace(self, over=self.over + 1 if reading > bound else 0, value=reading)

    def judge(self, bound: float, unit: str) -> tuple[TargetVerdict, str]:
        """The verdict, and why."""
        if self.over >= OVER_BLOCKS:
            return TargetVerdict.FAILING, f"above {bound:g}{unit} at the end of {self.over} blocks"
        if self.value is None:
            return TargetVerdict.NO_DATA, "the query had no value at the end of the last block"
        if self.value > bound:
            return (
                TargetVerdict.UNDECIDED,
                f"{self.value:.6g}{unit} above {bound:g}{unit} ({self.over} of {OVER_BLOCKS} blocks)",
            )
        return TargetVerdict.PASSING, f"{self.value:.6g}{unit} is at most {bound:g}{unit}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"over": self.over, "value": self.value, **({"asked": self.asked} if self.asked else {})}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Guard:
        """Inverse of ``to_dict``."""
        value = None if data["value"] is None else float(data["value"])
        return cls(int(data["over"]), value, str(data.get("asked", "")))


def guarded(spec: MigrationSpec) -> Iterator[tuple[Objective, float, str]]:
    """The objectives that are queries, with their bound and unit."""
    for objective in spec.objectives:
        if objective.query is not None:
            yield objective, float(objective.query.max), objective.query.unit


def fold_guards(guards: Mapping[str, Guard], spec: MigrationSpec, block: Evidence, is_off: bool) -> dict[str, Guard]:
    """Every guard after a block; one whose split is not that of the weight may only speak against the canary."""
    after = dict(guards)
    for objective, bound, _ in guarded(spec):
        before, reading = guards.get(objective.name, Guard()), block.readings.get(objective.name)
        asked = _asked(objective)
        # After an edit it is another question: what was too high for the one before is no block of this one.
        before = Guard(asked=asked) if before.asked not in ("", asked) else replace(before, asked=asked)
        if is_off and not (isinstance(reading, float) and reading > bound):
            continue
        after[objective.name] = before.add(reading, bound)
    return after


def is_new(spec: MigrationSpec, counted: Collection[str], guards: Mapping[str, Guard]) -> bool:
    """Whether an objective is there, or a query's words or bound, of which no block was counted yet."""
    asked = {name: guard.asked for name, guard in guards.items()}
    is_another = any(asked.get(one.name) not in ("", _asked(one)) for one, _, _ in guarded(spec))
    return is_another or any(one.query is None and one.name not in counted for one in spec.objectives)


def _asked(objective: Objective) -> str:
    assert objective.query is not None  # of those that are guarded
    return names.digest([objective.query.prom_ql, objective.query.max])


def held_against(spec: MigrationSpec, latest: Evidence) -> str:
    """What the last look says against a rise: a query above its bound, or without a value. Empty when nothing does."""
    for objective, bound, unit in guarded(spec):
        reading = latest.readings.get(objective.name)
        if not isinstance(reading, float):
            return f"{objective.name}: {reading.reason if reading is not None else 'the query was not asked'}"
        if reading > bound:
            return f"{objective.name}: {reading:.6g}{unit} above {bound:g}{unit} at the last look"
    return ""


def unanswerable(spec: MigrationSpec, latest: Evidence) -> str:
    """Which query cannot be answered at all; one that has no value yet, without traffic, can. Empty when all can."""
    for objective, _, _ in guarded(spec):
        reading = latest.readings.get(objective.name)
        if isinstance(reading, Unreadable):
            return f"{objective.name}: {reading.reason}"
    return ""
