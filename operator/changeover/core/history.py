"""Which decisions led to the weight? Read off the marks; so that none is lost, a mark carries what is not told yet.

Weight and status are two writes. Killed between them, a process that is started again may decide anew in its first
pass, and be killed again: what was decided before is then in the mark alone, so the next mark takes it over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from changeover.core.mark import Decision, Mark

LENGTH = 20  # decisions that status has
MOST_UNTOLD = 5  # that a mark carries: an annotation has its limit, and so many deaths in a row have another cause

Entry = dict[str, Any]


def history(before: Sequence[Entry], marks: Iterable[Mark]) -> list[Entry]:
    """The last decisions: those of status, and what these marks know besides."""
    told = list(before)
    for mark in marks:
        told += [entry for decision in _known(mark) if (entry := decision.to_dict()) not in told]
    return told[-LENGTH:]


def untold(found: Mark | None, decided: Mark | None, told: Sequence[Entry]) -> tuple[Decision, ...]:
    """What a mark that takes the place of the one that was found carries along: what status does not have."""
    if found is None:
        return ()
    own = [decided.decision.to_dict()] if decided is not None and decided.decision is not None else []
    left = [one for one in _known(found) if one.to_dict() not in (*told, *own)]
    return tuple(left[-MOST_UNTOLD:])


def _known(mark: Mark) -> tuple[Decision, ...]:
    return mark.untold if mark.decision is None else (*mark.untold, mark.decision)
