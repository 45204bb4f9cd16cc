"""What speaks for and against the canary in this step? Blocks of counters become evidence for each objective.

A step's evidence starts afresh with each weight. It is a pure function of the blocks since the weight was set, kept as
sufficient statistics in status, so that a restart neither loses nor counts a block twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from changeover.api.v1alpha1.base import duration_seconds
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.objective import Objective
from changeover.core import sequential
from changeover.core.capacity import PLAIN, PROJECTED, CapacityDesign, CPUShare
from changeover.core.conditions import UNREADABLE_JSON, parse_stored
from changeover.core.daily_peak import Coverage
from changeover.core.design import Baseline
from changeover.core.guards import Guard, fold_guards, is_new
from changeover.core.measured_share import disagreement
from changeover.core.observed import Counts, Evidence
from changeover.core.projection import LoadShare
from changeover.core.sequential import Block, Design, Target, TargetState

SETTLE_SCRAPES = 2.0  # after a change of weight: the gateway takes it, and one full scrape passes


@dataclass(frozen=True)
class StepEvidence:
    """All that counts in this step; `since` names the weight it belongs to, `until` the end of the last block."""

    since: datetime
    until: datetime
    states: Mapping[str, TargetState] = field(default_factory=dict)
    cpu: Mapping[str, CPUShare] = field(default_factory=dict)
    load: LoadShare = field(default_factory=LoadShare.start)  # only kept when a CPU target is projected
    peak: float = 0.0  # the highest rate of the last 24 hours as far as this step knows, requests/s; 0: not known
    requests: int = 0
    off: int = 0  # consecutive blocks, up to now, whose split was not that of the weight
    guards: Mapping[str, Guard] = field(default_factory=dict)  # of the user's own queries, by objective
    covered: Coverage = field(default_factory=Coverage)  # of the day's busiest hour, where a step is to cover it
    counted: Mapping[str, str] = field(default_factory=dict)  # by objective, what its bad requests are: ``counted_as``
    build: str = ""  # of the canary's pods (``Workload.builds``); empty: not known, as in an earlier release
    pods: int = 0  # of the canary, in the last pass; 0: not known, as in an earlier release
    resized: datetime | None = None  # from when on there are so many; None: ever since
    block: float = 0.0  # seconds of the blocks that were counted; 0: an earlier release did not say
    decided: datetime | None = None  # end of the last block at which all spoke for the canary, of whatever build
    last: Evidence | None = None  # the latest block, to be shown; not kept over a restart

    @classmethod
    def start(cls, since: datetime, scrape_seconds: float) -> StepEvidence:
        """No evidence; the first block begins when the new weight has settled."""
        return cls(since, since + timedelta(seconds=SETTLE_SCRAPES * scrape_seconds))

    def to_text(self) -> str:
        """Compact JSON for status."""
        content = {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "requests": self.requests,
            "off": self.off,
            **({"load": self.load.to_dict(), "peak": self.peak} if self.load.blocks or self.load.unseen else {}),
            **({"guards": {name: guard.to_dict() for name, guard in self.guards.items()}} if self.guards else {}),
            **({"covered": self.covered.to_dict()} if self.covered.peaks else {}),
            **({"counted": dict(self.counted)} if self.counted else {}),
            **({"build": self.build} if self.build else {}),
            **({"pods": self.pods} if self.pods else {}),
            **{name: at.isoformat() for name, at in (("resized", self.resized), ("decided", self.decided)) if at},
            **({"block": self.block} if self.block else {}),
            "states": {name: state.to_dict() for name, state in self.states.items()},
            "cpu": {name: share.to_dict() for name, share in self.cpu.items()},
        }
        return json.dumps(content, separators=(",", ":"), sort_keys=True)

    @classmethod
    def parse(cls, text: str, since: datetime) -> StepEvidence | None:
        """Inverse of ``to_text``; None when it is not readable, or belongs to another weight."""
        try:
            content = json.loads(text)
            if parse_stored(content["since"]) != since:
                return None
            return cls(
                since=since,
                until=parse_stored(content["until"]),
                states={name: TargetState.from_dict(state) for name, state in content["states"].items()},
                cpu={name: CPUShare.from_dict(share) for name, share in content["cpu"].items()},
                requests=int(content["requests"]),
                off=int(content.get("off", 0)),
                load=LoadShare.from_dict(content["load"]) if "load" in content else LoadShare.start(),
                peak=float(content.get("peak", 0.0)),
                guards={name: Guard.from_dict(guard) for name, guard in content.get("guards", {}).items()},
                covered=Coverage.from_dict(content["covered"]) if "covered" in content else Coverage(),
                counted={name: str(what) for name, what in content.get("counted", {}).items()},  # an earlier: nothing
                build=str(content.get("build", "")),
                pods=int(content.get("pods", 0)),
                resized=parse_stored(content["resized"]) if "resized" in content else None,
                decided=parse_stored(content["decided"]) if "decided" in content else None,
                block=float(content.get("block", 0.0)),
            )
        except UNREADABLE_JSON:
            return None


@dataclass(frozen=True)
class Split:
    """What the evidence is of: the weight in percent, the canary's pods, and the cores that they may use together.

    `benchmarked_rps` is the most that one such pod carried in its benchmark, requests/s; 0 without one. `baselines` are
    stable's long-run rates by objective, where they are known.
    """

    weight: int
    limit_cores: float | None
    pods: int = 1
    benchmarked_rps: float = 0.0
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    peaks: tuple[int, ...] = ()  # the busiest hours of the day, where a step is to cover one
    builds: frozenset[str] = frozenset()  # of the canary's pods, as far as they are known
    anew: datetime | None = None  # when evidence of other pods could begin: as after a change of weight
    complete_from: datetime | None = None  # when all of the pods were there; None: not known


def make_design(spec: MigrationSpec) -> Design:
    """The parameters of the decision rule that a spec asks for."""
    block = duration_seconds(spec.decision.block)
    base = Design(
        alpha=spec.decision.false_advance_percent / 100,
        beta=spec.decision.false_rollback_percent / 100,
        max_blind=max(1, math.ceil(duration_seconds(spec.decision.max_blind) / block)),
        targets=max(1, len(targets_of(spec))),
        steps=len(spec.steps),
    )
    return Design.for_block(block, base)


def limit_of(objective: Objective) -> float | None:
    """The accepted share of bad requests; None for an objective that is not about requests."""
    if objective.latency is not None:
        return round(1 - float(objective.latency.percentile) / 100, 6)
    if objective.errors is not None:
        return float(objective.errors.max_percent) / 100
    return None


def targets_of(spec: MigrationSpec, baselines: Mapping[str, Baseline] | None = None) -> dict[str, Target]:
    """The targets of the sequential rule, with what stable was like over a day where that is known."""
    limits, known = {objective.name: limit_of(objective) for objective in spec.objectives}, baselines or {}
    # 100 % errors allowed is no target; the rule needs a limit below 1.
    return {name: Target(min(q, 0.999), known.get(name)) for name, q in limits.items() if q is not None}


def fold(evidence: StepEvidence, spec: MigrationSpec, blocks: Sequence[Evidence], split: Split) -> StepEvidence:
    """The evidence after more blocks, in order; a block that does not start where the last one ended is an error.

    A block whose split is not that of the weight speaks for nobody, but it may speak against the canary; so does one in
    which pods of two builds answered. What was counted for another bound, or of another build, is no evidence now.
    """
    evidence, blocks = _of_this_build(_of_this_spec(evidence, spec), blocks, split)
    resized = evidence.resized if evidence.pods in (0, split.pods) else split.anew
    evidence = replace(evidence, pods=split.pods, resized=resized)
    for block in blocks:
        if block.start != evidence.until:
            raise ValueError(f"a block from {block.start} does not follow evidence until {evidence.until}")
        is_off = bool(disagreement(block, split.weight))
        if is_off or (len(split.builds) > 1 and block.canary is not None):
            against = _updated(evidence, spec, block, split, only_against=True)
            guards = fold_guards(evidence.guards, spec, block, is_off=True)
            off = evidence.off + 1 if is_off else 0
            evidence = replace(evidence, until=block.end, states=against, guards=guards, off=off, last=block)
            continue
        if all(since is None or since <= block.start for since in (evidence.resized, split.complete_from)):
            evidence = _with_cpu(evidence, block, spec, split)
        evidence = replace(
            evidence,
            until=block.end,
            states=_updated(evidence, spec, block, split),
            requests=evidence.requests + (block.canary.requests if block.canary is not None else 0),
            off=0,
            guards=fold_guards(evidence.guards, spec, block, is_off=False),
            covered=evidence.covered.add(block, split.peaks),
            last=block,
        )
    return evidence


def _with_cpu(evidence: StepEvidence, block: Evidence, spec: MigrationSpec, split: Split) -> StepEvidence:
    """What it used in a block, of the pods that are there now: of a time when others were there nothing is known.

    Then it is left as it is: that is no evidence, and no blindness either. What a canary uses while nobody asks it says
    nothing of its CPU under traffic.
    """
    requests, limit = block.canary.requests if block.canary is not None else 0, split.limit_cores
    share = None if block.canary_cores is None or not limit or not requests else block.canary_cores / limit
    cpu = {o.name: _cpu(evidence, o.name, share, spec) for o in spec.objectives if o.cpu is not None}
    return replace(evidence, cpu=cpu, load=_load(evidence, block, share, split.pods, spec))


def counted_as(spec: MigrationSpec) -> dict[str, str]:
    """By objective, which requests count against it."""
    return {
        o.name: f"slower than {duration_seconds(o.latency.max):g} s" if o.latency is not None else "errors"
        for o in spec.objectives if limit_of(o) is not None
    }  # fmt: skip


def _of_this_spec(evidence: StepEvidence, spec: MigrationSpec) -> StepEvidence:
    """Without what an edit under way made evidence of another question.

    Of an objective that is new, or whose bound is: other requests count against it now, and none of the busiest hour's
    did. Of blocks of another length: how far one can be trusted, and how many may be blind, is said by their length.
    """
    counted, block = counted_as(spec), duration_seconds(spec.decision.block)
    if evidence.block not in (0.0, block):
        evidence = replace(evidence, states={}, cpu={}, load=LoadShare.start(), off=0, guards={}, covered=Coverage())
    before = evidence.counted or counted
    states = {name: state for name, state in evidence.states.items() if before.get(name) == counted.get(name)}
    asks_more = evidence.block > 0 and is_new(spec, {*evidence.cpu, *evidence.counted}, evidence.guards)
    covered = Coverage() if asks_more or not counted.items() <= before.items() else evidence.covered
    return replace(evidence, states=states, covered=covered, counted=counted, block=block)


def _of_this_build(
    evidence: StepEvidence, blocks: Sequence[Evidence], split: Split
) -> tuple[StepEvidence, Sequence[Evidence]]:
    """Evidence of the pods that are there, and the blocks that may be added; while they are replaced it stays as it is.

    When others are there in their place it begins anew, from this pass on: whatever came before it may be of the old.
    """
    if len(split.builds) != 1:
        return evidence, blocks
    [build] = split.builds
    if evidence.build in ("", build):
        return replace(evidence, build=build), blocks
    until = max(evidence.until, *(block.end for block in blocks), *([split.anew] if split.anew is not None else []))
    anew = StepEvidence(evidence.since, until, peak=evidence.peak, counted=evidence.counted, block=evidence.block)
    return replace(anew, build=build, decided=evidence.decided), ()


def _updated(
    evidence: StepEvidence, spec: MigrationSpec, block: Evidence, split: Split, only_against: bool = False
) -> dict[str, TargetState]:
    """Every target's state after a block; or only of those that it speaks against, the others as they were."""
    design, targets, states = make_design(spec), targets_of(spec, split.baselines), dict(evidence.states)
    for objective in (o for o in spec.objectives if o.name in targets):
        target, seen = targets[objective.name], _block(block, objective)
        if only_against and (seen is None or seen.canary_bad <= target.q * seen.canary_requests):
            continue
        before = states.get(objective.name, TargetState.start())
        states[objective.name] = sequential.update(before, seen, target, design)
    return states


