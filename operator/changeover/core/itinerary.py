"""Which run comes next? A pure function of the spec and of the records so far: a restart goes on where it was.

A round measures every candidate that is still in the race once in each scenario. A run that was void is measured again
at the end of its round, in a fresh pod and in a new draw; one that stays void is left at that. After the first rounds,
candidates that are surely beaten in their class, by one that keeps the objectives, take no part any more
(``schedule.stopWhenDecided``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from changeover.api.v1alpha1.benchmark import TWIN, BenchmarkSpec
from changeover.core.audit import RunRecord, is_own_fault
from changeover.core.figures import contest_of
from changeover.core.ranking_status import is_decided, still_in_the_race
from changeover.core.schedule import CROSS_CHECK, Block, Run

ATTEMPTS = 3  # of one run, while it is void
ATTEMPTS_OF_FAULTY = 2  # when it is the candidate that fails: once more, since a fault may pass

Records = Mapping[str, RunRecord]


def next_run(spec: BenchmarkSpec, records: Records, rounds: int) -> Run | None:
    """The first run of so many rounds that is to be done; None when all are.

    A round that another followed is closed: who comes back into the race, by an edit of what is ranked by, is measured
    beside the others of its time and not paired with runs of long ago.
    """
    newest = max((record["round"] for record in records.values() if CROSS_CHECK not in record["scenario"]), default=0)
    return next_of((block for block in _blocks(spec, records, rounds) if block.round >= newest), records)


def next_of(blocks: Iterable[Block], records: Records) -> Run | None:
    """The first run of these blocks that is to be done; what was void comes again at the end of its block."""
    for block in blocks:
        unsettled = {cell for cell in block.cells() if not is_settled(cell, records)}
        for attempt in range(1, ATTEMPTS + 1 if unsettled else 1):
            for cell in block.cells(attempt):
                if cell in unsettled and len(attempts(cell, records)) < attempt:
                    return cell.again(attempt)
    return None


def is_over(spec: BenchmarkSpec, records: Records) -> bool:
    """Whether nothing is left to be measured: all rounds are done, or the order is decided after whole rounds."""
    rounds, complete = spec.schedule.rounds, complete_rounds(spec, records)
    if not spec.schedule.stop_when_decided or complete < rounds.min:
        return complete >= rounds.max
    # A round begun is looked at when it is whole: looked at after each of its runs, it would be tested many times.
    whole = {key: record for key, record in records.items() if record["round"] <= complete}
    return complete >= rounds.max or is_decided(spec, whole)


def complete_rounds(spec: BenchmarkSpec, records: Records) -> int:
    """Rounds of which every run is settled, from the first on."""
    open_run = next_run(spec, records, spec.schedule.rounds.max)
    return spec.schedule.rounds.max if open_run is None else open_run.round - 1


def cells(spec: BenchmarkSpec, records: Records, rounds: int) -> list[Run]:
    """Every run of so many rounds in its first attempt, as far as is known who takes part."""
    return [cell for block in _blocks(spec, records, rounds) for cell in block.cells()]


def is_settled(cell: Run, records: Records) -> bool:
    """Whether it was measured fairly, or as often as it may be."""
    made = attempts(cell, records)
    if not made:
        return False
    allowed = ATTEMPTS_OF_FAULTY if all(is_own_fault(record) for record in made) else ATTEMPTS
    return len(made) >= allowed or not made[-1]["void"]


def attempts(cell: Run, records: Records) -> list[RunRecord]:
    """The records of a run and of its repeats, in order; none is made before the one before it."""
    found: list[RunRecord] = []
    while len(found) < ATTEMPTS and (record := records.get(cell.again(len(found) + 1).id)) is not None:
        found.append(record)
    return found


def participants(spec: BenchmarkSpec, records: Records, rounds: int) -> Iterator[tuple[int, list[str]]]:
    """Each round with those who are measured in it. Who drops out follows from the rounds before it alone."""
    everybody = [candidate.name for candidate in spec.candidates]
    looks = {look for look, _ in contest_of(spec, spec.ranking.by).looks()}
    names, first_that_may_lack = everybody, spec.schedule.rounds.min + 1
    for number in range(1, rounds + 1):
        # Orders are decided at looks: between them nobody drops out. A look that lacks a run is made a round later.
        looked = not looks.isdisjoint((number - 1, number - 2))
        may_lack = number == first_that_may_lack or (number > first_that_may_lack and looked)
        if spec.schedule.stop_when_decided and may_lack:
            names = _still_in_the_race(spec, records, number - 1)
        yield number, names


def _still_in_the_race(spec: BenchmarkSpec, records: Records, rounds: int) -> list[str]:
    """Those whom nobody who can win surely beats after so many rounds; one that was never measured fairly is out."""
    before = {key: record for key, record in records.items() if record["round"] <= rounds}
    measured = {record["candidate"] for record in before.values() if not record["void"]}
    active = still_in_the_race(spec, before) & measured
    if spec.candidates[0].name in active:
        active.add(TWIN)
    return [candidate.name for candidate in spec.candidates if candidate.name in active]


def _blocks(spec: BenchmarkSpec, records: Records, rounds: int) -> Iterator[Block]:
    scenarios = tuple(scenario.name for scenario in spec.scenarios)
    for number, names in participants(spec, records, rounds):
        yield Block(number, tuple(names), scenarios, spec.schedule.seed)
