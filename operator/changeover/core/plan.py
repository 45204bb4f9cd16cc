"""What may a decision ask for? A closed union of actions, in the order in which they are to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True, order=True)
class Ref:
    """A Kubernetes object by kind, namespace and name."""

    kind: str
    namespace: str
    name: str


def identity(read: Manifest) -> dict[str, str]:
    """What a write names, so that the API server refuses it once the object was changed or made anew."""
    return {key: read["metadata"][key] for key in ("uid", "resourceVersion")}


@dataclass(frozen=True)
class Apply:
    """Server-side apply of an object that we own."""

    manifest: Manifest


@dataclass(frozen=True)
class Delete:
    """Delete an object of ours; its dependants go with it. Gone already is as good.

    ``version``, where it is given, is the one that the decision was made on; it fails when there is another by now.
    """

    ref: Ref
    version: str = ""


@dataclass(frozen=True)
class Scale:
    """Set the number of pods of a Deployment that we made."""

    ref: Ref
    replicas: int


@dataclass(frozen=True)
class Record:
    """Add one entry to a ConfigMap of ours; an entry that is there already stays as it is."""

    ref: Ref
    key: str
    value: str


@dataclass(frozen=True)
class SetSplit:
    """Write weights and mark of the route in one write; never one without the other.

    ``version`` is the route's that the decision was made on; the write fails when it has another by now, and when there
    is one although none was seen (empty).
    """

    canary_percent: int
    mark: Mapping[str, Any]
    version: str = ""


@dataclass(frozen=True)
class ReleaseRoute:
    """Give the route to its users: weights stay as they are, our marks go."""


@dataclass(frozen=True)
class HoldFinalizer:
    """Put our finalizer on the object, or take it off."""

    present: bool


@dataclass(frozen=True)
class ConfirmOwner:
    """Go on only when the owner is still the very one that was decided for: a write of nothing, of that version.

    The API server compares, so no old view, and no change that came meanwhile, is taken for the present.
    """

    version: str
    needs_answer: bool = True  # whether to stop, too, when the API server does not say


Action = Apply | Delete | Scale | Record | SetSplit | ReleaseRoute | HoldFinalizer | ConfirmOwner


@dataclass(frozen=True)
class Judgement:
    """One condition as judged now; transition times are added by ``conditions.merge``."""

    status: bool | None
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """What to do now, what to say, and when to look again (seconds; None: when something changes).

    ``status`` holds the status fields besides conditions and observedGeneration; ``conditions`` maps condition types
    to judgements; types left out keep what they said before (Unknown/Pending at first).
    """

    actions: tuple[Action, ...]
    conditions: Mapping[str, Judgement]
    status: Mapping[str, Any]
    recheck_after: float | None = None
