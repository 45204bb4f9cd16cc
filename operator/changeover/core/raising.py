"""May the weight rise, and if not, what does it wait for? The only place where a weight rises is ``raise_to``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.step import Step as StepSpec
from changeover.core import names
from changeover.core.daily_peak import lacking, wants_peak
from changeover.core.evidence import StepEvidence
from changeover.core.gates import held_by_gates
from changeover.core.guards import held_against, unanswerable
from changeover.core.harm import roll_back
from changeover.core.mark import Mark, Phase
from changeover.core.measured_share import disagreement
from changeover.core.migration_end import LOOK_AFTER_SECONDS
from changeover.core.migration_state import (
    SeenMigration,
    Step,
    current_step,
    make_outcome,
    next_step,
    peaks_of,
    split,
)
from changeover.core.observed import Evidence, NoData, Unreadable, Workload
from changeover.core.weighing import Weighing
from changeover.core.windows import closed, wrong

Waiting = tuple[Reason, str]  # why the weight does not rise yet


def advance(seen: SeenMigration, mark: Mark, weighing: Weighing) -> Step:
    waiting = _too_early(seen, mark, weighing.evidence)
    if waiting is not None:
        reason, why = waiting
        return Step(reason, f"{weighing.message}; {why}", (), mark, weighing)
    unseen = _unseen(seen.latest, mark)
    if unseen or not isinstance(seen.latest, Evidence):
        # What was enough a block ago is no ground to go on blindly now.
        message = f"{weighing.message}; but the last scrapes do not show all: {unseen}"
        return Step(Reason.METRICS_MISSING, message, (), mark, weighing)
    split_is_off = disagreement(seen.latest, mark.weight)
    if split_is_off:
        return Step(Reason.WEIGHT_NOT_EFFECTIVE, f"{split_is_off} in the last scrapes", (), mark, weighing)
    against = held_against(seen.spec, seen.latest)
    if against:
        return Step(Reason.QUERY_HOLDS, f"{against}; {weighing.message}", (), mark, weighing)
    if next_step(seen.spec, mark) <= len(seen.spec.steps):
        return rise(seen, mark, weighing.message, weighing)
    at_the_gate = held_by_gates(seen, mark)
    if at_the_gate is not None:
        return _stopped(seen, mark, *at_the_gate, weighing)
    message = f"held its objectives at {mark.weight} %: {weighing.message}"
    outcome = make_outcome("Promoted", seen, mark, Reason.PROMOTED, message)
    return Step(Reason.PROMOTED, message, (), mark, weighing, outcome, recheck_after=LOOK_AFTER_SECONDS)


def _too_early(seen: SeenMigration, mark: Mark, evidence: StepEvidence) -> Waiting | None:
    """What the step has still to see, though all that it has seen speaks for the canary."""
    step = _current(seen, mark)
    if (seen.now - mark.since).total_seconds() < duration_seconds(step.min_duration):
        return Reason.WAITING_FOR_DURATION, f"the step lasts at least {step.min_duration}"
    if evidence.requests < step.min_requests:
        return Reason.WAITING_FOR_REQUESTS, f"{evidence.requests} of at least {step.min_requests} requests"
    if not wants_peak(step):
        return None
    peaks = peaks_of(seen)
    why = lacking(evidence.covered, peaks) if peaks else _unknown_peak(seen)
    return (Reason.WAITING_FOR_DAILY_PEAK, why) if why else None


def _unseen(latest: Evidence | NoData | Unreadable | None, mark: Mark) -> str:
    """What the last scrapes do not show of the two arms; empty when they show both."""
    if not isinstance(latest, Evidence):
        return latest.reason if latest is not None else "nothing was asked yet"
    if latest.canary is None:
        return "the canary has no counters"
    return (
        "stable has no counters, so that the split cannot be seen"
        if latest.stable is None and mark.weight < 100
        else ""
    )


def _current(seen: SeenMigration, mark: Mark) -> StepSpec:
    return seen.spec.steps[current_step(seen.spec, mark) - 1]


def hold(seen: SeenMigration, mark: Mark, weighing: Weighing) -> Step:
    step = _current(seen, mark)
    # Who had all that it takes, and waited for a person or a window, is not undecided by one block that is missing.
    since = max(mark.since, weighing.evidence.decided or mark.since)
    if (seen.now - since).total_seconds() <= duration_seconds(step.max_duration):
        return Step(weighing.reason, weighing.message, (), mark, weighing)
    message = f"undecided after {step.max_duration}: {weighing.message}"
    if step.on_undecided == "Rollback":
        return roll_back(seen, mark, Reason.UNDECIDED, message, weighing)
    return Step(
        Reason.UNDECIDED, f"{message}; the weight stays until a person decides", (), mark, weighing, stalled=True
    )


def rise(seen: SeenMigration, mark: Mark, message: str, weighing: Weighing | None = None) -> Step:
    """One step up, unless something has to be waited for first."""
    if mark.paused:
        return paused(mark, message, weighing)
    for waits_for in _BEFORE_A_RISE:
        waiting = waits_for(seen, mark)
        if waiting is not None:
            reason, why = waiting
            return _stopped(seen, mark, reason, f"{why}; {message}", weighing)
    return raise_to(seen, mark, next_step(seen.spec, mark), message, weighing)


def _stopped(seen: SeenMigration, mark: Mark, reason: Reason, message: str, weighing: Weighing | None) -> Step:
    """The weight does not rise, for a reason beside the evidence."""
    if reason is Reason.GATE_REFUSED and mark.weight > 0:
        return roll_back(seen, mark, reason, message, weighing)
    # What can only be mended by a person; harm is watched all the same.
    stalled = reason in (Reason.INVALID_SPEC, Reason.GATE_REFUSED)
    return Step(reason, message, (), mark, weighing, stalled=stalled)


def _busiest_hour(seen: SeenMigration, mark: Mark) -> Waiting | None:
    """It is to be known beforehand: where nobody can tell it, the wait is one with all traffic on stable."""
    if peaks_of(seen) or not any(wants_peak(step) for step in seen.spec.steps[next_step(seen.spec, mark) - 1 :]):
        return None
    return Reason.WAITING_FOR_DAILY_PEAK, _unknown_peak(seen)


def _unknown_peak(seen: SeenMigration) -> str:
    why = seen.day.why_no_peak if seen.day is not None else "stable's day was not read yet"
    return f"a step is to cover the day's busiest hour, which is not known: {why}"


def _queries(seen: SeenMigration, mark: Mark) -> Waiting | None:
    """Before any weight it is known whether the queries may be asked, and are understood."""
    if seen.queries_refused:
        return Reason.INVALID_SPEC, seen.queries_refused
    why = unanswerable(seen.spec, seen.latest) if isinstance(seen.latest, Evidence) else ""
    return (Reason.METRICS_MISSING, why) if why else None


def _window(seen: SeenMigration, mark: Mark) -> Waiting | None:
    why = closed(seen.spec.windows, seen.now)
    reason = Reason.INVALID_SPEC if wrong(seen.spec.windows) else Reason.WAITING_FOR_WINDOW
    where = f"step {next_step(seen.spec, mark)}/{len(seen.spec.steps)}"
    return (reason, f"{where} waits: {why}") if why else None


def _approval(seen: SeenMigration, mark: Mark) -> Waiting | None:
    number = next_step(seen.spec, mark)
    step = seen.spec.steps[number - 1]
    if step.approval != "Manual":
        return None
    asked = f"step {number}/{len(seen.spec.steps)} ({step.weight_percent} %) waits for approval: annotate "
    how = f"{names.ANNOTATION_REQUESTED}approve=TOKEN with a token not used before"
    return Reason.WAITING_FOR_APPROVAL, asked + how


# What the next step waits for when all evidence speaks for it; the first that has something to say. A person is last:
# who approves raises at once, so nothing else may be left to wait for.
_BEFORE_A_RISE: tuple[Callable[[SeenMigration, Mark], Waiting | None], ...] = (
    _queries,
    _busiest_hour,
    _window,
    held_by_gates,
    _approval,
)


def paused(mark: Mark, message: str, weighing: Weighing | None) -> Step:
    """The weight stays; what was looked at before still rolls back."""
    how = f"paused at {mark.weight} % until {names.ANNOTATION_REQUESTED}resume is annotated: {message}"
    return Step(Reason.PAUSED, how, (), mark, weighing)


def raise_to(seen: SeenMigration, mark: Mark, index: int, message: str, weighing: Weighing | None) -> Step:
    """Up to a step that is above the mark's weight: the only place where a weight rises."""
    weight = seen.spec.steps[index - 1].weight_percent
    up = replace(
        mark, phase=Phase.STEPPING, step=index, weight=weight, since=seen.now, generation=seen.owner.generation,
        arms=seen.arms, reason=Reason.STEPPED, message=message, came_from=mark.weight, contests=0, contested_at=None,
        restarts=seen.canary.restarts if isinstance(seen.canary, Workload) else None,
        stable_pods=_stable_pods(seen, mark),
    )  # fmt: skip
    return Step(Reason.STEPPED, f"{mark.weight} % -> {weight} %: {message}", (split(up),), up, weighing)


def _stable_pods(seen: SeenMigration, mark: Mark) -> int | None:
    """Ready pods of stable while it had all the traffic; or while it had less, where more were needed for that."""
    ready = seen.stable.ready if isinstance(seen.stable, Workload) else None
    if mark.weight == 0:
        return ready
    return mark.stable_pods if mark.stable_pods is None or ready is None else max(mark.stable_pods, ready)
