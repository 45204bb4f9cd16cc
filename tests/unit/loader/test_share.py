"""Which part of a load is one loader's?"""

from __future__ import annotations

import pytest
from changeover.loader.share import Share


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("connections", [8, 9, 360, 361])
def test_the_parts_are_the_whole_and_as_equal_as_can_be(count: int, connections: int) -> None:
    parts = [Share(index, count).of_connections(connections) for index in range(count)]
    assert sum(parts) == connections
    assert max(parts) - min(parts) <= 1


def test_every_connection_is_asked_for_as_much_as_every_other() -> None:
    shares = [Share(index, 3) for index in range(3)]
    rates = [share.of_rate(1000.0, 10) for share in shares]
    assert rates == pytest.approx([400.0, 300.0, 300.0])


@pytest.mark.parametrize(
    ("index", "count", "is_wrong"),
    [(0, 1, False), (3, 4, False), (4, 4, True), (-1, 4, True), (0, 0, True), (0, 5, True)],
)
def test_which_of_how_many(index: int, count: int, is_wrong: bool) -> None:
    assert any(Share(index, count).problems(4).values()) == is_wrong
