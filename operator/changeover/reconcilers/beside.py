"""What is done beside the weights: own load, acceptance, testers. What fails here holds up no weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from changeover.core.acceptance import accept, judgement
from changeover.core.conditions import timestamp
from changeover.core.migration_state import TICK_SECONDS, SeenMigration, Step
from changeover.core.own_load import FAILED, drive
from changeover.core.plan import Judgement, Ref
from changeover.core.testers import take_testers, told
from changeover.ports import Dependencies, SplitTarget, shape_of
from changeover.reconcilers.execute import execute


@dataclass(frozen=True)
class Beside:
    """What status says of it, the condition AcceptanceMet, and when to look again (seconds)."""

    fields: dict[str, Any]
    judgement: Judgement
    recheck_after: float | None


async def do_beside(seen: SeenMigration, step: Step, owner: Ref, target: SplitTarget, deps: Dependencies) -> Beside:
    """One pass of all three; each that fails says so, and leaves the others alone."""
    driven, accepted = drive(seen, step), accept(seen, step)
    load, acceptance = driven.status, accepted.status
    failure = await execute(driven.actions, owner, None, deps)
    if failure is not None:
        load = {"state": FAILED, "at": timestamp(seen.now), "message": str(failure)[:1024]}
    failure = await execute(accepted.actions, owner, None, deps)
    if failure is not None and acceptance is not None:
        # Not done, so not said: the next pass begins from what status has.
        acceptance = {**acceptance, **(seen.owner.status.get("acceptance") or {}), "message": str(failure)[:1024]}
    takes = take_testers(seen, step, shape_of(target))
    testers = told(seen, takes, await execute(takes, owner, None, deps))
    soon = accepted.looks_again or bool(accepted.actions or driven.actions)
    fields = {"load": load, "acceptance": acceptance, "testers": testers}
    return Beside(
        {key: value for key, value in fields.items() if value is not None},
        judgement(acceptance),
        TICK_SECONDS if soon else None,
    )


def sooner(one: float | None, other: float | None) -> float | None:
    """The earlier of two times to look again; None: only a change brings news."""
    known = [seconds for seconds in (one, other) if seconds is not None]
    return min(known) if known else None
