"""What stands in a query once its placeholders are filled in."""

from __future__ import annotations

import pytest
from changeover.core.errors import InvalidSpec
from changeover.core.queries import fill, fill_for_migration


def test_all_placeholders_are_filled_in_wherever_they_stand() -> None:
    query = 'rate(x{namespace="{{ .namespace }}",pod=~"{{ .podRegex }}"}[{{ .window }}]) / y{p=~"{{ .podRegex }}"}'
    assert fill(query, "shop", ["web-a-1", "web-a-2"], 15.0) == (
        'rate(x{namespace="shop",pod=~"web-a-1|web-a-2"}[15s]) / y{p=~"web-a-1|web-a-2"}'
    )


def test_a_dot_in_a_pods_name_is_a_dot_in_any_quotes() -> None:
    assert fill("{{ .podRegex }}", "shop", ["web.v2-a"], 15.0) == "web[.]v2-a"


def test_a_query_without_placeholders_stays_as_it_is() -> None:
    assert fill("up", "shop", ["a"], 15.0) == "up"


@pytest.mark.parametrize("text", ['a"', "a'", "a`", "a\\", "a\n", "a}", "a{", "a b", "{{ .window }}", "ä", "a|b", "a$"])
def test_what_is_no_name_is_not_put_into_a_query(text: str) -> None:
    with pytest.raises(InvalidSpec, match="no name"):
        fill("{{ .namespace }}", text, [], 15.0)
    with pytest.raises(InvalidSpec, match="no name"):
        fill("{{ .podRegex }}", "shop", ["a", text], 15.0)
    with pytest.raises(InvalidSpec, match="no name"):
        fill_for_migration("up", {"canaryService": text}, [])
