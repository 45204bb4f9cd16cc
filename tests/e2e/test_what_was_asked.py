"""At the end of all, by its name: what the operator asked for in all these tests, by the API server's audit log."""

from __future__ import annotations

import pytest

from tests.cluster import audit
from tests.cluster.layout import cluster_from_environment


@pytest.mark.usefixtures("operator")
def test_nothing_that_the_operator_asked_for_was_forbidden(began: str) -> None:
    asked = [one for one in audit.read(cluster_from_environment().audit) if one.at >= began]
    print(f"\n  {len(asked)} requests of the operator's account")
    assert [one for one in asked if one.decision == "allow"]
    assert sorted({str(one) for one in asked if one.decision == "forbid"}) == []
