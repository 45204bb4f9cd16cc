"""What the weights of a migration do while its spec is changed: since when each stands, and every rise, judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from changeover.core import names
from changeover.core.plan import Manifest, Ref
from changeover.testing.world import World, weights

from tests.trust.tenant.nonsense import RECONCILE
from tests.trust.tenant.rises import Edit, Rise, why_not

MOST_AT_ONCE = 5  # passes without time between them: a gate is asked, and its answer used


@dataclass(frozen=True)
class Stand:
    """A route's weight on everything but stable, percent, and since when."""

    weight: int
    since: datetime


@dataclass
class Watch:
    """Looks at the world after each pass, and knows what it was before it.

    rises   how many there were
    wrong   why some of them should not have been
    """

    stands: dict[str, Stand] = field(default_factory=dict)
    edit: Edit | None = None
    rises: int = 0
    wrong: list[str] = field(default_factory=list)

    def look(self, world: World, ref: Ref, said_before: str) -> None:
        """After a pass."""
        now, body = world.clock.now(), world.cluster.peek(ref)
        if body is None:
            return
        if self.edit is None or self.edit.generation != body["metadata"]["generation"]:
            before = self.edit.spec if self.edit is not None else body["spec"]
            self.edit = Edit(body["metadata"]["generation"], now, before, body["spec"])
        for route, weight in on_canary(world, self.edit).items():
            stood = self.stands.get(route, Stand(0, now))
            if weight > stood.weight:
                said = said_before, reason(world, ref)
                self.rises += 1
                rise = Rise(stood.weight, weight, stood.since, now, said)
                why = why_not(rise, self.edit, world)
                self.wrong += [f"{route}: {rise.before} -> {rise.after} %: {why}"] if why else []
            self.stands[route] = stood if weight == stood.weight else Stand(weight, now)


async def a_pass(world: World, ref: Ref, watch: Watch) -> None:
    """One pass, and those that it asks for at once."""
    for _ in range(MOST_AT_ONCE):
        before = reason(world, ref)
        after = await RECONCILE[ref.kind](ref, world.dependencies())
        watch.look(world, ref, before)
        if after != 0.0:
            return


def on_canary(world: World, edit: Edit) -> dict[str, int]:
    """By route, the weight of what is not stable: neither as the spec has it now, nor as it had it before."""
    stables = {(spec.get("stable") or {}).get("service", {}).get("name") for spec in (edit.before, edit.spec)}
    return {
        route["metadata"]["name"]: sum(weight for name, weight in weights(route).items() if name not in stables)
        for route in live(world)
    }


def live(world: World) -> list[Manifest]:
    """The routes of traffic; that of testers, who ask for the canary, is none."""
    routes = world.cluster.all("HTTPRoute")
    return [one for one in routes if names.ANNOTATION_ABOUT not in (one["metadata"].get("annotations") or {})]


def reason(world: World, ref: Ref) -> str:
    """The reason of the condition Ready; empty when there is none."""
    return str(condition(world, ref, "Ready").get("reason", ""))


def condition(world: World, ref: Ref, name: str) -> dict[str, Any]:
    """A condition; empty when there is none."""
    body: Any = world.cluster.peek(ref) or {}
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == name), {})
