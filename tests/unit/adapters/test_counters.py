"""What raw samples say about a span of time: exact, or NoData with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.adapters.metrics.counters import Span, counts, quantile, usage
from changeover.core.observed import Counts, NoData, Usage
from changeover.ports import Bound
from hypothesis import given, settings
from hypothesis import strategies as st

SPAN = Span(100.0, 160.0, 10.0)
BOUND = {"latency": Bound(0.05, 99.0)}
TIMES = tuple(float(t) for t in range(80, 161, 10))


def series(le: str, first: float, last: float, code: str = "200", **more: Any) -> dict[str, Any]:
    """A counter that is `first` up to the start of the span and rises evenly to `last`."""
    times = more.pop("times", TIMES)
    rise = (last - first) / (SPAN.end - SPAN.start)
    values = [[t, str(first + max(0.0, t - SPAN.start) * rise)] for t in times]
    return {"metric": {"le": le, "code": code, "instance": "gw-1", **more}, "values": more.pop("values", values)}


def histogram(total: float = 600, within: float = 590, **more: Any) -> list[dict[str, Any]]:
    return [series("0.05", 1000, 1000 + within, **more), series("+Inf", 2000, 2000 + total, **more)]


def with_values(*values: float | str) -> list[dict[str, Any]]:
    found = series("+Inf", 0, 0)
    found["values"] = [[t, str(v)] for t, v in zip(TIMES[-len(values) :], values, strict=True)]
    return [found]


def reason(result: object) -> str:
    assert isinstance(result, NoData), result
    return result.reason


def test_exact_differences_over_the_span() -> None:
    assert counts(histogram(), SPAN, BOUND) == Counts(600, 0, {"latency": 10}, {"latency": pytest.approx(0.05)})


def test_codes_are_summed_and_only_5xx_are_errors() -> None:
    found = counts([*histogram(100, 100), *histogram(20, 20, code="404"), *histogram(7, 0, code="503")], SPAN, BOUND)
    assert isinstance(found, Counts)
    assert (found.requests, found.errors, found.slow["latency"]) == (127, 7, 7)


def test_two_gateways_are_added() -> None:
    found = counts([*histogram(100, 90), *histogram(50, 45, instance="gw-2")], SPAN, BOUND)
    assert isinstance(found, Counts)
    assert (found.requests, found.slow["latency"]) == (150, 15)


def test_the_first_request_of_all_counts_from_zero_where_the_other_arm_shows_that_the_gateway_was_there() -> None:
    """A gateway has no counters of a backend before its first request; the first scrape of it is not thrown away."""
    values = [[130.0, "4"], [140.0, "10"], [150.0, "20"], [160.0, "24"]]
    first = [{**one, "values": values} for one in histogram()]
    alone, beside = counts(first, SPAN, BOUND), counts(first, SPAN, BOUND, histogram(600, 590, service="other"))
    assert "begin inside the span" in reason(alone)
    assert isinstance(beside, Counts) and (beside.requests, beside.slow["latency"]) == (24, 0)
    elsewhere = histogram(600, 590, service="other", instance="gw-2")
    assert isinstance(counts(first, SPAN, BOUND, elsewhere), NoData)


def test_a_counter_that_is_told_twice_is_no_data_and_not_twice_as_much() -> None:
    """As two Prometheus replicas tell it behind one query front end, or two scrape jobs."""
    twice = [*histogram(100, 90, replica="a"), *histogram(100, 90, replica="b")]
    assert "twice" in reason(counts(twice, SPAN, BOUND))
    methods = [*histogram(100, 90, method="GET"), *histogram(50, 45, method="POST")]
    assert isinstance(counts(methods, SPAN, BOUND), Counts)


def test_the_first_error_inside_the_span_counts_from_zero() -> None:
    late = [150.0, 160.0]
    first_error = [
        {**series("0.05", 0, 0, code="500"), "values": [[t, "0"] for t in late]},
        {**series("+Inf", 0, 0, code="500"), "values": [[150.0, "2"], [160.0, "3"]]},
    ]
    found = counts([*histogram(100, 100), *first_error], SPAN, BOUND)
    assert isinstance(found, Counts)
    assert (found.requests, found.errors, found.slow["latency"]) == (103, 3, 3)


@pytest.mark.parametrize(
    ("given_series", "why"),
    [
        pytest.param([], "no series", id="nothing at all"),
        pytest.param([{"metric": {"le": "+Inf"}, "values": []}], "no fresh sample", id="a series without samples"),
        pytest.param(histogram(times=(80.0, 90.0, 100.0, 130.0)), "no fresh sample", id="not scraped any more"),
        pytest.param(histogram(times=(110.0, 120.0, 160.0)), "begin inside the span", id="a gateway that just started"),
        pytest.param(
            [*histogram(), *histogram(instance="gw-2", times=(140.0, 150.0, 160.0))],
            "appeared inside",
            id="new instance",
        ),
        pytest.param(
            [*histogram(), *histogram(instance="gw-2", times=(90.0, 100.0, 110.0))],
            "vanished inside",
            id="lost instance",
        ),
        pytest.param(with_values(100, 110, 5, 7, 9, 11, 13, 15, 17), "reset", id="a reset"),
        pytest.param(with_values(100, 110, 120, 130, "NaN", 150, 160, 170, "NaN"), "NaN", id="not a number"),
        pytest.param(with_values(*["+Inf"] * 9), "NaN or infinite", id="infinite"),
        pytest.param([series("0.05", 0, 10)], "no +Inf bucket", id="no total"),
        pytest.param([series("0.1", 0, 10), series("+Inf", 0, 10)], "at or under 0.05 s", id="no bucket low enough"),
        pytest.param(
            [series("0.05", 0, 11), series("+Inf", 0, 10)], "contradicts itself", id="a bucket over the total"
        ),
        pytest.param(
            [*histogram(), *histogram(code="500", times=(60.0, 160.0))], "around the start", id="a gap at the start"
        ),
    ],
)
def test_no_data(given_series: list[dict[str, Any]], why: str) -> None:
    assert why in reason(counts(given_series, SPAN, BOUND))


def test_a_bound_between_buckets_uses_the_next_lower_one() -> None:
    buckets = [series("0.025", 0, 70), series("0.1", 0, 99), series("+Inf", 0, 100)]
    found = counts(buckets, SPAN, BOUND)
    assert isinstance(found, Counts) and found.slow["latency"] == 30


def test_a_bound_on_a_bucket_uses_that_one() -> None:
    found = counts([series("0.025", 0, 70), series("0.05", 0, 99), series("+Inf", 0, 100)], SPAN, BOUND)
    assert isinstance(found, Counts) and found.slow["latency"] == 1


def test_no_requests_is_zero_and_not_no_data() -> None:
    assert counts(histogram(0, 0), SPAN, BOUND) == Counts(0, 0, {"latency": 0}, {})


def test_a_backlog_is_read_as_exactly_as_the_present() -> None:
    assert SPAN.lookback == 90  # seconds: the span and the sample before it


@st.composite
def scrapes(draw: st.DrawFn) -> tuple[list[tuple[float, list[int]]], Span]:
    """Scrapes with jitter of one gateway's cumulative buckets, and a span between any two of them."""
    t, totals, found = 1000.0, [0, 0, 0], []
    for _ in range(draw(st.integers(4, 12))):
        t += draw(st.sampled_from([9.0, 10.0, 11.0]))
        fast, slow, late = (draw(st.integers(0, 500)) for _ in range(3))
        totals = [totals[0] + fast, totals[1] + fast + slow, totals[2] + fast + slow + late]
        found.append((t, list(totals)))
    first = draw(st.integers(0, len(found) - 2))
    last = draw(st.integers(first + 1, len(found) - 1))
    offset = draw(st.floats(0, 8))
    return found, Span(found[first][0] + offset, found[last][0] + offset, 10.0)


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(scrapes())
def test_what_was_scraped_is_counted_exactly(drawn: tuple[list[tuple[float, list[int]]], Span]) -> None:
    found, span = drawn
    inside = [(t, v) for t, v in found if span.end - span.lookback <= t <= span.end]
    given_series = [
        {"metric": {"le": le, "instance": "gw"}, "values": [[t, str(v[i])] for t, v in inside]}
        for i, le in enumerate(("0.025", "0.05", "+Inf"))
    ]
    before = [v for t, v in found if t <= span.start][-1]
    after = [v for t, v in found if t <= span.end][-1]
    result = counts(given_series, span, BOUND)
    assert isinstance(result, Counts)
    requests, within = after[2] - before[2], after[1] - before[1]
    assert (result.requests, result.slow["latency"]) == (requests, requests - within)


