"""Effects only: do a plan's actions in their order, stop at the first failure, say what failed.

What is there is read first, and named by the write: one that comes late, or from whom no longer leads, is a conflict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import assert_never

from changeover.core import names
from changeover.core.errors import ChangeoverError, Conflict, InvalidSpec, Unavailable
from changeover.core.manifests.common import is_left_behind
from changeover.core.plan import (
    Action,
    Apply,
    ConfirmOwner,
    Delete,
    HoldFinalizer,
    Manifest,
    Record,
    Ref,
    ReleaseRoute,
    Scale,
    SetSplit,
    identity,
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
        case Apply() | Delete() | Scale() | Record():
            await _twice(lambda: _do_beneath(action, owner, deps))
        case SetSplit():
            await deps.router.ensure(_the(target), action)
        case ReleaseRoute():
            await _twice(lambda: deps.router.release(_the(target)))
        case HoldFinalizer(present):
            await _hold_finalizer(owner, present, deps)
        case ConfirmOwner():
            await _confirm(action, owner, deps)
        case _:
            assert_never(action)


async def _do_beneath(action: Apply | Delete | Scale | Record, owner: Ref, deps: Dependencies) -> None:
    """To an object that is its owner's."""
    match action:
        case Apply(manifest):
            await _apply(manifest, owner, deps)
        case Delete():
            await _delete(action, owner, deps)
        case Scale():
            await _scale(action, owner, deps)
        case Record():
            await _record(action, deps)


async def _twice(read_and_write: Callable[[], Awaitable[None]]) -> None:
    """Once more after a conflict: mostly it is a controller that wrote status between our read and our write.

    Whoever leads no longer gets no further by it: leadership is asked for before each write.
    """
    try:
        await read_and_write()
    except Conflict:
        await read_and_write()


async def _apply(manifest: Manifest, owner: Ref, deps: Dependencies) -> None:
    """Make or update what is ours; whoever may make our resources may not thereby change others'."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    found = await deps.cluster.get(Ref(kind, metadata["namespace"], metadata["name"]))
    if found is None:
        # Records that an old view does not show are not to be mixed with others': a POST is refused where they are.
        make = deps.cluster.create if kind == "ConfigMap" else deps.cluster.apply
        await make(manifest)
        return
    if not _is_ours(found, owner):
        raise InvalidSpec(
            f"{kind} {metadata['name']} exists and was not made by this {owner.kind}; rename one of them (the name is "
            f"made from that of the {owner.kind})"
        )
    if any(is_left_behind(found, reference) for reference in metadata.get("ownerReferences", [])):
        raise Unavailable(
            f"{kind} {metadata['name']} belongs to what was deleted, and is waited for until the garbage collector has "
            "removed it; if it stays, delete it"
        )
    await deps.cluster.apply({**manifest, "metadata": {**metadata, **identity(found)}})


async def _delete(action: Delete, owner: Ref, deps: Dependencies) -> None:
    """Delete what is ours, as it was read; what only has a name of ours is left alone."""
    ref = action.ref
    found = await deps.cluster.get(ref)
    if found is None or not (ref == owner or _is_ours(found, owner)):
        return
    if action.version not in ("", found["metadata"]["resourceVersion"]):
        raise Conflict(f"{ref.kind} {ref.namespace}/{ref.name} was changed since it was decided to delete it")
    await deps.cluster.delete(found)


async def _record(action: Record, deps: Dependencies) -> None:
    """Add an entry to what was read: a run that has its record is not recorded again by whoever did not see it."""
    found = await deps.cluster.get(action.ref)
    if found is None:
        raise Conflict(f"{action.ref.kind} {action.ref.namespace}/{action.ref.name} is gone")
    if action.key not in (found.get("data") or {}):
        version = found["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "data": {action.key: action.value}}
        await deps.cluster.merge(action.ref, patch)


async def _scale(action: Scale, owner: Ref, deps: Dependencies) -> None:
    """Set the pods of a Deployment of ours, as it was read."""
    found = await deps.cluster.get(action.ref)
    if found is not None and _is_ours(found, owner):
        version = found["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "spec": {"replicas": action.replicas}}
        await deps.cluster.merge(action.ref, patch)


def _is_ours(found: Manifest, owner: Ref) -> bool:
    """Whether an object carries our label and no other owner's; a histogram's names none."""
    labels = found["metadata"].get("labels") or {}
    owners = {(kind, labels[key]) for kind, key in _OWNER_LABELS.items() if key in labels}
    return labels.get(names.LABEL_MANAGED_BY) == names.FIELD_MANAGER and owners <= {(owner.kind, owner.name)}


def _the(target: SplitTarget | None) -> SplitTarget:
    assert target is not None, "a plan that touches traffic needs a target"
    return target


async def _confirm(action: ConfirmOwner, owner: Ref, deps: Dependencies) -> None:
    try:
        await deps.cluster.merge(owner, {"metadata": {"resourceVersion": action.version}})
    except Conflict:
        raise
    except ChangeoverError:  # as of somebody's webhook that is down
        if action.needs_answer:
            raise


async def _hold_finalizer(owner: Ref, present: bool, deps: Dependencies) -> None:
    """Read and write with the version that was read, so that nobody else's finalizer is lost."""
    found = await deps.cluster.get(owner)
    if found is None:
        return
    others = [f for f in found["metadata"].get("finalizers", []) if f != names.FINALIZER]
    wanted = [*others, names.FINALIZER] if present else others
    version = found["metadata"]["resourceVersion"]
    await deps.cluster.merge(owner, {"metadata": {"finalizers": wanted, "resourceVersion": version}})
