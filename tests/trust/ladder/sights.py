"""What a pass may see besides what is remembered: every choice of the surroundings, made when the decision looks.

A choice that the decision never asks for is not made: two passes that differ only in what nobody looked at are one. So
the tree of choices is walked instead of their product, and no pass that could end differently is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from changeover.core.evidence import StepEvidence
from changeover.core.mark import Phase
from changeover.core.migration_state import CanaryChoice, SeenLoad, SeenMigration
from changeover.core.observed import Counts, Evidence, NoData, Pod, Route, Unreadable, Workload

from tests.trust.ladder.classes import SCRAPE, Statistics, blocks_of, counts
from tests.trust.ladder.memory import ARMS, NOW, Memory, age_of, ago, mark_text, owner_of

Option = TypeVar("Option")
UNREAD = Unreadable("timed out")
NOTHING = NoData("no counters")


class Oracle:
    """Makes the choices of one pass, and remembers which: ``advance`` goes on to the next way through the tree."""

    def __init__(self) -> None:
        self.path: list[int] = []
        self.sizes: list[int] = []
        self.labels: list[str] = []
        self._at = 0

    def choose(self, what: str, options: Sequence[tuple[str, Option]]) -> Option:
        """One of several, by this pass's path; the first when it was not there before."""
        if len(options) == 1:
            return options[0][1]
        if self._at == len(self.path):
            self.path.append(0)
            self.sizes.append(len(options))
        label, value = options[self.path[self._at]]
        self._at += 1
        self.labels.append(f"{what} {label}")
        return value

    def advance(self) -> bool:
        """To the next path; False when all were walked."""
        while self.path and self.path[-1] + 1 == self.sizes[-1]:
            self.path.pop()
            self.sizes.pop()
        if self.path:
            self.path[-1] += 1
        self.labels, self._at = [], 0
        return bool(self.path)


class Seen:
    """Stands for ``SeenMigration``; what is not remembered is chosen when it is first looked at."""

    now, arms, choice, scrape_seconds = NOW, ARMS, CanaryChoice(), SCRAPE
    queries_refused, day, gates, peak, load, testers, term = "", None, (), None, SeenLoad(), None, 0
    not_understood = ""
    unserved = ""
    known_stable, is_way_back_open = SeenMigration.known_stable, SeenMigration.is_way_back_open

    def __init__(self, sights: Sights, oracle: Oracle) -> None:
        self._sights, self._oracle = sights, oracle
        self.owner, self.spec = sights.owner, sights.spec(oracle)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        options = self._sights.options(name)
        value = self._oracle.choose(name, options)
        self.__dict__[name] = value
        if isinstance(value, WatchedRoute):
            value.oracle = self._oracle
        return value

    def close(self) -> None:
        """What was not looked at by now is not seen: the report asks nothing of its own."""
        for name in ("latest", "stable", "canary"):
            self.__dict__.setdefault(name, None)
        self.__dict__.setdefault("route", UNREAD)
        self.__dict__.setdefault("blocks", ())


class WatchedRoute(Route):
    """A route of which the gateway's answer is chosen when it is asked for."""

    oracle: Oracle

    def __init__(self, memory: Memory) -> None:
        assert memory.route is not None
        mark = memory.route.mark
        self.__dict__.update(
            ours=memory.route.ours, canary_percent=memory.route.shown, mark=None if mark is None else mark_text(mark),
            why_not="not yet", migration="", changed_by="", unfit="", gateways=(), hostnames=(),
        )  # fmt: skip

    @property
    def accepted(self) -> bool:
        """Whether the gateway has taken it."""
        if "taken" not in self.__dict__:
            self.__dict__["taken"] = self.oracle.choose("gateway", (("accepts", True), ("waits", False)))
        return bool(self.__dict__["taken"])


def pods(name: str, ready: int, all_: int, restarts: int = 0) -> Workload:
    """A Deployment, of whose pods some are ready."""
    made = tuple(Pod(f"{name}-{n}", n < ready, False, "node", "", restarts, "") for n in range(all_))
    return Workload(name, {}, ago(9000), False, all_, made, None)


CANARIES: tuple[tuple[str, Any], ...] = (
    ("ready", pods("new", 2, 2)), ("partly ready", pods("new", 1, 2)), ("not ready", pods("new", 0, 2)),
    ("gone", None), ("crashed", pods("new", 2, 2, restarts=1)), ("unreadable", UNREAD),
)  # fmt: skip


