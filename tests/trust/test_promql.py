"""S4: whatever a name holds, a query that is made with it keeps its shape, and its strings say what was meant."""

from __future__ import annotations

import pytest
from changeover.adapters.metrics.traefik import quoted
from changeover.core.queries import fill
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trust import promql
from tests.trust.outside import promtool
from tests.trust.outside.tokens import NoPromQL, shape

pytestmark = pytest.mark.trust
SAMPLE = 20_000  # values; `make trust-promql` for the whole

text = st.text() | st.lists(st.sampled_from(promql.HOSTILE), max_size=6).map("".join)
names = st.builds(promql.Names, text, text, text, text, st.tuples(text, text))
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300, derandomize=True)


@calm
@given(names)
def test_any_names_leave_the_shape_of_every_query(found: promql.Names) -> None:
    tally = promql.Tally()
    promql.judge(found, tally, plugin=True)
    assert tally.failures == []


@calm
@given(st.text())
def test_a_literal_says_its_text(found: str) -> None:
    if "\ufffd" in found:
        with pytest.raises(NoPromQL):
            shape(quoted(found))
    else:
        assert shape(quoted(found)) == (('"',), (found,))


def test_a_sample_of_hostile_values() -> None:
    tally = promql.sample(SAMPLE, seed=1)
    assert tally.failures == []
    assert tally.queries > SAMPLE / 2 and tally.refused > SAMPLE / 2


def test_a_value_that_is_not_quoted_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changeover.adapters.metrics.prometheus.quoted", lambda one: f'"{one}"')
    assert promql.sample(600, seed=1).failures


def test_a_name_that_is_not_looked_at_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changeover.core.queries._name", lambda one: one)
    assert promql.sample(600, seed=1).failures


@pytest.mark.parametrize("quote", ['"', "'", "`"])
def test_a_value_stays_inside_any_quotes(quote: str) -> None:
    query = fill(f"x{{a={quote}{{{{ .namespace }}}}{quote}}}", "a.b-c", [], 1.0)
    assert shape(query) == (("x", "{", "a", "=", '"', "}"), ("a.b-c",))


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (r'"a\"b"', 'a"b'), (r"'a\'b'", "a'b"), (r"`a\b`", r"a\b"), (r'"\x41\101\u0041\U00000041"', "AAAA"),
        (r'"\\"', "\\"), ('"a\tb"', "a\tb"), ("`a\nb`", "a\nb"), ('"#"', "#"),
    ],
)  # fmt: skip
def test_strings_are_read_as_go_reads_them(query: str, value: str) -> None:
    assert shape(query) == (('"',), (value,))


@pytest.mark.parametrize(
    "query", ['"a\nb"', '"a', r'"\q"', r'"\'"', r"'\"'", r'"\ud800"', r'"\8"', "`a", "~", "up{x=?}"]
)
def test_what_prometheus_refuses_is_no_shape(query: str) -> None:
    with pytest.raises(NoPromQL):
        shape(query)


@pytest.mark.skipif(not promtool.is_there(), reason="promtool is not on the PATH")
def test_prometheus_own_parser_agrees() -> None:
    told, differing = promql.by_prometheus(sets=200, seed=2)
    assert differing == [], told
