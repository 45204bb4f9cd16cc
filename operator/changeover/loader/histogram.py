"""Latency histograms: the undoing of wrk's correction, means, percentiles, and a compact form.

Shape: `Buckets` is an ascending list of (microseconds, count) without empty buckets. Everything here is pure.

Where the inversion comes from. When a run is over, wrk (4.1, `stats_correct` in stats.c) rewrites its
latency histogram to guess at coordinated omission: for every value n ≥ 2e, in ascending order, it adds n's
count to n−e, n−2e, … as long as that is above e, where e = runtime ÷ (completed ÷ connections), in integers
and microseconds. A count is only ever added below the value being visited, so each value is visited with
its raw count, and in the end

    final[n] = raw[n] + raw[n+e] + raw[n+2e] + …    for n > e
    final[n] = raw[n]                               for n ≤ e

The sum for n+e is the tail of the sum for n, so raw[n] = final[n] − final[n+e]: exact, and linear in the
buckets. Measured effect of the rewrite: means 1.04 to 27 times too high.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

Buckets = list[tuple[int, int]]

MICROSECONDS = 1_000_000
"""Per second."""

DIGITS = 3
"""Significant decimal digits of a reported value: off by at most 0.5 %, as in an HDR histogram."""

ROUNDED, BINNED = "rounded", "binned"
"""Values rounded to DIGITS, always and by every driver: such histograms are merged by adding the counts of equal
values. The generator's own few linear bins: too coarse for any percentile, and not mergeable."""


class NotInvertible(ValueError):
    """The histogram is not the result of wrk's rewrite of the requests that it claims."""


def correction_interval(runtime_us: int, completed: int, connections: int) -> int | None:
    """wrk's e in its integer arithmetic; None where wrk does not correct at all."""
    per_connection = completed // connections
    return runtime_us // per_connection if per_connection > 0 else None


def undo_stats_correct(buckets: Buckets, interval: int | None) -> Buckets:
    """The raw histogram behind one that wrk corrected with this interval."""
    if interval is None:
        return buckets
    if interval <= 0:
        raise NotInvertible(f"a correction interval of {interval} µs")
    final = dict(buckets)
    raw: Buckets = []
    for value, count in buckets:
        own = count - final.get(value + interval, 0) if value > interval else count
        if own < 0:
            raise NotInvertible(f"{own} requests of {value} µs")
        if own:
            raw.append((value, own))
    return raw


def recovered(buckets: Buckets, interval: int | None, completed: int) -> Buckets:
    """The raw histogram, refused unless it holds exactly the requests that were completed."""
    raw = undo_stats_correct(buckets, interval)
    if (found := total(raw)) != completed:
        raise NotInvertible(f"{found} requests recovered of {completed} completed")
    return raw


def total(buckets: Buckets) -> int:
    return sum(count for _, count in buckets)


def mean_seconds(buckets: Buckets) -> float:
    return sum(value * count for value, count in buckets) / total(buckets) / MICROSECONDS


def percentile_seconds(buckets: Buckets, fraction: float) -> float:
    """The smallest latency that at least this fraction of the requests did not exceed (nearest rank)."""
    rank = max(1, math.ceil(fraction * total(buckets)))
    seen = 0
    for value, count in buckets:
        seen += count
        if seen >= rank:
            return value / MICROSECONDS
    raise ValueError("a percentile of no requests")


def compact(buckets: Buckets) -> Buckets:
    """The form in reports: values rounded to DIGITS, counts of equal values added. Rounding keeps the order, so a
    nearest-rank percentile of the result is the rounded percentile of the input.

    Bounded whatever the number of requests: all values below 1,000 µs and 900 in each decade above, so at most 4,600
    buckets up to 10 s and 5,500 up to 100 s (some 60 KB of JSON).
    """
    return added([[(round_to_digits(value, DIGITS), count) for value, count in buckets]])


def added(histograms: Iterable[Iterable[tuple[int, int]]]) -> Buckets:
    """The histogram of all requests together."""
    counts: Counter[int] = Counter()
    for buckets in histograms:
        for value, count in buckets:
            counts[value] += count
    return sorted((value, count) for value, count in counts.items() if count)


def round_to_digits(value: int, digits: int) -> int:
    """To so many significant decimal digits, halves up: off by at most 0.5 % at 3 digits, as in an HDR histogram."""
    step: int = 10 ** max(0, len(str(value)) - digits)
    return (value + step // 2) // step * step
