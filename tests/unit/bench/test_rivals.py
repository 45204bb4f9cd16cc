"""The other tools' rules, with known answers, on the very blocks that ours sees."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random

import pytest
from changeover.core.sequential import Block, Verdict

from tests.bench.decision import rivals, steps
from tests.bench.decision.noise import iid
from tests.bench.decision.rivals import argo, flagger, kayenta, mann_whitney_z

SCENE = steps.Scene(iid, 1.0)
GOOD, BAD = Block(1000, 5, 9000, 45), Block(1000, 11, 9000, 45)


def endless(*blocks: Block) -> Iterator[Block]:
    """These, and the last one for ever."""
    return itertools.chain(blocks, itertools.repeat(blocks[-1]))


@pytest.mark.parametrize(
    ("rule", "blocks", "verdict", "after"),
    [
        (flagger, (GOOD,), Verdict.ADVANCE, 1),
        (flagger, (BAD,), Verdict.ROLLBACK, 5),
        (flagger, (BAD, BAD, BAD, BAD, GOOD), Verdict.ADVANCE, 5),
        (argo(0), (GOOD,), Verdict.ADVANCE, 10),
        (argo(0), (GOOD, GOOD, BAD), Verdict.ROLLBACK, 3),
        (argo(3), (BAD, BAD, BAD, GOOD), Verdict.ADVANCE, 10),
        (argo(3), (BAD,), Verdict.ROLLBACK, 4),
        (kayenta, (GOOD,), Verdict.ADVANCE, 60),
        (kayenta, (BAD,), Verdict.ROLLBACK, 20),
    ],
)
def test_a_rule_decides_after_so_many_blocks(
    rule: rivals.Rule, blocks: tuple[Block, ...], verdict: Verdict, after: int
) -> None:
    assert rule(endless(*blocks), SCENE) == steps.Outcome(verdict, after)


def test_a_block_without_requests_fails_a_check() -> None:
    assert rivals.is_bad(Block(0, 0), 0.01)
    assert not rivals.is_bad(Block(100, 1), 0.01)


def test_mann_whitney_as_counted_by_hand() -> None:
    """U of {3, 4, 5} over {1, 2}: all 6 pairs are won; mean 3, variance 3 * 2 * 6 / 12 = 3."""
    assert mann_whitney_z([3, 4, 5], [1, 2]) == pytest.approx((6 - 3) / 3**0.5)
    assert mann_whitney_z([1, 2], [3, 4, 5]) == pytest.approx((0 - 3) / 3**0.5)


def test_ties_share_their_ranks_and_lessen_the_variance() -> None:
    """{1, 2} and {2, 3}: the twos share rank 2.5, U = 0.5; variance 4 / 12 * (5 - 6 / 12)."""
    assert mann_whitney_z([1, 2], [2, 3]) == pytest.approx((0.5 - 2) / (4 / 12 * (5 - 6 / 12)) ** 0.5)
    assert mann_whitney_z([1, 1], [1, 1]) == 0.0


def test_every_rule_sees_the_same_blocks_and_a_seed_gives_the_same_cell() -> None:
    first, again = (list(itertools.islice(steps.blocks_of(SCENE, Random("1/0")), 50)) for _ in range(2))
    assert first == again
    cells = [rivals.measure("Argo, count 10, failureLimit 3", SCENE, 20, "7") for _ in range(2)]
    assert cells[0] == cells[1]
    assert 0 < cells[0].advanced < 100


def test_ours_with_and_without_a_baseline_are_both_measured() -> None:
    day, none = (rivals.measure(name, SCENE, 4, "7") for name in ("ours", "ours, no baseline"))
    assert day.runs == none.runs == 4
    assert rivals.measure("ours", SCENE, 4, "7") == steps.measure(SCENE, 4, "7")
