"""What do the gates say to the next step, or to the promotion? Pure; who asks them is the reconciler.

A gate only ever adds to what has to be so: its yes raises nothing that all else does not speak for. It is asked when
all else does, and its answer counts for a short while and for one step of one attempt, so that nothing has to be kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.gate import Gate
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.core import names
from changeover.core.conditions import parse_timestamp, timestamp
from changeover.core.mark import Mark
from changeover.core.migration_state import SeenMigration, Step, next_step
from changeover.core.observed import GateAnswer

PASSED, REFUSED, SILENT = "Passed", "Refused", "Silent"
COUNTS_FOR = {PASSED: timedelta(minutes=1), REFUSED: timedelta(seconds=10), SILENT: timedelta(seconds=10)}


def to_dict(answer: GateAnswer) -> dict[str, Any]:
    """As status has it."""
    return {
        "name": answer.name, "about": answer.about, "state": answer.state, "at": timestamp(answer.at),
        "message": answer.message[:512],
    }  # fmt: skip


def answered(status: Mapping[str, Any], spec: MigrationSpec) -> tuple[GateAnswer, ...]:
    """The answers that status holds; those of gates that the spec does not name any more are forgotten."""
    named = {gate.name for gate in spec.gates}
    return tuple(
        GateAnswer(one["name"], one["about"], one["state"], parse_timestamp(one["at"]), one.get("message", ""))
        for one in status.get("gates") or ()
        if one["name"] in named
    )


def about_next(seen: SeenMigration, mark: Mark, asks_for: int = 0) -> str:
    """What would come next, so that an answer to it is no answer to anything else.

    ``asks_for`` is the number of the step that a person asks for, here as in all of these; 0 where nobody does.
    """
    number = asks_for or next_step(seen.spec, mark)
    where = f"step {number}" if number <= len(seen.spec.steps) else "promotion"
    return f"generation {seen.owner.generation}, attempt {mark.attempt}, {where}"


def gates_of(seen: SeenMigration, mark: Mark) -> list[Gate]:
    """The gates before what would come next."""
    at = "BeforeStep" if next_step(seen.spec, mark) <= len(seen.spec.steps) else "BeforePromotion"
    return [gate for gate in seen.spec.gates if gate.at == at]


def unasked(seen: SeenMigration, mark: Mark, asks_for: int = 0) -> list[Gate]:
    """Those whose answer does not count any more, or that have given none."""
    about = about_next(seen, mark, asks_for)
    return [gate for gate in gates_of(seen, mark) if _counting(seen, about, gate) is None]


def awaited(seen: SeenMigration, step: Step) -> list[Gate]:
    """The gates that a step waits for and that are to be asked now: what they say to it is not known yet."""
    if step.reason is not Reason.WAITING_FOR_GATE or step.mark is None:
        return []
    return unasked(seen, step.mark, step.asks_for)


def held_by_gates(seen: SeenMigration, mark: Mark, asks_for: int = 0) -> tuple[Reason, str] | None:
    """Why a gate does not let it go on; None when all have passed."""
    about = about_next(seen, mark, asks_for)
    answers = [(gate, _counting(seen, about, gate)) for gate in gates_of(seen, mark)]
    for gate, answer in answers:  # a no that takes the canary back waits for no other gate
        if answer is not None and answer.state == REFUSED and gate.on_failure == "Rollback":
            return Reason.GATE_REFUSED, f"gate {gate.name}: {answer.message}"
    for gate, answer in answers:
        if answer is None:
            return Reason.WAITING_FOR_GATE, f"gate {gate.name} is asked"
        if answer.state != PASSED:
            return Reason.WAITING_FOR_GATE, f"gate {gate.name}: {answer.message}; it is asked again"
    return None


def _counting(seen: SeenMigration, about: str, gate: Gate) -> GateAnswer | None:
    return next((a for a in seen.gates if a.name == gate.name and a.about == about and _is_fresh(a, seen.now)), None)


def _is_fresh(answer: GateAnswer, now: datetime) -> bool:
    return now - answer.at <= COUNTS_FOR[answer.state]


def with_answers(before: Iterable[GateAnswer], new: Iterable[GateAnswer]) -> tuple[GateAnswer, ...]:
    """One a gate: the latest."""
    latest = {answer.name: answer for answer in (*before, *new)}
    return tuple(latest.values())


def question(seen: SeenMigration, mark: Mark, gate: Gate, asks_for: int = 0) -> tuple[str, bytes]:
    """The id of a question, and its body: a CloudEvent."""
    about = about_next(seen, mark, asks_for)
    identity = names.digest([seen.owner.uid, gate.name, about, timestamp(seen.now)])
    coming = seen.spec.steps[(asks_for or next_step(seen.spec, mark)) - 1 :]
    to = coming[0].weight_percent if coming else mark.weight
    data = {
        "namespace": seen.owner.namespace, "name": seen.owner.name, "gate": gate.name, "at": gate.at, "about": about,
        "fromPercent": mark.weight, "toPercent": to,
    }  # fmt: skip
    event = {
        "specversion": "1.0", "id": identity, "time": timestamp(seen.now), "datacontenttype": "application/json",
        "source": f"/apis/changeover.dev/v1alpha1/namespaces/{seen.owner.namespace}/canarymigrations/{seen.owner.name}",
        "type": "dev.changeover.canarymigration.gate", "data": data,
    }  # fmt: skip
    return identity, json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
