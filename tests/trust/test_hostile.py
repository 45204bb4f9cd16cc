"""S5, a minute of it: what others write ends no pass with an exception. All of it: python -m tests.trust.hostile."""

from __future__ import annotations

from tests.trust.hostile import explore

SEED, CASES = 7, 4000


async def test_nonsense_of_others_ends_no_pass_and_raises_no_weight() -> None:
    tally = await explore(CASES, SEED)
    print(f"\n{tally.report()}")
    assert [f"{case.key()}: {why:.400}" for case, why in tally.failed] == []
    assert tally.cases >= CASES
