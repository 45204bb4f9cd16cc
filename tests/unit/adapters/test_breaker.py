"""One waits for all."""

from __future__ import annotations

import pytest
from changeover.adapters.metrics.breaker import Breaker
from changeover.core.errors import Unavailable


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: Breaker, clock: Clock, seconds: float) -> None:
    with pytest.raises(Unavailable, match=r"^too late$"), breaker.question():
        clock.now += seconds
        raise Unavailable("too late")


def is_refused(breaker: Breaker) -> bool:
    try:
        with breaker.question():
            return False
    except Unavailable as error:
        assert "too late" in str(error)
        return True


def test_after_a_failure_that_was_waited_for_nobody_asks_for_a_while() -> None:
    clock = Clock()
    breaker = Breaker(5.0, clock)
    fail(breaker, clock, 5.0)
    clock.now += 4.9
    assert is_refused(breaker)
    clock.now += 0.2
    assert not is_refused(breaker)
    assert not is_refused(breaker)


def test_a_failure_that_came_at_once_keeps_nobody_from_asking() -> None:
    clock = Clock()
    breaker = Breaker(5.0, clock)
    fail(breaker, clock, 1.0)
    assert not is_refused(breaker)


def test_one_asks_for_all_and_the_next_after_it() -> None:
    clock = Clock()
    breaker = Breaker(5.0, clock)
    fail(breaker, clock, 5.0)
    clock.now += 5.0
    with pytest.raises(Unavailable), breaker.question():
        assert is_refused(breaker)
        clock.now += 5.0
        raise Unavailable("still too late")
    clock.now += 5.0
    assert not is_refused(breaker)


def test_one_that_is_cancelled_leaves_the_place_to_the_next() -> None:
    clock = Clock()
    breaker = Breaker(5.0, clock)
    fail(breaker, clock, 5.0)
    clock.now += 5.0
    with pytest.raises(KeyboardInterrupt), breaker.question():
        raise KeyboardInterrupt
    assert not is_refused(breaker)
