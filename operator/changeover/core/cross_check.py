"""Does a load generator of another code base find the same winner? A few runs more, once the ranking stands.

A figure may be that of a server and one generator together. So the winner and the runner-up, the best that is surely
behind it, are measured in three more rounds by a second generator, in fresh pods and in shuffled order as before. The
runs are recorded under a scenario's name that no spec can have, so that nothing takes them for runs of the ranking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.api.v1alpha1.scenario import Scenario
from changeover.core import ranking
from changeover.core.audit import RunRecord, unreliable
from changeover.core.conformance import RAW
from changeover.core.figures import number, values_by_round
from changeover.core.itinerary import next_of
from changeover.core.probe import is_noisy
from changeover.core.ranking_status import make_ranking, make_winner
from changeover.core.schedule import CROSS_CHECK, Block, Run

ROUNDS = 3  # the fewest that can decide a pair; they are looked at once, so all of the accepted error is theirs

Records = Mapping[str, RunRecord]
_VERDICTS = {ranking.PairVerdict.BETTER: "Confirmed", ranking.PairVerdict.WORSE: "Contradicted"}


def next_run(spec: BenchmarkSpec, records: Records) -> Run | None:
    """The next run of the cross-check of a ranking that stands; None when there is none, or none is left."""
    return next_of(_blocks(spec, records), records)


def cells(spec: BenchmarkSpec, records: Records) -> list[Run]:
    """Every run of the cross-check in its first attempt."""
    return [cell for block in _blocks(spec, records) for cell in block.cells()]


def as_driven(spec: BenchmarkSpec, run: Run) -> tuple[BenchmarkSpec, Scenario]:
    """The spec and the scenario that a run is loaded by; classes are made by the ranking's own runs."""
    name = run.scenario.partition(CROSS_CHECK)[0]
    scenario = next(s for s in spec.scenarios if s.name == name)
    if not run.generator:
        return spec, scenario
    load = spec.load.model_copy(update={"driver": run.generator.capitalize()})
    return spec.model_copy(update={"load": load, "conformance": "Ignore"}), scenario


def make_cross_check(spec: BenchmarkSpec, records: Records) -> dict[str, Any] | None:
    """Status field ``winner.crossCheck``; None when none is asked for, or there is no winner to be checked."""
    pair = finalists(spec, records)
    if not spec.schedule.cross_check or not pair:
        return None
    obstacle = _obstacle(spec)
    if obstacle:
        return {"verdict": "NotApplicable", "message": obstacle}
    generator, winner = _generator(spec), pair[0]
    seconds = values_by_round(spec, records, pair, _scenario(spec), spec.ranking.by)
    found: dict[str, Any] = {"generator": generator, "against": "".join(pair[1:])}
    own = [row[winner] for row in seconds if winner in row]
    if own:
        found["levelRatio"] = number(ranking.interval_of(own).mean / _first_figure(spec, records, winner), 4)
    if not pair[1:]:
        return _undecidable(found, f"nobody is surely behind {winner} whom {generator} could compare it with")
    contest = ranking.Contest(spec.ranking.by == "Throughput", spec.ranking.confidence_percent / 100, ROUNDS)
    compared = ranking.rank(seconds, pair, contest).comparison(*pair)
    if compared.rounds < ROUNDS:
        return _undecidable(found, f"{compared.rounds} of {ROUNDS} rounds by {generator} were fair for both")
    return found | _judged(compared, generator)


def finalists(spec: BenchmarkSpec, records: Records) -> tuple[str, ...]:
    """The winner, and behind it the runner-up if anybody is surely behind it; nobody while no ranking may stand."""
    if unreliable(records) or is_noisy(spec, records):
        return ()
    ranked = make_ranking(spec, records)
    winner = make_winner(spec, records, ranked)
    if winner is None:
        return ()
    first = winner["candidate"]
    level = {first, *winner["tiedWith"]}
    behind = (r["candidate"] for r in ranked if r["meetsObjectives"] and r["class"] != RAW)
    return (first, *[name for name in behind if name not in level][:1])


def _blocks(spec: BenchmarkSpec, records: Records) -> Iterator[Block]:
    if not spec.schedule.cross_check or _obstacle(spec):
        return
    pair = finalists(spec, records)
    for number_ in range(1, ROUNDS + 1 if pair else 1):
        yield Block(number_, pair, (_scenario(spec),), spec.schedule.seed)


def _obstacle(spec: BenchmarkSpec) -> str:
    """Why no second generator can drive the ranked scenario's load; empty when one can."""
    closed = next(s for s in spec.scenarios if s.name == spec.ranked_scenario).closed
    if closed is None or not closed.keep_alive:
        return "only a Closed scenario with keepAlive true can be driven by a second generator"
    is_get, has_body = spec.request.method == "GET", spec.request.is_answered_with_a_body
    if not is_get or spec.request.expect_status >= 400 or not has_body:
        return "only a GET with an expected status below 400 but 304 can be driven by a second generator"
    if spec.ranking.by == "Latency":
        # To compare throughput instead would contradict a winner that never claimed it.
        return "h2load gives no percentile of latency, by which the candidates are ranked"
    return ""


def _generator(spec: BenchmarkSpec) -> str:
    """As the loader calls it; another than the ranking's own."""
    return "wrk" if spec.load.driver == "H2load" else "h2load"


def _scenario(spec: BenchmarkSpec) -> str:
    """Name under which the runs are recorded: valid in a ConfigMap's key and in a label, but not in a spec."""
    return f"{spec.ranked_scenario}{CROSS_CHECK}{_generator(spec)}"


def _first_figure(spec: BenchmarkSpec, records: Records, winner: str) -> float:
    """The winner's figure by the first generator, as the ranking shows it."""
    rounds = values_by_round(spec, records, (winner,), spec.ranked_scenario, spec.ranking.by)
    return ranking.interval_of([row[winner] for row in rounds if winner in row]).mean


def _undecidable(found: dict[str, Any], message: str) -> dict[str, Any]:
    level = f"; it shows {found['levelRatio']} of the winner's figure" if "levelRatio" in found else ""
    return {**found, "verdict": "Undecidable", "message": f"cross-check undecidable: {message}{level}"}


def _judged(pair: ranking.Comparison, generator: str) -> dict[str, Any]:
    ratio, low, high = (number(value, 4) for value in (pair.ratio, pair.low, pair.high))
    verdict = _VERDICTS.get(pair.verdict, "Undecidable")
    numbers = f"{pair.first} over {pair.second} is {ratio} [{low}, {high}] by {generator}"
    message = f"cross-check {verdict.lower()}: {numbers}"
    return {"ratio": ratio, "low": low, "high": high, "verdict": verdict, "message": message}
