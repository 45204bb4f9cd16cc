"""What a migration's decision is made from, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from changeover.api.reasons import Reason
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.core.as_measured import Benchmarked
from changeover.core.daily_peak import any_wants_peak
from changeover.core.day import Day
from changeover.core.evidence import StepEvidence
from changeover.core.mark import Mark, Phase
from changeover.core.observed import (
    Evidence,
    Figures,
    GateAnswer,
    LoadFailed,
    LoadReport,
    LoadRunning,
    NoData,
    Owner,
    Peak,
    Route,
    Unreadable,
    Workload,
)
from changeover.core.plan import Action, Manifest, SetSplit
from changeover.core.requests import Request
from changeover.core.weighing import Weighing

TICK_SECONDS = 2.0


@dataclass(frozen=True)
class CanaryChoice:
    """The canary as the spec resolves it: the workload to make, if we make it, or why it is refused."""

    refused: Reason | None = None
    why: str = ""
    manifests: tuple[Manifest, ...] = ()
    benchmarked: Benchmarked = field(default_factory=Benchmarked)


LoadState = LoadReport | LoadRunning | LoadFailed | Unreadable | None


@dataclass(frozen=True)
class Before:
    """The highest rate that was seen, and stable's figures over a span that ends at an instant."""

    peak: Peak
    at: datetime
    figures: Figures


@dataclass(frozen=True)
class SeenLoad:
    """What is seen of the migration's own load, and of what it is to show.

    ``before`` is stable at its peak, ``after`` the canary under the acceptance's load; each is read when it is due.
    """

    gateways: Mapping[str, str] = field(default_factory=dict)  # address by namespace/name, as the operator knows them
    image: str = ""
    of_steps: LoadState = None
    of_acceptance: LoadState = None
    before: Before | NoData | Unreadable | None = None
    after: Figures | NoData | Unreadable | None = None


@dataclass(frozen=True)
class SeenMigration:
    """The world of one migration, as read in this pass."""

    now: datetime
    owner: Owner
    spec: MigrationSpec
    arms: str  # fingerprint of stable and canary
    choice: CanaryChoice | Unreadable
    stable: Workload | Unreadable | None
    canary: Workload | Unreadable | None
    route: Route | Unreadable | None
    evidence: StepEvidence | None  # what status held, if it belongs to the route's mark
    blocks: tuple[Evidence, ...] | Unreadable  # whole blocks since then, in order
    latest: Evidence | NoData | Unreadable | None  # the last scrape
    scrape_seconds: float
    queries_refused: str = ""  # why the metric source may not be asked the spec's own queries
    day: Day | None = None  # what stable was like over a day, from status or read in this pass
    gates: tuple[GateAnswer, ...] = ()  # what the gates said: as status has it, and in this pass
    peak: Peak | NoData | Unreadable | None = None  # asked for with a new block when a target needs it, and to accept
    load: SeenLoad = field(default_factory=SeenLoad)
    testers: str | Unreadable | None = None  # what the testers' route that is there was made for; None: there is none
    behind: bool = False  # whether there are whole blocks later than those read in this pass
    term: int = 0  # of leadership, under which this is decided; 0 without a Lease
    unserved: str | Unreadable = ""  # why an edit of the backends is not followed yet; those of before stand meanwhile
    not_understood: str = ""  # what of the spec this operator does not know: a metric source, a later release's field

    @property
    def known_stable(self) -> Workload | None:
        """Stable's pods; None where they are not known.

        So it is, too, while an edit is not followed and what it names has no pod ready: others answer for stable then.
        """
        stable = self.stable if isinstance(self.stable, Workload) else None
        return None if stable is None or (self.unserved and stable.ready == 0) else stable

    @property
    def is_way_back_open(self) -> bool:
        """Whether stable answers: it has ready pods or, where they are not known, the gateway counts its answers."""
        if self.known_stable is not None:
            return self.known_stable.ready > 0
        counts = self.latest.stable if isinstance(self.latest, Evidence) else None
        return counts is not None and counts.requests > counts.errors

    @property
    def is_partly_unread(self) -> bool:
        """Whether the route or a backend could not be read: what stands beside the weights then stays as it is."""
        return any(isinstance(one, Unreadable) for one in (self.route, self.stable, self.canary))


@dataclass(frozen=True)
class Step:
    """What is decided in this pass."""

    reason: Reason
    message: str
    actions: tuple[Action, ...] = ()
    mark: Mark | None = None  # the mark after the actions
    weighing: Weighing | None = None
    outcome: dict[str, Any] | None = None
    stalled: bool = False
    recheck_after: float | None = TICK_SECONDS
    request: Request | None = None  # what a person asked for, and was answered in this pass
    asks_for: int = 0  # the step that a person asks for, about which its gates are asked; 0: what comes next


def next_step(spec: MigrationSpec, mark: Mark) -> int:
    """Number of the first step above the mark's weight, from 1; one more than there are when there is none.

    By weight, and not by the number that the mark keeps: steps may be taken out or put in under way.
    """
    return 1 + sum(1 for step in spec.steps if step.weight_percent <= mark.weight)


def current_step(spec: MigrationSpec, mark: Mark) -> int:
    """Number of the step that the weight is on, from 1; 0 before the first. A rollback tells of the step it was on.

    Below all steps of an edited spec it is the first: what that asks for is asked for.
    """
    return mark.step if mark.phase is Phase.ROLLING_BACK or not mark.weight else max(1, next_step(spec, mark) - 1)


def peaks_of(seen: SeenMigration) -> tuple[int, ...]:
    """The busiest hours of the day, where a step is to cover one; empty when they are not known."""
    return seen.day.peaks if seen.day is not None and any_wants_peak(seen.spec) else ()


def split(mark: Mark) -> SetSplit:
    """The one write of weights and mark."""
    return SetSplit(mark.weight, mark.to_dict())


def first_mark(seen: SeenMigration, before: Mark | None) -> Mark:
    """All traffic on stable, to begin with. A pause and the count of attempts outlive the mark that held them."""
    status = seen.owner.status
    return Mark(
        Phase.PREPARING, 0, 0, seen.now, seen.owner.generation, seen.arms, Reason.PREPARING, "", 0,
        attempt=before.attempt if before is not None else status.get("attempt", 1),
        paused=before.paused if before is not None else status.get("paused", False),
        requests=before.requests if before is not None else (),
    )  # fmt: skip


def make_outcome(result: str, seen: SeenMigration, mark: Mark, reason: str, message: str) -> dict[str, Any]:
    """How it ended, as status has it."""
    at = seen.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    # A rollback belongs to the spec that it was decided under; a promotion is judged by the spec that stands.
    generation = mark.generation if result == "RolledBack" else seen.owner.generation
    return {
        "result": result, "at": at, "generation": generation, "attempt": mark.attempt, "reason": str(reason),
        "message": message[:1024],
    }  # fmt: skip


def attempt_of(outcome: dict[str, Any]) -> int:
    """Which attempt ended so; an outcome of an earlier release does not say."""
    return int(outcome.get("attempt", 1))
