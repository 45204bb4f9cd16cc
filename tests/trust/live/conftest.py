"""The API server on which live stories are told, one for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.trust.live.trials import Bench, a_bench


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with a_bench() as ready:
        yield ready
