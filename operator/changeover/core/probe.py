"""Is the node quiet enough to tell candidates apart? One candidate is measured twice, under two names: they must tie.

The second, hidden one takes part in every round like any other, so what it shows is the noise that every comparison of
this very benchmark had: the ratio of two that are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from changeover.api.v1alpha1.benchmark import TWIN, BenchmarkSpec
from changeover.core.audit import RunRecord
from changeover.core.figures import compare, number
from changeover.core.race import LEAST_COMMON_ROUNDS
from changeover.core.ranking import PairVerdict


def with_twin(spec: BenchmarkSpec) -> BenchmarkSpec:
    """The spec that is measured: with a twin of the first candidate when ``schedule.aaProbe`` asks for it."""
    if not spec.schedule.aa_probe:
        return spec
    twin = spec.candidates[0].model_copy(update={"name": TWIN})
    return spec.model_copy(update={"candidates": [*spec.candidates, twin]})


def original(spec: BenchmarkSpec) -> str:
    """The candidate that is measured twice; empty when none is."""
    return spec.candidates[0].name if any(c.name == TWIN for c in spec.candidates) else ""


def noise(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> dict[str, Any] | None:
    """Status field ``noise``: the ratio of the twins with its interval, and whether they tie; None without the probe.

    A quiet node is called noisy no more often than the ranking's confidence allows an order to be wrong.
    """
    name = original(spec)
    if not name:
        return None
    pair = compare(spec, records, [name, TWIN], spec.ranked_scenario, spec.ranking.by).comparison(name, TWIN)
    low, high = number(pair.low, 4), number(pair.high, 4)
    if pair.rounds < LEAST_COMMON_ROUNDS:
        verdict, words = "Unknown", "have too few fair rounds in common to say how noisy the node is"
    elif pair.verdict in (PairVerdict.BETTER, PairVerdict.WORSE):
        verdict, words = "Noisy", "differ, although they are the same: the node is too noisy to rank on"
    else:
        verdict, words = "Quiet", "cannot be told apart"
    message = (
        f"{name} measured twice: ratio {number(pair.ratio, 4)} [{low}, {high}] in {pair.rounds} rounds; they {words}"
    )
    return {
        "candidate": name,
        "ratio": number(pair.ratio, 4),
        "low": low,
        "high": high,
        "verdict": verdict,
        "message": message,
    }


def is_noisy(spec: BenchmarkSpec, records: Mapping[str, RunRecord]) -> bool:
    """Whether the twins differ, so that nothing may be ranked."""
    measured = noise(spec, records)
    return measured is not None and measured["verdict"] == "Noisy"
