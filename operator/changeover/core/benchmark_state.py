"""What a benchmark's decision is made from, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.core.audit import RunRecord
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning, NoData, Owner, Unreadable, Usage, Workload
from changeover.core.plan import Action
from changeover.core.record_store import Place
from changeover.core.schedule import Run

TICK_SECONDS = 1.0
MAX_TOKEN = 1024  # characters of a retry's token that status repeats


@dataclass(frozen=True)
class SeenBenchmark:
    """The world of one benchmark, as read in this pass."""

    now: datetime
    owner: Owner
    spec: BenchmarkSpec
    fingerprint: str
    loader_image: str
    scrape_seconds: float
    records: Mapping[str, RunRecord] | Unreadable | None  # None: no run was ever begun
    started: datetime | None
    last_record: datetime | None
    workloads: tuple[Workload, ...] | Unreadable
    loads: Mapping[str, LoadReport | LoadRunning | LoadFailed] | Unreadable
    usage: Usage | NoData | Unreadable | None  # of the run in progress, once its load has ended
    step_usages: tuple[Usage | NoData | Unreadable, ...]  # of each step, when that run is a ramp
    environment: Mapping[str, str]
    places: tuple[Place, ...] = ()  # where the records are; empty with none
    templates: Mapping[str, Any] | Unreadable = field(default_factory=dict)  # candidate -> the pod template it copies
    refused: str = ""  # why it cannot be measured here (source, template, a later release's field), and the mend

    @property
    def is_retried(self) -> bool:
        """Whether a retry was asked for that is not begun yet."""
        return bool(self.owner.retry[:MAX_TOKEN] != self.owner.status.get("retry", ""))


@dataclass(frozen=True)
class Next:
    """What to do now, why in words, and when to look again."""

    reason: str
    message: str
    actions: tuple[Action, ...] = ()
    run: Run | None = None
    recheck_after: float | None = TICK_SECONDS