def test_the_shown_percentile_is_interpolated_as_prometheus_does() -> None:
    buckets = {0.01: 50.0, 0.05: 90.0, float("inf"): 100.0}
    assert quantile(buckets, 0.5) == pytest.approx(0.01)
    assert quantile(buckets, 0.7) == pytest.approx(0.03)
    assert quantile(buckets, 0.99) == 0.05  # in the last bucket: its lower edge
    assert quantile({float("inf"): 0.0}, 0.5) is None


NAMES = {
    "cpu": "container_cpu_usage_seconds_total",
    "memory": "container_memory_working_set_bytes",
    "periods": "container_cpu_cfs_periods_total",
    "throttled": "container_cpu_cfs_throttled_periods_total",
}


def cpu(pod: str, *values: float, container: str | None = "backend", name: str = "cpu") -> dict[str, Any]:
    full = NAMES[name]
    labels = {"__name__": full, "pod": pod} | ({"container": container} if container is not None else {})
    times = [105.0 + 10 * n for n in range(len(values))]
    return {"metric": labels, "values": [[t, str(v)] for t, v in zip(times, values, strict=True)]}


MEMORY = cpu("a", 1e6, 3e6, 2e6, name="memory")


def test_cores_from_the_samples_inside_the_span() -> None:
    assert usage([cpu("a", 10, 14, 18), MEMORY], SPAN, ["a"]) == Usage(0.4, 3e6, 20.0)


