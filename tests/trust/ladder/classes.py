"""The evidence of a step in classes: what the real rule makes of real blocks, one representative a class.

The rule's sums never repeat, so two bodies of evidence are one state when the rule says the same of them, over equally
many blocks (nine and more are alike), as many of them blind, and as many off. The first one met stands for its class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from unittest import mock

from changeover.api.v1alpha1 import MigrationSpec
from changeover.core import migration, migration_status, requests
from changeover.core.conditions import timestamp
from changeover.core.evidence import Split, StepEvidence, fold
from changeover.core.mark import Mark
from changeover.core.observed import Counts, Evidence
from changeover.core.weighing import Weighing, weigh

from tests.trust.ladder.configurations import Configuration
from tests.trust.ladder.memory import age_of, ago, is_kept

SCRAPE = 5.0
BLOCK_SECONDS = 60
REQUESTS = 600  # of the canary in a block
MOST_BLOCKS = 20  # a pass reads no more
MANY = 9  # blocks; the rule advances after eight
OFF = 30  # percentage points by which the split is not that of the weight
MILD = 0.015  # share of bad requests: above the limit of 1 %, and no proof


def counts(requests: int, weight: int, arm: str, bad: float = 0.0, objective: str = "errors") -> Counts:
    """One arm over a span in which the canary gets so many requests."""
    number = requests if arm == "canary" else requests * (100 - weight) // weight if weight else 1000
    spoilt = round(bad * number)
    errors, slow = (spoilt, 0) if objective == "errors" else (0, spoilt)
    return Counts(number, errors, {"latency": slow}, {})


MANY_TIMES = 1 << 12
_PARSED: dict[int, tuple[Any, Mark | None]] = {}
_BLOCKS: dict[tuple[float, int, str], tuple[tuple[str, Any], ...]] = {}


def blocks_of(until: datetime, weight: int, objective: str) -> Sequence[tuple[str, Any]]:
    """The whole blocks since then, all of one kind; none when there is none."""
    age = age_of(until)
    number = min(MOST_BLOCKS, int(age - SCRAPE) // BLOCK_SECONDS)
    if number < 1:
        return ()
    key = (age, weight, objective)
    if key not in _BLOCKS:
        canary, stable = counts(REQUESTS, weight, "canary"), counts(REQUESTS, weight, "stable")
        kinds = {
            "good": (canary, stable),
            "mildly bad": (counts(REQUESTS, weight, "canary", MILD, objective), stable),
            "bad": (counts(REQUESTS, weight, "canary", 1.0, objective), stable),
            "blind": (None, stable),
            "off": (canary, counts(REQUESTS, (weight + OFF) % 100, "stable")),
        }
        _BLOCKS[key] = tuple((name, _blocks(until, number, *arms)) for name, arms in kinds.items())
    return _BLOCKS[key]


def _blocks(until: datetime, number: int, canary: Counts | None, stable: Counts) -> tuple[Evidence, ...]:
    length = timedelta(seconds=BLOCK_SECONDS)
    return tuple(Evidence(until + n * length, until + (n + 1) * length, canary, stable, None) for n in range(number))


class Statistics:
    """The classes of one configuration, and the real ``fold`` and ``weigh`` with a memory: both are pure, and slow."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.objective = configuration.objective
        self.is_exact = False  # whether each body of evidence is a class of its own
        self._of_class: dict[str, StepEvidence] = {}
        self._class_of: dict[Any, str] = {}
        self._dated: dict[tuple[str, datetime, int], StepEvidence] = {}
        self._folded: dict[Any, tuple[Any, StepEvidence]] = {}
        self._weighed: dict[Any, tuple[StepEvidence, Weighing]] = {}

    def dated(self, name: str, since: datetime, until: int) -> StepEvidence:
        """The evidence that stands for a class, of a weight set at `since`, and up to the age of `until`."""
        key = (name, since, until)
        if key not in self._dated:
            kept = self._of_class[name]
            decided = None if kept.decided is None else ago(until) - (kept.until - kept.decided)
            self._dated[key] = replace(kept, since=since, until=ago(until), decided=decided, last=None)
        return self._dated[key]

    def class_of(self, evidence: StepEvidence, weighing: Weighing) -> str:
        """Its class; it stands for it when it is the first."""
        key = _identity(evidence)
        if self.is_exact:
            alone = f"#{len(self._of_class)}"
            self._of_class[alone] = evidence
            return alone
        name = self._class_of.get(key)
        if name is None:
            state = next(iter(evidence.states.values()), None)
            seen = (min(MANY, state.blocks), min(state.blind, 3)) if state is not None else (0, 0)
            enough = min(evidence.requests // 1000, 6)
            decided = "decided" if evidence.decided is not None else "not yet"
            name = f"{weighing.verdict}/{weighing.reason}/{seen}/{min(evidence.off, 3)}/{enough}/{decided}"
            self._of_class.setdefault(name, evidence)
            self._class_of[key] = name
            self._folded["kept", key] = (None, evidence)  # an identity is one only while its object lives
        return name

    def fold(self, evidence: StepEvidence, spec: MigrationSpec, blocks: Any, split: Split) -> StepEvidence:
        """``evidence.fold``, remembered."""
        key = (_identity(evidence), id(spec), id(blocks) if blocks else 0, split.weight)
        found = self._folded.get(key)
        if found is None:
            found = ((evidence, blocks, spec), fold(evidence, spec, blocks, split))
            self._folded[key] = found
        return found[1]

    def weigh(self, evidence: StepEvidence, spec: MigrationSpec, split: Split) -> Weighing:
        """``weighing.weigh``, remembered."""
        key = (_identity(evidence), id(spec), split.weight)
        found = self._weighed.get(key)
        if found is None:
            found = (evidence, weigh(evidence, spec, split))
            self._weighed[key] = found
        return found[1]


def _identity(evidence: StepEvidence) -> tuple[Any, ...]:
    states = evidence.states
    of_states = id(states) if states else 0
    return (evidence.since, evidence.until, evidence.decided, evidence.off, evidence.requests, of_states)


@contextmanager
def remembered(statistics: Statistics) -> Iterator[None]:
    """The real functions of the core, but the slow and pure ones among them answer twice from memory."""
    stamp, parse = lru_cache(maxsize=MANY_TIMES)(timestamp), Mark.parse

    def parsed(text: Mapping[str, Any] | None) -> Mark | None:
        # The search makes the text of a mark once; what stands for it is the object itself, which it keeps.
        known = _PARSED.get(id(text))
        if known is None or known[0] is not text:
            known = (text, parse(text))
            if is_kept(text):
                _PARSED[id(text)] = known
        return known[1]

    with ExitStack() as stack:
        for module, name, function in (
            (migration, "fold", statistics.fold), (migration, "weigh", statistics.weigh),
            (migration_status, "timestamp", stamp), (requests, "timestamp", stamp), (Mark, "parse", parsed),
        ):  # fmt: skip
            stack.enter_context(mock.patch.object(module, name, function))
        yield
