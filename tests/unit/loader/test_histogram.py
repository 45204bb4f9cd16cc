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


def test_values_are_rounded_even_when_they_are_few() -> None:
    """A report that is exact today and rounded tomorrow would be merged with another precision each time."""
    assert histogram.compact([(1_234, 2), (1_235, 1), (1_244, 4)]) == [(1_230, 2), (1_240, 5)]


@pytest.mark.parametrize(("seconds", "most"), [(10, 4_600), (100, 5_500)])
def test_the_number_of_buckets_is_bounded_whatever_the_requests(seconds: int, most: int) -> None:
    found = histogram.compact([(value, 1) for value in range(0, seconds * 1_000_000, 2 * seconds)])
    assert most / 2 < len(found) <= most + 1
    assert found == sorted(found)


@given(raw=raw_histograms, fraction=st.floats(0.001, 1.0))
def test_a_percentile_of_the_compact_form_is_the_rounded_percentile(raw: Buckets, fraction: float) -> None:
    exact = round(histogram.percentile_seconds(raw, fraction) * 1e6)
    found = round(histogram.percentile_seconds(histogram.compact(raw), fraction) * 1e6)
    assert found == histogram.round_to_digits(exact, 3)


def test_adding_adds_the_counts_of_equal_values() -> None:
    assert histogram.added([[(1, 2), (5, 1)], [(1, 1), (3, 0), (4, 7)]]) == [(1, 3), (4, 7), (5, 1)]


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(0, 3, 0), (999, 3, 999), (1_234, 3, 1_230), (1_235, 3, 1_240), (99_950, 3, 100_000), (1_250, 2, 1_300)],
)
def test_rounding_keeps_significant_digits(value: int, digits: int, expected: int) -> None:
    assert histogram.round_to_digits(value, digits) == expected


@given(value=st.integers(1, 10**9))
def test_three_digits_are_within_half_a_percent(value: int) -> None:
    assert abs(histogram.round_to_digits(value, 3) - value) <= 0.005 * value