class Sights:
    """The options of a pass over one memory."""

    def __init__(self, memory: Memory, variants: Any, statistics: Statistics) -> None:
        self._memory, self._statistics = memory, statistics
        configuration, self._specs = statistics.configuration, variants[memory.variant]
        self.owner = owner_of(memory)
        mark = memory.mark
        self._stable = tuple(
            (f"{n} ready", pods("old", n, n) if n else pods("old", 0, 1)) for n in configuration.stable
        )
        self._closes = configuration.closes
        self._mark = mark

    def spec(self, oracle: Oracle) -> Any:
        """The spec that stands; whether its window is closed is the clock's choice."""
        closed = oracle.choose("window", (("open", False), ("closed", True))) if self._closes else False
        return self._specs[self._memory.suspended, closed]

    def options(self, name: str) -> Sequence[tuple[str, Any]]:
        """What an attribute of ``Seen`` may be."""
        if self._memory.deleting and name != "route":
            return (("", () if name == "blocks" else None),)  # observe_leaving reads the route alone
        options: Sequence[tuple[str, Any]] = getattr(self, f"_{name}_options")()
        return options

    def _route_options(self) -> Sequence[tuple[str, Any]]:
        there = None if self._memory.route is None else WatchedRoute(self._memory)
        return (("read", there), ("unreadable", UNREAD))

    def _stable_options(self) -> Sequence[tuple[str, Any]]:
        return (*self._stable, ("unreadable", UNREAD))

    def _canary_options(self) -> Sequence[tuple[str, Any]]:
        return CANARIES

    def _latest_options(self) -> Sequence[tuple[str, Any]]:
        mark = self._mark
        weight = mark.weight if mark is not None else 0
        start = 10.0 if mark is None or not weight else min(10.0, max(age_of(mark.since), 1.0))
        kind = "rolling" if mark is not None and mark.phase is Phase.ROLLING_BACK else "stepping"
        return latest_options(weight, start, kind, self._statistics.objective)

    def _evidence_options(self) -> Sequence[tuple[str, Any]]:
        return (("", self.kept()),)

    def kept(self) -> StepEvidence | None:
        """What status kept, as it belongs to the mark."""
        told, mark = self._memory.told, self._mark
        if told is None or mark is None or not told.evidence:
            return None
        return self._statistics.dated(told.evidence, mark.since, told.until)

    def _blocks_options(self) -> Sequence[tuple[str, Any]]:
        mark = self._mark
        if mark is None or mark.weight == 0:
            return (("", ()),)
        kept = self.kept()
        until = kept.until if kept is not None else StepEvidence.start(mark.since, SCRAPE).until
        read = blocks_of(until, mark.weight, self._statistics.objective)
        return (*read, ("unreadable", UNREAD)) if read else (("", ()),)

    def _behind_options(self) -> Sequence[tuple[str, Any]]:
        """Whether there are later blocks than those read: where there is something to read at all."""
        some = self._mark is not None and self._mark.weight > 0
        return (("", False), ("more to read", True)) if some else (("", False),)


_LATEST: dict[tuple[int, float, str, str], tuple[tuple[str, Any], ...]] = {}


def latest_options(weight: int, start: float, kind: str, objective: str) -> tuple[tuple[str, Any], ...]:
    """What the last scrapes may show: of a canary with weight all that is well or bad, else whether it is quiet."""
    key = (weight, start, kind, objective)
    if key not in _LATEST:
        good = Evidence(ago(start), NOW, counts(100, weight, "canary"), counts(100, weight, "stable"), None)
        silent = replace(good, canary=Counts(0, 0, {"latency": 0}, {}))
        if weight:
            tripped = replace(good, canary=counts(100, weight, "canary", bad=1.0, objective=objective))
            odd = [("tripped", tripped), ("none", NOTHING), ("canary uncounted", replace(good, canary=None))]
            if kind == "stepping":
                odd += [("split off", silent), ("stable uncounted", replace(good, stable=None))]
            _LATEST[key] = (("good", good), *odd)
        else:
            busy, lone = replace(good, canary=Counts(50, 0, {"latency": 0}, {})), replace(silent, stable=None)
            more = [("busy", busy)] if kind == "rolling" else []
            _LATEST[key] = (("quiet", silent), *more, ("none", NOTHING), ("stable uncounted", lone))
    return _LATEST[key]
