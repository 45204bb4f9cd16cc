"""When is a ConfigMap of records full, and what is the next one called?"""

from __future__ import annotations

import pytest
from changeover.core.plan import Manifest
from changeover.core.record_store import FULL_BYTES, Place, make_next, place_of

from tests.unit.core.seen import owner

BENCHMARK = owner("FrameworkBenchmark", name="web", finalizers=())
FIRST = Place("web-runs-f00dcafe", "uid-7", is_full=True)


def config_map(**data: str) -> Manifest:
    return {"metadata": {"name": "web-runs-f00dcafe", "uid": "uid-7"}, "data": data}


@pytest.mark.parametrize(
    ("data", "is_full"),
    [
        pytest.param({}, False, id="empty"),
        pytest.param({"r1": "x" * (FULL_BYTES - 3)}, False, id="just not"),
        pytest.param({"r1": "x" * (FULL_BYTES - 2)}, True, id="with the key"),
        pytest.param({"r1": "µ" * (FULL_BYTES // 2)}, True, id="in bytes, not letters"),
    ],
)
def test_it_is_full_by_its_size(data: dict[str, str], is_full: bool) -> None:
    assert place_of(config_map(**data)) == Place("web-runs-f00dcafe", "uid-7", is_full)


def test_one_without_data_is_not_full() -> None:
    assert not place_of({"metadata": {"name": "n", "uid": "u"}}).is_full


def test_the_first_belongs_to_the_benchmark_and_every_other_to_the_first() -> None:
    first, third = make_next(BENCHMARK, "f00dcafe", ()), make_next(BENCHMARK, "f00dcafe", (FIRST, FIRST))
    assert first["metadata"]["name"] == FIRST.name
    assert first["metadata"]["ownerReferences"][0]["kind"] == "FrameworkBenchmark"
    assert third["metadata"]["name"] == "web-runs-f00dcafe-3"
    belongs_to = {"apiVersion": "v1", "kind": "ConfigMap", "name": FIRST.name, "uid": "uid-7"}
    assert third["metadata"]["ownerReferences"] == [belongs_to]
