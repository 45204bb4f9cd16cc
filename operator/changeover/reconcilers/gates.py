"""Ask the gates, when all else speaks for going on."""

from __future__ import annotations

from dataclasses import replace

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.gate import Gate
from changeover.core.errors import ChangeoverError
from changeover.core.gates import PASSED, REFUSED, SILENT, about_next, question, unasked, with_answers
from changeover.core.mark import Mark
from changeover.core.migration_state import SeenMigration
from changeover.core.observed import GateAnswer
from changeover.core.signature import Message
from changeover.ports import Dependencies
from changeover.reconcilers.outside import send


async def with_gates(seen: SeenMigration, mark: Mark, deps: Dependencies) -> SeenMigration:
    """What was seen, with the answers of the gates that had to be asked; one after another, each within its time."""
    new = [await _ask(seen, mark, gate, deps) for gate in unasked(seen, mark)]
    return replace(seen, gates=with_answers(seen.gates, new))


async def _ask(seen: SeenMigration, mark: Mark, gate: Gate, deps: Dependencies) -> GateAnswer:
    about, (identity, body) = about_next(seen, mark), question(seen, mark, gate)
    try:
        seconds = duration_seconds(gate.timeout)
        status = await send(seen.owner, gate.secret_ref.name, Message(identity, body), seconds, deps)
    except ChangeoverError as error:
        return GateAnswer(gate.name, about, SILENT, seen.now, str(error))
    passed = 200 <= status < 300
    return GateAnswer(
        gate.name, about, PASSED if passed else REFUSED, seen.now, "" if passed else f"it answered {status}"
    )