def _block(block: Evidence, objective: Objective) -> Block | None:
    """The block as one objective sees it; None, which counts as blind, when the canary's bad requests are not known."""
    bad = bad_requests(block.canary, objective)
    if block.canary is None or bad is None:
        return None
    stable_bad = bad_requests(block.stable, objective)
    if block.stable is None or stable_bad is None:
        return Block(block.canary.requests, bad)
    return Block(block.canary.requests, bad, block.stable.requests, stable_bad)


def bad_requests(counts: Counts | None, objective: Objective) -> int | None:
    """Requests that count against the objective; None when they were not counted, which is never none."""
    if counts is None:
        return None
    return counts.slow.get(objective.name) if objective.latency is not None else counts.errors


def _cpu(evidence: StepEvidence, name: str, share: float | None, spec: MigrationSpec) -> CPUShare:
    before = evidence.cpu.get(name, CPUShare.start())
    return before.blind() if share is None else before.add(share, cpu_design(spec))


def _load(evidence: StepEvidence, block: Evidence, share: float | None, pods: int, spec: MigrationSpec) -> LoadShare:
    """Load and CPU of one pod; as it was when no target is projected."""
    if not is_projected(spec):
        return evidence.load
    if share is None or block.canary is None:
        return evidence.load.blind()
    seconds = (block.end - block.start).total_seconds()
    return evidence.load.add(block.canary.requests / seconds / pods, share, projection_design(spec))


def is_projected(spec: MigrationSpec) -> bool:
    """Whether a CPU target must hold at a multiple of the traffic."""
    return any(o.cpu is not None and o.cpu.at_traffic_multiple > 1 for o in spec.objectives)


def projection_design(spec: MigrationSpec) -> CapacityDesign:
    return PROJECTED.for_block(duration_seconds(spec.decision.block))


def cpu_design(spec: MigrationSpec) -> CapacityDesign:
    return PLAIN.for_block(duration_seconds(spec.decision.block))
