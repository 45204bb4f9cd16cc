"""An API server that takes privileged Deployments to be copied, with the Gateway API's route and the chart's rights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apiserver.conftest import client, with_our_kinds
from tests.apiserver.harness import ApiServer, Client
from tests.trust.tenant.stand import Grounds, prepare

__all__ = ["client", "grounds", "server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # What takes a minute is no part of the unit tier, whether it starts an API server or not.
            item.add_marker(pytest.mark.trust)
            item.add_marker(pytest.mark.apiserver)


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    with with_our_kinds("--allow-privileged=true", "--service-cluster-ip-range=10.0.0.0/16") as running:
        yield running


@pytest.fixture(scope="session")
def grounds(server: ApiServer, client: Client) -> Iterator[Grounds]:
    """The cluster with two tenants, before anybody attacks."""
    with prepare(server, client) as ready:
        yield ready
