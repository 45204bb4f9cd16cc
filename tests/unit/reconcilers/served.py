"""A spec that the API server has, and that no model of this release would take."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.core.plan import Manifest, Ref
from changeover.testing.world import World


def served_with(world: World, ref: Ref, monkeypatch: pytest.MonkeyPatch, **spec: Any) -> World:
    """From now on the object is read with these fields of its spec."""
    get = world.cluster.get

    async def otherwise(asked: Ref) -> Manifest | None:
        found = await get(asked)
        return {**found, "spec": {**found["spec"], **spec}} if found and asked == ref else found

    monkeypatch.setattr(world.cluster, "get", otherwise)
    return world
