"""R7, a minute of it: specs changed by mistake and changed back. All of it: python -m tests.trust.misoperations."""

from __future__ import annotations

import pytest

from tests.apiserver.harness import Client
from tests.trust.misoperations import explore
from tests.trust.tenant.leaves import leaves, spec_schema, unbounded

SEED, SECONDS = 1, 50.0
PLURALS = ("frameworkbenchmarks", "canarymigrations")


async def test_a_spec_that_is_changed_by_mistake_breaks_nothing_and_can_be_changed_back(client: Client) -> None:
    tally = await explore(client, SEED, SECONDS)
    print(f"\n{tally.report()}")
    assert [f"{one.start.name}: {one.key()}: {why}" for one, why in tally.failed] == []
    assert len(tally.covered) == tally.all_leaves


@pytest.mark.parametrize("plural", PLURALS)
def test_every_text_list_and_map_has_a_bound(plural: str) -> None:
    schema = spec_schema(plural)
    assert list(unbounded(schema)) == []
    assert len(list(leaves(schema))) > 80
