"""Ask the gates, when all else speaks for going on."""

from __future__ import annotations

from dataclasses import replace

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.gate import Gate
from changeover.core.errors import ChangeoverError
from changeover.core.gates import PASSED, REFUSED, SILENT, about_next, awaited, question, with_answers
from changeover.core.migration_state import SeenMigration, Step
from changeover.core.observed import GateAnswer
from changeover.core.signature import Message
from changeover.core.verbs import decide
from changeover.ports import Dependencies
from changeover.reconcilers.outside import send


async def with_gates(seen: SeenMigration, step: Step, deps: Dependencies) -> tuple[SeenMigration, Step]:
    """What was seen and is decided, with the answers of the gates that had to be asked.

    They are asked one after another, each within its time, so that this look is old when they have answered. What is
    to be done then waits for the next pass, which is due at once and looks anew; what is only to be said is said.
    """
    gates = awaited(seen, step)
    if not gates or step.mark is None:
        return seen, step
    new = await _ask_all(seen, step, gates, deps)
    seen = replace(seen, gates=with_answers(seen.gates, new))
    then = decide(seen)
    return seen, replace(step, recheck_after=0.0) if then.actions or then.outcome is not None else then


async def _ask_all(seen: SeenMigration, step: Step, gates: list[Gate], deps: Dependencies) -> list[GateAnswer]:
    """Their answers: a yes of when it was given, anything else of when all were asked.

    Otherwise who lets others wait would make a no too old to count, and would be asked again at the next look. Once a
    no takes the canary back, nobody else's word counts.
    """
    new: list[GateAnswer] = []
    for gate in gates:
        new.append(await _ask(seen, step, gate, deps))
        if new[-1].state == REFUSED and gate.on_failure == "Rollback":
            break
    now = deps.clock.now()
    return [answer if answer.state == PASSED else replace(answer, at=now) for answer in new]


async def _ask(seen: SeenMigration, step: Step, gate: Gate, deps: Dependencies) -> GateAnswer:
    assert step.mark is not None  # of what is asked about
    about = about_next(seen, step.mark, step.asks_for)
    identity, body = question(seen, step.mark, gate, step.asks_for)
    try:
        seconds = duration_seconds(gate.timeout)
        status = await send(seen.owner, gate.secret_ref.name, Message(identity, body), seconds, deps)
    except ChangeoverError as error:
        return GateAnswer(gate.name, about, SILENT, deps.clock.now(), str(error))
    state, why = (PASSED, "") if 200 <= status < 300 else (REFUSED, f"it answered {status}")
    return GateAnswer(gate.name, about, state, deps.clock.now(), why)