def test_containers_and_pods_are_added_and_the_pods_own_sum_is_not() -> None:
    whole = cpu("a", 100, 200, 300, container="")
    pause = cpu("a", 100, 200, 300, container="POD")
    other = [cpu("b", 0, 1, 2), cpu("b", 1e6, 1e6, name="memory")]
    found = usage([cpu("a", 10, 14, 18), whole, pause, MEMORY, *other], SPAN, ["a", "b"])
    assert isinstance(found, Usage)
    assert (found.cpu_cores, found.memory_peak_bytes) == (pytest.approx(0.5), 4e6)


def test_pods_that_are_not_asked_for_are_told_and_not_added() -> None:
    """An autoscaler's, that carried the peak and are gone by now."""
    before = {**cpu("c", 0, 1), "values": [[95.0, "0"], [99.0, "1"]]}
    found = usage([cpu("a", 10, 14, 18), MEMORY, cpu("b", 0, 1, 2), before], SPAN, ["a"])
    assert isinstance(found, Usage)
    assert (found.cpu_cores, found.others) == (pytest.approx(0.4), 1)


def test_the_span_is_that_of_the_pod_that_came_last() -> None:
    late = {**cpu("b", 0, 1, 2), "values": [[115.0, "0"], [125.0, "1"]]}
    found = usage([cpu("a", 10, 14, 18), MEMORY, late, cpu("b", 1e6, 1e6, name="memory")], SPAN, ["a", "b"])
    assert isinstance(found, Usage) and found.span_seconds == 10.0


def test_without_containers_the_pods_own_sum_is_used() -> None:
    found = usage([cpu("a", 10, 14, 18, container=None), MEMORY], SPAN, ["a"])
    assert isinstance(found, Usage) and found.cpu_cores == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("periods", "throttled", "share"),
    [
        pytest.param((1000, 1080, 1100), (10, 30, 35), 0.25, id="a quarter of them"),
        pytest.param((1000, 1080, 1100), (10, 10, 10), 0.0, id="never"),
        pytest.param((), (), None, id="no limit, no counters: unknown, not never"),
        pytest.param((5, 5, 5), (0, 0, 0), None, id="no period passed"),
    ],
)
def test_throttling_is_a_share_of_the_periods(
    periods: tuple[float, ...], throttled: tuple[float, ...], share: float | None
) -> None:
    limited = [cpu("a", *values, name=name) for name, values in (("periods", periods), ("throttled", throttled))]
    found = usage([cpu("a", 10, 14, 18), MEMORY, *limited], SPAN, ["a"])
    assert isinstance(found, Usage) and found.throttled_share == share


@pytest.mark.parametrize(
    ("given_series", "pods", "why"),
    [
        pytest.param([], ["a"], "fewer than two", id="nothing"),
        pytest.param([cpu("a", 10), MEMORY], ["a"], "fewer than two", id="one sample"),
        pytest.param([cpu("a", 10, 14), MEMORY], ["a", "b"], "pod b", id="one pod is missing"),
        pytest.param([cpu("a", 10, 4), MEMORY], ["a"], "reset", id="a reset at the end"),
        pytest.param([cpu("a", 10, 4, 40), MEMORY], ["a"], "reset", id="a reset that was made up for"),
        pytest.param([cpu("a", 10, float("nan")), MEMORY], ["a"], "reset", id="not a number"),
        pytest.param([cpu("a", 10, 14)], ["a"], "no memory samples", id="memory is missing, not zero"),
        pytest.param([MEMORY], [], "no pods", id="no pods were named"),
    ],
)
def test_no_usage(given_series: list[dict[str, Any]], pods: list[str], why: str) -> None:
    assert why in reason(usage(given_series, SPAN, pods))
