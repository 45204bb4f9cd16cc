"""What must hold of every pass: stated by what was there before and what is written, not by the code's way there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from changeover.api.reasons import Reason
from changeover.core.evidence import Split
from changeover.core.manifests.route import Arm, RouteShape, make_route
from changeover.core.mark import Mark, Phase
from changeover.core.observed import Evidence, Route, Unreadable, Workload
from changeover.core.plan import ReleaseRoute, SetSplit
from changeover.core.requests import ACCEPTED
from changeover.core.sequential import Verdict

from tests.trust.ladder.classes import MANY, Statistics
from tests.trust.ladder.memory import NAME, NAMESPACE, Memory, age_of
from tests.trust.ladder.passes import Pass

LEAST_SECONDS = 60  # minDuration of every step
SHAPE = RouteShape(NAMESPACE, NAME, NAME, Arm("old", 80), Arm("new", 80), ((NAMESPACE, "public"),), ())


def broken(one: Pass, statistics: Statistics) -> Iterator[str]:
    """Every rule that a pass breaks, in words."""
    yield from _of_routes(one)
    yield from _of_requests(one)
    yield from _of_outcomes(one)
    write, memory = one.write, one.memory
    if write is None:
        return
    mark = Mark.parse(write.mark)
    if mark is None or mark.weight != write.canary_percent or sum_of(write.canary_percent) != 100:
        yield f"weight {write.canary_percent} and mark do not fit together"
        return
    yield from _of_rollbacks(memory, mark)
    yield from _of_attempts(memory, mark)
    before = memory.mark
    old = before.weight if before is not None else 0
    if mark.weight > min(old, memory.shown):
        yield from _of_rises(memory, mark)
    if mark.weight > old and not _is_put_back_after_the_end(memory, mark):
        yield from _of_decided_rises(one, mark, before)
        yield from _of_people(one, mark)
        if before is not None:
            yield from _of_evidence(one, before, statistics)


def _of_routes(one: Pass) -> Iterator[str]:
    """One owner a route, and one write a pass."""
    memory = one.memory
    touches = [action for action in one.step.actions if isinstance(action, SetSplit | ReleaseRoute)]
    if touches and memory.route is not None and not memory.route.ours:
        yield "a route of somebody else is written"
    if touches and isinstance(one.seen.route, Unreadable):
        yield "a route that could not be read is written"
    if sum(isinstance(action, SetSplit) for action in touches) > 1:
        yield "the weight is written twice in a pass"


@cache
def sum_of(percent: int) -> int:
    """The sum of the weights in the route that is made for a weight of the canary; 0 when there is none."""
    if not 0 <= percent <= 100:
        return 0
    rules = make_route(SHAPE, percent, {})["spec"]["rules"]
    return sum(int(backend["weight"]) for rule in rules for backend in rule["backendRefs"])


def _of_requests(one: Pass) -> Iterator[str]:
    """A token counts once, and only one that stands."""
    request, told = one.step.request, one.memory.told
    if request is None:
        return
    if request.verb not in one.memory.asked or (told is not None and request.verb in told.answered):
        yield f"{request.verb} is answered, which nobody asked for or which has its answer"
    if request.result == ACCEPTED and request.verb in one.memory.used:
        yield f"one token of {request.verb} is carried out twice"


def _of_outcomes(one: Pass) -> Iterator[str]:
    """An outcome is for good, but for a new generation and a retry; and it is true."""
    told, outcome = one.memory.told, one.step.outcome
    before = told.outcome if told is not None else None
    if outcome is None:
        return
    if before is not None and before.result == "Promoted" and outcome["result"] != "Promoted":
        yield "a promoted migration ends otherwise"
    if before is not None and before.generation == one.memory.generation and before.result != outcome["result"]:
        retried = one.memory.mark is not None and one.memory.mark.attempt > before.attempt
        if not retried:
            yield "an outcome is changed"
    if before is None and outcome["result"] == "Promoted" and one.memory.rolled and not _attempts_after(one.memory):
        yield "promoted after a rollback in the same attempt"


def _attempts_after(memory: Memory) -> bool:
    mark = memory.mark
    return mark is not None and mark.attempt not in memory.rolled


def _of_rollbacks(memory: Memory, mark: Mark) -> Iterator[str]:
    """It only lowers the weight, and what is marked so stays so until it has ended."""
    before, told = memory.mark, memory.told
    shown = memory.shown
    if mark.phase is Phase.ROLLING_BACK and mark.weight > min(mark.came_from, shown):
        yield f"a rollback raises the weight to {mark.weight}, shown {shown}"
    if before is None or before.phase is not Phase.ROLLING_BACK or memory.deleting:
        return
    ended = told is not None and told.outcome is not None
    if mark.weight > min(before.weight, shown):
        yield f"the weight rises to {mark.weight} from a rollback at {before.weight}, shown {shown}"
    if mark.phase is not Phase.ROLLING_BACK and not ended:
        yield "a rollback is forgotten before it has ended"


def _of_attempts(memory: Memory, mark: Mark) -> Iterator[str]:
    """Another attempt begins by a retry that was asked for, at 0."""
    told = memory.told
    before = memory.mark.attempt if memory.mark is not None else told.attempt if told is not None else 1
    if mark.attempt != before and not memory.deleting:
        by_request = any(request.verb == "retry" for request in mark.requests)
        if mark.attempt != before + 1 or mark.weight or not by_request or "retry" not in memory.asked:
            yield f"attempt {mark.attempt} begins after {before} by nobody's request"


def _is_put_back_after_the_end(memory: Memory, mark: Mark) -> bool:
    """Somebody took the route or the mark away after a promotion: what had ended is put back, and nothing beyond it."""
    outcome = memory.told.outcome if memory.told is not None else None
    return outcome is not None and outcome.result == "Promoted" and mark.weight <= memory.reached


def _of_rises(memory: Memory, mark: Mark) -> Iterator[str]:
    """What holds of every write that gives the canary more than the route or the mark says, put back or not."""
    if memory.suspended:
        yield f"rises to {mark.weight} while suspended"
    if memory.deleting:
        yield f"rises to {mark.weight} while deleted"
    if mark.attempt in memory.rolled and mark.phase is not Phase.ROLLING_BACK:
        yield f"rises to {mark.weight} after a rollback in the same generation and attempt"
    if mark.contests > 5:
        yield "somebody else's weight is put back more than five times"


def _of_decided_rises(one: Pass, mark: Mark, before: Mark | None) -> Iterator[str]:
    """Nothing but the evidence: the step, and what may keep a weight from rising at all."""
    seen = one.seen
    if before is None or not isinstance(seen.route, Route):
        yield f"rises to {mark.weight} without a mark"
        return
    if before.paused or mark.paused:
        yield f"rises to {mark.weight} while paused"
    if seen.spec.windows.frozen:
        yield f"rises to {mark.weight} while the window is closed"
    if not seen.route.accepted or seen.route.canary_percent != before.weight:
        yield f"rises to {mark.weight} while the gateway does not have {before.weight}"
    if not all(_is_ready(arm, before) for arm in (seen.stable, seen.canary)):
        yield f"rises to {mark.weight} while an arm is not ready"
    steps, by_hand = seen.spec.steps, mark.reason == Reason.PROMOTED_BY_HAND
    # By weight: steps may have been taken out or put in since the one before.
    above = [number for number, step in enumerate(steps, 1) if step.weight_percent > before.weight]
    if mark.step not in above[:1] and not (by_hand and mark.step == len(steps)):
        yield f"goes from step {before.step} to step {mark.step}"
    elif mark.weight != steps[mark.step - 1].weight_percent:
        yield f"rises to {mark.weight}, which is not the weight of step {mark.step}"


def _is_ready(arm: object, before: Mark) -> bool:
    """All its pods are; one that crashed before it had weight may have been started again."""
    crashed = isinstance(arm, Workload) and before.weight > 0 and arm.restarts > 0
    return isinstance(arm, Workload) and 0 < arm.ready == arm.replicas and not crashed


def _of_evidence(one: Pass, before: Mark, statistics: Statistics) -> Iterator[str]:
    """Fresh evidence of this step speaks for it; of a promotion by hand, at least nothing against it."""
    latest, weight = one.seen.latest, before.weight
    by_hand = one.write is not None and one.write.mark["reason"] == Reason.PROMOTED_BY_HAND
    if not isinstance(latest, Evidence):
        yield "rises while nothing is seen in the last scrapes"
    elif weight == 0:
        if not by_hand and (latest.stable is None or latest.stable.requests == 0):
            yield "rises from 0 while stable is not seen"
    elif not _speaks_for(latest):
        yield f"rises from {weight} while the last scrapes do not speak for it"
    if one.seen.behind:
        yield f"rises from {weight} while there are blocks to be read"
    if weight and not by_hand:
        yield from _of_blocks(one, before, statistics)


def _speaks_for(seen: Evidence) -> bool:
    canary = seen.canary
    return canary is not None and canary.requests > 0 and not canary.errors and not canary.slow["latency"]


def _of_blocks(one: Pass, before: Mark, statistics: Statistics) -> Iterator[str]:
    """As many as the rule needs, the latest of them good, and none of an earlier weight: counted without the rule."""
    seen, weight = one.seen, before.weight
    if isinstance(seen.blocks, Unreadable) or not all(_speaks_for(block) for block in seen.blocks):
        yield f"rises from {weight} while the latest blocks do not speak for it"
        return
    kept = seen.__dict__.get("evidence")
    states = () if kept is None else kept.states.values()
    blocks = max((state.blocks for state in states), default=0) + len(seen.blocks)
    if blocks < MANY - 1 or age_of(before.since) < LEAST_SECONDS:
        yield f"rises from {weight} after {blocks} blocks, {age_of(before.since):.0f} s"
    if any(block.start < before.since for block in seen.blocks) or (kept is not None and kept.since != before.since):
        yield "evidence of an earlier weight is counted"
    weighing = one.step.weighing
    advances = (
        weighing and statistics.weigh(weighing.evidence, seen.spec, Split(weight, None)).verdict is Verdict.ADVANCE
    )
    if not advances:
        yield f"rises from {weight} though the evidence does not advance"


def _of_people(one: Pass, mark: Mark) -> Iterator[str]:
    """An approval or a promotion needs its token, which the same write takes down."""
    by_hand = mark.reason == Reason.PROMOTED_BY_HAND
    manual = 0 < mark.step <= len(one.seen.spec.steps) and one.seen.spec.steps[mark.step - 1].approval == "Manual"
    if not (by_hand or manual):
        return
    verb, request = "promote" if by_hand else "approve", one.step.request
    if request is None or request.verb != verb or request.result != ACCEPTED:
        yield f"rises to {mark.weight} without a token of {verb}"
    elif not any(taken.verb == verb for taken in mark.requests):
        yield f"the token of {verb} is not remembered with the weight"
