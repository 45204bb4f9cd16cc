"""Quantiles of Student's t against printed tables."""

from __future__ import annotations

import pytest
from changeover.core.studentt import t_cdf, t_quantile
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("p", "df", "expected"),
    [
        (0.5, 7, 0.0), (0.975, 1, 12.7062), (0.975, 2, 4.30265), (0.95, 3, 2.35336), (0.975, 3, 3.18245),
        (0.995, 10, 3.16927), (0.9995, 5, 6.86883), (0.975, 30, 2.04227), (0.99, 120, 2.35782), (0.975, 1e6, 1.95997),
    ],
)  # fmt: skip
def test_it_is_the_tables_value(p: float, df: float, expected: float) -> None:
    assert t_quantile(p, df) == pytest.approx(expected, rel=1e-5, abs=1e-9)


@settings(max_examples=30)
@given(st.floats(0.5001, 0.99999), st.floats(1, 200))
def test_it_inverts_the_distribution(p: float, df: float) -> None:
    assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, abs=1e-9)


@settings(max_examples=30)
@given(st.floats(0.6, 0.9999), st.floats(1, 100))
def test_fewer_degrees_of_freedom_are_wider(p: float, df: float) -> None:
    assert t_quantile(p, df) > t_quantile(p, df + 1)


@pytest.mark.parametrize(("p", "df"), [(0.4, 3), (1.0, 3), (0.9, 0)])
def test_out_of_range_is_refused(p: float, df: float) -> None:
    with pytest.raises(ValueError, match="must"):
        t_quantile(p, df)
