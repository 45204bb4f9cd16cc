"""What is news to us, and what is only our own status coming back."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core.plan import Ref
from changeover.handlers import aspect_of, make_registry, make_settings, ref_of
from changeover.testing.builders import a_migration


def body(**metadata: Any) -> dict[str, Any]:
    found = a_migration()
    found["metadata"] |= {"uid": "u1", "generation": 1, "resourceVersion": "7", **metadata}
    return found


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({**body(), "status": {"step": {"index": 1}}}, id="our own status"),
        pytest.param(body(resourceVersion="8"), id="another version"),
        pytest.param(body(managedFields=[{}]), id="who owns which field"),
        pytest.param(body(annotations={}), id="no annotations, spelled otherwise"),
    ],
)
def test_no_news(changed: dict[str, Any]) -> None:
    assert aspect_of(changed) == aspect_of(body())


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(body(generation=2), id="another spec"),
        pytest.param(body(uid="u2"), id="deleted and made again"),
        pytest.param(body(deletionTimestamp="2030-01-01T00:00:00Z"), id="being deleted"),
        pytest.param(body(annotations={"changeover.dev/requested-retry": "1"}), id="a verb of the plugin"),
    ],
)
def test_news(changed: dict[str, Any]) -> None:
    assert aspect_of(changed) != aspect_of(body())


class FakeScheduler:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Ref]] = []

    def wake(self, ref: Ref, after: float = 0.0) -> None:
        self.heard.append(("wake", ref))

    def forget(self, ref: Ref) -> None:
        self.heard.append(("forget", ref))


async def test_events_wake_once_a_change_and_forget_what_is_gone() -> None:
    scheduler = FakeScheduler()
    registry = make_registry(scheduler)  # type: ignore[arg-type]
    handler = registry._watching.get_all_handlers()[0].fn
    ref = ref_of(body())
    for kind, found in (
        (None, body()), ("MODIFIED", {**body(), "status": {"x": 1}}), ("MODIFIED", body(generation=2)),
        ("DELETED", body(generation=2)), ("ADDED", body(generation=2)),
    ):  # fmt: skip
        await handler(event={"type": kind, "object": found}, logger=None, memo=None)  # type: ignore[call-arg]
    assert scheduler.heard == [("wake", ref), ("wake", ref), ("forget", ref), ("wake", ref)]


def test_kopf_is_told_to_write_nothing_of_its_own() -> None:
    settings = make_settings()
    assert not settings.posting.enabled
    assert settings.scanning.disabled
