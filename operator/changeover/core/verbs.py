"""What comes of a person's request? The ladder says what is so; a verb changes the mark, or is refused by what is so.

At most one request is taken up in a pass. One that is carried out is remembered in the mark that it makes, in the same
write. One that makes no sense now is refused for good: it never takes effect later. While what it depends on cannot be
read, or a gate is yet to answer, a request stays open, since nothing is known to refuse it by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.objective import Objective
from changeover.core import migration, requests
from changeover.core.evidence import limit_of
from changeover.core.fence import sealed
from changeover.core.gates import awaited, held_by_gates
from changeover.core.guards import held_against
from changeover.core.harm import not_whole, roll_back
from changeover.core.mark import Mark, Phase
from changeover.core.measured_share import disagreement
from changeover.core.migration_end import LOOK_AFTER_SECONDS, why_out_of_reach
from changeover.core.migration_state import (
    TICK_SECONDS,
    SeenMigration,
    Step,
    attempt_of,
    current_step,
    first_mark,
    make_outcome,
    next_step,
    split,
)
from changeover.core.observed import Counts, Evidence, Route, Unreadable, Workload
from changeover.core.plan import HoldFinalizer, SetSplit
from changeover.core.raising import raise_to
from changeover.core.requests import ACCEPTED, REFUSED, VERBS, Request
from changeover.core.windows import closed

# All is well as far as it can be told, so that a person may take the responsibility for the rest. A reason that is not
# here refuses a promotion.
PROMOTABLE = frozenset({
    Reason.STEPPED, Reason.WAITING_EVIDENCE, Reason.WAITING_FOR_DURATION, Reason.WAITING_FOR_REQUESTS,
    Reason.WAITING_FOR_APPROVAL, Reason.WAITING_FOR_DAILY_PEAK, Reason.UNDECIDED,
})  # fmt: skip
WRITING = frozenset({"abort", "pause", "resume"})  # whatever the ladder waits for
ROLLING = frozenset({Reason.ROLLING_BACK, Reason.STABLE_TOO_SMALL, Reason.ROLLED_BACK})


@dataclass(frozen=True)
class Asked:
    """A request, and what the ladder decides without it."""

    seen: SeenMigration
    route: Route | None
    token: str
    mark: Mark | None  # as it stands
    step: Step

    @property
    def where(self) -> str:
        """The step that it stands on, in words."""
        spec = self.seen.spec
        return f"step {current_step(spec, self.mark) if self.mark is not None else 0}/{len(spec.steps)}"

    @property
    def has_ended(self) -> bool:
        """Whether it had ended before this pass."""
        return self.step.outcome is not None and self.step.outcome == self.seen.owner.status.get("outcome")

    @property
    def base(self) -> Mark:
        """The mark that a request changes: a new one where the migration is about to start over."""
        mark = self.mark
        stands = mark is not None and mark.arms == self.seen.arms and mark.phase is not Phase.ROLLING_BACK
        return mark if mark is not None and stands else first_mark(self.seen, mark)


Answered = tuple[Step, str]  # what is done, and the answer; a refusal is its reason alone, and None leaves it open
Verb = Callable[[Asked], "Answered | str | None"]


def decide(seen: SeenMigration) -> Step:
    """What is done now: the ladder, and what comes of a request, for the route as it was seen."""
    return sealed(_decided(seen), seen)


def _decided(seen: SeenMigration) -> Step:
    """The ladder, and what comes of the request that is to be taken up first."""
    step = migration.decide(seen)
    if isinstance(seen.route, Unreadable) or any(isinstance(a, HoldFinalizer) for a in step.actions):
        return step
    if seen.owner.deleting:
        return step
    mark = migration.mark_of(seen, seen.route)
    waiting = requests.pending(seen.owner.requests, requests.told(seen.owner.status), mark.requests if mark else ())
    if not waiting:
        return step
    verb, token = waiting[0]
    asked = Asked(seen, seen.route, token, mark, step)
    asked = replace(asked, step=_with_gates(asked)) if verb == "promote" else asked
    out_of_hand = _out_of_hand(asked) if verb in WRITING else ""
    answered = None if out_of_hand else _answer(verb, asked)
    if answered is None:
        why = "" if out_of_hand in asked.step.message else f"; {verb} waits: {out_of_hand}"
        return replace(asked.step, message=asked.step.message + why, recheck_after=TICK_SECONDS)
    if isinstance(answered, str):
        step = replace(step, request=Request(verb, token, seen.now, REFUSED, answered))
    else:
        step = _remembered(answered[0], Request(verb, token, seen.now, ACCEPTED, answered[1]))
    return replace(step, recheck_after=0.0) if len(waiting) > 1 else step


def _out_of_hand(asked: Asked) -> str:
    """Why the live route can be written by nobody's word yet, as the ladder does not write it either; empty: it can.

    Its users' route may have no place for our weights; or an edit names a stable that is not there, or answers nobody.
    """
    seen, route, mark = asked.seen, asked.route, asked.mark
    if asked.has_ended or asked.step.reason in (*ROLLING, Reason.ROUTE_NOT_OURS):
        return ""
    why = why_out_of_reach(seen, route)
    if why or route is None or route.canary_percent is not None or (mark is not None and mark.arms == seen.arms):
        return why
    not_followed = migration.without_stable(seen, mark)
    return not_followed.message if not_followed is not None else ""


def _with_gates(asked: Asked) -> Step:
    """Before a person's word as before the evidence's the gates are asked, when all else is well: about the last step.

    What the evidence would raise meanwhile waits for it.
    """
    step, mark, last = asked.step, asked.mark, len(asked.seen.spec.steps)
    if awaited(asked.seen, step):  # what is asked about the next step is not to be known for this
        step = replace(step, reason=Reason.WAITING_FOR_APPROVAL)
    if mark is None or _why_not_promoted(replace(asked, step=step)) is not None:
        return asked.step
    held = held_by_gates(asked.seen, mark, last)
    if held is None:
        return step
    return replace(step, reason=held[0], message=f"{held[1]}; {step.message}", actions=(), mark=mark, asks_for=last)


def _remembered(step: Step, request: Request) -> Step:
    """The same step, with the request in its mark and in its one write of the route."""
    assert step.mark is not None
    mark = replace(step.mark, requests=requests.with_request(step.mark.requests, request))
    others = (action for action in step.actions if not isinstance(action, SetSplit))
    return replace(step, mark=mark, actions=(split(mark), *others), request=request)


def _answer(verb: str, asked: Asked) -> Answered | str | None:
    if verb not in _VERBS:
        return f"there is no verb {verb!r}; there are {', '.join(sorted(VERBS))}"
    if asked.step.reason is Reason.ROUTE_NOT_OURS:
        return f"nothing is done: {asked.step.message}"
    if asked.seen.spec.suspend and verb != "abort":
        return "spec.suspend is true: only abort is carried out; set it to false first"
    if asked.has_ended and verb != "retry":
        return f"it has ended: {asked.step.message}"
    if asked.step.reason in ROLLING and verb != "retry":
        return f"it is rolled back already: {asked.step.message}"
    is_unknown = asked.step.reason is Reason.UNREADABLE or asked.seen.behind or awaited(asked.seen, asked.step)
    if is_unknown and verb in ("approve", "promote"):
        return None
    return _VERBS[verb](asked)


def _abort(asked: Asked) -> Answered | str:
    """The same rollback as any other. Without weight there is nothing to see through, so it ends at once."""
    base, seen = asked.base, asked.seen
    if base.weight > 0:
        down = roll_back(seen, base, Reason.ABORTED, "aborted by a person", asked.step.weighing)
        return down, down.message
    down = roll_back(seen, base, Reason.ABORTED, "aborted before the canary had traffic", None)
    assert down.mark is not None
    outcome = make_outcome("RolledBack", seen, down.mark, Reason.ABORTED, down.message)
    ended = replace(down, reason=Reason.ROLLED_BACK, outcome=outcome, recheck_after=LOOK_AFTER_SECONDS)
    return ended, down.message


def _pause(asked: Asked) -> Answered | str:
    if asked.base.paused:
        return f"it is paused already at {asked.base.weight} %"
    mark = replace(asked.base, paused=True)
    message = f"paused by a person at {asked.where}, {mark.weight} %; harm still rolls back"
    return Step(Reason.PAUSED, message, (split(mark),), mark, asked.step.weighing), message


def _resume(asked: Asked) -> Answered | str:
    if not asked.base.paused:
        return f"it is not paused: {asked.step.message}"
    mark = replace(asked.base, paused=False)
    message = f"resumed by a person at {asked.where}, {mark.weight} %"
    return Step(Reason.RESUMED, message, (split(mark),), mark, asked.step.weighing, recheck_after=0.0), message


def _approve(asked: Asked) -> Answered | str:
    """Carried out by the very write that raises, so no approval is left over to open a later step."""
    if asked.step.reason is not Reason.WAITING_FOR_APPROVAL or asked.mark is None:
        return f"nothing waits for approval at {asked.where}: {asked.step.message}"
    index, weighing = next_step(asked.seen.spec, asked.mark), asked.step.weighing
    why = weighing.message if weighing is not None else "stable is measured and the canary is ready"
    up = raise_to(asked.seen, asked.mark, index, f"approved by a person; {why}", weighing)
    return up, f"step {index}/{len(asked.seen.spec.steps)} approved: {up.message}"


def _promote(asked: Asked) -> Answered | str:
    """To the last step at once; it is watched like every other, and ends as usual."""
    last, mark = len(asked.seen.spec.steps), asked.mark
    refusal = _why_not_promoted(asked)
    if refusal is not None or mark is None:
        return refusal or asked.step.message
    up = raise_to(asked.seen, mark, last, "promoted by a person", asked.step.weighing)
    assert up.mark is not None
    by_hand = replace(up.mark, reason=Reason.PROMOTED_BY_HAND)
    return replace(up, reason=Reason.PROMOTED_BY_HAND, mark=by_hand), f"{up.message}; the last step is still watched"


def _why_not_promoted(asked: Asked) -> str | None:
    if asked.mark is not None and next_step(asked.seen.spec, asked.mark) > len(asked.seen.spec.steps):
        return f"it is on the last step already: {asked.step.message}"
    if asked.step.reason not in PROMOTABLE:
        return f"not promoted at {asked.where}: {asked.step.message}"
    canary = asked.seen.canary
    lacking = not_whole(canary) if isinstance(canary, Workload) else ""
    if lacking:
        return f"not promoted at {asked.where}: {lacking}"
    missed = closed(asked.seen.spec.windows, asked.seen.now) or _held_against(asked)
    return None if missed is None else f"not promoted at {asked.where}: {missed}"


def _held_against(asked: Asked) -> str | None:
    """What the latest look says against the canary, be it only that there was none; None when nothing."""
    latest, weight = asked.seen.latest, asked.mark.weight if asked.mark is not None else 0
    if not isinstance(latest, Evidence) or (weight and latest.canary is None):
        return "the last scrapes show nothing, and no weight is raised blindly"
    split_is_off = disagreement(latest, weight) if weight else ""
    against = f"{split_is_off} in the last scrapes" if split_is_off else held_against(asked.seen.spec, latest)
    if weight and against:
        return against
    for objective in asked.seen.spec.objectives:
        limit = limit_of(objective)
        for where, bad, requests_seen in _looks(asked, objective, latest.canary):
            if limit is not None and bad > limit * requests_seen:
                share = f"{100 * bad / max(requests_seen, 1):.3g} % of the requests in the {where} are bad"
                return f"{objective.name}: {share}, limit {100 * limit:.3g} %"
    return None


def _looks(asked: Asked, objective: Objective, counts: Counts | None) -> Iterator[tuple[str, float, float]]:
    """Where was looked last, how many requests were bad there, and of how many."""
    if counts is not None:
        bad = counts.errors if objective.latency is None else counts.slow.get(objective.name, 0)
        yield "last scrapes", bad, counts.requests
    weighing = asked.step.weighing
    state = weighing.evidence.states.get(objective.name) if weighing is not None else None
    if state is not None:
        yield "latest blocks", state.recent_bad, state.recent_requests


def _retry(asked: Asked) -> Answered | str | None:
    """Over again with the same spec: another attempt, to which the outcome of this one does not belong."""
    outcome = asked.step.outcome
    if not asked.has_ended or outcome is None:
        return f"it has not ended at {asked.where}: {asked.step.message}"
    if outcome["result"] != "RolledBack":
        return "a promoted migration does not start again; make a new one"
    over = migration.prepare(asked.seen, asked.route, None)
    if over.reason is Reason.UNREADABLE:
        return None
    if over.mark is None:
        return f"not started over: {over.message}"
    attempt = attempt_of(outcome) + 1
    taken = asked.mark.requests if asked.mark is not None else ()
    message = f"attempt {attempt} begins at 0 %, by a person's request"
    mark = replace(over.mark, attempt=attempt, paused=False, requests=taken)
    return replace(over, reason=Reason.RETRIED, message=message, mark=mark), message


_VERBS: dict[str, Verb] = {
    "abort": _abort, "pause": _pause, "retry": _retry, "resume": _resume, "approve": _approve, "promote": _promote,
}  # fmt: skip
