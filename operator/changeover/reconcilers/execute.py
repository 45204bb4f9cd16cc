"""Effects only: do a plan's actions in their order, stop at the first failure, say what failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from changeover.core import names
from changeover.core.errors import ChangeoverError, Conflict, InvalidSpec
from changeover.core.plan import (
    Action,
    Apply,
    Delete,
    HoldFinalizer,
    Manifest,
    Record,
    Ref,
    ReleaseRoute,
    Scale,
    SetSplit,
)  # fmt: skip
from changeover.ports import Dependencies, SplitTarget

RETRY_SECONDS = 1.0
CHANGED_RETRY_SECONDS = 0.2  # somebody, mostly the gateway, wrote between our look and our write: look again
_OWNER_LABELS = {"FrameworkBenchmark": names.LABEL_BENCHMARK, "CanaryMigration": names.LABEL_MIGRATION}
REFUSED_RETRY_SECONDS = 30.0  # what the API server refuses it will refuse again until somebody changes something


async def execute(
    actions: Iterable[Action], owner: Ref, target: SplitTarget | None, deps: Dependencies
) -> ChangeoverError | None:
    """Do the actions; every one is idempotent, and every prefix of a plan leaves a safe state. None: all done."""
    for action in actions:
        try:
            await _do(action, owner, target, deps)
        except ChangeoverError as error:
            return error
    return None


def retry_after(failure: ChangeoverError) -> float:
    """Seconds until a plan that failed is made anew."""
    if isinstance(failure, Conflict):
        return CHANGED_RETRY_SECONDS
    return REFUSED_RETRY_SECONDS if isinstance(failure, InvalidSpec) else RETRY_SECONDS


async def _do(action: Action, owner: Ref, target: SplitTarget | None, deps: Dependencies) -> None:
    match action:
        case Apply(manifest):
            await _refuse_anothers(manifest, owner, deps)
            await deps.cluster.apply(manifest)
        case Delete(ref):
            await _delete(ref, owner, deps)
        case Scale(ref, replicas):
            await deps.cluster.merge(ref, {"spec": {"replicas": replicas}})
        case Record(ref, key, value):
            await deps.cluster.merge(ref, {"data": {key: value}})
        case SetSplit():
            await deps.router.ensure(_the(target), action)
        case ReleaseRoute():
            await deps.router.release(_the(target))
        case HoldFinalizer(present):
            await _hold_finalizer(owner, present, deps)
        case _:
            assert_never(action)


async def _refuse_anothers(manifest: Manifest, owner: Ref, deps: Dependencies) -> None:
    """Raise InvalidSpec where the name is taken: whoever may make our resources may not thereby change others'."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    if not await _is_ours(Ref(kind, metadata["namespace"], metadata["name"]), owner, deps):
        raise InvalidSpec(
            f"{kind} {metadata['name']} exists and was not made by this {owner.kind}; rename one of them (the name is "
            f"made from that of the {owner.kind})"
        )


async def _delete(ref: Ref, owner: Ref, deps: Dependencies) -> None:
    """Delete what is ours; what only has a name of ours is left alone."""
    if ref == owner or await _is_ours(ref, owner, deps):
        await deps.cluster.delete(ref)


async def _is_ours(ref: Ref, owner: Ref, deps: Dependencies) -> bool:
    """Whether an object is not there, or carries our label and no other owner's; a histogram's names none."""
    found = await deps.cluster.get(ref)
    if found is None:
        return True
    labels = found["metadata"].get("labels") or {}
    owners = {(kind, labels[key]) for kind, key in _OWNER_LABELS.items() if key in labels}
    return labels.get(names.LABEL_MANAGED_BY) == names.FIELD_MANAGER and owners <= {(owner.kind, owner.name)}


def _the(target: SplitTarget | None) -> SplitTarget:
    assert target is not None, "a plan that touches traffic needs a target"
    return target


async def _hold_finalizer(owner: Ref, present: bool, deps: Dependencies) -> None:
    """Read and write with the version that was read, so that nobody else's finalizer is lost."""
    found = await deps.cluster.get(owner)
    if found is None:
        return
    others = [f for f in found["metadata"].get("finalizers", []) if f != names.FINALIZER]
    wanted = [*others, names.FINALIZER] if present else others
    version = found["metadata"]["resourceVersion"]
    await deps.cluster.merge(owner, {"metadata": {"finalizers": wanted, "resourceVersion": version}})
