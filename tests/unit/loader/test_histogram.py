"""wrk's rewrite undone, percentiles, and the compact form of a histogram."""

from __future__ import annotations

import pytest
from changeover.loader import histogram
from changeover.loader.histogram import Buckets, NotInvertible
from hypothesis import example, given
from hypothesis import strategies as st


def stats_correct(raw: Buckets, interval: int) -> Buckets:
    """What wrk does to its histogram, loop for loop as the C of stats.c has it."""
    data = dict(raw)
    for n in range(interval * 2, max(data, default=0) + 1):
        count = data.get(n, 0)
        m = n - interval
        while count and m > interval:
            data[m] = data.get(m, 0) + count
            m -= interval
    return sorted(data.items())


raw_histograms = st.dictionaries(st.integers(0, 3_000), st.integers(1, 50), min_size=1, max_size=60).map(
    lambda counts: sorted(counts.items())
)


@given(raw=raw_histograms, interval=st.integers(1, 3_500))
@example(raw=[(100, 1), (200, 1), (201, 1), (300, 1)], interval=100)  # the edges: e, 2e, 2e + 1, 3e
@example(raw=[(1, 5)], interval=1)
def test_undoing_the_rewrite_gives_back_the_raw_histogram(raw: Buckets, interval: int) -> None:
    assert histogram.undo_stats_correct(stats_correct(raw, interval), interval) == raw


def test_the_rewrite_in_this_file_adds_what_wrk_adds() -> None:
    """One request of 1,000 µs where one every 300 µs was expected: wrk invents 700 and 400, but not 100."""
    assert stats_correct([(1_000, 1)], 300) == [(400, 1), (700, 1), (1_000, 1)]


@pytest.mark.parametrize(
    ("runtime_us", "completed", "connections", "expected"),
    [
        (2_038_502, 136_735, 360, 2_038_502 // (136_735 // 360)),
        (1_000_000, 7, 8, None),  # fewer than one request a connection: wrk does not correct
        (1_000_000, 8, 8, 1_000_000),
    ],
)
def test_the_interval_is_computed_in_wrks_integers(
    runtime_us: int, completed: int, connections: int, expected: int | None
) -> None:
    assert histogram.correction_interval(runtime_us, completed, connections) == expected


def test_without_a_correction_nothing_is_undone() -> None:
    assert histogram.undo_stats_correct([(1, 2), (900, 3)], None) == [(1, 2), (900, 3)]


@pytest.mark.parametrize(
    ("buckets", "completed", "why"),
    [
        ([(400, 1), (700, 1), (1_000, 2)], 2, "-1 requests of 400 µs|-1 requests of 700 µs"),
        ([(400, 2), (700, 2), (1_000, 1)], 1, "2 requests recovered of 1"),
        ([(50, 1)], 2, "1 requests recovered of 2"),
    ],
)
def test_what_wrk_could_not_have_written_is_refused(buckets: Buckets, completed: int, why: str) -> None:
    with pytest.raises(NotInvertible, match=why):
        histogram.recovered(buckets, 300, completed)


def test_an_interval_of_zero_is_refused() -> None:
    with pytest.raises(NotInvertible, match="interval of 0"):
        histogram.undo_stats_correct([(1, 1)], 0)


def test_samples_become_microseconds() -> None:
    assert histogram.from_seconds([0.000_001_4, 0.000_001_6, 0.000_002_4, 1.0]) == [
        (1, 1),
        (2, 2),
        (1_000_000, 1),
    ]


@pytest.mark.parametrize(
    ("fraction", "microseconds"),
    [(0.01, 10), (0.1, 10), (0.5, 50), (0.501, 60), (0.9, 90), (0.91, 100), (0.999, 100), (1.0, 100)],
)
def test_a_percentile_is_the_nearest_rank(fraction: float, microseconds: int) -> None:
    ten = [(value, 1) for value in range(10, 101, 10)]
    assert histogram.percentile_seconds(ten, fraction) == microseconds / 1e6


@given(raw=raw_histograms, fraction=st.floats(0.001, 1.0))
def test_a_percentile_agrees_with_the_sorted_samples(raw: Buckets, fraction: float) -> None:
    samples = [value for value, count in raw for _ in range(count)]
    found = histogram.percentile_seconds(raw, fraction) * 1e6
    at_most = sum(1 for sample in samples if sample <= round(found))
    below = sum(1 for sample in samples if sample < round(found))
    assert at_most >= fraction * len(samples) - 1e-6
    assert below < fraction * len(samples) + 1e-6


def test_the_mean_is_weighted_by_the_counts() -> None:
    assert histogram.mean_seconds([(100, 3), (500, 1)]) == pytest.approx(200e-6)


def test_few_buckets_stay_exact() -> None:
    buckets = [(value, 1) for value in range(2_000)]
    assert histogram.compact(buckets) == (buckets, histogram.EXACT)


@pytest.mark.parametrize(("limit", "digits"), [(2_000, 3), (1_999, 2), (290, 2), (289, 1)])
def test_many_buckets_are_rounded_to_as_many_digits_as_fit(limit: int, digits: int) -> None:
    """1 to 20,000 µs is 2,000 values of three digits (1…999, 1,000…9,990, 10,000…20,000), 290 of two."""
    buckets = [(value, 1) for value in range(1, 20_001)]
    found, kind = histogram.compact(buckets, limit)
    assert kind == histogram.ROUNDED
    assert len(found) <= limit
    assert histogram.total(found) == 20_000
    assert max(len(str(value).rstrip("0")) for value, _ in found) == digits
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(0, 3, 0), (999, 3, 999), (1_234, 3, 1_230), (1_235, 3, 1_240), (99_950, 3, 100_000), (1_250, 2, 1_300)],
)
def test_rounding_keeps_significant_digits(value: int, digits: int, expected: int) -> None:
    assert histogram.round_to_digits(value, digits) == expected


@given(value=st.integers(1, 10**9))
def test_three_digits_are_within_half_a_percent(value: int) -> None:
    assert abs(histogram.round_to_digits(value, 3) - value) <= 0.005 * value
